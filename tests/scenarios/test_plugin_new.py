"""`licentia plugin new`, and the page that begins with it: what they write installs, works, and passes its kit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from licentia.cli.commands.plugin import KINDS, TEMPLATES
from licentia.cli.root import licentia

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "plugins" / "write-a-plugin.md"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
END = "<<end of block>>"
NAME = "my-own"
"""It has a dash, which no module's name may have."""


def run(*command: Any, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an author: a virtual environment of theirs that has Licentia and the kit, but no network."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    ours, theirs = sysconfig.get_path("purelib"), Path(sysconfig.get_path("purelib", "venv", paths))
    (theirs / "licentia-of-the-tests.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    for program in ("licentia", "pip", "pytest"):
        script = folder / "bin" / program
        script.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" -m {program} "$@"\n')
        script.chmod(0o755)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COLUMNS", "LICENTIA_", "PIP_", "PYTEST_"))
    }
    pip = {"NO_INDEX": "1", "NO_BUILD_ISOLATION": "0", "DISABLE_PIP_VERSION_CHECK": "1", "NO_CACHE_DIR": "1"}
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return kept | {f"PIP_{name}": value for name, value in pip.items()} | {"PATH": path}


@pytest.fixture(scope="module")
def packages(author: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new package of each kind; all of them are installed, as wheels."""
    folder = tmp_path_factory.mktemp("packages")
    for kind in KINDS:
        done = run("licentia", "plugin", "new", kind, NAME, folder=folder, environment=author)
        assert done.returncode == 0, done.stderr
    made = sorted(folder.iterdir())
    done = run("pip", "wheel", "-q", "--no-deps", "-w", "wheels", *made, folder=folder, environment=author)
    assert done.returncode == 0, done.stderr
    wheels = sorted((folder / "wheels").iterdir())
    done = run("pip", "install", "-q", "--no-deps", *wheels, folder=folder, environment=author)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_page_is_true(author: dict[str, str], tmp_path: Path) -> None:
    """From top to bottom, in one shell, each command of the page works and prints what stands below it."""
    blocks = BLOCK.findall(PAGE.read_text("utf-8"))
    commands = [text for language, text in blocks if language == "sh"]
    script = "".join(f"{command}echo '{END}'\n" for command in commands)
    done = run("bash", "-euc", script, folder=tmp_path, environment=author)
    printed = done.stdout.split(f"{END}\n")[:-1]
    assert (done.returncode, len(printed)) == (0, len(commands)), f"{done.stdout}\n{done.stderr}"
    shown = dict(zip(commands, printed, strict=True))
    expected = {blocks[i - 1][1]: text for i, (language, text) in enumerate(blocks) if language == "text"}
    assert len(expected) >= 5
    assert {command: shown[command] for command in expected} == expected


def test_every_new_plugin_is_found(author: dict[str, str], packages: Path) -> None:
    """A server lists one of each kind, from its package, and says of none that it is broken."""
    run("licentia", "init", "data", folder=packages, environment=author)
    done = run(
        *("licentia", "plugin", "list", "--config", "data/licentia.toml", "-o", "json"),
        folder=packages,
        environment=author,
    )
    found = [plugin for plugin in json.loads(done.stdout)["plugins"] if plugin["name"] == NAME]
    assert {plugin["kind"]: plugin["distribution"] for plugin in found} == {
        kind: f"licentia-{kind}-{NAME}" for kind in KINDS
    }
    assert {plugin["state"] for plugin in found} == {"available"}


def test_every_new_plugin_passes_its_kit(author: dict[str, str], packages: Path) -> None:
    """The test files that are written with the plugins pass, against the installed wheels, and leave nothing out."""
    tests = packages / "tests"
    tests.mkdir()
    for file in packages.glob("*/test_*.py"):
        shutil.copy(file, tests)
    shutil.copytree(packages / f"licentia-connector-{NAME}" / "deliveries", tests / "deliveries")
    assert len(list(tests.glob("test_*.py"))) == len(KINDS)
    settings = packages / f"licentia-container-{NAME}" / "pyproject.toml"
    options = ("-q", "-W", "error", "--import-mode=importlib", "-c", settings)
    done = run("pytest", *options, tests, folder=packages, environment=author)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^\d+ passed in", done.stdout, re.MULTILINE), done.stdout


def test_nothing_of_the_template_is_left(packages: Path) -> None:
    """Each name is the plugin's own, in every file and in every file's name."""
    for kind in KINDS:
        folder = packages / f"licentia-{kind}-{NAME}"
        texts = {
            path: path.read_text("utf-8") for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"
        }
        assert len(texts) >= 4
        for path, text in texts.items():
            assert "myname" not in f"{path}{text}".lower()


@pytest.fixture
def new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `licentia plugin new` in an empty folder; gives the exit code and what it prints and says."""
    monkeypatch.chdir(tmp_path)

    def run_here(*words: str) -> tuple[Any, str, str]:
        with pytest.raises(SystemExit) as end:
            licentia.main(["plugin", "new", *words], prog_name="licentia")
        return end.value.code, *capsys.readouterr()

    return run_here


def test_as_json_it_says_what_it_made(new: Any, tmp_path: Path) -> None:
    """A program learns the folder, the files and the next commands."""
    code, printed, _ = new("binding", "stick", "--folder", "deep/er", "-o", "json")
    told = json.loads(printed)
    folder = tmp_path / "deep" / "er" / "licentia-binding-stick"
    assert (code, told["kind"], told["name"], told["folder"]) == (0, "binding", "stick", str(folder))
    assert sorted(told["files"]) == sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
    assert "licentia_binding_stick/server.py" in told["files"]
    assert told["next"] == ["cd deep/er/licentia-binding-stick", "pip install -e '.[test]'", "pytest"]


@pytest.mark.parametrize("name", ["Shelf", "2shelves", "shelf_2", "a--b", "shelf-", "", "x" * 33, "../shelf", "sh\n"])
def test_a_bad_name_is_wrong_usage(new: Any, tmp_path: Path, name: str) -> None:
    """It is refused with the rule, and nothing is written."""
    code, _, said = new("container", name)
    assert code == 64
    assert "lower-case letters, digits and single dashes" in said
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused(new: Any) -> None:
    """Two plugins of one name could not be used; who has the name is said. Another kind may have it."""
    code, _, said = new("container", "cloud-lite")
    assert code == 1
    assert re.search(r"There is a container 'cloud-lite' already, from licentia \d", said)
    assert new("binding", "cloud-lite")[0] == 0


def test_a_folder_with_something_in_it_is_left_alone(new: Any, tmp_path: Path) -> None:
    """Nothing is overwritten; an empty folder will do."""
    folder = tmp_path / "licentia-directory-people"
    folder.mkdir()
    assert new("directory", "people")[0] == 0
    (folder / "README.md").write_text("mine")
    code, _, said = new("directory", "people")
    assert (code, (folder / "README.md").read_text()) == (1, "mine")
    assert "is there already, and was left as it is" in said


def test_a_folder_that_cannot_be_made_is_said(new: Any, tmp_path: Path) -> None:
    """The message names what stands in the way."""
    (tmp_path / "file").touch()
    code, printed, said = new("container", "drawer", "--folder", "file/below")
    assert (code, printed) == (1, "")
    assert "cannot be written" in said


@pytest.mark.slow
def test_every_new_plugin_is_strictly_typed() -> None:
    """mypy --strict finds nothing in what an author begins with."""
    folders = [TEMPLATES / kind for kind in KINDS]
    environment = os.environ | {"MYPYPATH": os.pathsep.join(map(str, folders))}
    command = (sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases", "--no-incremental")
    done = run(*command, "--config-file=", *folders, folder=CHECKOUT, environment=environment)
    assert done.returncode == 0, done.stdout
