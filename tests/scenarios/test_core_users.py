"""Who may do what: keys by their scopes, end users for themselves only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from licentia.contract import BY_NAME, OPERATIONS, Operation
from licentia.errors import Conflict, Forbidden, NotFound, NotLicensed, Unauthenticated
from licentia.services.identity import ANYONE, SCOPES, BearerToken, Caller

CONTAINER = {"kind": "cloud-lite", "user": "ada"}
REQUESTS: dict[str, dict[str, Any]] = {
    "PutProduct": {"sku": "s", "name": "S", "items": [{"product_code": "c"}]},
    "ListProducts": {},
    "GetProduct": {"sku": "s"},
    "WithdrawLicense": {"license_id": "l", "reason": ""},
    "ListEvents": {},
    "ListPlugins": {},
    "CreateOrder": {"source": "s", "order_number": "1", "customer": {"id": "c"},
                    "lines": [{"line_id": "1", "sku": "s", "quantity": 1}]},
    "GetOrder": {"source": "s", "order_number": "1"},
    "CancelOrder": {"source": "s", "order_number": "1"},
    "GetTicket": {"code": "A"},
    "ActivateTicket": {"code": "A", "container": CONTAINER},
    "GetActivation": {"activation_id": "a"},
    "ReturnActivation": {"activation_id": "a"},
    "MoveActivation": {"activation_id": "a", "container": CONTAINER},
    "CheckoutLicense": {"lease_id": "l", "product_code": "c", "user": "ada"},
    "ReleaseLease": {"lease_id": "l"},
    "ListLeases": {},
    "GetUsage": {},
    "ListLicenses": {"user": "ada"},
    "ConsumeUnits": {"user": "ada", "product_code": "c", "units": 1, "request_id": "r"},
    "ListPublicKeys": {},
    "GetKeyManifest": {},
    "ChangeLicense": {"license_id": "l", "reason": "renewed"},
    "ConfirmActivation": {"activation_id": "a", "receipt": ""},
    "RestoreActivation": {"activation_id": "a", "container": CONTAINER},
    "ApproveRestore": {"activation_id": "a", "reason": "stolen"},
    "ContactContainer": {"kind": "act-file", "message": ""},
    "ListContainers": {},
    "ReinstateContainer": {"container_id": "c", "reason": "a backup"},
    "TraceOrder": {"order_number": "1"},
    "PutConnector": {"name": "shop", "plugin": "csv", "settings": [{"name": "secret", "value": "0123456789abcdef"}]},
    "ListConnectors": {},
    "DeleteConnector": {"name": "shop"},
    "TestConnector": {"name": "shop"},
    "PollConnector": {"name": "shop"},
    "PutMapping": {"article": "box"},
    "ListMappings": {},
    "DeleteMapping": {"mapping_id": "m"},
    "TryMapping": {"connector": "shop", "article": "box"},
    "ListDeliveries": {},
    "GetDelivery": {"delivery_id": "d"},
    "ReplayDeliveries": {},
    "DiscardDelivery": {"delivery_id": "d", "reason": "a test"},
    "PutWebhook": {"webhook_id": "w", "endpoint_url": "https://192.0.2.1/"},
    "ListWebhooks": {},
    "GetWebhook": {"webhook_id": "w"},
    "DeleteWebhook": {"webhook_id": "w"},
    "RotateWebhookSecret": {"webhook_id": "w"},
    "TestWebhook": {"webhook_id": "w"},
    "ListWebhookDeliveries": {"webhook_id": "w"},
    "ReplayWebhookDelivery": {"webhook_id": "w", "delivery_id": "d"},
    "ReplayWebhookDeliveries": {"webhook_id": "w"},
}  # fmt: skip
TOKENS = """
from licentia.directories import Subject, UserDirectory
from licentia.errors import Unauthenticated
class Plugin(UserDirectory):
    async def _identify(self, claim):
        if claim.token is None:
            return None
        if not claim.token.startswith("token-"):
            raise Unauthenticated("The token is not good.")
        return Subject(user=claim.token.removeprefix("token-"))
