"""The binding aws keeps the contract of bindings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from licentia.bindings import Binding, ClientHalf
from licentia.testing import BindingContract
from licentia.testing.clouds import FakeAws
from licentia.testing.metadata import MetadataServer
from licentia_plugins.bindings.aws import Aws


class TestAws(BindingContract):
    @pytest.fixture
    def aws(self, tmp_path: Path) -> FakeAws:
        return FakeAws(tmp_path / "trust")

    @pytest.fixture
    def binding(self, aws: FakeAws, tmp_path: Path) -> Binding:
        return Aws("aws", {"trust": str(tmp_path / "trust")})

    @pytest.fixture
    def machine(self, aws: FakeAws) -> Iterator[ClientHalf]:
        with MetadataServer(aws=aws.document("i-0123456789abcdef0")) as service:
            yield Aws("aws", {"metadata_url": service.url}).client()

    @pytest.fixture
    def other_machine(self, aws: FakeAws) -> Iterator[ClientHalf]:
        with MetadataServer(aws=aws.document("i-0fedcba9876543210")) as service:
            yield Aws("aws", {"metadata_url": service.url}).client()
