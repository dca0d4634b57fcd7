"""The hash chain: whatever is changed, dropped, swapped or inserted is found."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.contract.events import Event
from licentia.domain.events import event_hash, plain, verify_chain

START = datetime(2026, 5, 1, 8, tzinfo=UTC)


def rule(event: dict[str, Any]) -> str:
    """The documented hash, from the text that the API shows and nothing else."""
    names = ("actor", "at", "chain", "data", "kind", "previous_hash", "seq")
    members = {name: event[name] for name in names}
    return hashlib.sha256(
        json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    ).hexdigest()


def made(chain: int, length: int) -> list[Event]:
    """A good chain, made by the rule."""
    events: list[Event] = []
    previous = "0" * 64
    for seq in range(1, length + 1):
        shown: dict[str, Any] = {
            "event_id": f"{chain}-{seq}",
            "chain": chain,
            "seq": seq,
            "at": f"2026-05-01T08:00:0{seq}.25Z" if seq < 5 else f"2026-05-01T08:00:0{seq}Z",
            "kind": "order.placed",
            "actor": "Ünal",
            "data": {"b": [seq, None, True], "a": {"z": "日本", "y": '"\\\u2028'}},
            "previous_hash": previous,
        }
        shown["at"] = msgspec.to_builtins(msgspec.convert(shown["at"], datetime))
        previous = shown["hash"] = rule(shown)
        events.append(msgspec.convert(shown, Event))
    return events


def test_the_hash_is_what_the_documentation_says() -> None:
    """Anyone can recompute a hash from the text of the API with a JSON library and SHA-256."""
    for event in made(3, 7):
        shown = json.loads(msgspec.json.encode(event))
        assert rule(shown) == event.hash
        assert event.hash == event_hash(
            chain=event.chain,
            seq=event.seq,
            at=event.at,
            kind=event.kind,
            actor=event.actor,
            data=event.data,
            previous_hash=event.previous_hash,
        )


def test_good_chains_have_no_fault() -> None:
    """Chains that are mixed with each other, each in its own order, are intact; so is an empty trail."""
    first, second = made(0, 4), made(7, 3)
    assert verify_chain([]) == []
    assert verify_chain([first[0], second[0], first[1], first[2], second[1], second[2], first[3]]) == []


CHANGES: dict[str, Any] = {
    "chain": 1,
    "seq": 9,
    "at": START + timedelta(microseconds=1),
    "kind": "order.placee",
    "actor": "unal",
    "data": {"b": [2, None, 1], "a": {"z": "日本", "y": '"\\\u2028'}},
    "previous_hash": "f" * 64,
    "hash": "f" * 64,
}


@pytest.mark.parametrize("member", CHANGES)
@pytest.mark.parametrize("place", range(4))
def test_a_changed_member_is_found(member: str, place: int) -> None:
    """No member of any event can be changed without a fault that names the event."""
    chain = made(0, 4)
    changed = chain.copy()
    changed[place] = msgspec.structs.replace(chain[place], **{member: CHANGES[member]})
    faults = verify_chain(changed)
    assert any(f" {chain[place].event_id} " in fault for fault in faults)


def test_every_member_is_tried() -> None:
    """All that the hash covers, and the hash itself, is in the changes above; the id is made of chain and number."""
    assert set(CHANGES) == set(Event.__struct_fields__) - {"event_id"}


@pytest.mark.parametrize("place", range(3))
def test_a_change_with_a_new_hash_is_found_by_the_next_event(place: int) -> None:
    """Who changes an event and its hash has still broken the link of the one that follows."""
    chain = made(0, 4)
    shown = msgspec.to_builtins(chain[place]) | {"actor": "somebody else"}
    chain[place] = msgspec.convert(shown | {"hash": rule(shown)}, Event)
    assert verify_chain(chain) == [f"Event 0-{place + 2} does not link to the hash of the event before it."]


@given(st.permutations(range(5)).filter(lambda order: order != list(range(5))))
def test_another_order_is_found(order: list[int]) -> None:
    """Events that changed places are found."""
    chain = made(0, 5)
    assert verify_chain([chain[place] for place in order])


@given(st.sets(st.integers(0, 4), min_size=1, max_size=4).filter(lambda left: sorted(left) != list(range(len(left)))))
def test_a_missing_event_is_found(left: set[int]) -> None:
    """An event that is missing before another is found, the first one too."""
    chain = made(0, 5)
    assert verify_chain([chain[place] for place in sorted(left)])


@pytest.mark.parametrize("place", range(5))
def test_an_inserted_event_is_found(place: int) -> None:
    """An event of another chain, or one that is there twice, does not go unseen."""
    chain = made(0, 4)
    stranger = msgspec.structs.replace(made(1, 5)[place], chain=0)
    assert verify_chain([*chain[:place], stranger, *chain[place:]])
    assert verify_chain([*chain[:place], chain[min(place, 3)], *chain[place:]])


def test_data_becomes_plain_json_without_what_is_none() -> None:
    """Times, structs and tuples are written as the API shows them, and absent facts are left out."""
    event = made(0, 1)[0]
    data = plain({"at": START, "reason": None, "lines": (event,), "none_inside": [None]})
    lines = [json.loads(msgspec.json.encode(event))]
    shown = {"at": "2026-05-01T08:00:00Z", "lines": lines, "none_inside": [None]}
    assert json.dumps(data) == json.dumps(shown)
