"""Other people's packages: installed by pip beside Licentia, found, and harmless where they are broken."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LIST = """
import sys, msgspec
from licentia.plugins import Bindings, PluginError, Plugins, Registry
from licentia.settings import Settings
from licentia.testing import MemoryHost
settings = Settings(containers=sys.argv[1].split(), bindings=sys.argv[2].split())
try:
    plugins = Plugins()
    Bindings(settings, plugins)
    Registry(settings, MemoryHost(), plugins)
    print(msgspec.json.encode(plugins.listing()).decode())
except PluginError as error:
    sys.exit(str(error))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the packages installed, by pip and without a network."""
    folder = tmp_path_factory.mktemp("site")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir", "--disable-pip-version-check"]
    packages = sorted(HERE.glob("licentia-*"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", *offline, "--target", folder, *packages]
    subprocess.run(command, check=True, capture_output=True, text=True)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path}


def listing(environment: dict[str, str], containers: str, bindings: str = "") -> subprocess.CompletedProcess[str]:
    """The registry's listing in a process of its own, with these containers and bindings in use."""
    command = [sys.executable, "-c", LIST, containers, bindings]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_broken_package_stops_nobody_else(installed: dict[str, str]) -> None:
    """cloud-lite stays active, the sample is there for whoever wants it, and the broken one says why it is broken."""
    done = listing(installed, "cloud-lite")
    plugins = {plugin["name"]: plugin for plugin in json.loads(done.stdout) if plugin["kind"] == "container"}
    assert plugins["cloud-lite"]["state"] == "active"
    assert plugins["sample"] == {
        "kind": "container",
        "name": "sample",
        "version": "0.1.0",
        "distribution": "licentia-container-sample",
        "target": "licentia_container_sample:Sample",
        "state": "available",
        "capabilities": [],
        "reason": None,
    }
    assert plugins["broken"]["state"] == "broken"
    assert plugins["broken"]["distribution"] == "licentia-container-broken"
    assert plugins["broken"]["reason"] == (
        "loading it failed with ImportError: libdongle.so.3: cannot open shared object file"
    )


def test_a_package_is_in_use_as_soon_as_it_is_named(installed: dict[str, str]) -> None:
    """One word in the settings is all that it takes."""
    found = json.loads(listing(installed, "sample", "sample").stdout)
    states = {(plugin["kind"], plugin["name"]): plugin["state"] for plugin in found}
    assert (states["container", "sample"], states["container", "cloud-lite"]) == ("active", "available")
    assert (states["binding", "sample"], states["binding", "physical"]) == ("active", "available")
    assert states["connector", "sample"] == "available"


def test_a_broken_package_that_is_named_stops_the_start(installed: dict[str, str]) -> None:
    """The server says which package it is, why, and what to do."""
    done = listing(installed, "cloud-lite broken")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "container 'broken' (licentia-container-broken 0.2.0, licentia_container_broken:Broken) is broken: "
        "loading it failed with ImportError: libdongle.so.3: cannot open shared object file. "
        "Mend or remove that package, or take 'broken' out of `containers` in the settings."
    )


def test_the_packages_pass_their_own_tests(installed: dict[str, str], tmp_path: Path) -> None:
    """Each author's few lines, with a plain pytest and no settings of ours, run the kit and pass."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    tests = sorted(HERE.glob("licentia-*-sample/test_*.py"))
    assert len(tests) == 3
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", tmp_path / "pytest.ini", *tests]
    done = subprocess.run(command, env=installed, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^\d+ passed in", done.stdout, re.MULTILINE), done.stdout
