"""tpm: a machine is its TPM 2.0, by two keys that never leave it.

For physical machines, and virtual ones whose TPM is not part of their image: what is sealed to a TPM
opens with that TPM only, however exactly disk and firmware were copied.
"""

from __future__ import annotations

from licentia.bindings import Binding, ClientHalf, ServerHalf
from licentia.errors import Unavailable


class Tpm(Binding):
    """Ties to one TPM. The server needs no TPM and no library for it; the device needs `licentia[tpm]`."""

    def server(self) -> ServerHalf:
        """The half that judges quotes and seals to the TPM's endorsement key."""
        from licentia_plugins.bindings.tpm.server import TpmServer

        return TpmServer(self.name, self.settings)

    def client(self) -> ClientHalf:
        """The half that uses the TPM. Unavailable if the library for it is not installed."""
        try:
            from licentia_plugins.bindings.tpm.client import TpmClient
        except ImportError as error:
            raise Unavailable(
                f"binding({self.name}): the library for the TPM is not there: {error}",
                help="Install `licentia[tpm]` and the system's libtss2 (Debian: libtss2-dev, libtss2-tcti-device0).",
            ) from None
        return TpmClient(self.name, self.settings)
