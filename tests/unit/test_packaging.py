"""The wheel: what `pip install licentia` puts on a machine."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest

import licentia

CHECKOUT = Path(__file__).parents[2]
PACKAGES = {"licentia", "licentia_gateways", "licentia_plugins", "licentia_integrations"}
PYPROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
OUR_ENTRY_POINTS = tuple(distribution("licentia").entry_points)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The file names inside a wheel built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, CHECKOUT]
    subprocess.run(command, check=True, capture_output=True, text=True)
    with ZipFile(next(folder.glob("*.whl"))) as archive:
        return archive.namelist()


def test_the_wheel_holds_the_four_packages_and_nothing_else(wheel: list[str]) -> None:
    """No generic name (core, conf, tests) reaches site-packages."""
    assert {name.split("/")[0] for name in wheel} == PACKAGES | {f"licentia-{licentia.__version__}.dist-info"}


def test_the_wheel_is_typed_and_licensed(wheel: list[str]) -> None:
    """Each package says that it is typed, and the license travels along."""
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(wheel)
    assert f"licentia-{licentia.__version__}.dist-info/licenses/LICENSE" in wheel


def test_the_wheel_holds_every_file_of_the_packages(wheel: list[str]) -> None:
    """What lies in the four packages of the checkout is in the wheel, data files too."""
    for root in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        folder = CHECKOUT / root
        files = {path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
        assert {str(path.relative_to(folder.parent)) for path in files} <= set(wheel)


def test_the_installed_entry_points_are_those_declared() -> None:
    """A changed entry point takes effect only after `pip install -e .`: this test reminds of it."""
    declared = {group: dict(points) for group, points in PYPROJECT["project"]["entry-points"].items()}
    declared["console_scripts"] = PYPROJECT["project"]["scripts"]
    installed: dict[str, dict[str, str]] = {}
    for point in OUR_ENTRY_POINTS:
        installed.setdefault(point.group, {})[point.name] = point.value
    assert installed == declared


@pytest.mark.parametrize("point", OUR_ENTRY_POINTS, ids=lambda point: f"{point.group}:{point.name}")
def test_every_entry_point_loads(point: EntryPoint) -> None:
    """What an entry point names is there and can be called."""
    assert callable(point.load())
