"""What one half of a binding loads, seen in a process of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import pytest

from licentia.bindings import Binding

OF_THE_SERVER = ("licentia.services", "licentia.storage", "starlette", "structlog", "tortoise", "uvicorn")
"""What no device has: it would be loaded into every licensed application."""

PROGRAM = """
import base64, json, pickle, sys
from functools import reduce
from importlib import import_module
given = json.loads(sys.stdin.read())
sys.path[:] = given["path"]
binding = reduce(getattr, given["class"].split("."), import_module(given["module"]))
settings = pickle.loads(base64.b64decode(given["settings"]))
half = getattr(binding(given["name"], settings), given["side"])()
print(json.dumps({"half": type(half).__module__, "modules": sorted(sys.modules)}))
"""


class Loaded(msgspec.Struct, frozen=True):
    """The module that a half is in, and every module that is loaded with it."""

    half: str
    modules: list[str]

    @property
    def of_the_server(self) -> list[str]:
        """The modules that only a server has."""
        return [name for name in OF_THE_SERVER if name in self.modules]


async def loaded_alone(
    binding: type[Binding], side: Literal["client", "server"], name: str, settings: Mapping[str, Any]
) -> Loaded:
    """What a process has loaded that has made this half and nothing else; the test fails if it cannot be made."""
    given = {
        "path": sys.path,
        "module": binding.__module__,
        "class": binding.__qualname__,
        "settings": base64.b64encode(pickle.dumps(dict(settings))).decode(),
        "name": name,
        "side": side,
    }
    command = [sys.executable, "-c", PROGRAM]
    done = await asyncio.to_thread(
        subprocess.run, command, input=json.dumps(given), capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"the {side} half cannot be made in a process of its own:\n{done.stderr}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Loaded)
