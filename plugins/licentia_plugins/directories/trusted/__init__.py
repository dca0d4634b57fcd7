"""trusted: a user is whoever the holder of a key says.

For vendors whose back end has already signed the user in: it calls with its own key and names the
user. It knows nothing of tokens, and it has no settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from licentia.directories import Subject, UserClaim, UserDirectory
from licentia.settings import SettingsError


class Trusted(UserDirectory):
    """Takes a named user as it is; a token is for another directory to judge."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        if settings:
            raise SettingsError(f"there is no setting `{next(iter(settings))}`: this directory has none")

    async def _identify(self, claim: UserClaim) -> Subject | None:
        if claim.token is not None or not claim.user:
            return None
        return Subject(user=claim.user)
