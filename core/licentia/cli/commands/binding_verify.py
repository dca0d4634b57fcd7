"""`licentia binding verify`: what an identity document proves, judged as the server would."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import click
import msgspec
from msgspec import Meta

from licentia.bindings import EVIDENCE_LIMIT, Challenge, Dated, Identity, ServerHalf
from licentia.cli.bindings import find
from licentia.cli.command import Output, command, output_option, with_options
from licentia.errors import BindingEvidenceInvalid
from licentia.settings import SettingsError

DOCUMENT = "document"
Moment = Annotated[datetime, Meta(tz=True)]


class _Time(click.ParamType[Any]):
    """A time of RFC 3339, or the word `document`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | str:
        if value == DOCUMENT or isinstance(value, datetime):
            return value  # type: ignore[no-any-return]
        try:
            return msgspec.convert(value, Moment).astimezone(UTC)
        except (msgspec.ValidationError, OverflowError):
            return self.fail(f"{value!r} is neither `{DOCUMENT}` nor a time as 2026-11-24T02:00:00Z.", param, ctx)


@with_options(output_option())
@command(
    "verify",
    example="licentia binding verify aws rsa2048.txt --region us-west-2\n"
    "licentia binding verify azure attested.json --nonce 4f7c01ab --at document -o json",
)
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--region", help="Accept this region only.")
@click.option("--nonce", help="The document must have been made for this nonce; without it, any will do.")
@click.option("--at", type=_Time(), help="The time as of which to judge, or `document`: when it was issued; else now.")
@click.option(
    "--trust",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of certificates or keys to trust beside those that the binding brings.",
)
def verify(
    name: str,
    file: Path,
    region: str | None,
    nonce: str | None,
    at: datetime | str | None,
    trust: Path | None,
    output: Output,
) -> None:
    """Verify an identity document.

    NAME is an installed binding, as aws, azure, gcp or kubernetes. FILE is what the metadata service
    answered: base64 PKCS7 for AWS (rsa2048), the attested document for Azure, the token for Google Cloud and
    Kubernetes. The exit code is 2 if the document proves nothing; the reason is told.
    """
    from licentia.cli.logs import to_standard_error

    to_standard_error()
    with file.open("rb") as opened:
        evidence = opened.read(EVIDENCE_LIMIT + 1)
    given = {"region": region, "trust": trust and str(trust)}
    try:
        half = find(name, {key: value for key, value in given.items() if value is not None}).server()
    except SettingsError as error:
        raise click.UsageError(f"{error}.") from None
    at = _moment(half, at, evidence)
    identity = asyncio.run(_verified(half, evidence, Challenge(nonce=nonce or "", at=at)))
    told = {
        "binding": name,
        "name": identity.name,
        "attributes": dict(identity.attributes),
        "fresh": identity.fresh,
        "weak": identity.weak,
        "at": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    click.echo(json.dumps(told, indent=2, ensure_ascii=False) if output == "json" else _text(told))


def _moment(half: ServerHalf, at: datetime | str | None, evidence: bytes) -> datetime:
    if at != DOCUMENT:
        return at if isinstance(at, datetime) else datetime.now(UTC)
    if not isinstance(half, Dated):
        raise click.UsageError(f"The evidence of {half.name!r} does not say when it was issued; name a time.")
    return half._issued_at(evidence)


async def _verified(half: ServerHalf, evidence: bytes, challenge: Challenge) -> Identity:
    try:
        identity = await half.verify(evidence, challenge)
    finally:
        await half.close()
    if challenge.nonce and not identity.fresh:
        raise BindingEvidenceInvalid("The document is genuine, but it was not made for this nonce.")
    return identity


def _text(told: dict[str, Any]) -> str:
    lines = [f"{told['binding']}: {told['name'] or 'verified'}"]
    lines += [f"  {key}: {value}" for key, value in told["attributes"].items()]
    answers = "answers the nonce" if told["fresh"] else "may be a copy: it answers no nonce"
    lines.append(f"As of {told['at']}, it {answers}." + (" It says too little to be sure." if told["weak"] else ""))
    return "\n".join(lines)
