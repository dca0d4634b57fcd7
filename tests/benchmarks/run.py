"""All benchmarks: `python tests/benchmarks/run.py [--quick] [--only PART] [--write FILE]`, or `make bench`.

Each figure stands beside a reference of the same run, since machines are shared and noisy.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import flatness
import plans
from chart import line_chart
from figures import Figure, number
from imports import imports
from ledgers import by_concurrency, on_postgres, on_sqlite, signed
from over_http import end_to_end
from servers import postgres
from singles import demo, in_gateways, signing

from licentia.cli.measuring.timing import flush_seconds

HEADER = "| what | value | p50 / p99 / p99.9 ms | reference | its value | ratio | goal |\n|---|---|---|---|---|---|---|"


class Run:
    """One run on one PostgreSQL, or on SQLite alone; lines are printed as they come, and kept."""

    def __init__(self, server: str | None, *, quick: bool, orders: int = 0) -> None:
        self.server = server
        self.quick = quick
        self.orders = orders or (2000 if quick else 5000)
        self.rounds, self.seconds = (1, 1.0) if quick else (3, 3.0)
        self.lines: list[str] = []
        self.charts: dict[str, str] = {}
        self.parts: dict[str, Callable[[], None]] = {
            "ledger": lambda: self.figures("The ledger alone", self.ledger()),
            "http": lambda: self.figures("Over HTTP", end_to_end(server, self.rounds, self.seconds)),
            "imports": lambda: self.figures("Importing a file", imports(server, self.rounds, self.orders)),
            "single": lambda: self.figures("One thing at a time", self.singles()),
            "concurrency": self.concurrency,
            "flatness": self.flatness,
        }

    def tell(self, *lines: str) -> None:
        """Print lines, and keep them for the page."""
        self.lines += lines
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    def figures(self, title: str, measured: Iterator[Figure]) -> None:
        """A table."""
        self.tell("", f"### {title}", "", HEADER)
        for figure in measured:
            self.tell(line(figure))

    def ledger(self) -> Iterator[Figure]:
        """The seat ledger, without HTTP."""
        if self.server:
            yield from on_postgres(self.server, self.rounds, self.seconds)
        yield from on_sqlite(self.rounds, self.seconds)
        yield from signed(self.server, self.rounds)

    def singles(self) -> Iterator[Figure]:
        """What one thing costs."""
        yield from signing(self.rounds * 10)
        yield from in_gateways(self.seconds)
        yield from demo(self.rounds)

    def concurrency(self) -> None:
        """Rates by how many calls are in flight."""
        curves = by_concurrency(self.server, self.seconds)
        self.tell("", "### Checkouts per second, by calls in flight", "")
        self.curves("calls in flight", curves, number)
        title = "Durable checkouts on one license, one process"
        self.chart("concurrency", line_chart(title, "calls in flight", "per second", curves))

    def flatness(self) -> None:
        """What a checkout costs among many others, and by which plans."""
        explained: dict[str, plans.Plans] = {}
        curves: flatness.Curves = {}
        self.tell("", "### Whether the cost stays flat", "", HEADER)
        for growth in flatness.growths(quick=self.quick):
            for server in [self.server, None] if self.server else [None]:
                name = "PostgreSQL" if server else "SQLite"

                def then(url: str, name: str = name, growth: flatness.Growth = growth) -> None:
                    if growth.grow is flatness.more_leases:
                        explained[name] = plans.explain(url)

                figure, points = flatness.measure(server, growth, 10 * self.rounds, then)
                curves |= points
                self.tell(line(figure))
        title = "Cost of a checkout and release beside that in a small database"
        self.chart("flatness", line_chart(title, "how many there are", "ratio; 1 is flat", curves))
        for name, found in explained.items():
            self.tell(*folded(f"Plans of {name}, with all these leases", found))
            self.tell("", f"Reads of a whole growing table on {name}: {'; '.join(plans.scans(found)) or 'none'}.")

    def curves(self, across: str, lines: flatness.Curves, shown: Callable[[float], str]) -> None:
        """A table of lines."""
        self.tell(f"| {across} | {' | '.join(lines)} |", "|---|" + "---|" * len(lines))
        for points in zip(*lines.values(), strict=True):
            self.tell(f"| {points[0][0]:,.0f} | {' | '.join(shown(y) for _, y in points)} |")

    def chart(self, name: str, svg: str) -> None:
        """A picture, which the page shows."""
        self.charts[name] = svg
        self.lines += ["", f"![{name}](performance/{name}.svg)"]


def line(figure: Figure) -> str:
    """A row of the table."""
    times = (figure.p50_ms, figure.p99_ms, figure.p999_ms)
    cells = (
        figure.what,
        number(figure.value) + figure.unit,
        "" if figure.p50_ms is None else " / ".join(number(each or 0) for each in times),
        figure.reference,
        "" if figure.reference_value is None else number(figure.reference_value),
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        figure.goal_text + {True: ", met", False: ", missed", None: ""}[figure.met],
    )
    return f"| {' | '.join(cells)} |"


def folded(title: str, found: plans.Plans) -> list[str]:
    """Statements and their plans, in a block that is closed at first."""
    lines = ["", f"<details><summary>{title}</summary>", ""]
    for deed, each in found.items():
        lines += [f"{deed[0].upper()}{deed[1:]}:", "", "```"]
        for sql, plan in each:
            lines += [" ".join(sql.split()), *(f"    {step}" for step in plan.splitlines()), ""]
        lines += ["```", ""]
    return [*lines, "</details>"]


def machine() -> str:
    """Where and when this was measured."""
    commit = subprocess.run(["git", "log", "-1", "--format=%h"], capture_output=True, text=True, check=False).stdout
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    told = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = next((row.split(": ")[1] for row in told.splitlines() if row.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    with tempfile.TemporaryDirectory() as folder:
        flush = flush_seconds(Path(folder)) * 1e3
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit.strip() or 'unknown'}; {model}, {os.cpu_count()} cores"
        f", {memory:.0f} GiB; the disk keeps a page in {flush:.2f} ms (fdatasync); {platform.system()}"
        f" {platform.release()}, Python {platform.python_version()}; load before the run {load}."
    )


def main(arguments: Sequence[str]) -> None:
    """Measure, print, and write the page if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, and it grows less")
    parser.add_argument("--only", metavar="PART", help="ledger, http, imports, single, concurrency or flatness")
    parser.add_argument("--orders", type=int, default=0, metavar="N", help="orders of the file that is imported")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the page whose generated part is replaced")
    given = parser.parse_args(arguments)
    if given.only and given.write:
        parser.error("A page is written as a whole: without --only.")
    with postgres() as server:
        run = Run(server, quick=given.quick, orders=given.orders)
        if given.only and given.only not in run.parts:
            parser.error(f"--only takes one of {', '.join(run.parts)}.")
        run.tell(machine())
        for name, part in run.parts.items():
            if given.only in (None, name):
                part()
    if given.write:
        write(given.write, run)


def write(page: Path, run: Run) -> None:
    """Replace the generated part of the page, and the pictures beside it."""
    before, _, rest = page.read_text("utf-8").partition("<!-- measured -->")
    _, _, after = rest.partition("<!-- /measured -->")
    body = "\n".join(run.lines)
    page.write_text(f"{before}<!-- measured -->\n{body}\n<!-- /measured -->{after}", "utf-8")
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    for name, svg in run.charts.items():
        (folder / f"{name}.svg").write_text(svg, "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
