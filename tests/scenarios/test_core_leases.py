"""Leases: claimed, renewed, given back, run out; and every reason to refuse one."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.jwk import KeySet

from licentia.errors import (
    Conflict,
    FeatureNotLicensed,
    LicenseExpired,
    LicenseNotYetValid,
    MaintenanceEnded,
    NoFreeSeats,
    NotLicensed,
    ProductUnknown,
)

SOON = timedelta(seconds=0.4)


def until(reply: Any) -> float:
    """How long a lease lives from now, in seconds."""
    return float((reply.expires_at - datetime.now(UTC)).total_seconds())


async def pass_time(desk: Any, seconds: float) -> None:
    """Let all leases be older by so many seconds."""
    micros = int(seconds * 1_000_000)
    await desk.sql("UPDATE lease SET granted_at = granted_at - $1, expires_at = expires_at - $1", micros)


async def test_a_claim_and_its_renewal(desk: Any) -> None:
    """The first call claims, the same id renews: same license and start, later end, no seat more."""
    await desk.sold(quantity=3, lease_ttl_seconds=300)
    claimed = await desk.checkout(station="ws1")
    assert (claimed.created, claimed.seats_in_use, claimed.seats_total) == (True, 1, 3)
    assert (claimed.user, claimed.station, claimed.seats, claimed.renew_after_seconds) == ("ada", "ws1", 1, 100)
    assert 299 < until(claimed) <= 300
    await pass_time(desk, 120)
    renewed = await desk.checkout(station="ws1")
    assert (renewed.created, renewed.seats_in_use, renewed.license_id) == (False, 1, claimed.license_id)
    assert 299 < until(renewed) <= 300
    assert renewed.granted_at == claimed.granted_at - timedelta(seconds=120)
    assert await desk.kinds() == ["product.put", "license.issued", "order.placed", "activation.created",
                                  "lease.granted"]  # fmt: skip


async def test_the_last_seat_frees_itself(desk: Any) -> None:
    """A lease that is not renewed ends by itself, and its seat goes to who asks for it."""
    await desk.sold()
    await desk.checkout("a", ttl_seconds=5)
    await desk.full(NoFreeSeats, "b")
    await pass_time(desk, 5)
    assert await desk.leases() == []
    assert (await desk.checkout("b")).seats_in_use == 1
    refusal = await desk.full(NoFreeSeats, "a")
    assert "ada until" in refusal.detail
    assert (await desk.kinds())[-2:] == ["lease.expired", "lease.granted"]


async def test_a_renewal_that_comes_too_late_is_a_new_claim(desk: Any) -> None:
    """A client that slept gets a seat again if there is one, as a new lease."""
    await desk.sold()
    first = await desk.checkout()
    await pass_time(desk, 601)
    again = await desk.checkout()
    assert again.created
    assert again.granted_at > first.granted_at
    assert again.seats_in_use == 1


async def test_time_really_passes(desk: Any) -> None:
    """Without anyone's help a lease of one second is over after one second, and not before."""
    await desk.sold()
    started = time.monotonic()
    await desk.checkout("a", ttl_seconds=1)
    while True:
        try:
            await desk.checkout("b")
            break
        except NoFreeSeats:
            await asyncio.sleep(0.1)
    assert 0.9 < time.monotonic() - started < 3


async def test_a_release_gives_the_seat_back(desk: Any) -> None:
    """The seat is free at once; releasing again, or what never was, is as good as released."""
    await desk.sold()
    await desk.checkout()
    for _ in range(2):
        await desk("ReleaseLease", lease_id="l1")
    await desk("ReleaseLease", lease_id="never-was")
    assert (await desk.checkout("b")).seats_in_use == 1
    assert (await desk.kinds())[-3:] == ["lease.granted", "lease.released", "lease.granted"]


async def test_the_lease_of_another_is_not_renewed(desk: Any) -> None:
    """A lease id that lives under another user, product or number of seats is a conflict, and stays as it was."""
    await desk.sold(quantity=3)
    await desk.sold("cad", "ben", quantity=3)
    await desk.product("cam")
    before = await desk.checkout(seats=2)
    for other in ({"user": "ben"}, {"seats": 1}, {"product_code": "cam"}):
        await desk.full(Conflict, "l1", **{"seats": 2} | other)
    assert (await desk("ListLeases")).leases[0].expires_at == before.expires_at


