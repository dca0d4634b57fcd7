"""What the author of a binding implements, and the facade through which the core and the client call it.

A binding ties a container to something that cannot be copied with it: the hardware of a machine, a
virtual machine of a cloud, a TPM. It has two halves with one name. On the device the **client half**
collects evidence of what it runs on, and opens there what was sealed to it. On the server the **server
half** verifies the evidence, names the identity that it proves, and seals a secret to it.

The author writes the methods with an underscore; everybody else calls the ones without, which check
both directions and let only documented errors out, each naming the plugin. What the evidence and the
record look like is the plugin's own affair: the core carries both as bytes. That a piece of evidence
is used for one container only is the core's affair.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from licentia.errors import BindingEvidenceInvalid, DocumentInvalid, LicensingError, Unavailable

API = 1
"""The version of this contract. A plugin names the one it was written for in its `api`."""

SECRET_BYTES = 32
EVIDENCE_LIMIT = 64 * 1024
"""The longest evidence, and the longest record, in bytes."""


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What evidence has to answer.

    `nonce` is 32 letters and digits, made from the container's key and its request, so evidence that
    repeats it was collected for this very request. `at` is the time as of which it is judged.
    """

    nonce: str
    at: datetime


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What evidence proves.

    Attributes:
        name: the machine, unique within its binding, at most 200 characters. Empty: the binding knows
            no names, and the core keeps no book of them.
        attributes: what a person wants to know of it, as `region`; in words of the plugin's own.
        fresh: the evidence answers the challenge. If not, it may be a copy, so the core lets the first
            container that brings this name keep it.
        weak: it says so little that another machine may look the same; the vendor's policy decides.
    """

    name: str = ""
    attributes: Mapping[str, str] = {}
    fresh: bool = False
    weak: bool = False


class Unsealed(msgspec.Struct, frozen=True, kw_only=True):
    """A secret of 32 bytes that was opened, and what differs here from when it was sealed.

    `changed` names the features that are different or missing; `weak` is as in `Identity`.
    """

    secret: bytes
    changed: tuple[str, ...] = ()
    weak: bool = False

    def __repr__(self) -> str:
        return f"Unsealed(changed={self.changed!r}, weak={self.weak!r})"


class Half:
    """What both halves have in common: a name and the settings of their side."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.settings = settings

    def _broken(self, method: str, what: str) -> Unavailable:
        return Unavailable(
            f"binding({self.name}): {method} {what}", help="Tell whoever maintains this plugin; the log has its error."
        )


