"""What plugins cost: license files, bindings and connectors, in CPU on one core, beside one Ed25519 verification.

python tests/benchmarks/plugins.py
"""

from __future__ import annotations

import asyncio
import base64
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from licentia.bindings import Challenge
from licentia.client.actfile import ActFile
from licentia.connectors import Delivery
from licentia.containers import ContainerRequest, Content, Update
from licentia.crypto.signing import SoftwareKey
from licentia.crypto.suites import ED25519
from licentia.testing import MemoryHost
from licentia.testing.clouds import FakeAws, FakeAzure, FakeGcp

NONCE = "n" * 32
MACHINE = {
    "smbios_uuid": "4c4c4544-0042-3510-8052-b3c04f4b4e32",
    "board_serial": "bs-1207",
    "machine_id": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "disk_serial": "wd-wx11a",
    "mac": "00:1b:21:3c:9d:01",
    "sys_serial": "2b5r04n",
    "fs_uuid": "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    "cpu": "genuineintel core i7-9700",
    "board_model": "dell 0w0czr",
}
CSV = b"order,line,sku,quantity,customer\n" + b"".join(b"4711,%d,acme-cad,2,c-17\n" % line for line in range(1, 101))


def plugin(group: str, name: str) -> Any:
    """The class of an installed plugin."""
    (found,) = entry_points(group=f"licentia.{group}", name=name)
    return found.load()


def cost(work: Callable[[], Any], times: int = 20) -> float:
    """The median CPU of a call, in milliseconds."""
    spent = []
    for _ in range(times):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return statistics.median(spent) * 1000


async def cost_of(work: Callable[[], Awaitable[Any]], times: int = 20) -> float:
    """The same of a coroutine; what it does in threads counts too."""
    spent = []
    for _ in range(times):
        before = time.process_time()
        await work()
        spent.append(time.process_time() - before)
    return statistics.median(spent) * 1000


async def bindings(folder: Path) -> dict[str, float]:
    """To verify and to seal, for the bindings that need no device."""
    aws, azure, gcp = (kind(folder / kind.__name__) for kind in (FakeAws, FakeAzure, FakeGcp))
    physical = plugin("bindings", "physical")("physical", {})
    evidence = {
        "aws": (folder / "FakeAws", aws.document("i-0123456789abcdef0")),
        "azure": (folder / "FakeAzure", azure.document("bd8e7443-24a0-41f3-b949-8baf4fd1c573", NONCE)),
        "gcp": (folder / "FakeGcp", gcp.token("1234567890123456789", f"urn:licentia:nonce:{NONCE}")),
        "physical": (None, physical.client()._evidence_of(MACHINE)),
    }
    told = {}
    for name, (trust, data) in evidence.items():
        half = plugin("bindings", name)(name, {} if trust is None else {"trust": str(trust)}).server()
        challenge = Challenge(nonce=NONCE, at=datetime.now(UTC))
        told[f"{name}: verify"] = await cost_of(
            lambda half=half, data=data, challenge=challenge: half.verify(data, challenge)
        )
        told[f"{name}: seal"] = await cost_of(lambda half=half, data=data: half.seal(data, bytes(32)), 5)
    record = await physical.server().seal(evidence["physical"][1], bytes(32))
    told["physical: open, unchanged"] = cost(lambda: physical.client()._unseal_with(record, MACHINE), 5)
    other = MACHINE | {"smbios_uuid": "another", "disk_serial": "another"}
    told["physical: open, changed"] = cost(lambda: physical.client()._unseal_with(record, other), 5)
    return told


async def act_file(folder: Path) -> dict[str, float]:
    """An act-file with one license and with eleven: sizes in bytes, and the use of a license."""
    host = MemoryHost({"none": plugin("bindings", "none")("none", {})})
    backend = plugin("containers", "act-file")("act-file", host, {"bindings": ["none"]})
    file = ActFile(folder / "cad.act", trust=host.issuer()[1][-1].to_bytes())
    file.create(["none"])
    told: dict[str, float] = {}
    for change, many in enumerate((1, 11), 1):
        contents = tuple(_content(number) for number in range(many))
        ref = await backend.provision(ContainerRequest(request=file.request()))
        delivery = await backend.apply(ref, Update(sequence=change, contents=contents))
        told[f"act-file: bytes of an update with {many}, plain suite"] = len(delivery.content)
        file.apply(delivery.content)
    file.require("p0")
    told["act-file: use a license"] = cost(lambda: file.require("p0"), 50)
    return told


def connectors() -> Iterator[tuple[str, float]]:
    """What a delivery means, for those whose deliveries need no sample of somebody else."""
    csv = plugin("connectors", "csv")("csv", {"secret": "secret"})
    rows = Delivery(body=CSV, received_at=datetime.now(UTC))
    yield "csv: a file of 100 rows", cost(lambda: csv.normalise(rows))
    push = plugin("connectors", "webhook")("webhook", {"secret": f"whsec_{base64.b64encode(bytes(32)).decode()}"})
    data = {"order_number": "1", "customer": {"id": "c"}, "lines": [{"line_id": "1", "sku": "cad", "quantity": 1}]}
    order = json.dumps({"type": "order.placed", "timestamp": "2026-01-01T00:00:00Z", "data": data}).encode()
    body = Delivery(body=order, received_at=datetime.now(UTC))
    yield "webhook: an order", cost(lambda: push.normalise(body), 200)


def _content(number: int) -> Content:
    return Content(
        license_id=f"lic_{number:025}", product_code=f"p{number}", quantity=1, activation_id=f"act_{number:025}",
        name="Acme CAD", valid_until=datetime(2099, 1, 1, tzinfo=UTC),
        terms={"features": ["basic", "pro"], "expires_at": "2099-01-01T00:00:00Z"},
    )  # fmt: skip


async def main() -> None:
    """Measure and print."""
    key = SoftwareKey.generate(ED25519)
    signed = key.sign(b"m" * 800)
    reference = cost(lambda: key.public.check(b"m" * 800, signed), 200)
    print(f"reference: one Ed25519 verification {reference:.3f} ms\n")  # noqa: T201
    with tempfile.TemporaryDirectory() as name:
        told = await bindings(Path(name)) | await act_file(Path(name)) | dict(connectors())
    for what, value in told.items():
        if "bytes" in what:
            print(f"{what:50} {value:10,.0f}")  # noqa: T201
        else:
            print(f"{what:50} {value:10.3f} ms {value / reference:10.2f} times the reference")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