async def test_one_lease_may_take_several_seats(desk: Any) -> None:
    """Seats are counted as asked for, all or none."""
    await desk.sold(quantity=5)
    assert (await desk.checkout("a", seats=3)).seats_in_use == 3
    refusal = await desk.full(NoFreeSeats, "b", seats=3)
    assert "3 seats were asked for" in refusal.detail
    assert (await desk.checkout("b", seats=2)).seats_in_use == 5


async def test_the_refusal_names_the_holders(desk: Any) -> None:
    """Who finds no seat learns who has them, where and until when; a long list is cut."""
    await desk.sold(quantity=12)
    for number in range(12):
        await desk.checkout(f"l{number}", station=f"ws{number}", ttl_seconds=60 + number)
    refusal = await desk.full(NoFreeSeats)
    assert "All 12 seats of 'cad' are in use" in refusal.detail
    for number in range(10):
        assert f"ada at ws{number} until" in refusal.detail
    assert "ws10" not in refusal.detail
    assert "and others" in refusal.detail


async def test_an_overdraft_is_lent_beyond_what_was_sold(desk: Any) -> None:
    """Seats beyond the sold ones are granted up to the overdraft, and the total shows what was sold."""
    await desk.sold(quantity=2, overdraft=1)
    leases = [await desk.checkout(f"l{number}") for number in range(3)]
    assert [(lease.seats_in_use, lease.seats_total) for lease in leases] == [(1, 2), (2, 2), (3, 2)]
    await desk.full(NoFreeSeats)


async def test_the_overdraft_is_lent_once(desk: Any) -> None:
    """A license in two containers has its overdraft in one of them; a return frees it for the next."""
    await desk.product(overdraft=1)
    order = await desk.order("1", ("1", "cad", 2))
    first = await desk.activate(order.ticket, "ada", quantity=1)
    await desk.activate(order.ticket, "ben", quantity=1)
    for lease_id, user in (("a1", "ada"), ("a2", "ada"), ("b1", "ben")):
        await desk.checkout(lease_id, user)
    await desk.full(NoFreeSeats, user="ada")
    await desk.full(NoFreeSeats, user="ben")
    await desk("ReturnActivation", activation_id=first.activation_id)
    await desk.activate(order.ticket, "cy")
    for lease_id in ("c1", "c2"):
        await desk.checkout(lease_id, "cy")
    await desk.full(NoFreeSeats, user="cy")


async def test_an_unlimited_license_counts_but_never_refuses(desk: Any) -> None:
    """There is no total, and seats in use are still known."""
    await desk.sold(license_model="unlimited")
    lease = await desk.checkout("a", seats=1000)
    assert (lease.seats_in_use, lease.seats_total) == (1000, None)
    assert (await desk.checkout("b", seats=1_000_000)).seats_in_use == 1_001_000


async def test_features_are_checked_at_claim_and_renewal(desk: Any) -> None:
    """A feature that is not part of the license is refused with those that are, and costs no seat."""
    await desk.sold(features=["mesh", "export"])
    assert "mesh, export" in (await desk.full(FeatureNotLicensed, feature="render")).detail
    lease = await desk.checkout(feature="mesh")
    assert (lease.feature, lease.seats_in_use) == ("mesh", 1)
    await desk.full(FeatureNotLicensed, "l1", feature="render")
    assert await desk.leases() == ["l1"]


async def test_the_license_that_has_the_feature_is_found(desk: Any) -> None:
    """Of several licenses of a product the one with the wanted feature and a free seat is used."""
    await desk.product(features=[])
    await desk.activate((await desk.order("1")).ticket)
    await desk.product(features=["mesh"])
    rich = await desk.activate((await desk.order("2")).ticket)
    assert (await desk.checkout("a", feature="mesh")).license_id == rich.licenses[0].license_id
    assert (await desk.checkout("b")).license_id != rich.licenses[0].license_id
    await desk.full(NoFreeSeats, feature="mesh")


async def test_maintenance_limits_the_release_not_the_use(desk: Any) -> None:
    """A release from within the maintenance runs for ever, a later one is refused."""
    await desk.sold(maintenance_until="2026-01-01T00:00:00Z")
    await desk.checkout("a", release_date="2026-01-01T00:00:00Z")
    await desk("ReleaseLease", lease_id="a")
    await desk.checkout("b")
    assert "2026-02-01" in (await desk.full(MaintenanceEnded, release_date="2026-02-01T00:00:00Z")).detail


async def test_a_license_is_not_used_before_its_time(desk: Any) -> None:
    """The refusal says from when on."""
    await desk.sold(activation_at="2099-05-01T10:00:00+02:00")
    assert "2099-05-01 08:00 UTC" in (await desk.full(LicenseNotYetValid)).detail
    assert (await desk("ListLicenses", user="ada")).licenses == []


