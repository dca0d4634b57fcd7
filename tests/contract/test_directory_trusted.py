"""trusted, by the kit that every directory is measured with, and what is its own."""

from __future__ import annotations

import pytest

from licentia.directories import Subject, UserClaim
from licentia.settings import SettingsError
from licentia.testing import DirectoryContract
from licentia_plugins.directories.trusted import Trusted


class TestTrusted(DirectoryContract):
    @pytest.fixture
    def directory(self) -> Trusted:
        return Trusted("trusted", {})

    @pytest.fixture
    def known(self) -> tuple[UserClaim, Subject]:
        return UserClaim(user="ada"), Subject(user="ada")

    @pytest.fixture
    def foreign(self) -> tuple[UserClaim, ...]:
        return UserClaim(token="a.token.of-someone"), UserClaim(user="ada", token="a.token.of-someone")

    def test_it_has_no_settings(self) -> None:
        """A setting that does not exist is an error that names it."""
        with pytest.raises(SettingsError, match="`only`"):
            Trusted("trusted", {"only": ["ada"]})
