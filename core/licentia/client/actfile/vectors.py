"""A test vector for whoever writes a reader of act-files: what they hold, and which are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from licentia.client.actfile.clock import Seen
from licentia.client.actfile.file import FORMAT, File, State, _header, _state_key, encode
from licentia.crypto import sealing
from licentia.crypto.vectors_documents import written
from licentia.crypto.vectors_manifest import ISSUED
from licentia.exchange.messages import Contents, Use, head_of
from licentia.exchange.vectors import (
    BINDINGS,
    BOX,
    CONTAINER,
    FIRST_REQUEST,
    ID,
    MANIFESTS,
    SECRET,
    as_json,
    b64,
    bindings,
    flipped,
    manifests,
    random,
    reversed_members,
    said,
)
from licentia.exchange.vectors_updates import FIRST, FULL, HYBRID, LESS, NONE, THIRD, made, signed

EMPTY = State(
    key=CONTAINER.to_bytes(),
    box=BOX.to_bytes(),
    name="Zoë's desk",
    bindings=BINDINGS,
    manifest=1,
    request_id=FIRST_REQUEST,
)
AFTER_FIRST = msgspec.structs.replace(
    EMPTY,
    sequence=1,
    head=head_of(FIRST),
    request_id=None,
    seen=Seen(latest=ISSUED + 600, wrong_seconds=300),
    used=(Use(activation_id="act_2", license_id="lic_281648389449ea652e56c558f", first_used_at=ISSUED, units={"": 7}),),
    consumed={"job-1": 95, "job-2": 93},
    returned=("act_1",),
    last_contact=ISSUED + 1,
)
AFTER_THIRD = msgspec.structs.replace(EMPTY, sequence=5, head=head_of(THIRD), manifest=3, request_id=None)
SAME_SECRET = signed(made(2, head_of(FIRST), LESS))
"""An update that the same secret opens."""


def act_file(update: bytes | None, state: State, *, trust: Sequence[str] = ("first",), secret: bytes = SECRET) -> File:
    """A file with this state, sealed if there is an update."""
    believed = tuple(MANIFESTS[name].to_bytes() for name in trust)
    file = File(format=FORMAT, trust=believed, update=update, state=b"")
    plain = msgspec.json.encode(state)
    if update is not None:
        header = _header(file)
        plain = sealing.sealed_with(random("state", header.hex()), _state_key(secret), header, plain)
    return msgspec.structs.replace(file, state=plain)


def case(file: bytes, *, trust: str = "first", here: Sequence[str] = BINDINGS) -> dict[str, Any]:
    """A file on the machine where these bindings open, of an application that brings this manifest."""
    return {"trust": trust, "here": list(here), "file": file.decode()}


NEW = act_file(None, EMPTY)
HELD = act_file(FIRST, AFTER_FIRST)
CHAIN = act_file(THIRD, AFTER_THIRD, trust=("first", "second", "third"))


def act_file_vector() -> bytes:
    """The vector as JSON. The same version writes the same bytes."""
    hybrid = msgspec.structs.replace(AFTER_FIRST, head=head_of(HYBRID))
    accepted: list[tuple[dict[str, Any], State, Contents | None]] = [
        (case(encode(NEW)), EMPTY, None),
        (case(encode(HELD)), AFTER_FIRST, FULL),
        (case(encode(HELD), here=["alpha"]), AFTER_FIRST, FULL),
        (case(encode(CHAIN)), AFTER_THIRD, NONE),
        (case(encode(CHAIN), trust="third"), AFTER_THIRD, NONE),
        (case(encode(act_file(HYBRID, hybrid, trust=["hybrid"])), trust="hybrid"), hybrid, FULL),
    ]
    return written(
        {
            "container": ID,
            "bindings": bindings(),
            "manifests": manifests(),
            "accepted": [
                given | {"state": said(state), "contents": None if contents is None else said(contents)}
                for given, state, contents in accepted
            ],
            "refused": [{"why": why} | given for why, given in (_refused() | _badly_written()).items()],
        }
    )


def _refused() -> dict[str, dict[str, Any]]:
    changed = msgspec.structs.replace
    second = changed(AFTER_FIRST, sequence=2, head=head_of(SAME_SECRET))
    later = act_file(SAME_SECRET, second)
    first, second_manifest = (MANIFESTS[name].to_bytes() for name in ("first", "second"))
    foreign = MANIFESTS["another vendor's"].to_bytes()
    return {
        "the state is that of a later update with the same secret": case(encode(changed(HELD, state=later.state))),
        "the update is another one with the same secret": case(encode(changed(HELD, update=SAME_SECRET))),
        "the update was taken away": case(encode(changed(HELD, update=None))),
        "the state is one from before there was an update": case(encode(changed(HELD, state=NEW.state))),
        "the state was written for another update": case(encode(act_file(FIRST, second))),
        "the state is sealed with another secret": case(
            encode(act_file(FIRST, AFTER_FIRST, secret=random("another secret")))
        ),
        "a bit of the state is flipped": case(encode(changed(HELD, state=flipped(HELD.state)))),
        "a manifest was added": case(encode(changed(HELD, trust=(first, second_manifest)))),
        "a manifest was taken away": case(encode(changed(CHAIN, trust=CHAIN.trust[:2]))),
        "the manifests are in another order": case(encode(changed(CHAIN, trust=CHAIN.trust[::-1]))),
        "the manifest is one of another vendor": case(encode(changed(HELD, trust=(foreign,)))),
        "the application is of another vendor": case(encode(HELD), trust="another vendor's"),
        "the application is of another vendor, and the file is new": case(encode(NEW), trust="another vendor's"),
        "the application knows that the key was revoked": case(encode(HELD), trust="third"),
        "its bindings do not open here": case(encode(HELD), here=["beta"]),
        "one of its bindings does not open here, where all have to": case(encode(CHAIN), here=["alpha"]),
        "the update is not signed by the vendor": case(
            encode(act_file(signed(made(1, bytes(32), FULL), CONTAINER), AFTER_FIRST))
        ),
    }


def _badly_written() -> dict[str, dict[str, Any]]:
    good: dict[str, Any] = said(HELD)

    def raw(**changes: Any) -> dict[str, Any]:
        return case(as_json(good | changes))

    text = encode(HELD)
    return {
        "its format is another": raw(format="licentia-act-file-2"),
        "it has no manifest": case(encode(act_file(FIRST, AFTER_FIRST, trust=()))),
        "a member is unknown": raw(more=1),
        "a member is missing": case(as_json({name: each for name, each in said(NEW).items() if name != "update"})),
        "the members are in another order": case(as_json(reversed_members(good))),
        "a member is there twice": case(text.replace(b'"update":', b'"update":null,"update":', 1)),
        "the base64 is of the other alphabet": raw(state=b64(HELD.state).replace("+", "-").replace("/", "_")),
        "there is a space": case(text.replace(b",", b", ", 1)),
        "a line break follows": case(text + b"\n"),
        "it is cut": case(text[:-2]),
        "it is the update alone": case(FIRST),
        "it is empty": case(b""),
    }
