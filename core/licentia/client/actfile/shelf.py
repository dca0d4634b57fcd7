"""Several act-files in one folder: one for each vendor, or for each server of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from licentia.bindings import ClientHalf
from licentia.client.actfile.device import ActFile
from licentia.client.actfile.file import decode
from licentia.client.actfile.halves import client_half
from licentia.client.actfile.held import License
from licentia.client.actfile.trust import follow
from licentia.errors import DocumentInvalid, LicensingError, NotLicensed

SUFFIX = ".act"


class Shelf:
    """The act-files `*.act` of a folder that are of one vendor; those of others are left alone.

    Args:
        trust: that vendor's key manifest, as the application brings it.
        half: as for `ActFile`.
    """

    def __init__(self, folder: Path | str, *, trust: bytes, half: Callable[[str], ClientHalf] = client_half) -> None:
        self._folder = Path(folder)
        self._trust = trust
        self._half = half

    def files(self) -> Iterator[ActFile]:
        """The act-files of this vendor, by name."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            try:
                follow(self._trust, decode(path.read_bytes()).trust)
            except (DocumentInvalid, OSError):
                continue
            yield ActFile(path, trust=self._trust, half=self._half)

    def licenses(self) -> list[License]:
        """What all of them hold."""
        return [license for file in self.files() for license in file.licenses()]

    def require(
        self, product_code: str, *, feature: str | None = None, release_date: datetime | None = None
    ) -> License:
        """The license to use a product now, from the first file that has one that allows it.

        Raises:
            LicensingError: none does; of the refusals the first that is not `NotLicensed`.
        """
        refusals: list[LicensingError] = []
        for file in self.files():
            try:
                return file.require(product_code, feature=feature, release_date=release_date)
            except LicensingError as refusal:
                refusals.append(refusal)
        told = [refusal for refusal in refusals if not isinstance(refusal, NotLicensed)]
        raise next(iter(told), NotLicensed(f"No act-file in {self._folder} holds a license for {product_code!r}."))
