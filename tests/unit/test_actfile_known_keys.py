"""What the application knows of the vendor's keys counts, also where the file is older."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from licentia.bindings import Unsealed
from licentia.client.actfile import ActFile
from licentia.client.actfile.file import encode
from licentia.client.actfile.vectors import NEW
from licentia.errors import DocumentInvalid
from licentia.exchange.messages import join
from licentia.exchange.vectors import MANIFESTS, key
from licentia.exchange.vectors_updates import FIRST


class Half:
    """A binding that opens everywhere."""

    def __init__(self, name: str) -> None:
        self.name = name

    def unseal(self, record: bytes) -> Unsealed:
        """The key that the vectors have sealed."""
        return Unsealed(secret=key(self.name))


@pytest.mark.parametrize(("knows", "taken"), [("first", True), ("third", False)])
def test_an_update_of_a_revoked_key_is_refused(tmp_path: Path, knows: str, taken: bool) -> None:
    """The application's manifest revokes the key; the file, which was made before, does not know it."""
    path = tmp_path / "cad.act"
    path.write_bytes(encode(NEW))
    half: Any = Half
    file = ActFile(path, trust=MANIFESTS[knows].to_bytes(), half=half)
    if taken:
        file.apply(join([FIRST]))
        assert file.licenses()
        return
    with pytest.raises(DocumentInvalid):
        file.apply(join([FIRST]))
    assert file.licenses() == []
