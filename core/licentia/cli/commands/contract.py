"""`licentia contract export`: the documents that this version serves, as files."""

from __future__ import annotations

import asyncio
import tempfile
from importlib import import_module
from pathlib import Path

import click

from licentia.cli.command import Failure, command
from licentia.client.actfile.vectors import act_file_vector
from licentia.contract import OPERATIONS
from licentia.crypto.vectors import lease_token
from licentia.crypto.vectors_documents import sealed_document, signed_document
from licentia.crypto.vectors_manifest import key_manifest
from licentia.exchange.vectors_container import container_update
from licentia.exchange.vectors_statements import request_and_receipt
from licentia.settings import Settings

VECTORS = {
    "lease-token.json": lease_token,
    "signed-document.json": signed_document,
    "sealed-document.json": sealed_document,
    "key-manifest.json": key_manifest,
    "request-and-receipt.json": request_and_receipt,
    "container-update.json": container_update,
    "act-file.json": act_file_vector,
}
"""The files of docs/formats.md, by name."""


@command("export", example="licentia contract export contract/")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Where to write them.")
def export(folder: Path) -> None:
    """Write the OpenAPI document, the WSDLs and test vectors.

    DIR gets openapi.json and a WSDL for each service. They are what a server of this version answers
    at /openapi.json and /soap/SERVICE?wsdl, with http://localhost:8400 as its address. It also gets the
    test vectors of docs/formats.md, by which programs that read leases, signed and sealed documents, key
    manifests and act-files are tested: what to accept, and what to refuse. The same version writes the same
    bytes.
    """
    services = sorted({operation.service for operation in OPERATIONS})
    addresses = {"openapi.json": "/openapi.json"} | {f"{each}.wsdl": f"/soap/{each}?wsdl" for each in services}
    documents = asyncio.run(_documents(addresses)) | {name: vector() for name, vector in VECTORS.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in documents.items():
        (folder / name).write_bytes(content)
        click.echo(folder / name)


async def _documents(addresses: dict[str, str]) -> dict[str, bytes]:
    import httpx

    from licentia.cli.local import open_application
    from licentia.cli.logs import to_standard_error
    from licentia.cli.serving import gateway

    to_standard_error()
    module, _, name = gateway().partition(":")
    with tempfile.TemporaryDirectory(prefix="licentia-") as data:
        application = await open_application(Settings(data=Path(data)))
        try:
            transport = httpx.ASGITransport(getattr(import_module(module), name)(application))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8400") as client:
                found = {name: await client.get(path) for name, path in addresses.items()}
        finally:
            await application.close()
    for response in found.values():
        if response.status_code != 200:
            raise Failure(f"{response.url.path} answers {response.status_code}.")
    return {name: response.content for name, response in found.items()}
