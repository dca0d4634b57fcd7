"""Who is meant: the directories of the settings, asked in their order."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any

import pytest

from licentia.directories import Subject, UserClaim, UserDirectory
from licentia.errors import Forbidden, LicensingError, Unauthenticated, Unavailable
from licentia.plugins import Registry
from licentia.settings import Settings
from licentia.testing import MemoryHost

CLOSED: list[str] = []


class Scripted(UserDirectory):
    """A directory that knows the users and refuses the tokens that its settings name."""

    async def _identify(self, claim: UserClaim) -> Subject | None:
        if claim.token in self.settings.get("refused", ()):
            raise Unauthenticated(f"{self.name} refuses it.")
        if claim.user in self.settings.get("failing", ()):
            raise KeyError("a secret of the database")
        if (claim.token or claim.user) in self.settings.get("known", ()):
            return Subject(user=f"{self.name}:{claim.token or claim.user}")
        return None

    async def close(self) -> None:
        """Fail where the settings say so."""
        CLOSED.append(self.name)
        if self.settings.get("clumsy"):
            raise OSError("cannot close")


@pytest.fixture
def registry() -> Callable[..., Registry]:
    """A registry of scripted directories; each argument is the settings of one, in order."""

    def made(**tables: dict[str, Any]) -> Registry:
        entry_points = [EntryPoint(name, "scripted:Scripted", "licentia.directories") for name in tables]
        settings = Settings(containers=[], directories=list(tables), directory=tables)
        return Registry(settings, MemoryHost(), entry_points=entry_points)

    return made


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the entry points above find the class of this file."""
    monkeypatch.setitem(sys.modules, "scripted", SimpleNamespace(Scripted=Scripted))
    CLOSED.clear()


async def test_the_first_that_knows_the_user_answers(registry: Callable[..., Registry]) -> None:
    """Directories are asked in the order of the settings, not of their names."""
    plugins = registry(zeta={"known": ["ada"]}, alpha={"known": ["ada", "bob"]})
    assert [directory.name for directory in plugins.directories()] == ["zeta", "alpha"]
    assert (await plugins.identify(UserClaim(user="ada"))).user == "zeta:ada"
    assert (await plugins.identify(UserClaim(user="bob"))).user == "alpha:bob"


async def test_a_refusal_is_final(registry: Callable[..., Registry]) -> None:
    """A token that its own directory refuses is not offered to the next one."""
    plugins = registry(first={"refused": ["forged"]}, second={"known": ["forged"]})
    with pytest.raises(Unauthenticated, match="first refuses it"):
        await plugins.identify(UserClaim(token="forged"))


async def test_a_failing_directory_is_named_and_tells_no_secret(registry: Callable[..., Registry]) -> None:
    """A directory that cannot answer makes the question unanswerable; it is never skipped."""
    plugins = registry(first={"failing": ["ada"]}, second={"known": ["ada"]})
    with pytest.raises(Unavailable, match=r"directory\(first\)") as failure:
        await plugins.identify(UserClaim(user="ada"))
    assert "secret" not in f"{failure.value} {failure.value.next_step}"


@pytest.mark.parametrize(
    ("claim", "refusal", "help_"),
    [
        (UserClaim(user="nobody"), Forbidden, "add 'trusted' to `directories`"),
        (UserClaim(token="of-someone-else"), Unauthenticated, "an identity provider that this server is set up for"),
    ],
    ids=["user", "token"],
)
async def test_a_claim_that_nobody_knows_is_refused_with_advice(
    registry: Callable[..., Registry], claim: UserClaim, refusal: type[LicensingError], help_: str
) -> None:
    """The caller learns whom the server asked and what to do, and the token is not repeated."""
    for plugins in (registry(first={}, second={}), registry()):
        with pytest.raises(refusal) as refused:
            await plugins.identify(claim)
        asked = "first, second" if plugins.directories() else "none is configured"
        assert f"(asked: {asked})" in refused.value.detail
        assert help_ in refused.value.next_step
        assert "of-someone-else" not in f"{refused.value} {refused.value.next_step}"


async def test_trusted_and_oidc_share_the_work() -> None:
    """With both configured, a name is taken at the word of the key's holder, and a strange token is not."""
    table = {"issuer": "https://login.example.com", "audience": "acme-app"}
    settings = Settings(containers=(), directories=("oidc", "trusted"), directory={"oidc": table})
    plugins = Registry(settings, MemoryHost())
    assert await plugins.identify(UserClaim(user="ada")) == Subject(user="ada")
    with pytest.raises(Unauthenticated):
        await plugins.identify(UserClaim(user="ada", token="opaque"))
    await plugins.close()


async def test_closing_reaches_every_directory(registry: Callable[..., Registry]) -> None:
    """One that fails to close keeps no other from it."""
    await registry(first={"clumsy": True}, second={}).close()
    assert CLOSED == ["first", "second"]
