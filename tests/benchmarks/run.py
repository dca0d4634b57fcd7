"""All benchmarks: `python tests/benchmarks/run.py [--quick] [--write FILE]`, or `make bench`.

Each figure stands beside a reference of the same run, since machines are shared and noisy.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from figures import Figure, number
from gateways import measure
from ledgers import by_concurrency, on_postgres, on_sqlite, signed
from servers import postgres

HEADER = "| what | value | p50 / p99 / p99.9 ms | reference | its value | ratio | goal |\n|---|---|---|---|---|---|---|"


def figures(rounds: int, seconds: float) -> Iterator[Figure]:
    """One after the other, as they are measured."""
    with postgres() as server:
        if server:
            yield from on_postgres(server, rounds, seconds)
        yield from on_sqlite(rounds, seconds)
        yield from signed(server, rounds)
    yield in_process(measure(seconds))


def in_process(measured: dict[str, float]) -> Figure:
    """The CPU of a SOAP checkout beside that of a REST checkout, without HTTP server and ledger."""
    return Figure(
        what="CPU of a SOAP checkout in the gateway",
        value=measured["soap_us"],
        unit=" us",
        reference="the REST checkout",
        reference_value=measured["rest_us"],
        ratio=measured["soap_to_rest"],
        goal=2.0,
        less_is_better=True,
    )


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


def machine() -> str:
    """Where and when this was measured."""
    commit = subprocess.run(["git", "log", "-1", "--format=%h"], capture_output=True, text=True, check=False).stdout
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit.strip() or 'unknown'}, {platform.machine()},"
        f" {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()},"
        f" load {load} (others worked on the machine too)"
    )


def main(arguments: Sequence[str]) -> None:
    """Measure, print, and write the page if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round instead of three")
    parser.add_argument("--write", type=Path, help="the page whose generated part is replaced")
    given = parser.parse_args(arguments)
    rounds, seconds = (1, 1.0) if given.quick else (3, 3.0)
    lines = [machine(), "", *HEADER.splitlines()]
    sys.stdout.write("\n".join(lines) + "\n")
    for figure in figures(rounds, seconds):
        lines.append(line(figure))
        sys.stdout.write(lines[-1] + "\n")
        sys.stdout.flush()
    with postgres() as server:
        curves = by_concurrency(server, seconds)
    lines += ["", "| checkouts per second, one license, by calls in flight | " + " | ".join(curves) + " |"]
    lines.append("|---|" + "---|" * len(curves))
    for points in zip(*curves.values(), strict=True):
        lines.append(f"| {points[0][0]:.0f} | " + " | ".join(number(rate) for _, rate in points) + " |")
        sys.stdout.write(lines[-1] + "\n")
    if given.write:
        before, _, rest = given.write.read_text("utf-8").partition("<!-- measured -->")
        _, _, after = rest.partition("<!-- /measured -->")
        body = "\n".join(lines)
        given.write.write_text(f"{before}<!-- measured -->\n{body}\n<!-- /measured -->{after}", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
