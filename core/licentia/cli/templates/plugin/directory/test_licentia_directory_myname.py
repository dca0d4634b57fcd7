"""The kit of directories; tests of your own may follow in the same class."""

from hashlib import sha256

import pytest
from licentia_directory_myname import MyNamePlugin

from licentia.directories import Subject, UserClaim
from licentia.testing import DirectoryContract

BADGE = "myname-7c1e0f5a9b3d4e2f8a6c5b4d3e2f1a0b"


class TestMyName(DirectoryContract):
    """One user in one group."""

    @pytest.fixture
    def directory(self) -> MyNamePlugin:
        """A directory that knows the token's hash."""
        ada = {"token_sha256": sha256(BADGE.encode()).hexdigest(), "groups": ["staff"]}
        return MyNamePlugin("myname", {"users": {"ada": ada}})

    @pytest.fixture
    def known(self) -> tuple[UserClaim, Subject]:
        """A claim, and whom it means."""
        return UserClaim(token=BADGE), Subject(user="ada", groups=("staff",))

    @pytest.fixture
    def foreign(self) -> tuple[UserClaim, ...]:
        """Claims for other directories."""
        return UserClaim(), UserClaim(user="ada"), UserClaim(token=f"x{BADGE}")

    @pytest.fixture
    def refused(self) -> tuple[UserClaim, ...]:
        """Tokens that begin as ours do, and are nobody's."""
        return (UserClaim(token=BADGE[:-1] + "c"),)
