"""Use case 3: license files in virtual machines: moved they stay valid, duplicated or set back they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sites

from licentia.errors import BindingEvidenceInvalid, BindingMismatch, ForkDetected
from licentia.testing.clouds import FakeAws
from licentia.testing.metadata import MetadataServer
from licentia_plugins.bindings.aws import Aws

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def aws(tmp_path: Path) -> FakeAws:
    """A cloud that signs as AWS does."""
    return FakeAws(tmp_path / "trust")


@pytest.fixture
def metadata(aws: FakeAws) -> Iterator[MetadataServer]:
    """The metadata service of the one instance there is at first."""
    with MetadataServer(aws=aws.document("i-0123456789abcdef0")) as service:
        yield service


@pytest.fixture
async def desk(open_desk: Callable[..., Any], aws: FakeAws, tmp_path: Path) -> Any:
    """A vendor who takes containers in this cloud, alone or with the hardware, and refuses copies."""
    return await open_desk(
        bindings=("aws", "physical"),
        binding={"aws": {"trust": str(tmp_path / "trust")}},
        container={"act-file": {"bindings": ["aws+physical", "aws"], "on_fork": "invalidate"}},
    )


def half(service: MetadataServer) -> Any:
    """The client half on an instance."""
    return Aws("aws", {"metadata_url": service.url}).client()


async def sell(desk: Any, number: str = "1", **terms: Any) -> str:
    """Sell one unit of `cad`; the ticket."""
    await desk.product("cad", **terms)
    return str((await desk.order(number)).ticket)


async def test_a_machine_that_moves_in_its_cloud_stays_valid(
    desk: Any, aws: FakeAws, metadata: MetadataServer, tmp_path: Path
) -> None:
    """The instance keeps its id when it is stopped, resized or moved; the license works, and contact is made."""
    site = await sites.site_at(desk, tmp_path / "vm", aws=half(metadata))
    await site.activate(await sell(desk))
    metadata.aws = aws.document("i-0123456789abcdef0", instanceType="m7i.4xlarge", availabilityZone="us-west-2c")
    site.may()
    assert await site.contact()
    site.may()


async def test_a_machine_made_of_its_image_opens_nothing(
    desk: Any, aws: FakeAws, metadata: MetadataServer, tmp_path: Path
) -> None:
    """Another instance has another id: the file does not open there, nor can it ask with the old one's key."""
    site = await sites.site_at(desk, tmp_path / "vm", aws=half(metadata))
    await site.activate(await sell(desk))
    clone = site.copy("clone")
    metadata.aws = aws.document("i-0fedcba9876543210")
    refusal = clone.refused(BindingMismatch)
    assert [problem.pointer for problem in refusal.problems] == ["/features/instance_id"]


async def test_a_copied_document_is_no_second_machine(
    desk: Any, aws: FakeAws, metadata: MetadataServer, tmp_path: Path
) -> None:
    """The document of AWS answers no challenge, so the first container that brings an instance's id keeps it."""
    site = await sites.site_at(desk, tmp_path / "vm", aws=half(metadata))
    activation = await site.activate(await sell(desk))
    thief = await sites.site_at(desk, tmp_path / "thief", aws=half(metadata))
    ticket = (await desk.order("2")).ticket
    refusal = await desk.refused(BindingEvidenceInvalid, "ActivateTicket", code=ticket, container=thief.request())
    assert "i-0123456789abcdef0" in refusal.detail
    receipt = sites.text(site.file.give_back(activation.activation_id))
    await desk("ReturnActivation", activation_id=activation.activation_id, receipt=receipt)
    await thief.activate(ticket)
    thief.may()


async def test_a_lost_file_is_restored_on_the_same_machine(
    desk: Any, aws: FakeAws, metadata: MetadataServer, tmp_path: Path
) -> None:
    """A new installation on the same instance brings the same evidence; restoring frees it."""
    lost = await sites.site_at(desk, tmp_path / "vm", aws=half(metadata))
    activation = await lost.activate(await sell(desk))
    again = await sites.site_at(desk, tmp_path / "reinstalled", aws=half(metadata))
    restore = {"activation_id": activation.activation_id, "container": again.request()}
    again.take(await desk("RestoreActivation", **restore))
    again.may()


async def test_a_snapshot_that_is_set_back_is_found(
    desk: Any, aws: FakeAws, metadata: MetadataServer, tmp_path: Path
) -> None:
    """The same instance with an older disk is refused at its contact, as the vendor wants it."""
    site = await sites.site_at(desk, tmp_path / "vm", aws=half(metadata))
    await site.activate(await sell(desk, checkpoint_days=7))
    snapshot = site.copy("snapshot")
    assert await site.contact()
    with pytest.raises(ForkDetected):
        await snapshot.contact()


async def test_cloud_and_hardware_both_have_to_open(
    desk: Any, aws: FakeAws, metadata: MetadataServer, tmp_path: Path
) -> None:
    """Bound by both, neither alone is enough, and the refusal tells which of them did not open."""
    machine = sites.Machine()
    site = await sites.site_at(desk, tmp_path / "vm", machine, aws=half(metadata))
    await site.activate(await sell(desk))
    site.may()
    (known,) = (await desk("ListContainers")).containers
    assert {fact.name: fact.value for fact in known.facts}["bound_by"] == "aws+physical"
    machine.change(smbios_uuid="other", board_serial="other", sys_serial="other", mac="00:1b:21:00:00:99")
    assert "physical" in site.refused(BindingMismatch).detail
    machine.change(**sites.FEATURES)
    metadata.aws = aws.document("i-0fedcba9876543210")
    assert "aws" in site.refused(BindingMismatch).detail


async def test_a_real_document_of_aws_binds(open_desk: Callable[..., Any], tmp_path: Path) -> None:
    """A container is bound with what AWS itself has signed for an instance, by the key that the plugin brings."""
    path = DATA / "aws" / "teleport_iid1.rsa2048.b64"
    if not path.exists():
        pytest.skip(f"the real documents are not here: {DATA}")
    desk = await open_desk(bindings=("aws",))
    with MetadataServer(aws=path.read_bytes()) as service:
        site = await sites.site_at(desk, tmp_path / "vm", aws=half(service))
        await site.activate(await sell(desk))
        site.may()
        (known,) = (await desk("ListContainers")).containers
        assert {fact.name: fact.value for fact in known.facts}["aws_identity"] == "i-078517ca8a70a1dde"
