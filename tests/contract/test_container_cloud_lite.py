"""cloud-lite, by the kit that every container is measured with, and what is its own."""

from __future__ import annotations

import pytest

from licentia.containers import ContainerRequest
from licentia.errors import InvalidRequest
from licentia.settings import SettingsError
from licentia.testing import ContainerContract, MemoryHost
from licentia_plugins.containers.cloud_lite import CloudLite


class TestCloudLite(ContainerContract):
    refused = (
        ContainerRequest(),
        ContainerRequest(user=""),
        ContainerRequest(container_id="some-container"),
        ContainerRequest(user="ada", request=b"\x01"),
    )

    @pytest.fixture
    def backend(self, host: MemoryHost) -> CloudLite:
        return CloudLite("cloud-lite", host, {})

    async def test_the_user_is_the_binding(self, backend: CloudLite) -> None:
        """A user has one container, and its binding is the user's own id."""
        ref = await backend.provision(ContainerRequest(user="auth0|ada@example.com"))
        assert (ref.binding, ref.user) == ("auth0|ada@example.com", "auth0|ada@example.com")

    @pytest.mark.parametrize(
        ("wanted", "pointer"),
        [
            (ContainerRequest(), "/container/user"),
            (ContainerRequest(container_id="some-container"), "/container/user"),
            (ContainerRequest(user="ada", request=b"\x01"), "/container/request"),
        ],
    )
    async def test_a_refusal_names_the_field(self, backend: CloudLite, wanted: ContainerRequest, pointer: str) -> None:
        """Whoever asks wrongly is told which field is wrong."""
        with pytest.raises(InvalidRequest) as refusal:
            await backend.provision(wanted)
        assert [problem.pointer for problem in refusal.value.problems] == [pointer]

    def test_seats_may_be_claimed_from_the_server(self, backend: CloudLite) -> None:
        """It is a container for leases, and for nothing else."""
        assert backend.capabilities == ["leasing"]

    def test_it_has_no_settings(self, host: MemoryHost) -> None:
        """A setting that does not exist is an error that names it."""
        with pytest.raises(SettingsError, match="`colour`"):
            CloudLite("cloud-lite", host, {"colour": "red"})
