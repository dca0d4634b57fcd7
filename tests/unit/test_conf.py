"""The examples in conf/: complete, true to the code's defaults, and safe as they stand."""

from __future__ import annotations

import configparser
import itertools
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest

from licentia.settings import Limits, Settings, load

CONF = Path(__file__).parents[2] / "conf"


def test_the_full_example_names_every_setting_with_its_default() -> None:
    """full.toml holds exactly the settings there are, each with the default of the code."""
    example = tomllib.loads((CONF / "full.toml").read_text("utf-8"))
    assert list(example) == [field.encode_name for field in msgspec.structs.fields(Settings)]
    assert list(example["limits"]) == [field.encode_name for field in msgspec.structs.fields(Limits)]
    data = CONF.absolute()
    assert load(CONF / "full.toml", {}) == msgspec.structs.replace(load(environ={}), data=data)


def test_the_full_example_explains_every_setting() -> None:
    """Each setting of full.toml stands right below a comment of its own."""
    lines = (CONF / "full.toml").read_text("utf-8").splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"\w+ = |\[\w+\]", line):
            assert before.startswith("# "), f"no comment above `{line}`"


@pytest.mark.parametrize("name", ["body_limit_bytes", "shutdown_seconds"])
def test_the_full_example_names_the_unit_and_the_bounds(name: str) -> None:
    """A number with a unit says the unit and the bounds that the code enforces."""
    text = (CONF / "full.toml").read_text("utf-8")
    comment = text.split(f"\n{name} = ")[0].rsplit("\n\n", 1)[1]
    schema = msgspec.json.schema(get_type_hints(Settings, include_extras=True)[name])
    assert name.rsplit("_", 1)[1] in comment
    assert f"{schema['minimum']} to {schema['maximum']}" in comment


def test_the_minimal_example_is_accepted() -> None:
    """minimal.toml is a valid settings file with an absolute data folder."""
    settings = load(CONF / "minimal.toml", {})
    assert settings.data.is_absolute()
    assert settings.public_url.removeprefix("https://") in settings.allowed_hosts


def test_the_unit_stops_later_than_the_server() -> None:
    """systemd kills only after the server had `shutdown_seconds` to finish what it accepted."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(CONF / "licentia.service", "utf-8")
    assert int(unit["Service"]["TimeoutStopSec"]) > Settings().shutdown_seconds


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze on this machine")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """systemd itself finds no fault in the unit, once the program it names exists."""
    unit = tmp_path / "licentia.service"
    text = (CONF / "licentia.service").read_text("utf-8")
    unit.write_text(re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", text, flags=re.MULTILINE), "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_proxy_hides_the_metrics_and_names_the_true_client() -> None:
    """The proxy answers /metrics itself, and passes on the address it sees, not what a client claims."""
    text = re.sub(r"#.*", "", (CONF / "nginx.conf").read_text("utf-8"))
    assert re.search(r"location = /metrics \{\s*return 404;", text)
    assert re.findall(r"X-Forwarded-For (\S+);", text) == ["$remote_addr"]
    assert f"client_max_body_size {Settings().body_limit_bytes // 1024}k;" in text
    assert f"server 127.0.0.1:{Settings().port};" in text
