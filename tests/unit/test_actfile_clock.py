"""What time it is on a machine whose clock is off, was set back, or jumps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import exchange_lab as lab
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.client.actfile.clock import BEHIND_SECONDS, SAVE_SECONDS, WRONG_SECONDS, Seen, remember, tell
from licentia.errors import LicenseExpired, UpdateRequired

T = 1_800_000_000
HOUR, DAY = 3600, 86_400
seconds = st.integers(0, 2**33)


def test_a_clock_that_goes_on_is_the_time() -> None:
    """A clock at or after what is remembered is right, however far ahead it is."""
    for clock in (T, T + 1, T + 10 * 365 * DAY):
        now = tell(clock, Seen(latest=T), 5)
        assert (now.at, now.behind, now.ask_server) == (clock, False, False)


@pytest.mark.parametrize("behind", [1, HOUR, 25 * HOUR, BEHIND_SECONDS])
def test_a_clock_that_is_a_little_behind_is_waited_for(behind: int) -> None:
    """A time zone taken for another, or drift: time stands still until the clock has come up."""
    now = tell(T - behind, Seen(latest=T), 600)
    assert (now.at, now.ask_server) == (T, False)


@pytest.mark.parametrize("clock", [0, T - BEHIND_SECONDS - 1, T - 365 * DAY])
def test_a_clock_that_is_wrong_is_not_followed(clock: int) -> None:
    """A dead battery, or a clock set back: time goes on from what is remembered, for as long as it is used."""
    now = tell(clock, Seen(latest=T), 600)
    assert (now.at, now.behind, now.ask_server) == (T + 600, True, False)


def test_a_wrong_clock_lasts_for_some_days() -> None:
    """After seven days of use with a wrong clock the server has to be asked; setting the clock right helps at once."""
    seen, used = Seen(latest=T), 0
    while not tell(0, seen, 0).ask_server:
        seen, used = remember(0, seen, HOUR), used + HOUR
    assert used == WRONG_SECONDS + HOUR
    assert seen.latest == T + used
    assert not tell(T + used, seen, 0).ask_server
    assert tell(T + used - 1, remember(T + used, seen, 0), 0).ask_server, (
        "a moment with the right clock forgives nothing"
    )


def test_a_clock_set_back_each_day_gains_no_more() -> None:
    """Whoever sets the clock back by a little again and again uses up the same seven days."""
    seen, used = Seen(latest=T), 0
    while not tell(T - DAY, seen, 0).ask_server:
        seen, used = remember(T - DAY, seen, HOUR), used + HOUR
    assert used <= WRONG_SECONDS + HOUR


def test_many_short_uses_count() -> None:
    """A program that runs for a moment cannot be used for ever under a clock that stands still."""
    seen, uses = Seen(latest=T), 0
    while not tell(0, seen, 0).ask_server:
        seen, uses = remember(0, seen, 0), uses + 1
    assert uses == WRONG_SECONDS // SAVE_SECONDS + 1


@given(clock=seconds, latest=seconds, wrong=st.integers(0, 10**6), running=st.integers(0, 10**6))
def test_time_never_goes_back(clock: int, latest: int, wrong: int, running: int) -> None:
    """Whatever the clock says, the time is not before what is remembered, and what is remembered only grows."""
    seen = Seen(latest=latest, wrong_seconds=wrong)
    now, then = tell(clock, seen, running), remember(clock, seen, running)
    assert now.at >= latest
    assert now.at == clock or now.at - latest <= running
    assert (then.latest, then.wrong_seconds >= wrong) == (now.at, True)
    assert now.behind == (clock < latest)
    assert not now.ask_server or now.behind


@given(clocks=st.lists(seconds, min_size=1, max_size=20))
def test_a_story_of_clocks(clocks: list[int]) -> None:
    """However the clock jumps between uses, the remembered time is the latest that it said."""
    seen = Seen()
    for number, clock in enumerate(clocks, 1):
        seen = remember(clock, seen, 0)
        assert seen.latest == max(clocks[:number])


# --- on a device ----------------------------------------------------------------------------------


def device(**license: Any) -> Any:
    """A device with a license that ends in thirty days and needs contact every ten."""
    until = datetime.fromtimestamp(lab.START + 30 * DAY, UTC)
    return lab.machine(valid_until=until, terms={"checkpoint_days": 10}, **license)


def test_a_license_does_not_outlive_its_end_by_the_clock() -> None:
    """A clock that is set back after the end of a checkpoint gains no time that was used before."""
    machine = device()
    machine.clock.seconds += 10 * DAY - 1
    machine.file.require("cad")
    machine.clock.seconds += 1
    with pytest.raises(UpdateRequired, match="needed contact"):
        machine.file.require("cad")
    machine.clock.seconds -= 5 * DAY
    machine.open().require("cad")
    assert machine.file._time(machine.file._open().state).at == lab.START + 10 * DAY - 1


def test_contact_sets_the_time_right() -> None:
    """A clock that was far in the future while a license was used is forgiven by one contact."""
    machine = device()
    machine.clock.seconds += 9 * DAY
    machine.file.require("cad")
    machine.clock.seconds -= 9 * DAY
    assert machine.file._open().state.seen.latest == lab.START + 9 * DAY
    assert machine.contact()
    assert machine.file._open().state.seen.latest == lab.START
    assert machine.file.require("cad").contact_by is not None


def test_a_far_future_that_was_not_used_spoils_nothing() -> None:
    """A clock that stands in the year 2200 lets nothing be used, and once set right everything is as before."""
    machine = device()
    machine.clock.seconds = 7_258_118_400
    with pytest.raises(LicenseExpired):
        machine.file.require("cad")
    machine.clock.seconds = lab.START + DAY
    assert machine.file.require("cad")


@pytest.mark.parametrize("clock", [-(10**9), 0, 2**62])
def test_an_absurd_clock_breaks_nothing(clock: int) -> None:
    """Before 1970 or after the year 9999: there is an answer, and contact works."""
    machine = device()
    machine.clock.seconds = clock
    if clock <= 0:
        assert machine.file.require("cad")
    else:
        with pytest.raises(LicenseExpired):
            machine.file.require("cad")
    assert machine.contact()


def test_a_dead_battery_is_told_to_ask() -> None:
    """A machine that begins at 1970 each morning works, until it has been used for days; then one contact heals it."""
    machine = device()
    opened = machine.file._open()
    used = msgspec.structs.replace(opened.state.seen, wrong_seconds=WRONG_SECONDS - 3 * SAVE_SECONDS)
    machine.file._save_state(opened, msgspec.structs.replace(opened.state, seen=used))
    machine.clock.seconds = 0
    for _ in range(4):
        assert machine.open().require("cad")
    for _ in range(4):
        with pytest.raises(UpdateRequired, match="clock") as refusal:
            machine.open().require("cad")
        assert "container contact" in refusal.value.next_step
    assert machine.contact()
    assert machine.file.require("cad")


def test_use_behind_is_written_down_now_and_then() -> None:
    """A process that asks often with a clock behind writes once, not each time."""
    machine = device()
    machine.file.require("cad")
    machine.clock.seconds -= HOUR
    machine.open().require("cad")
    written = machine.store.data
    for _ in range(20):
        machine.file.require("cad")
    assert machine.store.data == written
