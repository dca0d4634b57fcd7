"""The server's side of one container, as pure rules: judged, advanced, answered."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.errors import ContainerUnknown, UpdateOutOfOrder
from licentia.exchange.messages import CHAIN_LIMIT, START, Statement, head_of
from licentia.exchange.track import HEADS_KEPT, REQUESTS_KEPT, Track, advance, ask, deliver, issue, judge

KEY = bytes(range(32))


def said(sequence: int, head: bytes, request: str = "r") -> Statement:
    """A request from a state."""
    token = request.encode().ljust(16, b".")
    return Statement(key=KEY, box=KEY, sequence=sequence, head=head, request_id=token, at=0)


def answer(track: Track, statement: Statement) -> tuple[Track, list[bytes]]:
    """Take a request and answer it, as the keeper does."""
    track = advance(ask(track, statement), statement.sequence)
    if not track.chain:
        track = more(track)
    return deliver(track)


def more(track: Track) -> Track:
    """Issue one more update."""
    number = track.last + 1
    return issue(track, number, b"update %d after " % number + track.head, number)


def state(track: Track, number: int) -> tuple[int, bytes]:
    """The state after an update."""
    head = track.head_after(number)
    assert head is not None
    return number, head


@pytest.fixture
def track() -> Track:
    """A container that asked once, was answered, and has confirmed it."""
    made, _ = answer(Track(key=KEY, box=KEY), said(0, START, "first"))
    return advance(made, 1)


def test_a_container_that_was_answered_asks_anew(track: Track) -> None:
    """After its answer the container asks by another id; so it goes on, for ever."""
    for number in range(1, 300):
        request = said(*state(track, number), f"r{number}")
        assert judge(track, request) == "new"
        track, documents = answer(track, request)
        assert documents == [track.issued[-1].document]
        assert track.confirmed == number
    assert len(track.heads) == HEADS_KEPT
    assert len(track.answered) == REQUESTS_KEPT


def test_a_request_that_waits_may_come_again(track: Track) -> None:
    """The same id from the same state is a repeat, and gets the same answer, with what was issued since."""
    request = said(*state(track, 1))
    track, first = answer(track, request)
    assert judge(track, request) == "repeat"
    assert answer(track, request) == (track, first)
    track = more(track)
    assert answer(track, request)[1] == [*first, track.issued[-1].document]


def test_another_id_from_an_answered_state_is_a_copy(track: Track) -> None:
    """Whoever asks otherwise from a state that was answered has a copy of that state."""
    track, _ = answer(track, said(*state(track, 1), "mine"))
    assert judge(track, said(*state(track, 1), "other")) == "fork"


def test_who_is_behind_is_a_copy(track: Track) -> None:
    """A new request from before what is known to be applied comes from a snapshot."""
    track, _ = answer(track, said(*state(track, 1), "mine"))
    track = advance(track, 2)
    assert judge(track, said(*state(track, 1), "other")) == "fork"
    assert judge(track, said(0, START, "other")) == "fork"


@pytest.mark.parametrize("number", [1, 2])
def test_who_has_another_past_is_a_copy(track: Track, number: int) -> None:
    """The same number with another head comes from a container that another server went on with."""
    track, _ = answer(track, said(*state(track, 1), "mine"))
    assert judge(track, said(number, b"h" * 32, "other")) == "fork"


def test_what_was_answered_is_over(track: Track) -> None:
    """An old request, of this state or one before, is out of order and no sign of a copy."""
    old = said(*state(track, 1), "old")
    track, _ = answer(track, old)
    track = advance(track, 2)
    with pytest.raises(UpdateOutOfOrder):
        judge(track, old)
    track, _ = answer(track, said(*state(track, 2), "new"))
    for request in (old, said(0, START, "first"), said(*state(track, 2), "old")):
        with pytest.raises(UpdateOutOfOrder, match="answered"):
            judge(track, request)


def test_a_server_that_was_set_back_says_so(track: Track) -> None:
    """A container that is ahead of its server is told whose fault it is."""
    with pytest.raises(ContainerUnknown, match="this server has issued 1") as refusal:
        judge(track, said(5, b"h" * 32))
    assert "backup" in refusal.value.next_step


def test_an_answer_follows_the_state_that_asked(track: Track) -> None:
    """What was issued meanwhile is passed over: the answer holds everything, and leads on from where the device is."""
    for _ in range(3):
        track = more(track)
    request = said(*state(track, 1))
    assert judge(track, request) == "new"
    track, documents = answer(track, request)
    assert track.issued[-1].sequence == 5
    assert documents == [b"update 5 after " + state(track, 1)[1]]


def test_an_update_that_was_carried_by_hand_confuses_nobody(track: Track) -> None:
    """A device that took an unasked update with a request waiting is answered from there, and not as a copy."""
    track = more(track)
    request = said(*state(track, 1))
    track, early = answer(track, request)
    moved = said(*state(track, 2))
    assert judge(track, moved) == "repeat"
    track, late = answer(track, moved)
    assert track.confirmed == 2
    assert late != early
    assert late == [b"update 4 after " + state(track, 2)[1]]
    with pytest.raises(UpdateOutOfOrder):
        judge(track, request)
    assert judge(track, said(*state(track, 4), "next")) == "new"


def test_part_of_an_answer_is_enough(track: Track) -> None:
    """A device that applied the first of two updates of its answer may ask anew."""
    request = said(*state(track, 1))
    track, _ = answer(track, request)
    track, both = answer(more(track), request)
    assert len(both) == 2
    assert judge(track, said(*state(track, 2), "next")) == "new"


def test_a_copy_that_is_served_gets_one_update() -> None:
    """A snapshot that is served leads on from its own state, and the newest state is its."""
    track, _ = answer(Track(key=KEY, box=KEY), said(0, START, "a"))
    track, _ = answer(track, said(*state(track, 1), "b"))
    track, _ = answer(track, said(*state(track, 2), "c"))
    copy = said(*state(track, 1), "copy")
    assert judge(track, copy) == "fork"
    track, documents = answer(track, copy)
    assert documents == [b"update 4 after " + state(track, 1)[1]]
    assert judge(track, copy) == "repeat"
    assert answer(track, copy)[1] == documents
    assert judge(track, said(*state(track, 4), "copy goes on")) == "new"
    assert judge(track, said(*state(track, 3), "original")) == "fork"


def test_a_long_chain_is_cut() -> None:
    """However much is issued while a device is away, what is kept and delivered is bounded, and nobody is forgotten."""
    track, first = answer(Track(key=KEY, box=KEY), said(0, START))
    for _ in range(3 * CHAIN_LIMIT):
        track = more(track)
    _, documents = deliver(track)
    assert len(documents) == CHAIN_LIMIT
    assert documents[0] == first[0]
    assert len(track.issued) == 3 * CHAIN_LIMIT + 1
    request = said(*state(track, CHAIN_LIMIT), "next")
    assert judge(track, request) == "new"
    track, documents = answer(track, request)
    assert documents == [b"update %d after " % track.last + state(track, CHAIN_LIMIT)[1]]
    assert [each.document for each in track.issued[:-1]] == [b""] * (len(track.issued) - 1)


def test_nothing_advances_twice(track: Track) -> None:
    """Confirming what is confirmed changes nothing; a later confirmation includes the earlier ones."""
    assert advance(track, 1) == track
    assert advance(track, 0) == track
    newer = more(more(track))
    assert advance(advance(newer, 2), 3) == advance(newer, 3)
    assert advance(newer, 3).change == 3


def test_it_says_nothing_of_its_secrets(track: Track) -> None:
    """A track in a log shows two numbers."""
    assert repr(msgspec.structs.replace(track, secret=b"secret")) == "Track(confirmed=1, last=1)"


@given(story=st.lists(st.sampled_from(["issue", "ask", "repeat", "apply", "receipt", "late"]), max_size=40))
def test_an_honest_device_is_never_a_copy(story: list[str]) -> None:
    """Whatever is lost, repeated or late, a single device is new or repeats itself, and gets what follows its state."""
    track = Track(key=KEY, box=KEY)
    place, request, number = (0, START), "", 0
    answers: list[list[bytes]] = []
    sent: list[Statement] = []
    for what in ["ask", *story]:
        if what == "issue":
            track = more(track)
        elif what == "receipt":
            track = advance(track, place[0])
        elif what == "apply" and answers:
            for document in answers.pop():
                if document.endswith(place[1]):
                    place, request = (int(document.split()[1]), head_of(document)), ""
        elif what in ("ask", "repeat", "late"):
            if not request:
                number += 1
                request = f"{number}"
            statement = said(*place, request) if what != "late" else sent[len(story) % len(sent)]
            sent.append(statement)
            try:
                assert judge(track, statement) in ("new", "repeat")
            except UpdateOutOfOrder:
                assert what == "late"
                continue
            track, documents = answer(track, statement)
            assert documents
            assert documents[0].endswith(statement.head)
            answers.append(documents)


def test_a_track_is_kept_as_it_is(track: Track) -> None:
    """What the host remembers gives the same track back."""
    written = msgspec.json.encode(more(track))
    again: Any = msgspec.json.decode(written, type=Track)
    assert again == more(track)
