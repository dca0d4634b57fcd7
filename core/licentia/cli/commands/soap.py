"""`licentia soap`: what SOAP clients meet on their way to a server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, get_args

import click

from licentia.cli.command import REFUSED, command, output_option, with_options
from licentia.contract import Service
from licentia.settings import Settings

if TYPE_CHECKING:
    from licentia.client.soapcheck import Finding

STATES = {"ok": "ok     ", "fault": "FAULT  ", "skipped": "skipped"}
WIDTH = 21
"""Characters of the longest name of a check."""


@with_options(output_option())
@command(
    "check",
    example="licentia soap check https://licenses.example.com\n"
    "licentia soap check 'https://licenses.example.com/soap/sales?wsdl' -o json",
)
@click.argument("url", help="The server's base address, or that of a WSDL or service: as the clients have it.")
@click.option("--service", type=click.Choice(get_args(Service)), help="Look at this service only.")
@click.option(
    "--key",
    envvar="LICENTIA_KEY",
    help="Key for calls that change nothing; better in LICENTIA_KEY, where no list of processes shows it.",
)
@click.option(
    "--body-limit",
    type=click.IntRange(min=2048),
    default=Settings().body_limit_bytes,
    show_default=True,
    help="The server's setting `body_limit_bytes`, where it has another.",
)
@click.pass_context
def check(ctx: click.Context, url: str, output: str, service: str | None, key: str | None, body_limit: int) -> None:
    """Check a server's SOAP, as old and new clients meet it.

    Run it where the clients are, against the address they have: most faults of SOAP are made by what
    stands before the server. It reads the WSDLs, holds them against the rules of WS-I Basic Profile
    1.1 (R2023 and so on), and compares the address in them with yours: a proxy that changes the host
    or ends TLS makes clients call the wrong one.

    Then it sends messages. Faults must arrive as they are: a proxy that puts a page of its own in the
    place of a status 500 is the commonest breakage, as clients then see "no XML" instead of the reason.
    Headers, long and packed bodies, chunks, `Expect: 100-continue` (.NET) and HTTP/1.0 must pass.

    With a key it calls each service, and shows the key by Bearer, Basic and WS-Security. Nothing is
    changed. Each FAULT says what to do. The exit code is 2 if there is one.
    """
    from licentia.cli.checks import PROBES
    from licentia.client import soapcheck

    try:
        target = soapcheck.Target.of(url, service)
        findings = soapcheck.check(target, key or "", body_limit, PROBES)
        first = next(findings)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="URL") from None
    all_findings = [first]
    _tell(first, output)
    for finding in findings:
        all_findings.append(finding)
        _tell(finding, output)
    faults = sum(finding.state == "fault" for finding in all_findings)
    if output == "json":
        import msgspec

        told = {"ok": not faults, "checks": msgspec.to_builtins(all_findings)}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        click.echo(f"\n{faults or 'No'} fault{'' if faults == 1 else 's'} in {len(all_findings)} checks.")
    if faults:
        ctx.exit(REFUSED)


def _tell(finding: Finding, output: str) -> None:
    """One line as soon as it is known; the help below it."""
    if output == "text":
        click.echo(f"{STATES[finding.state]}  {finding.name:{WIDTH}}  {finding.detail}")
        if finding.help:
            click.echo(f"{'':{WIDTH + 11}}{finding.help}")
