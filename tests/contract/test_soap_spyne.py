"""spyne: the repair of its last release, and the one door to it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import licentia_gateways
from licentia_gateways.soap import _spyne


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that turns warnings into errors."""
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)


def test_the_repair_is_still_needed() -> None:
    """Without the repair spyne cannot be imported here, or only with warnings; once it can, the repair may go."""
    assert run("import spyne").returncode != 0


def test_the_repair_works_in_a_fresh_process() -> None:
    """With it the import succeeds without a warning, also when spyne is named again afterwards."""
    done = run(
        "from licentia_gateways.soap import _spyne; import spyne; print(spyne.Application is _spyne.Application)"
    )
    assert (done.stdout.strip(), done.stderr) == ("True", "")


def test_there_is_one_door_to_spyne() -> None:
    """No other module imports spyne, so the repair always comes first."""
    door = Path(_spyne.__file__)
    gateways = Path(licentia_gateways.__file__).parent
    imports = re.compile(r"^\s*(?:import|from) spyne\b", re.MULTILINE)
    others = [path.name for path in gateways.rglob("*.py") if path != door and imports.search(path.read_text("utf-8"))]
    assert others == []
