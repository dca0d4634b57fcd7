"""Connectors of big systems on documents that are nearly right: a value is missing, empty, huge, or of another type."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest
import remote_lab as lab
from lxml import etree

from licentia.connectors import Connector
from licentia.errors import InvalidRequest, Unauthenticated
from licentia_integrations.dynamics import Dynamics
from licentia_integrations.hubspot import HubSpot
from licentia_integrations.salesforce import Salesforce
from licentia_integrations.sap import Sap

CONNECTORS: dict[str, Connector] = {
    "salesforce": Salesforce("salesforce", {"secret": "s", "organization_id": "00D5Y000001MPM7"}),
    "sap": Sap("sap", {"secret": "s"}),
    "dynamics": Dynamics("dynamics", {"secret": "someClientState"}),
    "hubspot": HubSpot("hubspot", {"secret": "s"}),
}
URL = "https://x/?secret=s&code=someClientState"
VALUES: list[Any] = [
    None,
    "",
    "x" * 300,
    "ü/../'\n",
    -1,
    10**30,
    1.5e300,
    True,
    [],
    {},
    [[]],
    {"a": 1},
    "NaN",
    "\udfff",
]
DOCUMENTS = [
    (system, path.name, path.read_bytes())
    for system in CONNECTORS
    for place in (lab.GOLDEN / system, lab.SHARED / system)
    for path in (sorted(place.iterdir()) if place.is_dir() else ())
    if path.suffix in (".json", ".xml") and not path.name.endswith(".changes.json")
]


def variants(document: Any) -> Iterator[Any]:
    """The document without one of its values, or with another one in its place."""

    def paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            yield (*path, key)
            yield from paths(node[key], (*path, key))

    for number, path in enumerate(paths(document)):
        chosen = [VALUES[number % len(VALUES)]] if len(path) > 3 and "results" not in path[:2] else VALUES
        for value in ([...], *([each] for each in chosen)):
            changed = copy.deepcopy(document)
            at = changed
            for key in path[:-1]:
                at = at[key]
            if value == [...]:
                del at[path[-1]]
            else:
                at[path[-1]] = value[0]
            yield changed


def bodies(name: str, body: bytes) -> Iterator[bytes]:
    """The same for XML and for JSON."""
    if name.endswith(".json"):
        for variant in variants(msgspec.json.decode(body)):
            yield json.dumps(variant).encode()
        return
    tree = etree.fromstring(body)
    for number in range(len(list(tree.iter()))):
        for text in ("", "x" * 300, "-1", "1E5", "٣", "&<"):
            changed = copy.deepcopy(tree)
            list(changed.iter())[number].text = text
            yield etree.tostring(changed)
        changed = copy.deepcopy(tree)
        element = list(changed.iter())[number]
        if (parent := element.getparent()) is not None:
            parent.append(copy.deepcopy(element))
            yield etree.tostring(changed)
            parent.remove(element)
            yield etree.tostring(changed)


@pytest.mark.parametrize(("system", "name", "body"), DOCUMENTS, ids=[f"{each[0]}-{each[1]}" for each in DOCUMENTS])
async def test_a_document_that_is_nearly_right_is_understood_or_refused(system: str, name: str, body: bytes) -> None:
    """Nothing but the documented refusals leaves a connector, and each delivery has an id."""
    connector = CONNECTORS[system]
    understood = refused = 0
    for variant in bodies(name, body):
        delivery = lab.delivery(variant, url=URL)
        assert connector.delivery_id(delivery)
        try:
            connector.normalise(delivery)
            understood += 1
        except InvalidRequest:
            refused += 1
        with suppress(Unauthenticated):
            await connector.authenticate(delivery)
    assert understood
    assert refused
