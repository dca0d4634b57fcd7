"""myname: a user is whoever holds a token, of which the settings know the hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from licentia.directories import Subject, UserClaim, UserDirectory
from licentia.errors import Unauthenticated


class User(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user: the SHA-256 of the token in hexadecimal, and the groups."""

    token_sha256: str
    groups: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[directory.myname]`: how tokens of this directory begin, and its users."""

    prefix: str = "myname-"
    users: dict[str, User] = {}


class MyNamePlugin(UserDirectory):
    """Tokens that begin otherwise are left to other directories; make tokens of at least 32 random characters."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        given = msgspec.convert(settings, Settings)
        self.prefix = given.prefix
        self.subjects = {
            user.token_sha256: Subject(user=name, groups=user.groups) for name, user in given.users.items()
        }

    async def _identify(self, claim: UserClaim) -> Subject | None:
        if claim.token is None or not claim.token.startswith(self.prefix):
            return None
        subject = self.subjects.get(hashlib.sha256(claim.token.encode("utf-8", "surrogatepass")).hexdigest())
        if subject is None:
            raise Unauthenticated("This token is nobody's.", help="Ask the operator for a new token.")
        return subject
