"""`licentia demo run`: what a licensed program does with a lease, in the open."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
import uuid
from datetime import UTC, datetime
from typing import Self

import click

from licentia.cli import demo_info
from licentia.cli.command import Failure, command
from licentia.cli.signals import leave_on_signals
from licentia.client.faults import Unreachable
from licentia.client.remote import RemoteLicentia
from licentia.contract import BY_NAME
from licentia.contract.activations import ActivateTicket, Container
from licentia.contract.leases import CheckoutLicense, GrantedLease, ReleaseLease
from licentia.errors import LicensingError, NoFreeSeats, NotLicensed, TicketExhausted

PRODUCT = "201001"
TTL_SECONDS = 30
"""Short, so that one sees renewals, and gets the seat of a killed program back while one watches."""


class Seat:
    """A lease of our own id. In a `with` block it is renewed in the background, and given back at the end."""

    def __init__(self, licentia: RemoteLicentia, user: str) -> None:
        self.claim = CheckoutLicense(
            lease_id=str(uuid.uuid4()),
            product_code=PRODUCT,
            user=user,
            station=f"{socket.gethostname()}-{os.getpid()}"[:200],
            ttl_seconds=TTL_SECONDS,
        )
        self.end: LicensingError | Unreachable | None = None
        self.over = threading.Event()
        self._licentia = licentia
        self._renewal = threading.Thread(target=self._renew, daemon=True)

    def take(self) -> None:
        """Claim the seat, or renew the claim.

        Raises:
            LicensingError: it is refused.
            Unreachable: the server is away.
        """
        lease = self._licentia.call(BY_NAME["CheckoutLicense"], self.claim)
        assert isinstance(lease, GrantedLease)
        self.lease = lease

    def __enter__(self) -> Self:
        self._renewal.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self._renewal.join()
        with contextlib.suppress(Unreachable):
            self._licentia.call(BY_NAME["ReleaseLease"], ReleaseLease(lease_id=self.claim.lease_id))

    def _renew(self) -> None:
        while not self.over.wait(self.lease.renew_after_seconds):
            try:
                self.take()
                click.echo(f"\nRenewed, good until {_clock(self.lease.expires_at)} ", nl=False)
            except Unreachable as fault:
                if datetime.now(UTC) >= self.lease.expires_at:
                    self._lose(fault)
                click.echo(f"\nNo server; the seat is good until {_clock(self.lease.expires_at)} ", nl=False)
            except LicensingError as refusal:
                self._lose(refusal)

    def _lose(self, why: LicensingError | Unreachable) -> None:
        self.end = why
        self.over.set()


@command("run", example="licentia demo run\nlicentia demo run --seconds 5")
@click.option("--url", help="A server other than the running demo; --key must be given too.")
@click.option("--key", help="Key with the scope licensing.")
@click.option("--user", default="demo", help="Who runs it. Default: demo.")
@click.option("--seconds", type=click.IntRange(1), metavar="N", help="How long to work; else until Ctrl-C.")
def run(url: str | None, key: str | None, user: str, seconds: int | None) -> None:
    """Run a small licensed program: it takes a seat of Acme CAD, works, renews, and gives the seat back.

    The first one activates the demo's ticket for its user. There are three seats: the fourth program is
    refused, with exit code 2, and told who has them.
    """
    if bool(url) != bool(key):
        raise click.UsageError("Give --url and --key together.")
    info = None if url else demo_info.read(demo_info.well_known())
    if info is not None:
        url, key = info.base_url, info.keys["licensing"]
    if not url or not key:
        raise Failure("No demo is running here. `licentia demo` starts one, in another terminal.")
    leave_on_signals()
    try:
        with RemoteLicentia(url, key) as licentia, _seat(licentia, info, user) as seat:
            _work(seat, seconds)
    except NoFreeSeats as refusal:
        next_step = "Stop one of those programs with Ctrl-C, then start this one again."
        raise NoFreeSeats(refusal.detail, help=next_step) from None
    except Unreachable:
        if info is None:
            raise
        raise Unreachable(f"The demo at {url} is gone.", "`licentia demo` starts one.") from None


def _seat(licentia: RemoteLicentia, info: demo_info.DemoInfo | None, user: str) -> Seat:
    seat = Seat(licentia, user)
    try:
        seat.take()
    except NotLicensed:
        if info is None:
            raise
        _activate(info, user)
        seat.take()
    return seat


def _activate(info: demo_info.DemoInfo, user: str) -> None:
    request = ActivateTicket(code=info.tickets[0], container=Container(kind="cloud-lite", user=user))
    # Another program may have activated it meanwhile: then there is nothing left to do.
    with RemoteLicentia(info.base_url, info.keys["depot"]) as depot, contextlib.suppress(TicketExhausted):
        depot.call(BY_NAME["ActivateTicket"], request)
        click.echo(f"Activated ticket {info.tickets[0]} for user {user}.")


def _work(seat: Seat, seconds: int | None) -> None:
    lease = seat.lease
    click.echo(
        f"Acme CAD for {lease.user} at {lease.station}: {lease.seats_in_use} of {lease.seats_total} seats in use.\n"
        f"Good until {_clock(lease.expires_at)}, renewed every {lease.renew_after_seconds} s. "
        "Ctrl-C gives the seat back.\nWorking ",
        nl=False,
    )
    try:
        for _ in itertools.repeat(None) if seconds is None else range(seconds):
            if seat.over.wait(1):
                break
            click.echo(".", nl=False)
    finally:
        click.echo()
    if seat.end is not None:
        raise seat.end
    click.echo("Done, and the seat is free again.")


def _clock(at: datetime) -> str:
    return f"{at.astimezone():%H:%M:%S}"
