"""`licentia binding verify`, as a shell runs it, on real documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from licentia.cli.command import REFUSED
from licentia.cli.root import WRONG_USAGE, Root
from licentia.cli.tree import Noun, Own
from licentia.testing.clouds import FakeAzure

ROOT = Root("licentia", {"binding": Noun("", {"verify": Own("licentia.cli.commands.binding_verify:verify", "")})})
AWS, AZURE, GCP = (
    "aws/teleport_iid1.rsa2048.b64",
    "azure/coder_regular.attested.json",
    "gcp/rhsm_instance_identity.jwt",
)
RED_HAT = "https://subscription.rhsm.redhat.com:443/subscription"

Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def run(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in the folder of real documents; gives the exit code, and the JSON if there is some."""
    monkeypatch.chdir(shared_data)

    def verify(*words: str) -> tuple[int, Any]:
        done = CliRunner().invoke(ROOT, ["binding", "verify", *words, "-o", "json"])
        return done.exit_code, json.loads(done.stdout) if done.stdout else done.stderr

    return verify


def test_a_document_of_aws_is_verified(run: Run) -> None:
    """Now, as an instance's document is its own for as long as it runs."""
    code, told = run("aws", AWS)
    assert code == 0
    assert told.pop("at").endswith("Z")
    assert told == {
        "binding": "aws",
        "name": "i-078517ca8a70a1dde",
        "attributes": {
            "account": "278576220453",
            "region": "us-west-2",
            "availability_zone": "us-west-2a",
            "instance_type": "t2.medium",
            "image": "ami-0fa9e1f64142cde17",
        },
        "fresh": False,
        "weak": False,
    }


