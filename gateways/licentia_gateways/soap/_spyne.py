"""The one door to spyne, which makes the types, the XML Schema and the WSDL.

spyne 2.14.0 is its last release. Its bundled copy of `six` lacks the import hook that Python 3.12
requires (PEP 451's `find_spec`), so importing spyne fails there, and warns before. This module
completes that hook before spyne is imported for the first time; nothing else may import spyne.
"""

from __future__ import annotations

import sys
import warnings
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec, spec_from_file_location, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

_SIX = "spyne.util.six"


def _complete_six() -> None:
    """Load spyne's `six` under its own name, before spyne does, and give its importer the hook."""
    spyne = find_spec("spyne")
    assert spyne is not None
    assert spyne.submodule_search_locations is not None
    spec = spec_from_file_location(_SIX, Path(spyne.submodule_search_locations[0]) / "util" / "six.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[_SIX] = six = module_from_spec(spec)
    spec.loader.exec_module(six)
    importer = type(six._importer)

    def find(self: Any, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return spec_from_loader(name, self) if name in self.known_modules else None

    def create(self: Any, spec: ModuleSpec) -> ModuleType:
        module: ModuleType = self.load_module(spec.name)
        return module

    importer.find_spec = find
    importer.create_module = create
    importer.exec_module = lambda self, module: None


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    _complete_six()
    from spyne import Application, Boolean, ComplexModel, DateTime, Integer32, Integer64, Service, Unicode, srpc
    from spyne.interface.wsdl import Wsdl11
    from spyne.protocol.soap import Soap11

__all__ = [
    "Application",
    "Boolean",
    "ComplexModel",
    "DateTime",
    "Integer32",
    "Integer64",
    "Service",
    "Soap11",
    "Unicode",
    "Wsdl11",
    "srpc",
]
