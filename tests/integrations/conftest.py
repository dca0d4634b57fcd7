"""What the tests with business systems share; `vendor` and the stand-ins of the contract tests can be imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

sys.path += [str(HERE), str(HERE / "vendure"), str(HERE.parent / "contract")]


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server looks around often, so that tests wait little."""
    from licentia.services import chain

    monkeypatch.setattr(chain, "LOOK", 0.05)
