"""Whom a container believes: manifests followed from the pinned one, and updates that one of their keys signed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from licentia.client.actfile.trust import follow, newest_of, verify_update
from licentia.crypto import envelope
from licentia.crypto.manifest import Body, Issuing, Roots, make, read_pinned
from licentia.crypto.signing import SoftwareKey
from licentia.crypto.suites import ED25519
from licentia.errors import DocumentInvalid
from licentia.exchange.messages import START, UPDATE, Lock, Sealed, Update


class Vendor:
    """A vendor that makes manifests."""

    def __init__(self) -> None:
        self.roots = [SoftwareKey.generate(ED25519) for _ in range(3)]
        self.keys = [SoftwareKey.generate(ED25519) for _ in range(3)]

    def manifest(self, version: int, root: int = 0, former: int | None = None, **states: Any) -> bytes:
        """A version by one root; if `former` is another, that one signs too. `states` are those of keys, as `k0`."""
        states = states or {"k0": "current"}
        signers = [self.roots[root], *([] if former is None else [self.roots[former]])]
        body = Body(
            version=version,
            vendor="Test vendor",
            issued_at=version,
            roots=Roots(threshold=1, keys=(self.roots[root].public,)),
            former_roots=() if former is None else (self.roots[former].public,),
            issuing=tuple(
                Issuing(key=self.keys[int(name[1:])].public, not_before=100, not_after=200, state=state)
                for name, state in states.items()
            ),
            suites=(ED25519,),
        )
        return make(body, *signers).to_bytes()

    def update(self, key: int = 0, at: int = 150, *manifests: bytes) -> bytes:
        """An update of a time by a key."""
        lock = Lock(threshold=1, parts=(Sealed(binding="none", record=b"r", shares=(b"s",)),))
        update = Update(
            container="c", sequence=1, previous=START, request_id=None, issued_at=at, manifests=manifests, lock=lock
        )
        return envelope.sign(UPDATE, msgspec.json.encode(update), self.keys[key])


@pytest.fixture
def vendor() -> Vendor:
    """A vendor."""
    return Vendor()


def test_the_pinned_manifest_is_enough(vendor: Vendor) -> None:
    """Without others the pinned one counts; a file that is none is refused."""
    pinned = vendor.manifest(1)
    assert follow(pinned, ()) == follow(pinned, [pinned]) == (pinned,)
    for wrong in (b"", b"{}", vendor.update()):
        with pytest.raises(DocumentInvalid):
            follow(wrong, ()) if wrong == b"" else newest_of(follow(wrong, ()))


def test_versions_of_the_same_roots_replace_one_another(vendor: Vendor) -> None:
    """However many versions there were, only the newest is kept beside the pinned one."""
    chain = (vendor.manifest(1),)
    for version in range(2, 100):
        chain = follow(chain[0], [*chain[1:], vendor.manifest(version)])
    assert [read_pinned(each).version for each in chain] == [1, 99]


def test_a_change_of_roots_is_kept(vendor: Vendor) -> None:
    """The version that hands over to other roots stays: without it the newer ones cannot be followed to."""
    steps = [vendor.manifest(1), vendor.manifest(2), vendor.manifest(3, 1, former=0), vendor.manifest(4, 1)]
    chain: tuple[bytes, ...] = (steps[0],)
    for step in steps:
        chain = follow(chain[0], [*chain[1:], step])
    assert [read_pinned(each).version for each in chain] == [1, 3, 4]
    assert follow(chain[0], chain[1:]) == chain
    assert follow(steps[2], chain) == (steps[2], steps[3])
    with pytest.raises(DocumentInvalid):
        follow(steps[0], [steps[3]])


def forged(vendor: Vendor) -> dict[str, Callable[[], bytes]]:
    """Manifests that must not be followed, from version 2 of one root."""
    return {
        "by a stranger": lambda: Vendor().manifest(3),
        "by another root": lambda: vendor.manifest(3, 1),
        "the same version with other keys": lambda: vendor.manifest(2, k1="current"),
        "no manifest": lambda: b'{"payloadType":"x"}',
    }


@pytest.mark.parametrize("what", list(forged(Vendor())))
def test_a_forged_manifest_is_refused(vendor: Vendor, what: str) -> None:
    """One that the roots before did not sign, or a second one of a version, ends the matter."""
    with pytest.raises(DocumentInvalid):
        follow(vendor.manifest(1), [vendor.manifest(2), forged(vendor)[what]()])


def test_an_older_one_counts_for_nothing(vendor: Vendor) -> None:
    """A version before the one that is known is left out, whoever signed it."""
    pinned, newer = vendor.manifest(2), vendor.manifest(3)
    assert follow(pinned, [vendor.manifest(1), newer, vendor.manifest(2), vendor.manifest(1)]) == (pinned, newer)


@pytest.mark.parametrize(("at", "fits"), [(99, False), (100, True), (199, True), (200, False)])
def test_a_key_counts_for_its_time(vendor: Vendor, at: int, fits: bool) -> None:
    """What a key signed counts from the beginning of its time until before the end."""
    trust = (vendor.manifest(1),)
    if fits:
        assert verify_update(vendor.update(0, at), trust)[1] == trust
    else:
        with pytest.raises(DocumentInvalid, match="no key"):
            verify_update(vendor.update(0, at), trust)


def test_an_update_may_bring_its_manifest(vendor: Vendor) -> None:
    """An update by a new key is believed if it brings the manifest that vouches for it, and remembered with it."""
    old, new = vendor.manifest(1), vendor.manifest(2, k0="old", k1="current")
    with pytest.raises(DocumentInvalid, match="not trusted"):
        verify_update(vendor.update(1), (old,))
    _, trust = verify_update(vendor.update(1, 150, new), (old,))
    assert trust == (old, new)
    assert newest_of(trust).version == 2
    assert verify_update(vendor.update(0), trust)[0].sequence == 1


def test_a_revoked_key_counts_for_nothing(vendor: Vendor) -> None:
    """What a revoked key signed is refused, whenever it was; also an update that brings its own revocation."""
    revoked = vendor.manifest(2, k0="revoked", k1="current")
    for trust in ((vendor.manifest(1), revoked), (vendor.manifest(1),)):
        with pytest.raises(DocumentInvalid, match="not trusted"):
            verify_update(vendor.update(0, 150, revoked), trust)
