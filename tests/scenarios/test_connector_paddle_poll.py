"""Paddle through the whole server: a notification that is lost, the poll that finds it, and the written ticket."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import timedelta
from typing import Any

import loopback_shop as loopback
import msgspec
import paddle_account as paddle
from vendor import Vendor, until

from licentia.crypto.webhooks import signature_text

SECRET = "pdl_ntfset_of_the_tests"
SECOND = timedelta(seconds=1)


class PaddleVendor(Vendor):
    """The vendor, whose orders come from Paddle."""

    def __init__(self, server: Any) -> None:
        super().__init__(server, "paddle")
        self.sells("pri_cad", expires_at="2099-01-01T00:00:00Z", renewal_days=365)

    def take(self, event: dict[str, Any]) -> int:
        """Take a notification, signed; the status of the answer."""
        body, stamp = msgspec.json.encode(event | {"notification_id": "ntf_1"}), str(int(time.time()))
        signed = signature_text(SECRET.encode(), f"{stamp}:".encode() + body, "hex")
        headers = {"paddle-signature": f"ts={stamp};h1={signed}"}
        return self.http.post("/connectors/paddle", content=body, headers=headers).status_code


def test_a_notification_that_is_lost_is_found(serve: Any) -> None:
    """What was delivered is listed as well, and is one order; what was lost is found. Each has its ticket written."""
    account = paddle.PaddleAccount()
    account.entities = {
        "txn_1": paddle.transaction("1"),
        "txn_2": paddle.transaction("2", subscription_id="sub_2"),
        "sub_2": {"status": "active", "customer_id": "ctm_ann", "custom_data": {"crm": "7"}},
        "ctm_ann": {},
    }
    with loopback.listening(account) as address:
        settings = {"secret": SECRET, "api_key": paddle.KEY, "api_url": address, "poll_seconds": 0}
        with serve(connector={"paddle": settings}) as server, closing(PaddleVendor(server)) as vendor:
            told = account.happens("transaction.completed", account.entities["txn_1"])
            assert vendor.take(account.events[told]) == 200
            until(lambda: account.noted("ctm_ann"))

            account.happens("transaction.completed", account.entities["txn_2"])
            begun = {"id": "sub_2", "status": "active", "transaction_id": "txn_2", "customer_id": "ctm_ann",
                     "items": [{"price": {"id": "pri_cad"}, "quantity": 2, "status": "active"}]}  # fmt: skip
            account.happens("subscription.created", begun)
            vendor.polls()
            until(lambda: account.noted("sub_2").get("licentia_ticket"))
            tickets = {number: vendor.order(number)["ticket"] for number in ("txn_1", "txn_2")}
            assert account.noted("ctm_ann") == {"licentia_ticket_txn_1": tickets["txn_1"]}
            assert account.noted("sub_2") == {"crm": "7", "licentia_ticket": tickets["txn_2"]}
            assert [vendor.seats(number) for number in tickets] == [2, 2]

            items = [{"price": {"id": "pri_cad"}, "quantity": 3, "status": "active"}]
            account.clock += SECOND
            account.happens("subscription.updated", begun | {"custom_data": account.noted("sub_2"), "items": items})
            vendor.polls()
            until(lambda: vendor.seats("txn_2") == 3)
            assert account.writes == 2