@pytest.mark.parametrize(
    ("words", "name", "at"),
    [
        (("aws", AWS, "--at", "document"), "i-078517ca8a70a1dde", "2021-09-03T21:25:47Z"),
        (("aws", AWS, "--region", "us-west-2", "--trust", "aws/certs/rsa2048"), "i-078517ca8a70a1dde", None),
        (("azure", AZURE, "--at", "document"), "bd8e7443-24a0-41f3-b949-8baf4fd1c573", "2022-04-19T01:27:21Z"),
        (
            (
                "azure",
                AZURE,
                "--at",
                "2022-04-19T05:00:00+02:00",
                "--trust",
                "azure/certs",
                "--region",
                "southcentralus",
            ),
            "bd8e7443-24a0-41f3-b949-8baf4fd1c573",
            "2022-04-19T03:00:00Z",
        ),
        (
            ("gcp", GCP, "--at", "document", "--trust", "gcp"),
            "fair-kingdom-308514/2589221140676718026",
            "2021-03-24T14:30:23Z",
        ),
    ],
)
def test_real_documents_are_verified_as_of_their_time(run: Run, words: tuple[str, ...], name: str, at: str) -> None:
    """The time is the document's own, or the one that is given, told in UTC."""
    code, told = run(*words)
    assert (code, told["name"]) == (0, name)
    assert at is None or told["at"] == at


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("azure", AZURE), "not on "),
        (("gcp", GCP, "--trust", "gcp"), "not on "),
        (("aws", AWS, "--region", "us-west-1"), "which is not us-west-1"),
        (("aws", AWS, "--at", "2020-01-01T00:00:00Z"), "after the time in question"),
        (("aws", AWS, "--nonce", "n"), "not made for this nonce"),
        (("azure", AZURE, "--at", "document", "--nonce", "n"), "not made for this nonce"),
        (("gcp", GCP, "--at", "document", "--trust", "gcp", "--nonce", "n"), "another audience"),
        (("azure", "azure/msdocs_2018_testsubdomain.attested.json", "--at", "document"), "does not hold"),
        (("aws", "aws/mozilla_ec2_dsa.pkcs7.pem"), "DSA"),
        (("aws", "aws/coder_iid.signature.b64"), "RSA-1024"),
        (("aws", "aws/coder_iid.document.json"), "without its signature"),
        (("aws", AZURE), "does not hold"),
        (("azure", AWS, "--at", "document"), "does not hold"),
        (("gcp", AZURE, "--at", "document", "--trust", "gcp"), "does not hold"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(run: Run, words: tuple[str, ...], why: str) -> None:
    """With exit code 2, the code of the contract, and a sentence of help."""
    code, told = run(*words)
    assert (code, told["code"]) == (REFUSED, "binding_evidence_invalid")
    assert why in told["detail"]
    assert told["help"]


def test_a_nonce_is_demanded(run: Run, tmp_path: Path) -> None:
    """The document that has it is fresh; for others the same nonce is a refusal."""
    code, told = run("azure", AZURE, "--at", "document", "--nonce", "20220419-072721")
    assert (code, told["fresh"]) == (0, True)
    code, told = run("gcp", GCP, "--at", "document", "--trust", "gcp", "--nonce", RED_HAT)
    assert (code, told["fresh"]) == (0, True)
    document = FakeAzure(tmp_path / "trust").document("11111111-1111-4111-8111-111111111111", "abc123")
    (tmp_path / "attested.json").write_bytes(document)
    words = ("azure", str(tmp_path / "attested.json"), "--trust", str(tmp_path / "trust"))
    assert run(*words, "--nonce", "abc123")[1]["fresh"] is True
    assert run(*words)[1]["fresh"] is False
    assert run(*words, "--nonce", "abc124")[0] == REFUSED


@pytest.mark.parametrize("content", [b"", b"\n", b"noise", b"\xff" * 100, b"A" * 200_000, b"[" * 60_000])
@pytest.mark.parametrize("words", [("aws",), ("azure",), ("gcp", "--trust", "gcp")], ids=["aws", "azure", "gcp"])
@pytest.mark.parametrize("at", [(), ("--at", "document")], ids=["now", "document"])
def test_a_file_that_is_no_document_is_refused(
    run: Run, tmp_path: Path, words: tuple[str, ...], at: tuple[str, ...], content: bytes
) -> None:
    """Empty, foreign or huge, with and without asking for its own time."""
    (tmp_path / "file").write_bytes(content)
    code, told = run(words[0], str(tmp_path / "file"), *words[1:], *at)
    assert (code, told["code"]) == (REFUSED, "binding_evidence_invalid")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("aws",),
        ("aws", "no-such-file"),
        ("aws", "aws"),
        ("nowhere", AWS),
        ("aws", AWS, "--at", "yesterday"),
        ("aws", AWS, "--at", "2022-04-19T05:00:00"),
        ("aws", AWS, "--at", "2022-04-19"),
        ("aws", AWS, "--at", "0001-01-01T00:00:00+23:59"),
        ("aws", AWS, "--trust", "no-such-folder"),
        ("aws", AWS, "--trust", AWS),
        ("aws", AWS, "--region", ""),
        ("gcp", GCP, "--trust", "hw"),
        ("aws", AWS, "--tolerance", "loose"),
        ("physical", AWS, "--at", "document"),
    ],
)
def test_wrong_usage_has_its_own_code(run: Run, words: tuple[str, ...]) -> None:
    """A missing or wrong argument is no verdict on a document."""
    assert run(*words)[0] == WRONG_USAGE


def test_without_keys_there_is_no_verdict(run: Run) -> None:
    """Where Google cannot be asked, that is the answer, and the log does not come between it and who reads it."""
    code, told = run("gcp", GCP, "--at", "document")
    assert (code, told["code"]) == (REFUSED, "unavailable")


def test_people_read_a_few_lines(shared_data: Path) -> None:
    """What it is, what is known of it, and how sure that is."""
    done = CliRunner().invoke(ROOT, ["binding", "verify", "aws", str(shared_data / AWS), "--at", "document"])
    assert done.stdout.splitlines() == [
        "aws: i-078517ca8a70a1dde",
        "  account: 278576220453",
        "  region: us-west-2",
        "  availability_zone: us-west-2a",
        "  instance_type: t2.medium",
        "  image: ami-0fa9e1f64142cde17",
        "As of 2021-09-03T21:25:47Z, it may be a copy: it answers no nonce.",
    ]
    refused = CliRunner().invoke(ROOT, ["binding", "verify", "azure", str(shared_data / AZURE)])
    assert refused.exit_code == REFUSED
    assert "binding_evidence_invalid" in refused.stderr
    assert refused.stdout == ""
