"""The binding gcp keeps the contract of bindings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from licentia.bindings import Binding, ClientHalf
from licentia.testing import BindingContract
from licentia.testing.clouds import FakeGcp
from licentia.testing.metadata import MetadataServer
from licentia_plugins.bindings.gcp import Gcp


class TestGcp(BindingContract):
    @pytest.fixture
    def gcp(self, tmp_path: Path) -> FakeGcp:
        return FakeGcp(tmp_path / "trust")

    @pytest.fixture
    def binding(self, gcp: FakeGcp, tmp_path: Path) -> Binding:
        return Gcp("gcp", {"trust": str(tmp_path / "trust")})

    @pytest.fixture
    def machine(self, gcp: FakeGcp) -> Iterator[ClientHalf]:
        with MetadataServer(gcp=lambda audience: gcp.token("1001", audience)) as service:
            yield Gcp("gcp", {"metadata_url": service.url}).client()

    @pytest.fixture
    def other_machine(self, gcp: FakeGcp) -> Iterator[ClientHalf]:
        with MetadataServer(gcp=lambda audience: gcp.token("1002", audience)) as service:
            yield Gcp("gcp", {"metadata_url": service.url}).client()
