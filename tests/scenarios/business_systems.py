"""The business systems that connectors are for, as far as one order goes: each tells it in its own form."""

from __future__ import annotations

from typing import Any

from systems_plain import Csv, MyCommerce, Plesk, Ubl, Vendure, Webhook
from systems_pointing import BusinessCentral, HubSpot, Salesforce, Sap, Tryton
from systems_shops import FastSpring, Paddle, Shopify, Stripe, WooCommerce

SYSTEMS: tuple[Any, ...] = (
    *(BusinessCentral, Csv, FastSpring, HubSpot, MyCommerce, Paddle, Plesk, Salesforce, Sap, Shopify, Stripe),
    *(Tryton, Ubl, Vendure, Webhook, WooCommerce),
)
