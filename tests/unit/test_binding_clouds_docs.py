"""The pages of aws, azure and gcp name every setting with its default and its bounds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from licentia.client.metadata import MetadataSettings
from licentia_plugins.bindings.aws.settings import AwsSettings
from licentia_plugins.bindings.azure.settings import AzureSettings
from licentia_plugins.bindings.gcp.settings import GcpSettings

PAGES = Path(__file__).parents[2] / "docs" / "plugins"
NOTHING = {"all", "none"}


@pytest.mark.parametrize(("name", "server"), [("aws", AwsSettings), ("azure", AzureSettings), ("gcp", GcpSettings)])
def test_every_setting_is_on_the_page(name: str, server: type[msgspec.Struct]) -> None:
    """In the order of the code: of the server first, then of the machine."""
    page = (PAGES / f"{name}.md").read_text("utf-8").split("## Settings")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:3] == "| `"]
    fields = [*msgspec.structs.fields(server), *msgspec.structs.fields(MetadataSettings)]
    assert [row[0].strip("`") for row in rows] == [field.name for field in fields]
    for row, field in zip(rows, fields, strict=True):
        if field.default:
            written = tomllib.loads(f"it = {row[3].strip('`')}")["it"]
            assert written == msgspec.json.decode(msgspec.json.encode(field.default))
        else:
            assert row[3] in NOTHING
        if maximum := msgspec.json.schema(field.type).get("maximum"):
            assert re.search(rf"\b{maximum:g}$", row[1])
