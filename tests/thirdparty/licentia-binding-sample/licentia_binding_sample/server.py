"""The server half."""

import hashlib

from Crypto.Protocol import HPKE
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa

from licentia.bindings import Identity, ServerHalf
from licentia.errors import BindingEvidenceInvalid


class Server(ServerHalf):
    """Checks who signed the nonce, and seals to the key of the same stick."""

    async def _verify(self, evidence, challenge):
        keys, signature = evidence[:64], evidence[64:]
        try:
            signer = eddsa.new(eddsa.import_public_key(keys[:32]), mode="rfc8032")
            signer.verify(challenge.nonce.encode() + keys, signature)
        except ValueError:
            raise BindingEvidenceInvalid("No stick has signed this nonce.") from None
        return Identity(name=hashlib.sha256(keys).hexdigest(), fresh=True)

    async def _seal(self, evidence, secret):
        key = ECC.construct(curve="X25519", point_x=int.from_bytes(evidence[32:64], "little"))
        sealer = HPKE.new(receiver_key=key, aead_id=HPKE.AEAD.AES256_GCM)
        return sealer.enc + sealer.seal(secret)
