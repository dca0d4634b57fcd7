"""What a caller shows in the `Authorization` header (RFC 9110, section 11.6.2)."""

from __future__ import annotations

from base64 import b64decode

from starlette.types import Scope

from licentia.errors import Unauthenticated
from licentia.services.identity import BearerToken, Credentials, KeyPair
from licentia_gateways.received import header


def credentials(scope: Scope) -> Credentials | None:
    """The key or token of the header, not yet checked; None without the header.

    Bearer (RFC 6750) carries a whole key or a token of the vendor's identity provider, Basic
    (RFC 7617) a key's id and its secret.

    Raises:
        Unauthenticated: the header is there but cannot be understood.
    """
    value = header(scope, b"authorization")
    if value is None:
        return None
    scheme, _, rest = value.partition(" ")
    match scheme.lower():
        case "bearer":
            return BearerToken(token=rest.strip())
        case "basic":
            return _key_pair(rest.strip())
    raise Unauthenticated("The header Authorization has to be of the scheme Bearer or Basic.")


def _key_pair(encoded: str) -> KeyPair:
    try:
        key_id, colon, secret = b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except ValueError:
        colon = ""
    if not colon:
        raise Unauthenticated("Basic credentials are the base64 form of `key id:secret`.")
    return KeyPair(key_id=key_id, secret=secret)
