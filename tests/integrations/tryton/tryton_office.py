"""Somebody in the office, who sells by Tryton's own client library: commands come in as lines of JSON, answers go out.

usage: python office.py URL USER PASSWORD    with the Python of .venv-interop/tryton
"""

# ruff: noqa: T201

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

from proteus import Model, Wizard, config


def find(model: str, **values: Any) -> Any:
    """The one record with these values."""
    (record,) = Model.get(model).find([(name, "=", value) for name, value in values.items()])
    return record


def sell(lines: dict[str, float], unit: str = "", comment: str = "") -> str:
    """A sale that is confirmed; its number."""
    sale = Model.get("sale.sale")(party=find("party.party", name="Acme GmbH"))
    for code, quantity in lines.items():
        line = sale.lines.new()
        line.product = find("product.product", code=code)
        if unit:
            line.unit = find("product.uom", name=unit)
        line.quantity = quantity
    if comment:
        sale.lines.new(type="comment").description = comment
    sale.save()
    sale.click("quote")
    sale.click("confirm")
    return str(sale.number)


def press(model: str, number: str, *buttons: str) -> str:
    """Buttons of a document, one after the other; the state that it has then."""
    record = find(model, number=number)
    for button in buttons:
        record.click(button)
    record.reload()
    return str(record.state)


def quote_only(code: str) -> str:
    """A quotation; its number."""
    sale = Model.get("sale.sale")(party=find("party.party", name="Acme GmbH"))
    line = sale.lines.new()
    line.product = find("product.product", code=code)
    line.quantity = 1
    sale.save()
    sale.click("quote")
    return str(sale.number)


def cancel_draft() -> None:
    """A draft that never had a number."""
    sale = Model.get("sale.sale")(party=find("party.party", name="Acme GmbH"))
    sale.save()
    sale.click("cancel")


def amend(number: str, code: str, quantity: float) -> None:
    """A sale has another quantity from now on."""
    sale = find("sale.sale", number=number)
    (line,) = (each for each in sale.lines if each.product and each.product.code == code)
    amendment = Model.get("sale.amendment")(sale=sale)
    change = amendment.lines.new(action="line")
    change.line = line
    change.quantity = quantity
    amendment.save()
    amendment.click("validate_amendment")


def give_back(number: str, code: str, quantity: float) -> str:
    """A return of so many of an article; its number."""
    sale = find("sale.sale", number=number)
    wizard = Wizard("sale.return_sale", [sale])
    wizard.execute("return_")
    (back,) = Model.get("sale.sale").find([("origin", "=", f"sale.sale,{sale.id}"), ("state", "=", "draft")])
    for line in list(back.lines):
        if line.product and line.product.code == code:
            line.quantity = -quantity
        else:
            back.lines.remove(line)
    back.save()
    back.click("quote")
    back.click("confirm")
    return str(back.number)


def complain(number: str, code: str, quantity: float) -> str:
    """A complaint about a line of a sale, which ends in a return; its number."""
    sale = find("sale.sale", number=number)
    (line,) = (each for each in sale.lines if each.product and each.product.code == code)
    complaint = Model.get("sale.complaint")(customer=sale.party)
    complaint.type = find("sale.complaint.type", name="Sale Line")
    complaint.origin = line
    action = complaint.actions.new(action="sale_return")
    action.quantity = quantity
    complaint.save()
    complaint.click("wait")
    complaint.click("approve")
    back = complaint.actions[0].result
    back.click("quote")
    back.click("confirm")
    return str(back.number)


def subscribe(quantity: float) -> str:
    """A subscription that runs; its number."""
    subscription = Model.get("sale.subscription")(party=find("party.party", name="Acme GmbH"))
    (rules,) = Model.get("sale.subscription.recurrence.rule.set").find([])
    subscription.start_date = datetime.now(UTC).date()
    subscription.invoice_recurrence = rules
    line = subscription.lines.new()
    (line.service,) = Model.get("sale.subscription.service").find([])
    line.quantity = quantity
    subscription.save()
    subscription.click("quote")
    subscription.click("run")
    return str(subscription.number)


def script_line(number: str, quantity: float) -> None:
    """What a script does that writes a line, and presses no button."""
    sale = find("sale.sale", number=number)
    proxy = config.get_config().get_proxy("sale.line")
    proxy.write([sale.lines[0].id], {"quantity": quantity}, config.get_config().context)


def note(number: str, message: str) -> None:
    """A note that somebody in the office writes at a sale."""
    Model.get("ir.note")(resource=find("sale.sale", number=number), message=message).save()


def notes(model: str, number: str) -> list[dict[str, Any]]:
    """The notes that the office sees, and whether they are new to it."""
    found = Model.get("ir.note").find([("resource", "=", f"{model},{find(model, number=number).id}")])
    return [{"message": each.message, "unread": each.unread} for each in found]


def times(number: str) -> list[str]:
    """When a sale and its lines were last written."""
    sale = find("sale.sale", number=number)
    return [str(sale.write_date), *(str(line.write_date) for line in sale.lines)]


def rolled_back(settings: str, database: str, number: str) -> list[int]:
    """How many rings are noted when a sale is confirmed, and when that is rolled back; within Tryton itself."""
    from trytond import config as configuration
    from trytond.pool import Pool
    from trytond.transaction import Transaction

    configuration.update_etc(settings)
    Pool.start()
    pool = Pool(database)
    with Transaction().start(database, 0, readonly=True):
        pool.init()
    noted = []
    with Transaction().start(database, 1) as transaction:
        (sale,) = pool.get("sale.sale").search([("number", "=", number)])
        pool.get("sale.sale").confirm([sale])
        queue = pool.get("ir.queue")
        noted.append(sum(task.data["method"] == "licentia_ring" for task in queue.search([])))
        transaction.rollback()
        noted.append(sum(task.data["method"] == "licentia_ring" for task in queue.search([])))
        transaction.tasks.clear()
    return noted


def validate(login: str) -> None:
    """The administrator lets an application in that has asked for a key."""
    find("res.user.application", user=find("res.user", login=login).id, state="requested").click("validate_")


def main(url: str, user: str, password: str) -> None:
    """Do what the lines say, until there are no more."""
    with config.set_xmlrpc_session(url, user, password):
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            name, given = json.loads(line)
            try:
                answer = {"result": globals()[name](*given)}
            except Exception as error:  # told to the test
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
