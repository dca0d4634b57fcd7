"""The server half of tpm: judges a quote, and seals to the endorsement key. No TPM is needed for it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC
from Crypto.Signature import DSS

from licentia.bindings import Challenge, Identity, ServerHalf
from licentia.errors import BindingEvidenceInvalid
from licentia.settings import table
from licentia_plugins.bindings.tpm import credential, structures
from licentia_plugins.bindings.tpm.makers import CertificateError, Makers, modulus_of
from licentia_plugins.bindings.tpm.messages import Evidence, Record, answer_to, read_evidence
from licentia_plugins.bindings.tpm.settings import TpmSettings
from licentia_plugins.bindings.tpm.structures import StructureError


class TpmServer(ServerHalf):
    """The name that it proves is that of the TPM's signing key.

    That this key is inside the TPM with the endorsement key is not proven by the evidence: it is what
    the TPM itself demands before it opens the record. A name that is made up therefore opens nothing.
    """

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self._settings = table(settings, TpmSettings, f"binding.{name}")
        self._makers = Makers(self._settings.trust)

    async def _verify(self, evidence: bytes, challenge: Challenge) -> Identity:
        try:
            given = read_evidence(evidence)
            quote = _signed_quote(given)
            if not hmac.compare_digest(quote.qualifying_data, answer_to(challenge.nonce, given.endorsement_key)):
                raise StructureError("The quote answers another request.")
            structures.endorsement_modulus(given.endorsement_key)
            said = self._vouched_for(given, challenge.at)
        except (StructureError, CertificateError) as error:
            raise _refusal(error) from None
        return Identity(
            name=structures.name_of(given.identity_key).hex(),
            attributes={
                "endorsement_key": hashlib.sha256(given.endorsement_key).hexdigest(),
                "firmware": f"{quote.firmware:016x}",
            }
            | (said or {}),
            fresh=True,
            weak=said is None,
        )

    async def _seal(self, evidence: bytes, secret: bytes) -> bytes:
        try:
            given = read_evidence(evidence)
            modulus = structures.endorsement_modulus(given.endorsement_key)
            weak = self._vouched_for(given, None) is None
        except (StructureError, CertificateError) as error:
            raise _refusal(error) from None
        name = structures.name_of(given.identity_key)
        made = credential.make(modulus, name, secret)
        record = Record(name=name, integrity=made.integrity, identity=made.identity, seed=made.seed, weak=weak)
        return msgspec.json.encode(record)

    def _vouched_for(self, given: Evidence, at: datetime | None) -> dict[str, str] | None:
        """What a maker says of this TPM; None if none vouches for it and none has to."""
        try:
            if not given.endorsement_certificate:
                raise CertificateError("The TPM has no endorsement certificate.")
            said = self._makers.check(given.endorsement_certificate, at)
        except CertificateError:
            if self._settings.require_ek_certificate:
                raise
            return None
        if modulus_of(given.endorsement_certificate) != structures.endorsement_modulus(given.endorsement_key):
            raise CertificateError("The endorsement certificate is that of another TPM.")
        return said


def _signed_quote(given: Evidence) -> structures.Quote:
    x, y = structures.identity_point(given.identity_key)
    try:
        key = ECC.construct(curve="P-256", point_x=x, point_y=y)
        DSS.new(key, "fips-186-3").verify(SHA256.new(given.quote), structures.signature(given.signature))
    except StructureError:
        raise
    except ValueError:
        raise StructureError("The quote's signature does not hold.") from None
    return structures.quote(given.quote)


def _refusal(error: Exception) -> BindingEvidenceInvalid:
    return BindingEvidenceInvalid(str(error))
