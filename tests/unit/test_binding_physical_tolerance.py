"""What may change of a machine: the rules hold for every machine, whatever it shows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import get_args

import pytest

from licentia_plugins.bindings.physical.features import COMMON, DISK, HARDWARE, NAMES
from licentia_plugins.bindings.physical.tolerance import THRESHOLDS, Tolerance, plan, weight

LEVELS: tuple[Tolerance, ...] = get_args(Tolerance)


def machines() -> Iterator[frozenset[str]]:
    """Every set of features that a machine may show."""
    for size in range(1, len(NAMES) + 1):
        yield from map(frozenset, combinations(NAMES, size))


def test_the_weights_are_those_of_the_design() -> None:
    """In all 20; of hardware 11, with the disk 7, common to a model 2; every feature is of one kind."""
    assert weight(NAMES) == 20
    assert (weight(HARDWARE), weight(DISK), weight(COMMON)) == (11, 7, 2)
    assert sorted([*HARDWARE, *DISK, *COMMON]) == sorted(NAMES)


@pytest.mark.parametrize(("level", "threshold"), [("strict", 17), ("medium", 13), ("loose", 10)])
def test_a_machine_that_shows_all_has_the_thresholds_of_the_design(level: Tolerance, threshold: int) -> None:
    """17, 13 or 10 of 20, and 4 of hardware; such a machine is not weak and misses nothing."""
    assert plan(NAMES, level) == (threshold, 4, False, True, ())


@pytest.mark.parametrize("level", LEVELS)
def test_a_disk_in_a_second_machine_of_the_model_is_never_enough(level: Tolerance) -> None:
    """Wherever hardware shows anything, the rest weighs less than the threshold; the model alone always does."""
    for shown in machines():
        judged = plan(shown, level)
        if shown & HARDWARE:
            assert weight(shown - HARDWARE) < judged.threshold <= weight(shown)
        if judged.identity:
            assert weight(shown & COMMON) < judged.threshold <= weight(shown)


@pytest.mark.parametrize("level", LEVELS)
def test_the_threshold_never_falls_below_its_share(level: Tolerance) -> None:
    """Of what a machine shows, at least as great a part must be right as of a whole machine."""
    for shown in machines():
        assert plan(shown, level).threshold * 20 >= THRESHOLDS[level] * weight(shown)


def test_more_tolerance_asks_for_no_more() -> None:
    """Strict never opens where medium does not, nor medium where loose does not."""
    for shown in machines():
        strict, medium, loose = (plan(shown, level).threshold for level in LEVELS)
        assert strict >= medium >= loose


def test_a_machine_that_shows_too_little_is_weak() -> None:
    """It is weak below weight 13 or hardware 4, and without that hardware there is no second lock on it."""
    for shown in machines():
        judged = plan(shown, "medium")
        assert judged.weak == (weight(shown) < 13 or weight(shown & HARDWARE) < 4)
        assert judged.hardware_threshold == (4 if weight(shown & HARDWARE) >= 4 else 0)
        assert judged.identity == (not shown <= COMMON)
        assert sorted([*shown, *judged.missing]) == sorted(NAMES)
