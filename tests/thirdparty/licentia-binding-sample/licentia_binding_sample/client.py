"""The client half."""

import hashlib
from pathlib import Path

from Crypto.Protocol import HPKE
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa

from licentia.bindings import ClientHalf, Unsealed
from licentia.errors import BindingEvidenceInvalid, BindingMismatch


class Client(ClientHalf):
    """Signs the nonce, and opens what is sealed to the key of the stick."""

    def keys(self):
        try:
            seed = bytes.fromhex(Path(self.settings["stick"]).read_text("ascii"))
        except (OSError, ValueError):
            raise BindingEvidenceInvalid("There is no stick with a key.") from None
        ours = [hashlib.sha256(seed + purpose).digest() for purpose in (b"sign", b"open")]
        return ECC.construct(curve="Ed25519", seed=ours[0]), ECC.construct(curve="X25519", seed=ours[1])

    def _collect(self, nonce):
        keys = self.keys()
        public = b"".join(key.public_key().export_key(format="raw") for key in keys)
        return public + eddsa.new(keys[0], mode="rfc8032").sign(nonce.encode() + public)

    def _unseal(self, record):
        try:
            opener = HPKE.new(receiver_key=self.keys()[1], aead_id=HPKE.AEAD.AES256_GCM, enc=record[:32])
            return Unsealed(secret=opener.unseal(record[32:]))
        except ValueError:
            raise BindingMismatch("This was sealed to another stick.") from None
