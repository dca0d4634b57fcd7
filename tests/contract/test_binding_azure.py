"""The binding azure keeps the contract of bindings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from licentia.bindings import Binding, ClientHalf
from licentia.testing import BindingContract
from licentia.testing.clouds import FakeAzure
from licentia.testing.metadata import MetadataServer
from licentia_plugins.bindings.azure import Azure


class TestAzure(BindingContract):
    @pytest.fixture
    def azure(self, tmp_path: Path) -> FakeAzure:
        return FakeAzure(tmp_path / "trust")

    @pytest.fixture
    def binding(self, azure: FakeAzure, tmp_path: Path) -> Binding:
        return Azure("azure", {"trust": str(tmp_path / "trust")})

    @pytest.fixture
    def machine(self, azure: FakeAzure) -> Iterator[ClientHalf]:
        with MetadataServer(
            azure=lambda nonce: azure.document("11111111-1111-4111-8111-111111111111", nonce)
        ) as service:
            yield Azure("azure", {"metadata_url": service.url}).client()

    @pytest.fixture
    def other_machine(self, azure: FakeAzure) -> Iterator[ClientHalf]:
        with MetadataServer(
            azure=lambda nonce: azure.document("22222222-2222-4222-8222-222222222222", nonce)
        ) as service:
            yield Azure("azure", {"metadata_url": service.url}).client()