async def test_no_lease_outlives_its_license(desk: Any) -> None:
    """A claim and a renewal end with the license at the latest, and the renewal after that ends the lease."""
    end = datetime.now(UTC) + SOON
    await desk.sold(quantity=2, expires_at=end.isoformat())
    claimed = await desk.checkout()
    assert claimed.expires_at == end
    assert (await desk.checkout(ttl_seconds=600)).expires_at == end
    await asyncio.sleep(max(0, (end - datetime.now(UTC)).total_seconds()) + 0.01)
    await desk.full(LicenseExpired, "l1")
    assert await desk.leases() == []
    assert "expired at" in (await desk.full(LicenseExpired)).detail
    assert (await desk("ListLicenses", user="ada")).licenses == []
    assert (await desk("GetOrder", source="erp", order_number="cad-ada")).licenses[0].state == "expired"


async def test_a_lease_ends_when_its_license_is_cut_short(desk: Any) -> None:
    """A license that expires while a lease still lives ends it at the next renewal, and the seat is free."""
    await desk.sold(expires_at="2099-01-01T00:00:00Z")
    await desk.checkout()
    await desk.sql("UPDATE seat_pool SET valid_until = 1")
    await desk.full(LicenseExpired, "l1")
    assert await desk.leases() == []
    assert (await desk.kinds())[-1] == "lease.ended"
    assert await desk.sql("SELECT in_use FROM seat_pool") == [{"in_use": 0}]


async def test_the_license_that_ends_first_is_used_first(desk: Any) -> None:
    """Seats that will soon be gone are drawn before those that stay."""
    ends: dict[str, Any] = {"1": None, "2": "2031-01-01T00:00:00Z", "3": "2030-01-01T00:00:00Z"}
    for number, end in ends.items():
        await desk.product(expires_at=end)
        await desk.activate((await desk.order(number)).ticket)
    used = [(await desk.checkout(f"l{number}")).license_id for number in range(3)]
    orders = [await desk("GetOrder", source="erp", order_number=number) for number in "321"]
    assert used == [order.licenses[0].license_id for order in orders]


async def test_an_expired_license_does_not_hide_a_good_one(desk: Any) -> None:
    """The good license is used, and its own refusal is the one that counts."""
    await desk.sold(expires_at="2099-01-01T00:00:00Z", features=["mesh"])
    await desk.sql("UPDATE seat_pool SET valid_until = 1")
    await desk.product(features=["export"])
    await desk.activate((await desk.order("2")).ticket)
    await desk.checkout(feature="export")
    await desk.full(NoFreeSeats)
    assert "export" in (await desk.full(FeatureNotLicensed, feature="mesh")).detail


async def test_the_usage_period_starts_with_the_first_use(desk: Any) -> None:
    """The days count from the first claim, not from the activation, and later claims do not restart them."""
    activation = await desk.sold(quantity=2, usage_period_days=2)
    assert activation.licenses[0].expires_at is None
    first = await desk.checkout("a")
    end = first.granted_at + timedelta(days=2)
    (license,) = (await desk("ListLicenses", user="ada")).licenses
    assert license.expires_at == end
    await desk.checkout("b")
    (license,) = (await desk("GetTicket", code=activation.ticket)).licenses
    assert license.expires_at == end


async def test_a_usage_period_ends_for_all_containers(desk: Any) -> None:
    """A first use in one container starts the clock of the license in every other as well."""
    await desk.product(usage_period_days=2)
    order = await desk.order("1", ("1", "cad", 2))
    await desk.activate(order.ticket, "ada", quantity=1)
    await desk.activate(order.ticket, "ben", quantity=1)
    first = await desk.checkout("a", "ada")
    (license,) = (await desk("ListLicenses", user="ben")).licenses
    assert license.expires_at == first.granted_at + timedelta(days=2)
    day = 86_400_000_000
    await desk.sql("UPDATE license SET first_used_at = first_used_at - $1", 3 * day)
    await desk.sql("UPDATE seat_pool SET valid_until = valid_until - $1", 3 * day)
    await desk.full(LicenseExpired, user="ben")
    assert (await desk("ListLicenses", user="ben")).licenses == []


