"""The conformance kit of directories."""

from __future__ import annotations

import asyncio
import base64

import pytest

from licentia.directories import Subject, UserClaim, UserDirectory
from licentia.errors import Forbidden, LicensingError, Unauthenticated
from licentia.plugins import flaw
from licentia.testing.kit import Kit

DEEP = base64.urlsafe_b64encode(b'{"x":' * 2000).rstrip(b"=").decode()
NONSENSE = ("", " ", ".", "..", "a.b.c", "e30.e30.", "\x00", "\u00fc.\u00fc.\u00fc", f"{DEEP}.e30.", "x" * 100_000)


class DirectoryContract(Kit):
    """What every directory does. A subclass gives a `directory`, a claim it knows, and claims it refuses."""

    @pytest.fixture
    def directory(self) -> UserDirectory:
        """The directory under test, fresh for each test."""
        pytest.fail("the test class has no `directory` fixture")

    @pytest.fixture
    def known(self) -> tuple[UserClaim, Subject]:
        """A claim that this directory accepts, and whom it means."""
        pytest.fail("the test class has no `known` fixture")

    @pytest.fixture
    def foreign(self) -> tuple[UserClaim, ...]:
        """Claims that are for other directories to judge."""
        return (UserClaim(),)

    @pytest.fixture
    def refused(self) -> tuple[UserClaim, ...]:
        """Claims that are this directory's to judge, and false."""
        return ()

    async def test_it_is_written_for_this_version_of_the_contract(self, directory: UserDirectory) -> None:
        """The class has its method, async and with the argument of the contract, and leaves the facade alone."""
        assert flaw("directory", type(directory)) is None
        assert directory.name

    async def test_a_known_claim_means_its_user(
        self, directory: UserDirectory, known: tuple[UserClaim, Subject]
    ) -> None:
        """Asked again, also many times at once, the user and the groups stay the same."""
        claim, subject = known
        assert await directory.identify(claim) == subject
        answers = await asyncio.gather(*(directory.identify(claim) for _ in range(20)))
        assert set(answers) == {subject}

    async def test_a_foreign_claim_is_left_to_others(
        self, directory: UserDirectory, foreign: tuple[UserClaim, ...]
    ) -> None:
        """The answer is None, so that the next directory is asked."""
        for claim in foreign:
            assert await directory.identify(claim) is None

    async def test_a_false_claim_is_refused(self, directory: UserDirectory, refused: tuple[UserClaim, ...]) -> None:
        """It is refused in the plugin's own words, which do not repeat the token."""
        for claim in refused:
            with pytest.raises(LicensingError) as refusal:
                await directory.identify(claim)
            _assert_refusal(refusal.value, claim)

    @pytest.mark.parametrize("token", NONSENSE, ids=lambda token: f"{len(token)} characters {token[:6]!a}")
    async def test_a_nonsense_token_means_nobody(self, directory: UserDirectory, token: str) -> None:
        """Whatever comes as a token is refused or left to others; it never makes the plugin fail."""
        claim = UserClaim(token=token)
        try:
            assert await directory.identify(claim) is None
        except LicensingError as refusal:
            _assert_refusal(refusal, claim)

    async def test_nobody_is_nobody(self, directory: UserDirectory) -> None:
        """Neither an empty claim nor an empty name means a user."""
        for claim in (UserClaim(), UserClaim(user="")):
            assert await directory.identify(claim) is None

    async def test_it_does_not_block_the_server(
        self, directory: UserDirectory, known: tuple[UserClaim, Subject]
    ) -> None:
        """While it works, everybody else's requests go on."""
        async with self.unblocked():
            await directory.identify(known[0])

    async def test_it_can_be_closed(self, directory: UserDirectory, known: tuple[UserClaim, Subject]) -> None:
        """Closing after use is no error."""
        await directory.identify(known[0])
        await directory.close()

    async def test_it_can_be_closed_unused(self, directory: UserDirectory) -> None:
        """Closing is no error either where nobody was ever identified."""
        await directory.close()


def _assert_refusal(refusal: LicensingError, claim: UserClaim) -> None:
    assert isinstance(refusal, Unauthenticated | Forbidden), refusal.detail
    words = f"{refusal} {refusal.detail} {refusal.next_step} {refusal.problems}"
    assert claim.token is None or len(claim.token) < 20 or claim.token not in words, "the refusal repeats the token"
