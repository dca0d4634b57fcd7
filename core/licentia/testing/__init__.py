"""Conformance kits: what every plugin of a kind has to do, as tests.

The author of a plugin writes a class and a fixture or two; docs/plugins has a chapter for each kind.
The kits need pytest and pytest-asyncio. A kit's test may be expected to fail, with a reason, and
never silently be left out (see `licentia.testing.kit`).
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "licentia.testing.bindings",
    "licentia.testing.connectors",
    "licentia.testing.containers",
    "licentia.testing.directories",
    "licentia.testing.kit",
    "licentia.testing.offline",
)

from licentia.testing.bindings import BindingContract  # noqa: E402
from licentia.testing.connectors import ConnectorContract  # noqa: E402
from licentia.testing.containers import ContainerContract, MemoryHost  # noqa: E402
from licentia.testing.directories import DirectoryContract  # noqa: E402
from licentia.testing.offline import OfflineContract  # noqa: E402

__all__ = [
    "BindingContract",
    "ConnectorContract",
    "ContainerContract",
    "DirectoryContract",
    "MemoryHost",
    "OfflineContract",
]