class ServerHalf(Half, ABC):
    """Judges evidence and seals to what it proves. `settings` is the table `[binding.NAME]` of the server."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("_verify", "_seal"):
            method = cls.__dict__.get(name)
            if method is not None and not inspect.iscoroutinefunction(method):
                raise TypeError(f"{cls.__qualname__}.{name} must be an `async def`")

    @abstractmethod
    async def _verify(self, evidence: bytes, challenge: Challenge) -> Identity:
        """The identity that the evidence proves; BindingEvidenceInvalid, with the reason, if it proves none."""

    @abstractmethod
    async def _seal(self, evidence: bytes, secret: bytes) -> bytes:
        """A record from which only the machine of this verified evidence gets the 32 bytes of `secret`."""

    async def close(self) -> None:
        """Give up connections; called once, at shutdown."""

    async def verify(self, evidence: bytes, challenge: Challenge) -> Identity:
        """The identity that the evidence proves.

        Raises:
            BindingEvidenceInvalid: it proves none; the detail says why.
            Unavailable: the plugin failed, or cannot reach what it needs.
        """
        self._check_size("verify", evidence)
        identity = await self._guarded("verify", self._verify(evidence, challenge))
        if not isinstance(identity, Identity) or len(identity.name) > 200:
            raise self._broken("verify", f"answered {type(identity).__name__} instead of an Identity")
        return identity

    async def seal(self, evidence: bytes, secret: bytes) -> bytes:
        """A record from which the machine of this evidence gets the secret; errors as in `verify`."""
        record = await self._guarded("seal", self._seal(evidence, secret))
        if not isinstance(record, bytes) or not 0 < len(record) <= EVIDENCE_LIMIT:
            raise self._broken("seal", "did not answer bytes of a sensible length")
        return record

    async def _guarded(self, name: str, answer: Any) -> Any:
        import structlog  # the client half, on a device, has no log of ours

        try:
            return await answer
        except LicensingError:
            raise
        except Exception as error:
            log = structlog.get_logger(__name__)
            log.exception("plugin_failed", plugin=f"binding({self.name})", method=name)
            raise self._broken(name, f"failed with {type(error).__name__}") from error

    def _check_size(self, method: str, evidence: bytes) -> None:
        if not 0 < len(evidence) <= EVIDENCE_LIMIT:
            raise BindingEvidenceInvalid(f"The evidence for {self.name!r} has {len(evidence)} bytes.")


class ClientHalf(Half, ABC):
    """Collects evidence on the device, and opens there. `settings` are those that the application gives."""

    @abstractmethod
    def _collect(self, nonce: str) -> bytes:
        """Evidence of what this is; where the source of it can, with the nonce inside."""

    @abstractmethod
    def _unseal(self, record: bytes) -> Unsealed:
        """The secret, if this still is what it was sealed to; else BindingMismatch, naming what changed."""

    def collect(self, nonce: str) -> bytes:
        """Evidence of what this machine is.

        Raises:
            BindingEvidenceInvalid: there is nothing here that this binding could ask, as no metadata service.
            Unavailable: the plugin failed.
        """
        evidence = self._guarded("collect", self._collect, nonce)
        if not isinstance(evidence, bytes) or not 0 < len(evidence) <= EVIDENCE_LIMIT:
            raise self._broken("collect", "did not answer bytes of a sensible length")
        return evidence

    def unseal(self, record: bytes) -> Unsealed:
        """The secret that the server half has sealed to this machine.

        Raises:
            DocumentInvalid: this is no record.
            BindingMismatch: this is another machine, or it has changed too much; `problems` has a pointer
                `/features/NAME` for each feature that changed.
            Unavailable: the plugin failed.
        """
        if not 0 < len(record) <= EVIDENCE_LIMIT:
            raise DocumentInvalid(f"The record for {self.name!r} has {len(record)} bytes.")
        unsealed = self._guarded("unseal", self._unseal, record)
        if not isinstance(unsealed, Unsealed) or len(unsealed.secret) != SECRET_BYTES:
            raise self._broken("unseal", f"answered {type(unsealed).__name__} instead of an Unsealed with 32 bytes")
        return unsealed

    def _guarded(self, name: str, method: Any, given: Any) -> Any:
        try:
            return method(given)
        except LicensingError:
            raise
        except Exception as error:
            raise self._broken(name, f"failed with {type(error).__name__}: {error}") from error


class Dated(ABC):
    """The ability of a server half whose evidence says when it was issued."""

    @abstractmethod
    def _issued_at(self, evidence: bytes) -> datetime:
        """When the evidence says that it was issued, in UTC; nothing of it is verified. BindingEvidenceInvalid."""


class Features(msgspec.Struct, frozen=True, kw_only=True):
    """What can be told of a machine, as text in one normal form; `absent` says why a feature is not among them."""

    values: Mapping[str, str]
    absent: Mapping[str, str] = {}


class Fingerprint(ABC):
    """The ability of a client half whose evidence is a set of features, which can be looked at one by one."""

    @abstractmethod
    def _features(self, report: str | None) -> Features:
        """The features of this machine, or of a written report of one; InvalidRequest if it is no such report."""

    @abstractmethod
    def _evidence_of(self, features: Mapping[str, str]) -> bytes:
        """The evidence that a machine with these features would give."""

    @abstractmethod
    def _unseal_with(self, record: bytes, features: Mapping[str, str]) -> Unsealed:
        """As `_unseal`, on a machine with these features."""


class Binding(ABC):
    """What the entry point names: both halves, of which each side makes its own, so that it loads no other code.

    `settings` is the table `[binding.NAME]` of the server's settings, or on a device what the
    application gives. `device_bound` says that it ties to one machine, as node-locked licenses demand;
    `trials_only`, that it proves nothing and is for licenses that end by themselves.
    """

    api: ClassVar[int] = API
    device_bound: ClassVar[bool] = True
    trials_only: ClassVar[bool] = False

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.settings = settings

    @property
    def capabilities(self) -> list[str]:
        """What it is for, for people to read."""
        return [word for word, has in (("device-bound", self.device_bound), ("trials-only", self.trials_only)) if has]

    @abstractmethod
    def server(self) -> ServerHalf:
        """The server half; import it here, not above. SettingsError if a setting is wrong."""

    @abstractmethod
    def client(self) -> ClientHalf:
        """The client half; import it here, not above."""
