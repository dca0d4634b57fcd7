"""How much of a machine may change: thresholds from the weights of what the machine shows.

Two rules hold whatever is chosen. What goes with the disk and what a model shares are together below
the threshold, so that a disk in a second machine of the same model does not open. And of the hardware's
own identity, which has weight 11 in all, 4 must still be there: this stops who would guess the one
share that is wanting (a network card's address is one of 2^24 for its maker).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from licentia_plugins.bindings.physical.features import COMMON, DISK, HARDWARE, NAMES, WEIGHTS

Tolerance = Literal["strict", "medium", "loose"]
THRESHOLDS: Mapping[str, int] = {"strict": 17, "medium": 13, "loose": 10}
"""Of the whole weight, 20."""

WHOLE = sum(WEIGHTS.values())
HARDWARE_THRESHOLD = 4
ENOUGH = 13
"""A machine that shows less than this weight is weakly bound."""


class Plan(NamedTuple):
    """What has to be right, of a machine that shows certain features.

    Attributes:
        threshold: the weight of all features that opens.
        hardware_threshold: the weight of hardware that it needs besides; 0 if the machine shows too little for it.
        weak: another machine may look the same, or one can be made to with little trouble.
        identity: there is something that no other machine of the model has; if not, nothing can be bound to.
        missing: the features that the machine does not show.
    """

    threshold: int
    hardware_threshold: int
    weak: bool
    identity: bool
    missing: tuple[str, ...]


def plan(present: Iterable[str], tolerance: Tolerance) -> Plan:
    """The thresholds for a machine with these features: in proportion to their weight, rounded up."""
    shown = frozenset(present)
    total = weight(shown)
    hardware = weight(shown & HARDWARE)
    scaled = -(-THRESHOLDS[tolerance] * total // WHOLE)
    elsewhere = (COMMON | DISK) if hardware else COMMON
    return Plan(
        threshold=max(scaled, weight(shown & elsewhere) + 1),
        hardware_threshold=HARDWARE_THRESHOLD if hardware >= HARDWARE_THRESHOLD else 0,
        weak=total < ENOUGH or hardware < HARDWARE_THRESHOLD,
        identity=bool(shown - COMMON),
        missing=tuple(name for name in NAMES if name not in shown),
    )


def weight(names: Iterable[str]) -> int:
    """The weight of these features together."""
    return sum(WEIGHTS[name] for name in names)
