"""Conformance kits: what every container and every directory has to do, as tests.

The author of a plugin writes a class and a fixture; docs/plugins/README.md shows both on one page.
The kits need pytest and pytest-asyncio. A kit's test may be expected to fail, with a reason, and
never silently be left out (see `licentia.testing.kit`).
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "licentia.testing.containers", "licentia.testing.directories", "licentia.testing.kit", "licentia.testing.offline"
)

from licentia.testing.containers import ContainerContract, MemoryHost  # noqa: E402
from licentia.testing.directories import DirectoryContract  # noqa: E402
from licentia.testing.offline import OfflineContract  # noqa: E402

__all__ = ["ContainerContract", "DirectoryContract", "MemoryHost", "OfflineContract"]
