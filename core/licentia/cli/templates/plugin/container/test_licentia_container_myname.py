"""The kit of containers; tests of your own may follow in the same class."""

from pathlib import Path

import pytest
from licentia_container_myname import MyNamePlugin

from licentia.containers import ContainerRequest
from licentia.testing import ContainerContract, MemoryHost


class TestMyName(ContainerContract):
    """Two machines, each with its file."""

    wanted = ContainerRequest(container_id="press-1")
    other = ContainerRequest(container_id="press-2")
    refused = (ContainerRequest(), ContainerRequest(container_id="press-1", request=b"a request"))

    @pytest.fixture
    def backend(self, host: MemoryHost, tmp_path: Path) -> MyNamePlugin:
        """A folder of its own for each test."""
        return MyNamePlugin("myname", host, {"folder": str(tmp_path / "machines")})