"""

MACHINE = """
from licentia.containers import ContainerBackend, ContainerRef
class Plugin(ContainerBackend):
    leasing = True
    device_bound = True
    async def _provision(self, wanted):
        return ContainerRef(binding=wanted.container_id)
    async def _apply(self, ref, update):
        return None
    async def _read(self, ref):
        return await self.host.contents(self.kind, ref.binding)
    async def _retire(self, ref):
        pass
"""


def test_every_operation_is_tried() -> None:
    """Whoever adds an operation adds a request of it here."""
    assert set(REQUESTS) == set(BY_NAME)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_a_key_does_what_its_scopes_allow(small_desk: Any, operation: Operation) -> None:
    """The scope of the operation's service is needed and enough; an open operation needs none."""
    for scopes in ({operation.service}, SCOPES - {operation.service}, set()):
        caller = Caller(actor="key", scopes=frozenset(scopes))
        if operation.open or operation.service in scopes:
            # Nothing is there, so most are refused, but for another reason.
            with contextlib.suppress(*set(operation.all_errors) - {Forbidden}):
                await small_desk(operation.name, caller=caller, **REQUESTS[operation.name])
        else:
            refusal = await small_desk.refused(Forbidden, operation.name, caller=caller, **REQUESTS[operation.name])
            assert repr(operation.service) in refusal.detail


async def test_nobody_can_do_nothing(small_desk: Any) -> None:
    """A caller without a key reads the public keys and no more."""
    keys = await small_desk("ListPublicKeys", caller=ANYONE("192.0.2.1"))
    assert [(key.kty, key.crv, key.alg) for key in keys.keys] == [("OKP", "Ed25519", "Ed25519")]
    await small_desk.refused(Forbidden, "ListLeases", caller=ANYONE("192.0.2.1"))


async def test_a_key_of_ours_has_the_scopes_it_was_made_with(desk: Any) -> None:
    """A real key, from its creation to a call and a refusal; its id is the actor in the trail."""
    key_id, key = await desk.key("admin", "sales")
    caller = await desk.application.authenticate(BearerToken(key), "192.0.2.1")
    assert (caller.actor, caller.scopes, caller.subject) == (key_id, frozenset({"admin", "sales"}), None)
    await desk.product()
    await desk.order("1", caller=caller)
    await desk.refused(Forbidden, "ListLeases", caller=caller)
    placed = [event for event in await desk.events() if event.kind == "order.placed"]
    assert [event.actor for event in placed] == [key_id]


@pytest.fixture
async def web(open_desk: Callable[..., Any], install: Callable[..., None]) -> Any:
    """A desk whose users come with tokens of the vendor's own, or are named by a key."""
    install("directories", "company", TOKENS)
    return await open_desk(directories=("company", "trusted"))


async def end_user(desk: Any, name: str) -> Caller:
    """The caller that a user's own token stands for."""
    caller: Caller = await desk.application.authenticate(BearerToken(f"token-{name}"), "192.0.2.9")
    return caller


async def test_a_users_own_token_is_enough(web: Any) -> None:
    """An end user with a token of the vendor's own activates, claims, consumes and gives back, without any key."""
    ada = await end_user(web, "ada")
    assert (ada.actor, ada.scopes) == ("user:ada", frozenset({"depot", "licensing"}))
    await web.product()
    await web.product("run", units=5)
    order = await web.order("1", ("1", "cad", 1), ("2", "run", 1))
    assert (await web("GetTicket", caller=ada, code=order.ticket)).ticket == order.ticket
    activation = await web.activate(order.ticket, caller=ada)
    assert (await web.checkout(caller=ada)).user == "ada"
    units = {"user": "ada", "product_code": "run", "units": 2, "request_id": "r"}
    assert (await web("ConsumeUnits", caller=ada, **units)).remaining == 3
    assert len((await web("ListLicenses", caller=ada, user="ada")).licenses) == 2
    await web("ReleaseLease", caller=ada, lease_id="l1")
    await web("ReturnActivation", caller=ada, activation_id=activation.activation_id)
    assert {event.actor for event in await web.events() if event.kind.startswith(("lease", "units", "activation"))} == {
        "user:ada"
    }
    with pytest.raises(Unauthenticated):
        await web.application.authenticate(BearerToken("stolen"), "192.0.2.9")


