"""Several bindings at once: what a setting means, and which machines open what was locked."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import exchange_lab as lab
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.bindings import ClientHalf, Unsealed
from licentia.errors import BindingMismatch, DocumentInvalid, FieldProblem, Unavailable
from licentia.exchange.combination import MOST_WEIGHT, Combination, lock, unlock
from licentia.exchange.messages import Lock
from licentia.settings import SettingsError

EVIDENCE = dict.fromkeys("abc", b"here")


def halves() -> dict[str, Any]:
    """The server halves of three bindings."""
    return {name: lab.AtPlace(name, lab.Place()).server() for name in "abc"}


def locked(setting: Any) -> tuple[bytes, Lock]:
    """A secret, and what opens it here."""
    combination = Combination.of(setting)
    return lab.run(lock(combination, EVIDENCE, halves()))  # type: ignore[no-any-return]


def at(*lost: str) -> Callable[[str], ClientHalf]:
    """The client halves of a machine where these bindings do not open."""
    return lambda name: lab.PlaceClient(name, lab.Place("there" if name in lost else "here"))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("setting", "weights", "threshold", "text"),
    [
        ("physical", {"physical": 1}, 1, "physical"),
        ("tpm+physical", {"tpm": 1, "physical": 1}, 2, "tpm+physical"),
        ({"tpm": 2, "aws": 1}, {"tpm": 2, "aws": 1}, 3, "tpm+aws"),
        ({"tpm": 2, "aws": 1, "threshold": 2}, {"tpm": 2, "aws": 1}, 2, "tpm+aws (weight 2)"),
    ],
)
def test_what_a_setting_means(setting: Any, weights: dict[str, int], threshold: int, text: str) -> None:
    """A text names bindings that are all needed; a table gives weights, and says how much of them is."""
    combination = Combination.of(setting)
    assert (dict(combination.weights), combination.threshold, str(combination)) == (weights, threshold, text)


@pytest.mark.parametrize(
    "setting",
    [
        "", "+", "a+", "+a", "a++b", "a+a", {}, {"threshold": 1}, {"a": 0}, {"a": -1}, {"a": True}, {"a": "1"},
        {"a": 1.5},
        {"a": 1, "threshold": 2}, {"a": 1, "threshold": 0}, {"a": 1, "threshold": "1"}, {"a": MOST_WEIGHT + 1},
        {"a": 2, "b": MOST_WEIGHT - 1}, 1, None, ["a"],
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused(setting: Any) -> None:
    """A combination that names nothing, repeats, weighs nothing or cannot be reached is an error of the settings."""
    with pytest.raises(SettingsError):
        Combination.of(setting)


@given(
    setting=st.recursive(
        st.none() | st.integers() | st.text(max_size=8), lambda x: st.dictionaries(st.text(max_size=9), x)
    )
)
def test_nonsense_is_an_error_of_the_settings(setting: Any) -> None:
    """Whatever the settings say, it is understood or refused in words."""
    try:
        combination = Combination.of(setting)
    except SettingsError:
        return
    assert 1 <= combination.threshold <= sum(combination.weights.values()) <= MOST_WEIGHT


def test_all_have_to_open() -> None:
    """Where all are needed, each one that fails is named, with what changed."""
    secret, made = locked("a+b+c")
    assert unlock(made, at()).secret == secret
    for lost in [*"abc", *itertools.combinations("abc", 2)]:
        with pytest.raises(BindingMismatch) as refusal:
            unlock(made, at(*lost))
        assert all(f"{name}: This is there" in refusal.value.detail for name in lost)


weights = st.dictionaries(st.sampled_from("abc"), st.integers(1, 8), min_size=1)


@given(weights=weights, threshold=st.integers(1, 24), lost=st.sets(st.sampled_from("abc")))
def test_enough_weight_opens(weights: dict[str, int], threshold: int, lost: set[str]) -> None:
    """It opens where the weights of what opens reach the threshold, and nowhere else."""
    threshold = min(threshold, sum(weights.values()))
    secret, made = locked({**weights, "threshold": threshold})
    if sum(weight for name, weight in weights.items() if name not in lost) >= threshold:
        assert unlock(made, at(*lost)).secret == secret
    else:
        with pytest.raises(BindingMismatch):
            unlock(made, at(*lost))


def test_a_single_binding_speaks_for_itself() -> None:
    """With one binding only, its own refusal is given, as is that of a plugin that is missing."""
    _, made = locked("a")
    with pytest.raises(BindingMismatch, match=r"^This is there, another place\.$"):
        unlock(made, at("a"))

    def missing(name: str) -> ClientHalf:
        raise Unavailable(f"There is no binding {name!r} on this machine.")

    with pytest.raises(Unavailable, match="no binding 'a'"):
        unlock(made, missing)
    with pytest.raises(BindingMismatch, match=r"a: There is no binding 'a'.*; b: There is no"):
        unlock(locked("a+b")[1], missing)


class Changed(lab.PlaceClient):  # type: ignore[misc,name-defined]
    """A machine of which something changed, though not too much."""

    def _unseal(self, record: bytes) -> Unsealed:
        if self.name == "b":
            raise BindingMismatch("too much", problems=[FieldProblem("/features/mac", "changed")])
        opened = super()._unseal(record)
        return Unsealed(secret=opened.secret, changed=("disk",), weak=self.name == "c")


def test_what_changed_is_told() -> None:
    """The features that changed are told with the name of their binding, and a weak one makes the whole weak."""
    secret, made = locked({"a": 1, "b": 1, "c": 1, "threshold": 2})
    opened = unlock(made, lambda name: Changed(name, lab.Place()))
    assert (opened.secret, opened.changed, opened.weak) == (secret, ("a.disk", "c.disk"), True)
    assert secret.hex() not in repr(opened)
    assert repr(secret) not in repr(opened)
    with pytest.raises(BindingMismatch) as refusal:
        unlock(locked("a+b")[1], lambda name: Changed(name, lab.Place()))
    assert [problem.pointer for problem in refusal.value.problems] == ["/features/mac"]


def test_a_lock_that_cannot_be_opened_is_a_bad_document() -> None:
    """A threshold above all shares, or shares of another binding, is no question of the machine."""
    _, made = locked("a+b")
    for wrong in (
        msgspec.structs.replace(made, threshold=3),
        msgspec.structs.replace(made, threshold=2, parts=made.parts[:1]),
        msgspec.structs.replace(made, parts=made.parts[::-1]),
    ):
        with pytest.raises(DocumentInvalid):
            unlock(wrong, at())


def test_no_two_locks_are_alike() -> None:
    """Each lock has a secret of its own, and one part tells nothing of another."""
    first, second = locked("a+b"), locked("a+b")
    assert first[0] != second[0]
    assert not {part.record for part in first[1].parts} & {part.record for part in second[1].parts}


def test_what_is_needed_to_lock() -> None:
    """Evidence of each binding is needed to lock, also where fewer open."""
    combination = Combination.of({"a": 1, "b": 1, "threshold": 1})
    assert combination.is_met_by({"a", "b", "c"})
    assert not combination.is_met_by({"a"})
