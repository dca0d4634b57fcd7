"""The pages for newcomers: every command in them runs, and prints what the page says it prints.

A block tagged `sh` or `python` is run, in one shell for the whole page; a block tagged `json` or
`text` right after it is what it must print. Identifiers, times, hashes and tokens differ from run to
run and are not compared, nor is the layout of JSON. A block without a tag is only read.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/first-license.md"]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
END = "<<end of block>>"

NAMED = re.compile(r"\b[0-9A-Z]{5}(?:-[0-9A-Z]{5}){4}\b|\b(?:ord|lic|act|con)_[0-9a-f]{25}\b|\b[0-9a-f]{64}\b")
"""Tickets, identifiers and hashes: others in each run, but the same where the page has the same."""

CHANGING = {
    r'(?<="request_id":) ?"[0-9a-f]{24}"': '"ID"',
    r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z": "TIME",
    r"\b\d\d:\d\d:\d\d UTC": "TIME UTC",
    r"\beyJ[\w.…-]+": "TOKEN",
    r"\b\d+ events\b": "N events",
}


class Step(NamedTuple):
    """A block to run, and what the page says that it prints, with the tag of that."""

    language: str
    program: str
    tag: str = ""
    expected: str = ""


def steps(page: str) -> list[Step]:
    """The blocks of a page that are run, each with its output if the page shows one."""
    found: list[Step] = []
    after_program = False
    for language, text in BLOCK.findall((CHECKOUT / page).read_text("utf-8")):
        if language in ("sh", "python"):
            found.append(Step(language, text))
        elif language in ("json", "text"):
            assert after_program, f"{page}: an output without the command that prints it:\n{text}"
            found[-1] = found[-1]._replace(tag=language, expected=text)
        after_program = language in ("sh", "python")
    return found


def comparable(outputs: list[tuple[str, str]]) -> list[Any]:
    """Outputs with their tags, in the order of the page, without what differs from run to run."""
    names: dict[str, str] = {}
    cleaned: list[Any] = []
    for output, tag in outputs:
        text = NAMED.sub(lambda match: names.setdefault(match[0], f"NAME {len(names)}"), output)
        for pattern, replacement in CHANGING.items():
            text = re.sub(pattern, replacement, text)
        cleaned.append(json.loads(text) if tag == "json" else text.strip())
    return cleaned


@pytest.fixture
def demo(tmp_path: Path, start_demo: Any) -> Iterator[dict[str, str]]:
    """A demo server of its own; the environment of a reader who has put its address and keys into variables."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LICENTIA_", "KEY_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["XDG_RUNTIME_DIR"] = str(tmp_path)
    with start_demo(tmp_path, environment) as told:
        yield told


@pytest.mark.skipif(not shutil.which("curl"), reason="the pages use curl, which is not on this machine")
@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_true(page: str, demo: dict[str, str], tmp_path: Path) -> None:
    """Run from top to bottom against a fresh demo, each command of the page prints what stands below it."""
    todo = steps(page)
    assert any(step.expected for step in todo)
    script = ["set -euo pipefail"]
    for number, step in enumerate(todo):
        program = step.program
        if step.language == "python":
            file = tmp_path / f"step{number}.py"
            file.write_text(program, "utf-8")
            program = shlex.join([sys.executable, str(file)])
        script += [program.rstrip(), f"echo; echo '{END}'"]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        env=demo,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    outputs = done.stdout.split(f"\n{END}\n")[:-1]
    assert (done.returncode, len(outputs)) == (0, len(todo)), f"{done.stdout[-2000:]}\n{done.stderr}"
    shown = [(step, output) for step, output in zip(todo, outputs, strict=True) if step.expected]
    expected = comparable([(step.expected, step.tag) for step, _ in shown])
    printed = comparable([(output, step.tag) for step, output in shown])
    for (step, output), wanted, got in zip(shown, expected, printed, strict=True):
        assert got == wanted, f"{step.program}printed:\n{output}"
