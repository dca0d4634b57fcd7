"""docs/soap/: each program on a page runs as the page says, and prints what stands below it.

A block whose tag is followed by a name is written into a file of that name, a block tagged `sh` is
run, and a block tagged `text` right after it is what it must print. Tickets differ from run to run:
only where the page has the same one twice must the program print the same twice.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

PAGES = Path(__file__).parents[2] / "docs" / "soap"
NOT_RUN = {"README.md", "abap.md", "delphi.md"}
BLOCK = re.compile(r"^```(\w*)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TICKET = re.compile(r"\b[0-9A-Z]{5}(?:-[0-9A-Z]{5}){4}\b")


class Page(NamedTuple):
    """The files of a page, and its commands, each with what it must print."""

    files: dict[str, str]
    steps: list[tuple[str, str]]


def read(path: Path) -> Page:
    """Take a page apart."""
    page = Page({}, [])
    after_command = False
    for language, name, text in BLOCK.findall(path.read_text("utf-8")):
        if name:
            assert name not in page.files, f"{path.name}: {name} is there twice"
            page.files[name] = text
        elif language == "sh":
            page.steps.append((text, ""))
        elif language == "text":
            assert after_command, f"{path.name}: an output without its command:\n{text}"
            page.steps[-1] = (page.steps[-1][0], text)
        after_command = language == "sh"
    return page


def comparable(outputs: list[str]) -> list[str]:
    """Outputs with each ticket under a number of its own."""
    known: dict[str, str] = {}
    return [TICKET.sub(lambda match: known.setdefault(match[0], f"TICKET {len(known)}"), text) for text in outputs]


@pytest.fixture(scope="session")
def alice(demo: dict[str, str]) -> dict[str, str]:
    """The demo after the preparation that docs/soap/README.md asks for: the seats of acme-cad are alice's."""
    with httpx.Client(base_url=demo["LICENTIA_URL"], timeout=10) as http:
        order = {
            "source": "demo",
            "order_number": "cookbook",
            "customer": {"id": "alice"},
            "lines": [{"line_id": "1", "sku": "acme-cad", "quantity": 1}],
        }
        placed = http.post("/v1/orders", json=order, headers={"Authorization": f"Bearer {demo['KEY_SALES']}"})
        activated = http.post(
            f"/v1/tickets/{placed.json()['ticket']}/activations",
            json={"container": {"kind": "cloud-lite", "user": "alice"}},
            headers={"Authorization": f"Bearer {demo['KEY_DEPOT']}", "Idempotency-Key": "cookbook"},
        )
        assert activated.status_code == 201, activated.text
    return demo


def release_all(demo: dict[str, str]) -> None:
    """Give back what the programs of other pages have taken, so that each page sees the same."""
    key = {"Authorization": f"Bearer {demo['KEY_LICENSING']}"}
    with httpx.Client(base_url=demo["LICENTIA_URL"], headers=key, timeout=10) as http:
        for lease in http.get("/v1/leases", params={"product_code": "201001"}).json()["leases"]:
            http.delete(f"/v1/leases/{lease['lease_id']}")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in PAGES.glob("*.md") if path.name not in NOT_RUN))
def test_the_programs_of_the_page_run(name: str, alice: dict[str, str], known: Any, tmp_path: Path) -> None:
    """Written into files and run from top to bottom, the programs print what the page shows."""
    for toolkit in known.TOOLKITS.values():
        if toolkit.row["page"] == name and "run" in toolkit.row and (reason := toolkit.missing()):
            pytest.skip(reason)
    page = read(PAGES / name)
    assert len([expected for _, expected in page.steps if expected]) >= 2
    for file, text in page.files.items():
        (tmp_path / file).write_text(text, "utf-8")
    release_all(alice)
    environment = alice | {"NODE_PATH": str(known.INTEROP / "node_modules"), "LC_ALL": "C.UTF-8"}
    environment["PATH"] = f"{known.INTEROP / 'bin'}{os.pathsep}{environment['PATH']}"
    printed = []
    for command, _ in page.steps:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=known.SECONDS,
            check=False,
        )
        if "mono" in command and done.returncode in (-6, 134):
            pytest.skip("Mono's runtime aborted as it ended, a fault of its own (mono-threads.c)")
        assert done.returncode == 0, f"{command}{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        printed.append(done.stdout)
    assert comparable(printed) == comparable([expected for _, expected in page.steps])


def test_the_index_names_every_page(known: Any) -> None:
    """docs/soap/README.md links all pages, and every toolkit's page is there."""
    listed = set(re.findall(r"\]\(([a-z]+\.md)\)", (PAGES / "README.md").read_text("utf-8")))
    assert listed == {path.name for path in PAGES.glob("*.md")} - {"README.md"}
    assert {toolkit.row["page"] for toolkit in known.TOOLKITS.values()} <= listed


@pytest.mark.parametrize("name", ["abap.md", "delphi.md"])
def test_what_was_not_run_says_so(name: str) -> None:
    """A page whose program no test runs begins with that."""
    assert "**Not run**" in (PAGES / name).read_text("utf-8").split("\n\n")[1]


def test_the_matrix_has_every_toolkit(known: Any) -> None:
    """docs/soap.md has a row for each toolkit of the table and no other, with what the table says it can do."""
    rows = known.matrix_rows(known.PAGE.read_text("utf-8"))
    assert list(rows) == [toolkit.row["title"] for toolkit in known.TOOLKITS.values()]
    for toolkit in known.TOOLKITS.values():
        version = rows[toolkit.row["title"]].split(" | ")[2]
        everything = {
            "version": version,
            "passed": [(soap, auth) for soap in toolkit.row["soap"] for auth in toolkit.row["auth"]],
            "bugs": list(toolkit.row.get("bug", {})),
        }
        assert rows[toolkit.row["title"]] == known.matrix_row(toolkit, everything)


def test_what_is_not_installed_says_how(known: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A toolkit that is absent gives the reason and the command that installs it."""
    monkeypatch.setattr(shutil, "which", lambda command: None)
    assert known.TOOLKITS["gsoap"].missing().endswith("not found; install with: .ci/interop setup gsoap")
    assert known.packages("apt", ["php"]) == ["php-cli", "php-soap"]
