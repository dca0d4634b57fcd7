import pytest
from licentia_container_sample import Sample

from licentia.containers import ContainerRequest
from licentia.testing import ContainerContract


class TestSample(ContainerContract):
    wanted = ContainerRequest(container_id="press-1")
    other = ContainerRequest(container_id="press-2")

    @pytest.fixture
    def backend(self, host):
        return Sample("sample", host, {})
