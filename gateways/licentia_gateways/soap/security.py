"""The WS-Security UsernameToken, with a text or a digest password (OASIS WSS UsernameToken Profile 1.0)."""

from __future__ import annotations

from base64 import b64decode

from lxml import etree

from licentia.errors import Unauthenticated
from licentia.services.identity import Credentials, KeyDigest, KeyPair

_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_WSSE = f"{{{_WSS}wssecurity-secext-1.0.xsd}}"
_WSU = f"{{{_WSS}wssecurity-utility-1.0.xsd}}"
_TEXT = f"{_WSS}username-token-profile-1.0#PasswordText"
_DIGEST = f"{_WSS}username-token-profile-1.0#PasswordDigest"


def username_token(security: etree._Element) -> Credentials | None:
    """The credentials in a Security header, not yet checked; None if it holds no UsernameToken.

    Whether a digest is right, fresh and not used before is for the core to say, from the Nonce and
    the Created that must come with it here.

    Raises:
        Unauthenticated: the token is not of a form that is known here.
    """
    tokens = security.findall(_WSSE + "UsernameToken")
    if not tokens:
        return None
    if len(tokens) > 1:
        raise Unauthenticated("The Security header holds more than one UsernameToken.")
    (token,) = tokens
    password = token.find(_WSSE + "Password")
    key_id = token.findtext(_WSSE + "Username")
    if not key_id or password is None:
        raise Unauthenticated("The UsernameToken lacks a Username or a Password.")
    form = password.get("Type", _TEXT)
    if form == _TEXT:
        return KeyPair(key_id=key_id, secret=password.text or "")
    if form != _DIGEST:
        raise Unauthenticated("The Password is neither a PasswordText nor a PasswordDigest.")
    nonce, created = token.findtext(_WSSE + "Nonce"), token.findtext(_WSU + "Created")
    if not nonce or not created:
        raise Unauthenticated("A PasswordDigest comes with a Nonce and a Created.")
    digest = _decoded(password.text or "", "PasswordDigest")
    return KeyDigest(key_id=key_id, digest=digest, nonce=_decoded(nonce, "Nonce"), created=created)


def _decoded(text: str, what: str) -> bytes:
    try:
        return b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise Unauthenticated(f"The {what} has to be base64.") from None
