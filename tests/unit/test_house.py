"""The rules of the house that no linter knows. Who may import whom is in pyproject.toml, for import-linter."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from licentia.contract import OPERATIONS, Operation

CHECKOUT = Path(__file__).parents[2]
PACKAGES = (
    "core/licentia",
    "gateways/licentia_gateways",
    "plugins/licentia_plugins",
    "integrations/licentia_integrations",
)
SOURCES = sorted(path for package in PACKAGES for path in (CHECKOUT / package).rglob("*.py"))
TESTS = sorted((CHECKOUT / "tests").rglob("*.py"))
TEXTS = sorted(
    path
    for folder in (*PACKAGES, "tests", "docs", "conf", ".ci")
    for path in (CHECKOUT / folder).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts and path.suffix not in {".pyc"}
) + sorted(CHECKOUT.glob("*.md"))
PAGES = [path for path in TEXTS if path.suffix == ".md"]

UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
SECRET = re.compile(
    r"\blic_[A-Za-z0-9]{6,}_[A-Za-z0-9_-]{20,}|-----BEGIN [A-Z ]*PRIVATE" + r" KEY-----|\bAKIA[A-Z0-9]{16}\b"
)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def where(path: Path) -> str:
    """The path as a reader of the checkout knows it."""
    return str(path.relative_to(CHECKOUT))


def imported(path: Path) -> set[str]:
    """Every dotted name that a file imports, in functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def test_the_rules_look_at_something() -> None:
    """An empty list of files would make every rule below true."""
    assert len(SOURCES) > 30
    assert len(TESTS) > 5
    assert PAGES


def test_no_base_http_middleware() -> None:
    """One layer of BaseHTTPMiddleware costs more than the rest of a request: middleware here is pure ASGI."""
    assert [where(path) for path in SOURCES if any("BaseHTTPMiddleware" in name for name in imported(path))] == []


def test_spyne_stays_in_its_corner() -> None:
    """Only the SOAP gateway knows spyne, so that it can be replaced there alone."""
    users = {where(path) for path in SOURCES if any(name.split(".")[0] == "spyne" for name in imported(path))}
    assert users
    assert {user for user in users if not user.startswith("gateways/licentia_gateways/soap/")} == set()


def test_no_file_is_long() -> None:
    """A file that has grown past 600 lines holds more than one thing."""
    lengths = {where(path): len(path.read_text("utf-8").splitlines()) for path in (*SOURCES, *TESTS)}
    assert {path: length for path, length in lengths.items() if length > 600} == {}


def test_test_files_have_names_of_their_own() -> None:
    """Tests are not packages: two files of one name would hide each other."""
    names = Counter(path.name for path in TESTS if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_nothing_is_left_for_later() -> None:
    """What is not done is in no file: it is done, or it is not there."""
    assert [where(path) for path in TEXTS if UNFINISHED.search(path.read_text("utf-8", "replace"))] == []


def test_no_secret_is_in_a_file() -> None:
    """No key of the API, private key or cloud credential is kept in the checkout."""
    assert [where(path) for path in TEXTS if SECRET.search(path.read_text("utf-8", "replace"))] == []


@pytest.mark.parametrize("page", PAGES, ids=where)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Every relative link in a page names a file or folder that is there."""
    links = LINK.findall(page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_decision_is_in_the_index() -> None:
    """docs/adr/README.md lists all records of decisions and no other."""
    folder = CHECKOUT / "docs" / "adr"
    listed = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text("utf-8"))
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_has_its_use_case(operation: Operation) -> None:
    """The handler an operation names exists and is an `async def f(request, context)`."""
    assert inspect.iscoroutinefunction(operation.run)
    assert list(inspect.signature(operation.run).parameters) == ["request", "context"]


@pytest.mark.parametrize("name", ["licentia", "licentia.contract", "licentia.errors", "licentia.client"])
def test_what_a_client_imports_is_light(name: str) -> None:
    """What runs inside a licensed application loads nothing of the server."""
    heavy = ["tortoise", "starlette", "uvicorn", "spyne", "lxml", "licentia.services", "licentia.storage"]
    program = f"import sys, {name}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
