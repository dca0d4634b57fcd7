"""The table of SOAP toolkits: what is installed, what to install, and the matrix in docs/soap.md.

usage: python tests/interop/toolkits.py packages apt|pip|npm [TOOLKIT...]
       python tests/interop/toolkits.py found
       python tests/interop/toolkits.py write RESULTS
"""

# ruff: noqa: T201

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
INTEROP = CHECKOUT / ".venv-interop"
PAGE = CHECKOUT / "docs" / "soap.md"
BEGIN, END = "<!-- matrix -->\n", "<!-- end of matrix -->\n"
SECONDS = 180
"""The longest that one command of a toolkit may take; generating and compiling take most."""
WAYS = {"basic": "HTTP Basic", "bearer": "Bearer", "text": "PasswordText", "digest": "PasswordDigest"}


@dataclass
class Toolkit:
    """One row of the table; `built` has the folders of the clients that this run has made."""

    name: str
    row: dict[str, Any]
    built: dict[str, Path] = field(default_factory=dict)

    def missing(self) -> str:
        """What is not installed and how to install it; empty if nothing is missing."""
        absent = [command for command in self.row.get("needs", []) if shutil.which(command) is None]
        absent += [path for path in map(self.fill, self.row.get("files", [])) if not found(path)]
        if not absent:
            return ""
        what = ", ".join(path.removeprefix(f"{CHECKOUT}/") for path in absent)
        return f"{self.row['title']}: {what} not found; install with: .ci/interop setup {self.name}"

    def fill(self, text: str, **values: str) -> str:
        """Put values into a command; braces around other words stay."""
        for name, value in {"interop": str(INTEROP), **values}.items():
            text = text.replace("{" + name + "}", value)
        return text

    def run(self, command: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command of this toolkit in a folder."""
        own = self.row.get("environment", {})
        return subprocess.run(
            shlex.split(command),
            cwd=folder,
            env=environment | own | {"NODE_PATH": str(INTEROP / "node_modules"), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
        )

    def version(self) -> str:
        """The version that is installed."""
        done = self.run(self.fill(self.row["version"]), HERE, dict(os.environ))
        found = re.search(r"\d+\.\d+[.\d]*", done.stdout + done.stderr)
        if found is None:
            raise ValueError(f"{self.row['version']}: {done.stdout}{done.stderr}")
        return found[0]


def found(pattern: str) -> bool:
    """Whether a file is there; the pattern is absolute."""
    return any(Path("/").glob(pattern.lstrip("/")))


TOOLKITS = {
    name: Toolkit(name, row) for name, row in tomllib.loads((HERE / "toolkits.toml").read_text("utf-8")).items()
}


def packages(kind: str, names: list[str]) -> list[str]:
    """The packages of a kind that toolkits need; those of all toolkits without names."""
    wanted = {
        package
        for name, toolkit in TOOLKITS.items()
        if not names or name in names
        for package in toolkit.row["install"].get(kind, [])
    }
    return sorted(wanted)


def matrix_rows(page: str) -> dict[str, str]:
    """The rows of the matrix in a page, by the title of the toolkit."""
    rows = page.partition(BEGIN)[2].partition(END)[0].splitlines()[2:]
    return {row.split(" | ")[0].removeprefix("| "): row for row in rows}


def matrix_row(toolkit: Toolkit, seen: dict[str, Any]) -> str:
    """The row of a toolkit from what a run has seen."""
    row = toolkit.row
    passed = {tuple(cell) for cell in seen["passed"]}
    versions = [soap for soap in row["soap"] if all((soap, auth) in passed for auth in row["auth"])]
    ways = [
        WAYS[auth] + (" (by hand)" if auth in row.get("by_hand", []) else "")
        for auth in row["auth"]
        if all((soap, auth) in passed for soap in row["soap"])
    ]
    bugs = "; ".join(row["bug"][bug]["says"] for bug in seen.get("bugs", []))
    cells = (
        row["title"],
        f"[{row['language']}](soap/{row['page']})",
        seen["version"],
        ", ".join(versions) or "none",
        ", ".join(ways) or "none",
        bugs,
    )
    return f"| {' | '.join(cells)} |"


def write(results: dict[str, Any]) -> None:
    """Bring the matrix in docs/soap.md up to date; a toolkit that did not run keeps its row."""
    page = PAGE.read_text("utf-8")
    rows = matrix_rows(page)
    for name, toolkit in TOOLKITS.items():
        if name in results:
            rows[toolkit.row["title"]] = matrix_row(toolkit, results[name])
    kept = [rows[toolkit.row["title"]] for toolkit in TOOLKITS.values() if toolkit.row["title"] in rows]
    head = "| Toolkit | Language | Version | The story passes by SOAP | with the key by | What its own bug prevents |\n"
    table = head + "|---|---|---|---|---|---|\n" + "".join(row + "\n" for row in kept)
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(before + BEGIN + table + END + rest.partition(END)[2], "utf-8")


def main(arguments: list[str]) -> None:
    """Do what the command line asks."""
    match arguments:
        case ["packages", kind, *names]:
            print(*packages(kind, names))
        case ["found"]:
            for toolkit in TOOLKITS.values():
                print("  " + (toolkit.missing() or f"{toolkit.row['title']} {toolkit.version()}"))
        case ["write", file]:
            write(json.loads(Path(file).read_text("utf-8")))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
