"""`licentia order trace`: what happened to an order, for whoever is asked."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from licentia.cli.backend import connect
from licentia.cli.command import Output, command, connection_options, output_option, with_options
from licentia.contract import BY_NAME
from licentia.contract.orders import OrderTrace, TracedOrder, TraceOrder
from licentia.domain.naturalkeys import as_id


@with_options(output_option(), *connection_options())
@command("trace", example="licentia order trace 4711\nlicentia order trace 4711 --source shop -o json")
@click.argument("order_number", help="The order's number, as the business system writes it.")
@click.option("--source", help="The business system. Default: all that have such an order.")
def trace(
    order_number: str, source: str | None, output: Output, url: str | None, key: str | None, config: Path | None
) -> None:
    """Tell what happened to an order.

    What was sent about it, what came of that, whether it waits and for what, whether the business system
    has the ticket, and what was done with the licenses since. By the number of a return, a renewal or a
    subscription the order is found too.
    """
    with connect(url, key, config) as licentia:
        reply = licentia.call(BY_NAME["TraceOrder"], TraceOrder(order_number=as_id(order_number), source=source))
    assert isinstance(reply, OrderTrace)
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(reply)))
        return
    click.echo("\n\n".join(map(_text, reply.orders)))


def _text(order: TracedOrder) -> str:
    number, status = order.number_there or order.order_number, order.status or "nothing is licensed yet"
    lines = [f"Order {number} of {order.source}: {status}"]
    facts = {"Ticket": order.ticket, "Waits": order.parked, "Written back": order.write_back}
    lines += [f"  {name}: {value}" for name, value in facts.items() if value]
    if order.next_step:
        lines.append(f"  Next: {order.next_step}")
    lines.append("")
    day = ""
    for step in order.steps:
        if (date := f"{step.at:%Y-%m-%d} UTC") != day:
            day = date
            lines.append(f"  {day}")
        lines.append(f"    {step.at:%H:%M:%S}  {step.summary}  [{step.actor}]")
    return "\n".join(lines)
