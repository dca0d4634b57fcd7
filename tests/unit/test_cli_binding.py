"""`licentia binding features`, `seal` and `unseal`, as a shell runs them."""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from licentia import installed
from licentia.cli.root import WRONG_USAGE, Root
from licentia.cli.tree import Noun, Own

COMMANDS = Noun("", {name: Own(f"licentia.cli.commands.binding:{name}", "") for name in ("features", "seal", "unseal")})
INSTALLED = {
    "physical": "licentia_plugins.bindings.physical:Physical",
    "none": "licentia_plugins.bindings.none:Unbound",
    "lost": "licentia_plugins.bindings.lost:Lost",
}
REPORT = """\
System Information
\tManufacturer: Acm\xe9 Inc.
\tProduct Name: Rocket 9
\tSerial Number: To Be Filled By O.E.M.
\tUUID: 7D1C0A6E-52F4-4C8E-9F0B-3A6D1E2B4C5D
Processor Information
\tID: F1 06 04 00 FF FB EB BF
\tVersion: Acme One
"""
FEATURES = {
    "smbios_uuid": "7d1c0a6e-52f4-4c8e-9f0b-3a6d1e2b4c5d",
    "cpu": "Acme One (family 6, model 79, stepping 1)",
    "board_model": "Acm\xe9 Inc. Rocket 9",
}

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs `licentia binding ...` in a folder of its own, with two bindings that work and one that does not load."""
    points = [EntryPoint(name, target, "licentia.bindings") for name, target in INSTALLED.items()]
    monkeypatch.setattr(installed, "installed", lambda: points)
    monkeypatch.chdir(tmp_path)
    root = Root("licentia", {"binding": COMMANDS})
    return lambda *words: CliRunner().invoke(root, ["binding", *words])


def written(values: Any, name: str = "features.json") -> str:
    """A file of JSON."""
    Path(name).write_text(json.dumps(values), "utf-8")
    return name


@pytest.mark.parametrize(
    "report",
    [
        REPORT.encode("latin-1"),
        REPORT.encode(),
        codecs.BOM_UTF8 + REPORT.encode(),
        REPORT.encode("utf-16"),
        REPORT.replace("\n", "\r\n").encode(),
    ],
    ids=["Latin-1", "UTF-8", "byte order mark", "UTF-16", "CRLF"],
)
def test_the_features_of_a_report_are_printed(run: Run, report: bytes) -> None:
    """As an object of names and values, however the file was written."""
    Path("report.txt").write_bytes(report)
    result = run("features", "--dmidecode", "report.txt", "-o", "json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, FEATURES)


def test_what_is_absent_is_told_on_request(run: Run) -> None:
    """With --verbose each absent feature has its reason, as text and as JSON."""
    Path("report.txt").write_text(REPORT, "utf-8")
    told = json.loads(run("features", "--dmidecode", "report.txt", "--verbose", "-o", "json").stdout)
    assert told["features"] == FEATURES
    assert told["absent"]["sys_serial"] == "'To Be Filled By O.E.M.' is a placeholder"
    text = run("features", "--dmidecode", "report.txt", "--verbose").stdout
    assert "sys_serial    - 'To Be Filled By O.E.M.' is a placeholder\n" in text
    assert "sys_serial" not in run("features", "--dmidecode", "report.txt").stdout


def test_the_features_of_this_machine_are_printed(run: Run) -> None:
    """Without a report it is this machine that is read; what is there and what is absent are all features."""
    result = run("features", "--verbose", "-o", "json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert len(told["features"]) + len(told["absent"]) == 9


@pytest.mark.parametrize("level", ["strict", "medium", "loose", None])
def test_what_is_sealed_opens(run: Run, level: str | None) -> None:
    """Both print the same hash, another one at each sealing; the record says which level it is."""
    words = [] if level is None else ["--tolerance", level]
    features = written(FEATURES)
    sealed = run("seal", "physical", "--features", features, *words, "--record", "record.json", "-o", "json")
    told = json.loads(sealed.stdout)
    assert (sealed.exit_code, told["weak"]) == (0, True)
    assert json.loads(Path("record.json").read_text("utf-8"))["terms"]["tolerance"] == (level or "medium")
    opened = run("unseal", "physical", "--record", "record.json", "--features", features, "-o", "json")
    assert opened.exit_code == 0
    assert json.loads(opened.stdout) == {"secret_sha256": told["secret_sha256"], "changed": [], "weak": True}
    again = run("seal", "physical", "--features", features, *words, "--record", "record.json", "-o", "json")
    assert json.loads(again.stdout)["secret_sha256"] != told["secret_sha256"]


def test_a_change_is_named_whether_it_opens_or_not(run: Run) -> None:
    """A new processor is named and borne; another UUID is refused with exit code 2, and named in words and pointers."""
    run("seal", "physical", "--features", written(FEATURES), "--record", "record.json")
    upgraded = written(FEATURES | {"cpu": "Acme Two"})
    opened = run("unseal", "physical", "--record", "record.json", "--features", upgraded)
    assert opened.exit_code == 0
    assert "changed        cpu\n" in opened.stdout
    other = written(FEATURES | {"smbios_uuid": "e31f9b20-08aa-4d57-b6c4-000000000001"})
    refused = run("unseal", "physical", "--record", "record.json", "--features", other, "-o", "json")
    told = json.loads(refused.stdout)
    assert (refused.exit_code, told["code"]) == (2, "binding_mismatch")
    assert "Different: smbios_uuid." in told["detail"]
    assert told["help"]
    assert told["errors"] == [{"pointer": "/features/smbios_uuid", "detail": "is different"}]
    as_text = run("unseal", "physical", "--record", "record.json", "--features", other)
    assert (as_text.exit_code, as_text.stdout) == (2, "")
    assert "Different: smbios_uuid." in as_text.stderr


def test_too_little_to_seal_to_is_refused(run: Run) -> None:
    """What a model shares is no identity; what is missing is named, and no record is written."""
    few = written({"cpu": FEATURES["cpu"], "board_model": FEATURES["board_model"], "sys_serial": "Default string"})
    result = run("seal", "physical", "--features", few, "--record", "record.json", "-o", "json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["code"]) == (2, "binding_evidence_invalid")
    assert "smbios_uuid" in told["detail"]
    assert not Path("record.json").exists()


def test_nothing_is_bound_by_none(run: Run) -> None:
    """The binding to nothing opens anywhere, says that it is weak, and has no features to give."""
    sealed = run("seal", "none", "--record", "record.json", "-o", "json")
    opened = run("unseal", "none", "--record", "record.json", "-o", "json")
    told = json.loads(opened.stdout)
    assert told == {"secret_sha256": json.loads(sealed.stdout)["secret_sha256"], "changed": [], "weak": True}
    assert run("seal", "none", "--record", "r", "--features", written(FEATURES)).exit_code == WRONG_USAGE
    assert run("seal", "none", "--record", "r", "--tolerance", "loose").exit_code == WRONG_USAGE


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[1, 2]", "not a JSON object"),
        (b'{"cpu": 7}', "not a JSON object"),
        (b"\xff", "not a JSON object"),
        (b"[" * 60_000, "not a JSON object"),
        (b"{}" + b" " * 70_000, "more than 65536 bytes"),
        (b'{"color": "red"}', "/color: there is no such feature; there are smbios_uuid"),
    ],
)
def test_a_file_that_holds_no_features_is_refused(run: Run, content: bytes, words: str) -> None:
    """With exit code 2, and what is wrong with it."""
    Path("features.json").write_bytes(content)
    result = run("seal", "physical", "--features", "features.json", "--record", "record.json", "-o", "json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["code"]) == (2, "invalid_request")
    assert words in told["detail"]


@pytest.mark.parametrize("content", [b"", b"{}", b"nonsense", b"x" * 70_000])
def test_a_file_that_is_no_record_or_report_is_refused(run: Run, content: bytes) -> None:
    """With exit code 2 and a code of the contract."""
    Path("some.file").write_bytes(content)
    record = run("unseal", "physical", "--record", "some.file", "-o", "json")
    assert record.exit_code == 2
    assert json.loads(record.stdout)["code"] in ("document_invalid", "invalid_request")
    report = run("features", "--dmidecode", "some.file", "-o", "json")
    assert (report.exit_code, json.loads(report.stdout)["code"]) == (2, "invalid_request")


@pytest.mark.parametrize(
    "words",
    [
        ["seal", "physical"],
        ["seal", "--record", "r"],
        ["seal", "physical", "--record", "r", "--tolerance", "lax"],
        ["seal", "physical", "--record", "r", "--features", "nowhere.json"],
        ["seal", "unknown", "--record", "r"],
        ["unseal", "physical", "--record", "nowhere.json"],
        ["features", "--dmidecode", "nowhere.txt"],
        ["features", "more"],
    ],
    ids=" ".join,
)
def test_wrong_usage_has_its_own_exit_code(run: Run, words: list[str]) -> None:
    """A missing word, an unknown one or a file that is not there is 64, with a hint."""
    result = run(*words)
    assert result.exit_code == WRONG_USAGE
    assert "--help" in result.stderr


def test_what_cannot_be_run_is_told_apart(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A binding that does not load, or two of one name, or a record that cannot be written, is exit code 1."""
    broken = run("seal", "lost", "--record", "r")
    assert (broken.exit_code, "loading it failed with ModuleNotFoundError" in broken.stderr) == (1, True)
    nowhere = run("seal", "none", "--record", "no/such/folder/record.json")
    assert (nowhere.exit_code, "cannot be written" in nowhere.stderr) == (1, True)
    twice = [EntryPoint("none", INSTALLED["none"], "licentia.bindings")] * 2
    monkeypatch.setattr(installed, "installed", lambda: twice)
    double = run("seal", "none", "--record", "r")
    assert (double.exit_code, "taken twice" in double.stderr) == (1, True)


def test_the_hash_is_of_the_secret(run: Run) -> None:
    """The record of `none` shows it: SHA-256 of the 32 bytes, in hexadecimal."""
    told = json.loads(run("seal", "none", "--record", "record.json", "-o", "json").stdout)
    secret = codecs.decode(json.loads(Path("record.json").read_text("utf-8"))["secret"].encode(), "base64")
    assert hashlib.sha256(secret).hexdigest() == told["secret_sha256"]
