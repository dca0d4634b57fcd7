"""The programs in docs/webhooks.md verify what we send, and refuse what was changed."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from licentia.crypto.webhookkeys import WebhookKeys, signed_headers

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
KEYS, OLD = WebhookKeys.generate(), WebhookKeys.generate()
BODY = '{"type": "order.placed", "data": {"n": "é"}}'.encode()


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What the programs of the page define."""
    defined: dict[str, Any] = {}
    for program in re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        exec(program, defined)
    return defined


@pytest.mark.parametrize(("program", "key"), [("receive", "shown_secret"), ("receive_by_public_key", "public_key")])
def test_a_program_of_the_page(page: dict[str, Any], program: str, key: str) -> None:
    """It takes a message by the new key and by the old one, and refuses a changed, an old and a stranger's one."""
    receive, now = page[program], int(time.time())
    good = signed_headers([KEYS, OLD], "msg_1", now, BODY)
    for keys in (KEYS, OLD):
        assert receive(good, BODY, getattr(keys, key))
    assert not receive(good, BODY + b" ", getattr(KEYS, key))
    assert not receive(good | {"webhook-id": "msg_2"}, BODY, getattr(KEYS, key))
    assert not receive(good, BODY, getattr(WebhookKeys.generate(), key))
    assert not receive(signed_headers([KEYS], "msg_1", now - 400, BODY), BODY, getattr(KEYS, key))
