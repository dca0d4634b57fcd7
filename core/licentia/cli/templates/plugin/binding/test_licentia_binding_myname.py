"""The kit of bindings; tests of your own may follow in the same class."""

from pathlib import Path

import pytest
from licentia_binding_myname import MyNamePlugin

from licentia.bindings import ClientHalf
from licentia.testing import BindingContract


class TestMyName(BindingContract):
    """Two machines, each with its own file. Nobody signs a machine-id, so changed evidence may name another machine."""

    signed = False

    @pytest.fixture
    def binding(self) -> MyNamePlugin:
        """The binding as the server makes it."""
        return MyNamePlugin("myname", {})

    @pytest.fixture
    def machine(self, tmp_path: Path) -> ClientHalf:
        """The first machine."""
        return with_id(tmp_path / "first", "0123456789abcdef0123456789abcdef")

    @pytest.fixture
    def other_machine(self, tmp_path: Path) -> ClientHalf:
        """The second one."""
        return with_id(tmp_path / "second", "fedcba9876543210fedcba9876543210")


def with_id(file: Path, machine_id: str) -> ClientHalf:
    """The client half on a machine of this id."""
    file.write_text(f"{machine_id}\n")
    return MyNamePlugin("myname", {"file": str(file)}).client()
