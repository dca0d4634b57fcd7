"""What links Licentia to the vendor's own user management; Licentia has no users itself.

A directory answers one question: who is meant? Either a trusted back end names a user, or an
application presents a token that the vendor's identity provider issued to its user.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
import structlog

from licentia.errors import LicensingError, Unavailable

API = 1
log = structlog.get_logger(__name__)


class UserClaim(msgspec.Struct, frozen=True, kw_only=True):
    """Who is said to be meant: the `user` that the holder of a key names, or a `token` of the user's own."""

    user: str | None = None
    token: str | None = None


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A user as the directory knows them. Licenses bound to one of `groups` may be used as well."""

    user: str
    groups: tuple[str, ...] = ()

    @property
    def bindings(self) -> tuple[str, ...]:
        """What a container may be bound to so that this user may draw on it."""
        return (self.user, *self.groups)


class UserDirectory(ABC):
    """One way to know users. `settings` is the table `[directory.NAME]` of the settings file."""

    api: ClassVar[int] = API
    capabilities: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.settings = settings

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        method = cls.__dict__.get("_identify")
        if method is not None and not inspect.iscoroutinefunction(method):
            raise TypeError(f"{cls.__qualname__}._identify must be an `async def`")

    @abstractmethod
    async def _identify(self, claim: UserClaim) -> Subject | None:
        """The user that is meant; None if this directory has nothing to say about such a claim."""

    async def close(self) -> None:  # noqa: B027 - most have nothing to give up
        """Give up connections; called once, at shutdown."""

    async def identify(self, claim: UserClaim) -> Subject | None:
        """The user that is meant, or None if another directory should be asked.

        Raises:
            LicensingError: the claim is this directory's to judge, and it refuses it.
            Unavailable: the plugin failed.
        """
        try:
            subject = await self._identify(claim)
        except LicensingError:
            raise
        except Exception as error:
            log.exception("plugin_failed", plugin=f"directory({self.name})", method="identify")
            raise self._broken(f"failed with {type(error).__name__}") from error
        if subject is not None and (not isinstance(subject, Subject) or not subject.user):
            raise self._broken(f"answered {type(subject).__name__} instead of a Subject with a user")
        return subject

    def _broken(self, what: str) -> Unavailable:
        return Unavailable(
            f"directory({self.name}): identify {what}", help="Tell the operator; the log names the plugin's error."
        )
