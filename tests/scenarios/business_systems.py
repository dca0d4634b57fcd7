"""The business systems that connectors are for, as far as one order goes: each tells it in its own form."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def _load(name: str) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


base, plain, shops, pointing = map(_load, ("systems_base", "systems_plain", "systems_shops", "systems_pointing"))
loopback, Sent, SECRET = base.loopback, base.Sent, base.SECRET
Csv, MyCommerce, Plesk, Ubl, Vendure, Webhook = (
    getattr(plain, name) for name in ("Csv", "MyCommerce", "Plesk", "Ubl", "Vendure", "Webhook")
)
FastSpring, Paddle, Shopify, Stripe, WooCommerce = (
    getattr(shops, name) for name in ("FastSpring", "Paddle", "Shopify", "Stripe", "WooCommerce")
)
BusinessCentral, HubSpot, Salesforce, Sap, Tryton = (
    getattr(pointing, name) for name in ("BusinessCentral", "HubSpot", "Salesforce", "Sap", "Tryton")
)
SYSTEMS: tuple[Any, ...] = (
    *(BusinessCentral, Csv, FastSpring, HubSpot, MyCommerce, Paddle, Plesk, Salesforce, Sap, Shopify, Stripe),
    *(Tryton, Ubl, Vendure, Webhook, WooCommerce),
)
