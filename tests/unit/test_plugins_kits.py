"""The conformance kits: they catch what is wrong with a plugin, and nobody leaves out a test in silence."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import pytest

from licentia.testing import ContainerContract, DirectoryContract, OfflineContract

SABOTAGE = Path(__file__).parents[1] / "thirdparty" / "sabotaged" / "sabotage.py"
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
}
HONEST = {"TestHonest", "TestExcused", "TestOffline", "TestDirectory"}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """By class and outcome, the kit's tests under the sabotaged plugins, run by a plain pytest of its own."""
    folder = tmp_path_factory.mktemp("kits")
    (folder / "pytest.ini").write_text("[pytest]\n")
    options = ["-q", "-p", "no:cacheprovider", "-c", folder / "pytest.ini", "--junit-xml", folder / "report.xml"]
    command = [sys.executable, "-m", "pytest", *options, SABOTAGE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
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


def test_every_plugin_of_the_file_is_looked_at(outcomes: dict[str, dict[str, set[str]]]) -> None:
    """No sabotage goes unnoticed because nobody listed it above."""
    assert set(outcomes) == set(CAUGHT) | HONEST


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
