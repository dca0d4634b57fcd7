"""What time it is for a license, on a machine whose clock its user can set.

The container remembers the latest time that it knows of: what the server said, and when a license was
used. Time never goes back behind that. A clock that is a little behind is waited for: clocks drift, and
a machine that takes local time for UTC is up to 26 hours off (UTC-12 to UTC+14). One that is further
behind is wrong, from a dead battery or on purpose: licenses go on, and time goes on from the
remembered one as long as the application runs.

Either way the time of use while the clock is behind is added up, and a use counts as `SAVE_SECONDS` at
least, so that programs that run for a moment count too. After `WRONG_SECONDS` of it a license is used
only with a clock that is not behind, or when the server has told the time: its answer always sets the
time right, also back, and begins the count anew.

A time at which no license was in use is never remembered. So a clock that stood in a far future for
an hour spoils nothing, and whoever sets it back after the end of a license gains no more than the time
in which it was never used.
"""

from __future__ import annotations

import msgspec

BEHIND_SECONDS = 26 * 3600
WRONG_SECONDS = 7 * 86_400
SAVE_SECONDS = 300
"""How much time may pass without being written down."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered: the latest time known, and how long licenses were used with a clock behind it, in seconds."""

    latest: int = 0
    wrong_seconds: int = 0


class Now(msgspec.Struct, frozen=True):
    """The time, in seconds since 1970; whether the clock is behind it; whether the server has to be asked."""

    at: int
    behind: bool
    ask_server: bool


def tell(clock: int, seen: Seen, running_seconds: int) -> Now:
    """The time.

    Args:
        clock: the machine's clock, in seconds since 1970.
        seen: what is remembered.
        running_seconds: how long ago `seen` was written or read, by a clock that nobody sets.
    """
    if clock >= seen.latest:
        return Now(clock, False, False)
    wrong = seen.latest - clock > BEHIND_SECONDS
    at = seen.latest + running_seconds if wrong else seen.latest
    return Now(at, True, seen.wrong_seconds + running_seconds > WRONG_SECONDS)


def remember(clock: int, seen: Seen, running_seconds: int) -> Seen:
    """What to remember when a license is used now."""
    now = tell(clock, seen, running_seconds)
    used = max(running_seconds, SAVE_SECONDS) if now.behind else 0
    return Seen(latest=now.at, wrong_seconds=seen.wrong_seconds + used)
