"""The conformance kits: they catch what is wrong with a plugin, and nobody leaves out a test in silence."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import pytest

from licentia.testing import BindingContract, ConnectorContract, ContainerContract, DirectoryContract, OfflineContract

THIRDPARTY = Path(__file__).parents[1] / "thirdparty"
SABOTAGE = sorted((THIRDPARTY / "sabotaged").glob("sabotage*.py"))
CAUGHT = {
    "TestSyncLooking": "test_it_is_written_for_this_version_of_the_contract",
    "TestBlocking": "test_it_does_not_block_the_server",
    "TestForeignException": "test_a_request_that_names_no_container_is_refused",
    "TestAcceptsAnything": "test_a_request_that_names_no_container_is_refused",
    "TestUnstableBinding": "test_one_request_always_names_one_container",
    "TestSharedBinding": "test_other_requests_name_other_containers",
    "TestWrongRef": "test_one_request_always_names_one_container",
    "TestWrongDelivery": "test_an_update_is_done_or_gives_something_to_carry",
    "TestUnconfirmable": "test_an_update_is_done_or_gives_something_to_carry",
    "TestReadsNothing": "test_what_was_applied_is_read",
    "TestAdds": "test_an_update_may_come_twice",
    "TestLeaks": "test_containers_do_not_leak_into_each_other",
    "TestRetiresEverything": "test_a_retired_container_may_be_wanted_again",
    "TestTrustsReceipts": "test_a_forged_receipt_is_refused",
    "TestPathInFilename": "test_an_update_is_done_or_gives_something_to_carry",
    "TestTakesEverybody": "test_nobody_is_nobody",
    "TestForgetsGroups": "test_a_known_claim_means_its_user",
    "TestTellsTheToken": "test_a_false_claim_is_refused",
    "TestStumbles": "test_a_nonsense_token_means_nobody",
    "TestWrongSubject": "test_a_known_claim_means_its_user",
    "TestBlockingDirectory": "test_it_does_not_block_the_server",
    "TestCannotClose": "test_it_can_be_closed",
    "TestLoadsBothHalves": "test_each_half_loads_without_the_other",
    "TestReplacesTheFacade": "test_it_is_written_for_this_version_of_the_contract",
    "TestForgetsItsName": "test_it_is_written_for_this_version_of_the_contract",
    "TestChangingName": "test_evidence_names_one_machine",
    "TestOneNameForAll": "test_two_machines_have_two_names",
    "TestIgnoresTheNonce": "test_repeated_evidence_is_not_fresh",
    "TestIgnoresTheSignature": "test_changed_evidence_proves_nothing_else",
    "TestStumblesOverEvidence": "test_nonsense_is_no_evidence",
    "TestTakesAnyEvidence": "test_nonsense_is_no_evidence",
    "TestRepeatsEvidence": "test_nonsense_is_no_evidence",
    "TestDatesNonsense": "test_nonsense_is_no_evidence",
    "TestSealsLegibly": "test_the_record_keeps_the_secret",
    "TestSealsAlike": "test_the_record_keeps_the_secret",
    "TestSealsWithoutATag": "test_a_changed_record_opens_to_nothing_else",
    "TestOpensAnywhere": "test_it_does_not_open_on_another_machine",
    "TestStumblesOverRecords": "test_nonsense_is_no_record",
    "TestFingerprintOfNobody": "test_a_fingerprint_is_its_features",
    "TestBlockingBinding": "test_it_does_not_block_the_server",
    "TestClosesOnce": "test_it_can_be_closed",
    "TestWithoutDeliveries": "test_a_golden_delivery_is_authentic",
    "TestReplacesNormalise": "test_it_is_written_for_this_version_of_the_contract",
    "TestTrustsEverybody": "test_a_forged_delivery_is_refused",
    "TestTrustsTheHeaderAlone": "test_a_forged_delivery_is_refused",
    "TestRefusesTheShop": "test_a_golden_delivery_is_authentic",
    "TestRefusesWithAnotherCode": "test_a_forged_delivery_is_refused",
    "TestMeansSomethingElse": "test_a_golden_delivery_means_its_changes",
    "TestCounts": "test_what_it_means_depends_on_nothing_else",
    "TestReadsAFile": "test_what_it_means_depends_on_nothing_else",
    "TestNewIdEachTime": "test_a_repeat_is_known_by_its_id",
    "TestIllegibleIsItsFault": "test_nonsense_makes_nothing_fail",
    "TestHugsEverybody": "test_a_delivery_is_no_handshake",
    "TestHasNoAnswer": "test_an_answer_is_given_whatever_happened",
    "TestLosesThePointer": "test_a_pointer_leads_to_changes",
    "TestPollsInCircles": "test_a_poll_goes_on_where_the_last_one_ended",
    "TestWritesAgain": "test_what_is_written_back_is_written_once",
    "TestBlockingConnector": "test_it_does_not_block_the_server",
    "TestClosesConnectorOnce": "test_it_can_be_closed",
}
HONEST = {"TestHonest", "TestExcused", "TestOffline", "TestDirectory", "TestHonestBinding", "TestHonestConnector"}
CLASSES = {
    name: file for file in SABOTAGE for name in re.findall(r"^class (Test\w+)", file.read_text("utf-8"), re.MULTILINE)
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """By class and outcome: each sabotaged plugin under the test that is about its fault, honest ones under all.

    They run in a plain pytest of their own, which prints no log: it would be that of some hundred failures.
    """
    folder = tmp_path_factory.mktemp("kits")
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    options = ["-q", "--tb=line", "-p", "no:cacheprovider", "-c", folder / "pytest.ini"]
    options += ["--junit-xml", folder / "report.xml", "--show-capture=no"]
    todo = [f"{CLASSES[name]}::{name}" for name in HONEST] + [
        f"{CLASSES[n]}::{n}::{test}" for n, test in CAUGHT.items()
    ]
    path = os.pathsep.join(str(sample) for sample in THIRDPARTY.glob("licentia-*-sample"))
    command = [sys.executable, "-m", "pytest", *options, *todo]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        outcome = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
        found[case.attrib["classname"].split(".")[-1]][outcome].add(case.attrib["name"].partition("[")[0])
    return found


@pytest.mark.parametrize(("name", "test"), CAUGHT.items(), ids=CAUGHT)
def test_a_sabotaged_plugin_is_caught(outcomes: dict[str, dict[str, set[str]]], name: str, test: str) -> None:
    """The test that is about the fault fails, as a failed test and not as a broken one."""
    assert test in outcomes[name]["failure"]
    assert not outcomes[name]["error"]


def test_honest_plugins_pass(outcomes: dict[str, dict[str, set[str]]]) -> None:
    """Plugins that keep the contract pass every test of their kit."""
    for name in HONEST:
        assert outcomes[name]["passed"]
        assert not outcomes[name]["failure"] | outcomes[name]["error"]


def test_every_plugin_of_the_files_is_looked_at() -> None:
    """No sabotage goes unnoticed because nobody listed it above."""
    assert set(CLASSES) == set(CAUGHT) | HONEST


def test_an_excused_test_is_reported_as_such(outcomes: dict[str, dict[str, set[str]]]) -> None:
    """A test that may fail, with its reason, is seen in the report."""
    assert outcomes["TestExcused"]["skipped"] == {
        "test_a_retired_container_may_be_wanted_again",
        "test_it_does_not_block_the_server",
    }


@pytest.mark.parametrize(
    ("kit", "name"),
    [
        (ContainerContract, "test_what_was_applied_is_read"),
        (OfflineContract, "test_what_was_applied_is_read"),
        (OfflineContract, "test_a_forged_receipt_is_refused"),
        (BindingContract, "test_nonsense_is_no_evidence"),
        (ConnectorContract, "test_a_forged_delivery_is_refused"),
        (DirectoryContract, "test_a_nonsense_token_means_nobody"),
    ],
)
@pytest.mark.parametrize(
    "replacement",
    [
        None,
        lambda self: None,
        pytest.mark.skip(reason="it fails")(lambda self: None),
        pytest.mark.xfail(lambda self: None),
        pytest.mark.xfail(reason="")(lambda self: None),
    ],
    ids=["removed", "replaced", "skipped", "without a reason", "with an empty reason"],
)
def test_no_test_of_a_kit_is_left_out_in_silence(kit: type, name: str, replacement: object) -> None:
    """A class that removes, replaces or skips a test of its kit cannot be defined, nor can one that inherits it."""
    with pytest.raises(TypeError, match=f"TestMine leaves out `{name}` of .*xfail"):
        type("TestMine", (kit,), {name: replacement})
    with pytest.raises(TypeError, match=f"TestMine leaves out `{name}`"):
        type("TestMine", (type("Mixin", (), {name: replacement}), kit), {})


def test_a_test_of_ones_own_is_welcome() -> None:
    """A class may have more tests than its kit."""
    assert type("TestMine", (ContainerContract,), {"test_something_else": lambda self: None})
