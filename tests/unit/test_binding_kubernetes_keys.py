"""The keys of a cluster that publishes them: fetched when needed, bounded, and not for ever."""

from __future__ import annotations

import asyncio

import pytest
from joserfc.jwk import Key

from licentia.errors import Unavailable
from licentia.testing.issuer import EC, JWKS, NEXT, RSA, Issuer
from licentia_plugins.bindings.kubernetes import fetch
from licentia_plugins.bindings.kubernetes.fetch import KeysOfUrl


def kids(keys: tuple[Key, ...]) -> list[str | None]:
    """The names of keys."""
    return [key.kid for key in keys]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds, which a test sets."""
    now = [1000.0]
    monkeypatch.setattr(fetch, "monotonic", lambda: now[0])
    return now


async def test_keys_are_fetched_once(clock: list[float]) -> None:
    """Many at once cause one request, and so do many within the time that keys are kept."""
    with Issuer() as issuer:
        source = KeysOfUrl(issuer.url + JWKS, cache_seconds=600, timeout_seconds=5)
        for keys in await asyncio.gather(*(source.current("rsa-1") for _ in range(10))):
            assert kids(keys) == ["rsa-1", "ec-1"]
        clock[0] += 500
        await source.current("ec-1")
        assert issuer.asked[JWKS] == 1
        clock[0] += 200
        await source.current("ec-1")
        assert issuer.asked[JWKS] == 2


async def test_an_unknown_key_makes_us_ask_again_but_seldom(clock: list[float]) -> None:
    """New keys are found within half a minute; senders of nonsense cannot make a flood of requests."""
    with Issuer() as issuer:
        source = KeysOfUrl(issuer.url + JWKS, cache_seconds=600, timeout_seconds=5)
        await source.current("rsa-1")
        issuer.publish(NEXT, EC)
        for _ in range(5):
            assert "ec-2" not in kids(await source.current("ec-2"))
        assert issuer.asked[JWKS] == 1
        clock[0] += fetch.REFETCH_SECONDS
        assert kids(await source.current("ec-2")) == ["ec-2", "ec-1"]
        assert issuer.asked[JWKS] == 2


async def test_while_the_cluster_is_silent_old_keys_serve(clock: list[float]) -> None:
    """Known keys serve for a day; for others, and afterwards, nobody can say."""
    with Issuer() as issuer:
        source = KeysOfUrl(issuer.url + JWKS, cache_seconds=600, timeout_seconds=5)
        await source.current("rsa-1")
        issuer.status = 503
        clock[0] += 700
        assert "rsa-1" in kids(await source.current("rsa-1"))
        with pytest.raises(Unavailable, match="cannot be fetched"):
            await source.current("ec-2")
        assert issuer.asked[JWKS] == 2
        clock[0] += fetch.STALE_SECONDS
        with pytest.raises(Unavailable):
            await source.current("rsa-1")
        issuer.status = 200
        clock[0] += fetch.RETRY_SECONDS
        assert "rsa-1" in kids(await source.current("rsa-1"))


@pytest.mark.parametrize(
    "answer",
    [{"keys": []}, [], {"keys": [RSA.as_dict(private=False)], "": "x" * 70_000}, {"keys": [RSA.as_dict()] * 40}, None],
)
async def test_what_is_no_key_set_is_not_taken(clock: list[float], answer: object) -> None:
    """An answer that is empty, too long, not found or something else leaves us without keys."""
    with Issuer() as issuer:
        issuer.documents[JWKS] = answer
        with pytest.raises(Unavailable):
            await KeysOfUrl(issuer.url + JWKS, cache_seconds=600, timeout_seconds=5).current("rsa-1")


async def test_a_slow_answer_is_not_waited_for(clock: list[float]) -> None:
    """The time for a fetch is counted in all, not for each byte."""
    with Issuer() as issuer:
        issuer.trickle_seconds = 0.05
        with pytest.raises(Unavailable):
            await KeysOfUrl(issuer.url + JWKS, cache_seconds=600, timeout_seconds=1).current("rsa-1")


async def test_a_redirect_is_not_followed(clock: list[float]) -> None:
    """The keys come from where the settings say, or not at all."""
    with Issuer() as issuer:
        issuer.status = 302
        with pytest.raises(Unavailable):
            await KeysOfUrl(issuer.url + JWKS, cache_seconds=600, timeout_seconds=5).current("rsa-1")
        assert sum(issuer.asked.values()) == 1
