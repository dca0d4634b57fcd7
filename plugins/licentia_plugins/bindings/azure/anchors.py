"""Who certifies Azure's metadata service: a table of facts, name and key and validity of each authority.

`python -m licentia_plugins.bindings.azure.anchors FOLDER > anchors.json` makes the table from a folder
of certificates: of roots, and of authorities below them, each of which is checked against its root.
Microsoft publishes them in "Azure Certificate Authority details", Microsoft Learn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

import msgspec

from licentia.crypto import chains
from licentia.crypto.certificates import Certificate, in_folder
from licentia.crypto.chains import Anchor, anchor


def shipped() -> list[Anchor]:
    """The table that is part of this plugin."""
    return msgspec.json.decode(files(__package__).joinpath("anchors.json").read_bytes(), type=list[Anchor])


def from_folder(folder: Path) -> tuple[list[Anchor], list[Certificate]]:
    """The roots of a folder of certificates, as anchors, and the authorities below any root.

    Raises:
        OSError: it cannot be read.
        CertificateError: a file is damaged.
    """
    certificates = [certificate for _, certificate in in_folder(folder) if certificate.ca]
    roots = [anchor(each) for each in certificates if each.subject == each.issuer]
    return roots, [each for each in certificates if each.subject != each.issuer]


def table(roots: Sequence[Anchor], below: Iterable[Certificate]) -> list[Anchor]:
    """Roots and authorities as anchors, each key once.

    Raises:
        ChainError: an authority does not lead to one of the roots.
    """
    facts = {each.key: each for each in roots}
    for each in below:
        chains.check(each, (), roots, each.not_before)
        facts.setdefault(each.key, anchor(each))
    return sorted(facts.values(), key=lambda each: each.title)


if __name__ == "__main__":
    facts = msgspec.json.encode(table(*from_folder(Path(sys.argv[1]))))
    sys.stdout.buffer.write(msgspec.json.format(facts, indent=1) + b"\n")
