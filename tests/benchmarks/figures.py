"""One measured figure, beside what it is measured against."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from licentia.cli.measuring.timing import Timed


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A value and, of the same run, its reference; `ratio` is value to reference.

    Where rounds were made, each with a reference of its own, all three are the medians: so `ratio` need
    not be the quotient of the other two. `goal` is of the ratio, or of the value if `goal_of_value`.
    """

    what: str
    value: float
    unit: str
    reference: str = ""
    reference_value: float | None = None
    ratio: float | None = None
    goal: float | None = None
    goal_of_value: bool = False
    less_is_better: bool = False
    p50_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if self.goal is None:
            return None
        reached = self.value if self.goal_of_value or self.ratio is None else self.ratio
        return reached <= self.goal if self.less_is_better else reached >= self.goal

    @property
    def goal_text(self) -> str:
        """The goal in words."""
        if self.goal is None:
            return ""
        unit = self.unit if self.goal_of_value or self.ratio is None else "x"
        return f"{self.goal:g} {unit.strip()} or {'less' if self.less_is_better else 'more'}"


class Rounds:
    """Rounds of calls, each with the reference that was measured right before it."""

    def __init__(self) -> None:
        self.timed: list[Timed] = []
        self.references: list[float] = []

    def add(self, timed: Timed, reference: float) -> None:
        """One round and its neighbor."""
        self.timed.append(timed)
        self.references.append(reference)

    def figure(self, what: str, reference: str, goal: float | None = None) -> Figure:
        """Medians of the rounds."""
        pairs = zip(self.timed, self.references, strict=True)
        return Figure(
            what=what,
            value=statistics.median(timed.rate for timed in self.timed),
            unit="/s",
            reference=reference,
            reference_value=statistics.median(self.references),
            ratio=statistics.median(timed.rate / beside for timed, beside in pairs),
            goal=goal,
            **latencies(self.timed),
        )


def latencies(timed: Sequence[Timed]) -> dict[str, float]:
    """The medians of the percentiles of rounds."""
    names = {"p50_ms": 50, "p99_ms": 99, "p999_ms": 99.9}
    return {name: statistics.median(each.percentile(percent) for each in timed) for name, percent in names.items()}


def number(value: float) -> str:
    """With three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
