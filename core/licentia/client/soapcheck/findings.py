"""What a check found: one line for the operator, and at a fault what to do next."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["ok", "fault", "skipped"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `help` says what to do at a fault, or to have it looked at."""

    name: str
    state: State
    detail: str
    help: str = ""


def ok(name: str, detail: str) -> Finding:
    """It is as it should be."""
    return Finding(name=name, state="ok", detail=detail)


def fault(name: str, detail: str, help: str) -> Finding:
    """It is not, and `help` says what to do."""
    return Finding(name=name, state="fault", detail=detail, help=help)


def skipped(name: str, detail: str, help: str) -> Finding:
    """It was not looked at; `help` says how to have it looked at."""
    return Finding(name=name, state="skipped", detail=detail, help=help)


def judged(name: str, is_good: bool, detail: str, help: str) -> Finding:
    """`ok` or `fault`."""
    return ok(name, detail) if is_good else fault(name, detail, help)
