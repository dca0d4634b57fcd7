"""What an act-file holds once it is open, and how its own state follows from an update."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from licentia.client.actfile.file import File, State
from licentia.crypto import sealing
from licentia.crypto.sealing import BoxKey
from licentia.errors import UpdateOutOfOrder
from licentia.exchange import messages
from licentia.exchange.combination import Unlocked
from licentia.exchange.messages import REQUEST, Contents, Held, Update, Use

USES_TOLD = 250
"""How many used licenses a request tells of at the most; more would not fit into it."""


class Opened(NamedTuple):
    """The file as it was read, and what was found in it."""

    file: File
    state: State
    unlocked: Unlocked | None
    contents: Contents | None


def waits_for(request: bytes, state: State) -> bool:
    """Whether the container still is as it was when it made this request, and waits for the answer."""
    said = messages.read_statement(request, REQUEST)
    return (said.request_id, said.head) == (state.request_id, state.head)


def out_of_order(state: State, documents: list[bytes]) -> UpdateOutOfOrder:
    """What is wrong with a file of updates of which none fits."""
    if state.head in map(messages.head_of, documents):
        return UpdateOutOfOrder(
            f"This container holds the update already, as its number {state.sequence}.",
            help="Nothing is left to do here; its next request or contact tells the server.",
        )
    return UpdateOutOfOrder(f"This container holds update {state.sequence}, and no update of the file follows it.")


def after(before: State, state: State, update: Update, contents: Contents, answered: bool) -> State:
    """The state once an update has taken effect."""
    held = {each.activation_id for each in contents.held}
    seen = msgspec.structs.replace(
        before.seen,
        latest=update.issued_at if answered else max(before.seen.latest, update.issued_at),
        wrong_seconds=0 if answered else before.seen.wrong_seconds,
    )
    return msgspec.structs.replace(
        state,
        request_id=None if answered else before.request_id,
        seen=seen,
        used=tuple(use for use in state.used if use.activation_id in held),
        returned=tuple(each for each in state.returned if each in held),
        last_contact=update.issued_at if answered else state.last_contact,
    )


def contents_in(update: Update, box: BoxKey, unlocked: Unlocked) -> Contents:
    """The contents of an update that the bindings have opened."""
    header = messages.header(update)
    return messages.contents_of(sealing.unseal(unlocked.secret, header, box.open(header, update.box)))


def held_in(opened: Opened) -> tuple[Held, ...]:
    """What may be used: all but what was given up here."""
    held = opened.contents.held if opened.contents is not None else ()
    return tuple(each for each in held if each.activation_id not in opened.state.returned)


def use_of(state: State, held: Held) -> Use | None:
    """What was used of it so far."""
    mine = (held.activation_id, held.license_id)
    return next((use for use in state.used if (use.activation_id, use.license_id) == mine), None)


def told(used: tuple[Use, ...]) -> tuple[Use, ...]:
    """As much as fits into a statement: units first, as only the latest count of them is right."""
    return tuple(sorted(used, key=lambda use: not use.units)[:USES_TOLD])


def unused(held: Held) -> Use:
    """The use of what was never used."""
    return Use(activation_id=held.activation_id, license_id=held.license_id)


def with_use(used: tuple[Use, ...], use: Use) -> tuple[Use, ...]:
    """The same, with this use in the place of the one before."""
    mine = (use.activation_id, use.license_id)
    return (*(each for each in used if (each.activation_id, each.license_id) != mine), use)
