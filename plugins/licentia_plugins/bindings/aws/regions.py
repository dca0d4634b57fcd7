"""The keys with which AWS signs in each region: a table of facts, and what an operator adds to it.

`python -m licentia_plugins.bindings.aws.regions FOLDER > regions.json` makes the table from a folder
of certificates named by region, as `us-west-2.pem`; AWS publishes them in "AWS public certificates
for instance identity document signatures", Amazon EC2 User Guide, under RSA-2048.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import msgspec

from licentia.crypto import rsa
from licentia.crypto.certificates import in_folder


class RegionKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a region.

    `signer` is issuer and serial number of its certificate in DER, by which a signed document names
    it; `key` is the SubjectPublicKeyInfo in DER. It counts from `not_before` to `not_after`.
    """

    not_before: datetime
    not_after: datetime
    signer: bytes
    key: bytes


Regions = Mapping[str, Sequence[RegionKey]]


def shipped() -> Regions:
    """The table that is part of this plugin."""
    table = files(__package__).joinpath("regions.json").read_bytes()
    return msgspec.json.decode(table, type=dict[str, list[RegionKey]])


def from_folder(folder: Path) -> Regions:
    """The keys of a folder of certificates, each in a file named by its region; weak keys are left out.

    Raises:
        OSError: it cannot be read.
        CertificateError: a file is damaged.
    """
    regions: dict[str, list[RegionKey]] = {}
    for path, certificate in in_folder(folder):
        try:
            rsa.public_key(certificate.key)
        except rsa.WeakKey:
            continue
        key = RegionKey(
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            signer=certificate.signer,
            key=certificate.key,
        )
        regions.setdefault(path.stem, []).append(key)
    return regions


def merged(first: Regions, second: Regions) -> Regions:
    """Both tables; what both have is there once."""
    return {
        region: tuple(dict.fromkeys((*first.get(region, ()), *second.get(region, ())))) for region in {*first, *second}
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(from_folder(Path(sys.argv[1]))), indent=1) + b"\n")
