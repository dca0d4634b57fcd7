"""Use case 3, in AWS, Azure and Google Cloud alike: a license file works on its machine and on no other."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from licentia.client.actfile import ActFile
from licentia.client.actfile.halves import client_half
from licentia.errors import BindingMismatch, Unavailable
from licentia.testing.clouds import FakeAws, FakeAzure, FakeGcp
from licentia.testing.metadata import MetadataServer


@pytest.fixture
def service() -> Iterator[MetadataServer]:
    """The metadata service of the machine that the test is on."""
    with MetadataServer() as running:
        yield running


def aws_in(trust: Path, service: MetadataServer) -> Callable[..., None]:
    """Lets the machine become an instance of EC2, by number."""
    cloud = FakeAws(trust)

    def become(number: int, **facts: Any) -> None:
        service.aws = cloud.document(f"i-{number:017x}", **facts)

    return become


def azure_in(trust: Path, service: MetadataServer) -> Callable[..., None]:
    """Lets the machine become a virtual machine of Azure."""
    cloud = FakeAzure(trust)

    def become(number: int, **facts: Any) -> None:
        service.azure = lambda nonce: cloud.document(f"{number:08x}-1111-4111-8111-111111111111", nonce, **facts)

    return become


def gcp_in(trust: Path, service: MetadataServer) -> Callable[..., None]:
    """Lets the machine become a virtual machine of Compute Engine."""
    cloud = FakeGcp(trust)

    def become(number: int, **facts: Any) -> None:
        service.gcp = lambda audience: cloud.token(str(number), audience, **facts)

    return become


@pytest.mark.parametrize(
    ("name", "cloud", "later"),
    [
        ("aws", aws_in, {"instanceType": "m7i.large"}),
        ("azure", azure_in, {"sku": "26_04-lts"}),
        ("gcp", gcp_in, {"email": "another-account@example.com"}),
    ],
)
async def test_a_machine_stays_licensed_and_others_are_not(
    open_desk: Callable[..., Any],
    tmp_path: Path,
    service: MetadataServer,
    name: str,
    cloud: Callable[[Path, MetadataServer], Callable[..., None]],
    later: dict[str, Any],
) -> None:
    """Activated, resized, its disk in another machine, silence, and a file of the other."""
    trust = tmp_path / "trust"
    become = cloud(trust, service)
    desk = await open_desk(
        bindings=(name,),
        binding={name: {"trust": str(trust)}},
        containers=("act-file",),
        container={"act-file": {"bindings": [name]}},
    )
    manifest = base64.b64decode((await desk("GetKeyManifest")).content)
    await desk.product("cad", quantity=2)
    ticket = (await desk.order("1")).ticket
    (tmp_path / "disk").mkdir()

    def started(file: str = "cad.act") -> ActFile:
        settings = {"metadata_url": service.url, "timeout_seconds": 0.5}
        return ActFile(tmp_path / "disk" / file, trust=manifest, half=lambda binding: client_half(binding, settings))

    async def activated(file: ActFile) -> None:
        file.create([name])
        container = {"kind": "act-file", "request": base64.b64encode(file.request()).decode()}
        activation = await desk("ActivateTicket", code=ticket, container=container, quantity=1)
        file.apply(base64.b64decode(activation.delivery.content))
        assert file.require("cad").quantity == 1

    become(1)
    await activated(started())
    become(1, **later)
    assert started().require("cad").quantity == 1
    become(2)
    with pytest.raises(BindingMismatch) as refused:
        started().require("cad")
    assert [problem.pointer.rpartition("/")[2] for problem in refused.value.problems] == ["instance_id"]
    service.answering.clear()
    with pytest.raises(Unavailable):
        started().require("cad")
    service.answering.set()
    await activated(started("second.act"))
