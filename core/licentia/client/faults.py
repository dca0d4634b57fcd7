"""What can go wrong on the way to a server, as opposed to what a server refuses."""

from __future__ import annotations


class Unreachable(Exception):
    """No answer, or not the answer of a Licentia server. The message says why, `next_step` what to do."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.next_step = next_step
