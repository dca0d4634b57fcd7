"""The client half of tpm: has the TPM sign, and has it open. Every key is derived in the TPM and stays there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec
from tpm2_pytss import ESAPI, TSS2_Exception
from tpm2_pytss.constants import ESYS_TR, TPM2_ALG, TPM2_RC, TPM2_SE, TPMA_SESSION
from tpm2_pytss.types import TPM2B_ENCRYPTED_SECRET, TPM2B_ID_OBJECT, TPM2B_PUBLIC, TPML_PCR_SELECTION, TPMT_PUBLIC
from tpm2_pytss.utils import NoSuchIndex, NVReadEK

from licentia.bindings import ClientHalf, Unsealed
from licentia.errors import BindingEvidenceInvalid, BindingMismatch, FieldProblem
from licentia.settings import table
from licentia_plugins.bindings.tpm.messages import Evidence, answer_to, read_record
from licentia_plugins.bindings.tpm.settings import DeviceSettings
from licentia_plugins.bindings.tpm.structures import (
    ENDORSEMENT_TEMPLATE,
    IDENTITY_SEED,
    IDENTITY_TEMPLATE,
    MODULUS_BYTES,
    name_of,
)

ENDORSEMENT_HANDLE = 0x81010001
"""Where the endorsement key is kept, if it is (TCG, TPM v2.0 Provisioning Guidance, section 7.8)."""

CERTIFICATE_INDEX = 0x01C00002
"""Where the maker puts its certificate for it (TCG, EK Credential Profile, section 2.2.1.4)."""

EMPTY_MODULUS = MODULUS_BYTES.to_bytes(2, "big") + bytes(MODULUS_BYTES)
NOT_OURS = frozenset({TPM2_RC.INTEGRITY, TPM2_RC.VALUE, TPM2_RC.SIZE, TPM2_RC.FAILURE})
"""What a TPM answers to a credential for another one; FAILURE is what libtpms says before 0.10 if it cannot decrypt."""


class TpmClient(ClientHalf):
    """Works through libtss2; each call opens the TPM and closes it again."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self._settings = table(settings, DeviceSettings, f"binding.{name}")

    def _collect(self, nonce: str) -> bytes:
        try:
            opened = ESAPI(self._settings.tcti)
        except TSS2_Exception as error:
            raise BindingEvidenceInvalid(
                f"There is no TPM at {self._settings.tcti}: {error}.",
                help="Switch the TPM on in the firmware, and let the user into the group `tss`.",
            ) from None
        with _Tpm(opened) as tpm:
            endorsement_key = tpm.endorsement()[1]
            signer, identity_key = tpm.identity()
            quote, signature = tpm.esapi.quote(signer, TPML_PCR_SELECTION(), answer_to(nonce, endorsement_key))
            evidence = Evidence(
                endorsement_key=endorsement_key,
                endorsement_certificate=tpm.certificate(),
                identity_key=identity_key,
                quote=bytes(quote),
                signature=signature.marshal(),
            )
        return msgspec.json.encode(evidence)

    def _unseal(self, record: bytes) -> Unsealed:
        given = read_record(record)
        try:
            opened = ESAPI(self._settings.tcti)
        except TSS2_Exception as error:
            raise _mismatch("tpm", f"There is no TPM at {self._settings.tcti}: {error}.") from None
        with _Tpm(opened) as tpm:
            holder, identity_key = tpm.identity()
            if name_of(identity_key) != given.name:
                raise _mismatch("tpm", "This is another TPM, or its endorsement seed was replaced.")
            try:
                secret = tpm.activate(holder, given.integrity, given.identity, given.seed)
            except TSS2_Exception as error:
                if error.error not in NOT_OURS:
                    raise
                raise _mismatch("tpm", "The TPM does not open this: it was sealed to another one.") from None
        return Unsealed(secret=secret, weak=given.weak)


class _Tpm:
    """An open TPM, which in the end is closed and holds nothing more of ours."""

    def __init__(self, esapi: ESAPI) -> None:
        self.esapi = esapi
        self._stack = ExitStack()

    def __enter__(self) -> _Tpm:
        self._stack.callback(self.esapi.close)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def endorsement(self) -> tuple[ESYS_TR, bytes]:
        """The endorsement key: the one that is kept, else derived anew, which may take many seconds."""
        try:
            handle = self.esapi.tr_from_tpmpublic(ENDORSEMENT_HANDLE)
            public = self.esapi.read_public(handle)[0].publicArea.marshal()
        except TSS2_Exception:
            public = b""
        if public.startswith(ENDORSEMENT_TEMPLATE):
            return handle, public
        return self._derived(ENDORSEMENT_TEMPLATE + EMPTY_MODULUS)

    def identity(self) -> tuple[ESYS_TR, bytes]:
        """Our signing key."""
        return self._derived(IDENTITY_TEMPLATE + IDENTITY_SEED)

    def certificate(self) -> bytes:
        """The maker's certificate for the endorsement key in DER, without what is behind it; empty if there is none."""
        try:
            stored: bytes = NVReadEK(self.esapi)(CERTIFICATE_INDEX)
        except (NoSuchIndex, TSS2_Exception):
            return b""
        return stored[: 4 + int.from_bytes(stored[2:4], "big")] if stored[:2] == b"\x30\x82" else b""

    def activate(self, holder: ESYS_TR, integrity: bytes, identity: bytes, seed: bytes) -> bytes:
        """The secret of a credential; it leaves the TPM encrypted, so that nobody reads it on the wire."""
        endorsement_key, _ = self.endorsement()
        with self._session(TPM2_SE.POLICY) as policy, self._session(TPM2_SE.HMAC, salt=endorsement_key) as hidden:
            self.esapi.policy_secret(ESYS_TR.ENDORSEMENT, policy)
            self.esapi.trsess_set_attributes(hidden, TPMA_SESSION.ENCRYPT | TPMA_SESSION.CONTINUESESSION)
            opened = self.esapi.activate_credential(
                holder,
                endorsement_key,
                TPM2B_ID_OBJECT(len(integrity).to_bytes(2, "big") + integrity + identity),
                TPM2B_ENCRYPTED_SECRET(seed),
                session2=policy,
                session3=hidden,
            )
        return bytes(opened)

    def _derived(self, template: bytes) -> tuple[ESYS_TR, bytes]:
        wanted = TPM2B_PUBLIC(TPMT_PUBLIC.unmarshal(template)[0])
        handle, public, *_ = self.esapi.create_primary(None, wanted, ESYS_TR.ENDORSEMENT)
        self._stack.callback(self.esapi.flush_context, handle)
        return handle, public.publicArea.marshal()

    @contextmanager
    def _session(self, kind: TPM2_SE, salt: ESYS_TR = ESYS_TR.NONE) -> Iterator[ESYS_TR]:
        session = self.esapi.start_auth_session(salt, ESYS_TR.NONE, kind, "aes128cfb", TPM2_ALG.SHA256)
        try:
            yield session
        finally:
            self.esapi.flush_context(session)


def _mismatch(feature: str, detail: str) -> BindingMismatch:
    return BindingMismatch(detail, problems=[FieldProblem(f"/features/{feature}", detail)])
