"""Makes the database that the tests of Tryton copy: a company that sells two articles and a subscription.

usage: python build.py DATABASE.sqlite    with the Python of .venv-interop/tryton
"""

# ruff: noqa: T201

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from proteus import Model, config
from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, get_accounts
from trytond.modules.account_invoice.tests.tools import create_payment_term, set_fiscalyear_invoice_sequences
from trytond.modules.company.tests.tools import create_company
from trytond.tests.tools import set_user

PASSWORD = "sells for Acme"
MODULES = ("sale", "sale_amendment", "sale_subscription", "sale_complaint", "licentia")
ARTICLES = {"CAD": ("CAD Pro", "1200"), "MAINT": ("Maintenance", "240")}


def create(folder: Path, name: str) -> Path:
    """An empty database with the modules activated; the settings with which it was made."""
    settings = folder / "trytond.conf"
    settings.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n", "utf-8")
    secret = folder / "password"
    secret.write_text(PASSWORD, "utf-8")
    (folder / f"{name}.sqlite").touch()
    command = [str(Path(sys.executable).parent / "trytond-admin"), "-c", str(settings), "-d", name]
    environment = os.environ | {"TRYTONPASSFILE": str(secret)}
    command += ["--email", "admin@acme.example", "--activate-dependencies", "-u", *MODULES]
    subprocess.run(command, env=environment, check=True)
    return settings


def fill() -> None:
    """The company, its articles, a customer, and the users."""
    create_company()
    set_user(1)
    create_chart()
    fiscalyear = set_fiscalyear_invoice_sequences(create_fiscalyear())
    fiscalyear.click("create_period")
    accounts = get_accounts()
    create_payment_term().save()
    category = Model.get("product.category")(name="Software", accounting=True)
    category.account_expense, category.account_revenue = accounts["expense"], accounts["revenue"]
    category.save()
    units = {unit.name: unit for unit in Model.get("product.uom").find([])}
    dozen = Model.get("product.uom")(name="Dozen", symbol="dz", category=units["Unit"].category)
    dozen.factor = 12
    dozen.rounding = 1
    dozen.save()
    for code, (name, price) in ARTICLES.items():
        template = Model.get("product.template")(name=name, type="service", salable=True)
        template.default_uom, template.list_price, template.account_category = units["Unit"], Decimal(price), category
        (product,) = template.products
        product.suffix_code = code
        template.save()
    party = Model.get("party.party")(name="Acme GmbH")
    party.addresses[0].street = "Road 1"
    party.contact_mechanisms.new(type="email").value = "buyer@acme.example"
    party.save()
    subscribe(units["Unit"])
    complaints()
    people()


def subscribe(unit: Model) -> None:
    """What can be subscribed to: maintenance, by the month."""
    rules = Model.get("sale.subscription.recurrence.rule.set")(name="Monthly")
    (rule,) = rules.rules
    rule.freq, rule.interval = "monthly", 1
    rules.save()
    (product,) = Model.get("product.product").find([("code", "=", "MAINT")])
    service = Model.get("sale.subscription.service")()
    service.product, service.consumption_recurrence = product, rules
    service.save()


def complaints() -> None:
    """What can be complained about: a line of a sale."""
    (lines,) = Model.get("ir.model").find([("name", "=", "sale.line")])
    Model.get("sale.complaint.type")(name="Sale Line", origin=lines).save()


def people() -> None:
    """The user whose key Licentia has: it may do what sales people do, and no more."""
    groups = Model.get("res.group").find([("name", "=", "Sales")])
    (company,) = Model.get("company.company").find([])
    for login in ("licentia", "nobody"):
        user = Model.get("res.user")(name=login.capitalize(), login=login)
        user.companies.append(Model.get("company.company")(company.id))
        user.company = Model.get("company.company")(company.id)
        if login == "licentia":
            for group in groups:
                user.groups.append(Model.get("res.group")(group.id))
        user.save()


def main(target: Path) -> None:
    """Make it in a folder of its own, and copy it when it is whole."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        settings = create(Path(folder), target.stem)
        print(f"modules: {time.monotonic() - started:.1f} s")
        config.set_trytond(f"sqlite:///{target.stem}", config_file=str(settings))
        fill()
        target.unlink(missing_ok=True)
        with (
            closing(sqlite3.connect(Path(folder) / f"{target.stem}.sqlite")) as made,
            closing(sqlite3.connect(target)) as kept,
        ):
            made.backup(kept)  # what is in the log beside the file as well
    print(f"{target.name}: {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
