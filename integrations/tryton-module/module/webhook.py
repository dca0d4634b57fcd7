"""Sends one event, signed by Standard Webhooks 1.0 (https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
import json
import logging
import secrets
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from urllib.parse import urlsplit

from trytond import config
from trytond.transaction import Transaction

logger = logging.getLogger(__name__)

SECONDS = 3
"""How long somebody who pressed a button waits at most, where Tryton's queue has no workers."""

LOCAL = ("127.0.0.1", "::1", "localhost")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def rings():
    """Whether there is somebody to ring at, for this database."""
    database = config.get("licentia", "database")
    return bool(config.get("licentia", "url")) and database in (None, "", Transaction().database.name)


def ring(kind, data):
    """Send one event. A failure is logged, and goes no further: no sale waits for Licentia."""
    url = config.get("licentia", "url") or ""
    try:
        request = _request(url, config.get("licentia", "secret") or "", kind, data)
        with _opener.open(request, timeout=SECONDS) as reply:
            reply.read(1000)
    except (OSError, ValueError) as error:  # URLError, HTTPError and timeouts are OSErrors
        logger.error("Licentia was not told of %s %s: %s", data["model"], data["number"], error)


def _request(url, secret, kind, data):
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL):
        raise ValueError("[licentia] url: not https")
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    if len(key) < 24:
        raise ValueError("[licentia] secret: none of Standard Webhooks, whsec_ and at least 24 bytes in base64")
    now = datetime.now(UTC)
    body = json.dumps({"type": kind, "timestamp": now.isoformat(), "data": data}).encode()
    id, at = f"msg_{secrets.token_hex(16)}", str(int(time.time()))
    signature = hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()
    headers = {
        "Content-Type": "application/json",
        "Webhook-Id": id,
        "Webhook-Timestamp": at,
        "Webhook-Signature": "v1," + base64.b64encode(signature).decode(),
    }
    return urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - the scheme is one of two
