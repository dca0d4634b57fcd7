"""What the tests with business systems share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server looks around often, so that tests wait little."""
    from licentia.services import chain

    monkeypatch.setattr(chain, "LOOK", 0.05)