async def test_a_machine_that_is_called_like_a_user_lends_nothing_to_that_user(
    open_desk: Callable[..., Any], install: Callable[..., None]
) -> None:
    """Only the container of a user can be leased from, whatever another one is bound to."""
    install("containers", "machine", MACHINE)
    desk = await open_desk(containers=("cloud-lite", "machine"))
    await desk.product(license_model="node_locked")
    order = await desk.order("1")
    await desk("ActivateTicket", code=order.ticket, container={"kind": "machine", "container_id": "ada"})
    await desk.refused(NotLicensed, "CheckoutLicense", lease_id="l", product_code="cad", user="ada")
    assert (await desk("ListLicenses", user="ada")).licenses == []


async def test_a_user_speaks_for_nobody_else(web: Any) -> None:
    """Whatever names another user is refused before anything happens."""
    await web.sold("run", "ben", units=5)
    order = await web.order("2", ("1", "run", 1))
    mine = await web.activate((await web.order("3", ("1", "run", 1))).ticket, "ada")
    ada = await end_user(web, "ada")
    ben = {"kind": "cloud-lite", "user": "ben"}
    for name, fields in {
        "ActivateTicket": {"code": order.ticket, "container": ben},
        "MoveActivation": {"activation_id": mine.activation_id, "container": ben},
        "CheckoutLicense": {"lease_id": "l", "product_code": "run", "user": "ben"},
        "ListLicenses": {"user": "ben"},
        "ConsumeUnits": {"user": "ben", "product_code": "run", "units": 1, "request_id": "r"},
    }.items():
        refusal = await web.refused(Forbidden, name, caller=ada, **fields)
        assert "another user" in refusal.detail
    for name in ("PutProduct", "CreateOrder", "ListEvents", "WithdrawLicense", "ListPlugins"):
        await web.refused(Forbidden, name, caller=ada, **REQUESTS[name])


async def test_a_user_sees_and_touches_the_own_leases_only(web: Any) -> None:
    """The lease of another is not listed, not renewed, not released."""
    await web.sold("cad", "ada")
    await web.sold("cad", "ben")
    ada, ben = await end_user(web, "ada"), await end_user(web, "ben")
    await web.checkout("a", "ada", caller=ada)
    await web.checkout("b", "ben", caller=ben)
    assert [lease.lease_id for lease in (await web("ListLeases", caller=ada)).leases] == ["a"]
    await web.refused(Conflict, "CheckoutLicense", caller=ada, lease_id="b", user="ada", product_code="cad")
    await web("ReleaseLease", caller=ada, lease_id="b")
    assert await web.leases() == ["a", "b"]


async def test_a_user_sees_and_touches_the_own_activations_only(web: Any) -> None:
    """The activation of another is as good as not there."""
    theirs = await web.sold("cad", "ben")
    ada, ben = await end_user(web, "ada"), await end_user(web, "ben")
    id = {"activation_id": theirs.activation_id}
    await web.refused(NotFound, "GetActivation", caller=ada, **id)
    await web.refused(NotFound, "ReturnActivation", caller=ada, **id)
    await web.refused(NotFound, "MoveActivation", caller=ada, container=CONTAINER, **id)
    assert (await web("GetActivation", caller=ben, **id)).user == "ben"
    assert (await web("ReturnActivation", caller=ben, **id)).state == "returned"