async def test_first_uses_at_once_start_one_clock(desk: Any) -> None:
    """Users in several containers who are the first at the same instant all get a seat and the same end."""
    await desk.product(usage_period_days=2)
    order = await desk.order("1", ("1", "cad", 4))
    users = ["ada", "ben", "cy", "dan"]
    for user in users:
        await desk.activate(order.ticket, user, quantity=1)
    await asyncio.gather(*[desk.checkout(f"l-{user}", user) for user in users])
    ends = {(await desk("ListLicenses", user=user)).licenses[0].expires_at for user in users}
    assert len(ends) == 1
    assert None not in ends


async def test_who_has_no_license_and_what_is_no_product(desk: Any) -> None:
    """A product code nobody ever sold is told apart from a user who has none of it."""
    await desk.sold()
    assert "ben" in (await desk.full(NotLicensed, user="ben")).detail
    assert "'nope'" in (await desk.full(ProductUnknown, product_code="nope")).detail
    await desk.product("cad", quantity=9)
    await desk("PutProduct", sku="cad", name="CAD", items=[{"product_code": "renamed"}])
    await desk.checkout("a")


async def test_wishes_for_a_life(desk: Any) -> None:
    """A shorter life is granted, a longer one is cut to the license's own."""
    await desk.sold(quantity=3, lease_ttl_seconds=100)
    assert 9 < until(await desk.checkout("a", ttl_seconds=10)) <= 10
    assert 99 < until(await desk.checkout("b", ttl_seconds=604_800)) <= 100
    one = await desk.checkout("c", ttl_seconds=1)
    assert one.renew_after_seconds == 1


async def test_the_token_is_the_lease_and_can_be_checked_offline(desk: Any) -> None:
    """The public keys of the server verify it with another library, and it says what the answer says."""
    await desk.sold(features=["mesh"])
    lease = await desk.checkout(feature="mesh", station="ws1")
    keys = KeySet.import_key_set(json.loads(msgspec.json.encode(await desk("ListPublicKeys"))))
    claims = jwt.decode(lease.token, keys, algorithms=["Ed25519"]).claims
    assert claims == {
        "jti": "l1", "sub": "ada", "iat": int(lease.granted_at.timestamp()), "exp": int(lease.expires_at.timestamp()),
        "license_id": lease.license_id, "product_code": "cad", "seats": 1, "feature": "mesh", "station": "ws1",
    }  # fmt: skip
    renewed = jwt.decode((await desk.checkout(feature="mesh", station="ws1")).token, keys, algorithms=["Ed25519"])
    assert renewed.claims["jti"] == "l1"


async def test_the_list_of_leases_has_pages_and_filters(desk: Any) -> None:
    """By product and license, in the order of the ids, each exactly once."""
    cad = await desk.sold("cad", quantity=5)
    await desk.sold("cam", quantity=5)
    for number in range(5):
        await desk.checkout(f"l{number}", product_code="cad" if number % 2 else "cam")
    assert [lease.lease_id for lease in (await desk("ListLeases", product_code="cad")).leases] == ["l1", "l3"]
    license_id = cad.licenses[0].license_id
    assert [lease.lease_id for lease in (await desk("ListLeases", license_id=license_id)).leases] == ["l1", "l3"]
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await desk("ListLeases", limit=2, cursor=cursor)
        found += [lease.lease_id for lease in page.leases]
        cursor = page.next_cursor
    assert found == [f"l{number}" for number in range(5)]


async def test_a_seat_lingers_after_its_release(desk: Any) -> None:
    """A released seat stays taken for the linger time, so that nobody hands one seat round a whole office."""
    await desk.sold(linger_seconds=60)
    await desk.checkout("a")
    await desk("ReleaseLease", lease_id="a")
    await desk.full(NoFreeSeats, "b", user="ada")
    await pass_time(desk, 61)
    assert (await desk.checkout("b")).seats_in_use == 1


async def test_a_lingering_seat_is_released_once_and_can_be_taken_up_again(desk: Any) -> None:
    """Releasing again does not prolong the wait, and the same client gets its own seat back meanwhile."""
    await desk.sold(linger_seconds=60)
    await desk.checkout("a")
    await desk("ReleaseLease", lease_id="a")
    await pass_time(desk, 50)
    await desk("ReleaseLease", lease_id="a")
    await pass_time(desk, 11)
    assert (await desk.checkout("b")).seats_in_use == 1
    await desk("ReleaseLease", lease_id="b")
    assert (await desk.checkout("b")).seats_in_use == 1
    await pass_time(desk, 61)
    await desk.full(NoFreeSeats, "c")
    await desk("ReleaseLease", lease_id="b")
    await pass_time(desk, 61)
    assert (await desk.checkout("c")).seats_in_use == 1
