"""The benchmarks run, and what they measure makes sense; how fast it is, no test asks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
import processes, servers, figures
from licentia.cli.measuring.stock import SPREAD
if __name__ == "__main__":
    with servers.database(None, (SPREAD,)) as url:
        (done,) = processes.under_load(url, SPREAD, leases=400, clients=16, processes=2)
    rounds = figures.Rounds()
    rounds.add(done["checkout"], 100.0)
    figure = rounds.figure("what", "reference", 1e-9)
    told = {deed: [len(timed.seconds), min(timed.seconds), timed.ended - timed.began] for deed, timed in done.items()}
    json.dump({"deeds": told, "ratio": figure.ratio, "value": figure.value, "met": figure.met,
               "times": [figure.p50_ms, figure.p99_ms, figure.p999_ms]}, sys.stdout)
"""


def test_the_ledger_is_measured_by_two_processes(tmp_path: Path) -> None:
    """All 400 leases are taken, renewed and released, by two processes on one SQLite file, and the figure fits them."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, "utf-8")
    words = [sys.executable, str(program), str(HERE)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told["deeds"]) == {"checkout", "renewal", "release"}
    for count, least, elapsed in told["deeds"].values():
        assert count == 400
        assert 0 < least < elapsed
    assert told["value"] == pytest.approx(told["ratio"] * 100)
    assert told["value"] > 0
    assert told["met"] is True
    assert 0 < told["times"][0] <= told["times"][1] <= told["times"][2]


@pytest.mark.slow
def test_the_costs_of_plugins_are_measured() -> None:
    """The command that the pages of the plugins name prints a cost for each, and none is nothing."""
    words = [sys.executable, str(HERE / "plugins.py")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    costs = [float(line.split()[-6]) for line in done.stdout.splitlines() if line.endswith(" times the reference")]
    assert len(costs) == 13
    assert min(costs) > 0


def test_an_import_is_measured_beside_a_bulk_insert(tmp_path: Path) -> None:
    """Every order of the file is imported and written again, of more than one batch, and both took time."""
    program = tmp_path / "program.py"
    program.write_text(
        "import json, sys\nsys.path.insert(0, sys.argv[1])\nimport imports\n"
        "(figure,) = imports.imports(None, 1, 620)\n"
        "print(json.dumps([figure.value, figure.reference_value, figure.ratio]))\n",
        "utf-8",
    )
    words = [sys.executable, str(program), str(HERE)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    value, reference, ratio = json.loads(done.stdout.splitlines()[-1])
    assert min(value, reference) > 0
    assert ratio == pytest.approx(value / reference)
