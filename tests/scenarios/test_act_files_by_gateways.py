"""Use case 5 by REST, by SOAP and by the command line: offline activations with checkpoints on several devices."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import zeep
from zeep.wsse.username import UsernameToken

from licentia.client.actfile import ActFile
from licentia.client.actfile.contact import by_http, manifest
from licentia.client.remote import RemoteLicentia
from licentia.contract import BY_NAME
from licentia.errors import NotLicensed

PRODUCT = {
    "name": "CAD",
    "items": [
        {"product_code": "cad", "quantity": 3, "checkpoint_days": 7, "expires_at": "2099-01-01T00:00:00Z"},
    ],
}
ORDER = {"source": "erp", "order_number": "1", "customer": {"id": "c"},
         "lines": [{"line_id": "1", "sku": "cad", "quantity": 1}]}  # fmt: skip


class Rest:
    """The operations of the depot by REST: the reply as a dictionary, or the code of the refusal."""

    def __init__(self, server: Any, folder: Path) -> None:
        self.server = server
        self.folder = folder

    def _send(self, scope: str, operation: str, body: dict[str, Any], **path: str) -> Any:
        declared = BY_NAME[operation]
        url, headers = self.server.url + declared.path.format(**path), self.server.headers(scope)
        answer = httpx.request(declared.method, url, headers=headers, json=body, timeout=30)
        return answer.json()["code"] if answer.is_error else answer.json()

    def sell(self) -> str:
        """Define the product and sell one; the ticket."""
        self._send("admin", "PutProduct", PRODUCT, sku="cad")
        return str(self._send("sales", "CreateOrder", ORDER)["ticket"])

    def activate(self, ticket: str, request: bytes) -> Any:
        """Activate one seat."""
        body = {"container": {"kind": "act-file", "request": text(request)}, "quantity": 1}
        return self._send("depot", "ActivateTicket", body, code=ticket)

    def tell(self, operation: str, activation_id: str, receipt: bytes) -> Any:
        """Confirm or return."""
        return self._send("depot", operation, {"receipt": text(receipt)}, activation_id=activation_id)

    def elsewhere(self, operation: str, activation_id: str, request: bytes, receipt: bytes | None = None) -> Any:
        """Move or restore."""
        body: dict[str, Any] = {"container": {"kind": "act-file", "request": text(request)}}
        body |= {"receipt": text(receipt)} if receipt is not None else {}
        return self._send("depot", operation, body, activation_id=activation_id)


class Soap(Rest):
    """The same by SOAP, with a client that knows nothing but the WSDL."""

    def _send(self, scope: str, operation: str, body: dict[str, Any], **path: str) -> Any:
        _, key_id, secret = self.server.keys[scope].split("_", 2)
        client = zeep.Client(f"{self.server.url}/soap/{scope}?wsdl", wsse=UsernameToken(key_id, secret))
        try:
            reply = client.service[operation](**camel(body | path))
        except zeep.exceptions.Fault as fault:
            return fault.detail.findtext(".//{*}code")
        return snake(zeep.helpers.serialize_object(reply, dict))


class Line(Rest):
    """The same by the command line, by files as a person carries them."""

    def _run(self, scope: str, *words: str) -> Any:
        environment = os.environ | {"LICENTIA_URL": self.server.url, "LICENTIA_KEY": self.server.keys[scope]}
        command = [sys.executable, "-m", "licentia", *words, "-o", "json"]
        done = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 2), done.stderr
        told = json.loads(done.stdout)
        return told["code"] if done.returncode else told

    def _file(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return name

    def activate(self, ticket: str, request: bytes) -> Any:
        return self._run(
            "depot", "ticket", "activate", ticket, "--request", self._file("it.request", request), "--quantity", "1"
        )

    def tell(self, operation: str, activation_id: str, receipt: bytes) -> Any:
        verb = {"ConfirmActivation": "confirm", "ReturnActivation": "return"}[operation]
        file = self._file("it.receipt", receipt)
        return self._run("depot", "activation", verb, activation_id, "--receipt", file)

    def elsewhere(self, operation: str, activation_id: str, request: bytes, receipt: bytes | None = None) -> Any:
        verb = {"MoveActivation": "move", "RestoreActivation": "restore"}[operation]
        more = ["--receipt", self._file("it.receipt", receipt)] if receipt is not None else []
        file = self._file("it.request", request)
        return self._run("depot", "activation", verb, activation_id, "--request", file, *more)


def text(data: bytes) -> str:
    """Bytes as a call takes them."""
    return base64.b64encode(data).decode()


def camel(value: Any) -> Any:
    """The names of SOAP."""
    if isinstance(value, list):
        return [camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    words = {name: name.split("_") for name in value}
    return {first + "".join(map(str.title, rest)): camel(value[name]) for name, (first, *rest) in words.items()}


def snake(value: Any) -> Any:
    """The names of REST."""
    if isinstance(value, list):
        return [snake(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {"".join(f"_{c.lower()}" if c.isupper() else c for c in name): snake(each) for name, each in value.items()}


@pytest.fixture
def server(serve: Callable[..., Any]) -> Iterator[Any]:
    """A server that takes containers bound to nothing, as the licenses here end by themselves."""
    with serve(bindings=("none",), container={"act-file": {"bindings": ["none"]}}) as running:
        yield running


@pytest.mark.parametrize("face", [Rest, Soap, Line])
def test_devices_are_activated_offline_up_to_what_was_bought(face: type[Rest], server: Any, tmp_path: Path) -> None:
    """Three devices and no fourth; a return frees the seat at once; one moves, one is lost; all by files."""
    desk = face(server, tmp_path)
    ticket = desk.sell()
    with RemoteLicentia(server.url) as remote:
        trust = manifest(remote)
    phones = [ActFile(tmp_path / f"phone-{number}.act", trust=trust) for number in range(6)]
    activations = []
    for phone in phones[:4]:
        phone.create(["none"])
        request = phone.request()
        activated = desk.activate(ticket, request)
        if phone is phones[3]:
            assert activated == "ticket_exhausted"
            continue
        assert activated["state"] == "delivered"
        assert desk.activate(ticket, request)["activation_id"] == activated["activation_id"]
        receipt = phone.apply(base64.b64decode(_content(activated)))
        assert desk.tell("ConfirmActivation", activated["activation_id"], receipt)["state"] == "confirmed"
        assert phone.require("cad").quantity == 1
        activations.append(activated["activation_id"])
    assert desk.tell("ReturnActivation", activations[0], phones[1].receipt()) == "conflict"
    returned = desk.tell("ReturnActivation", activations[0], phones[0].give_back(activations[0]))
    assert returned["state"] == "returned"
    with pytest.raises(NotLicensed):
        phones[0].require("cad")
    phones[3].apply(base64.b64decode(_content(desk.activate(ticket, phones[3].request()))))
    phones[3].require("cad")
    phones[4].create(["none"])
    assert desk.elsewhere("MoveActivation", activations[1], phones[4].request()) == "invalid_request"
    moved = desk.elsewhere("MoveActivation", activations[1], phones[4].request(), phones[1].give_back(activations[1]))
    phones[4].apply(base64.b64decode(_content(moved)))
    phones[5].create(["none"])
    restored = desk.elsewhere("RestoreActivation", activations[2], phones[5].request())
    phones[5].apply(base64.b64decode(_content(restored)))
    for phone in phones[3:]:
        assert phone.require("cad").contact_by is not None
    with RemoteLicentia(server.url) as remote:
        assert phones[2].contact(by_http(remote))
        assert phones[5].contact(by_http(remote))
    with pytest.raises(NotLicensed):
        phones[2].require("cad")
    phones[5].require("cad")


def _content(activation: Any) -> str:
    return str(activation["delivery"]["content"])
