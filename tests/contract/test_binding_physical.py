"""The physical binding keeps the contract of bindings, on two machines of one model."""

from __future__ import annotations

from pathlib import Path

import pytest

from licentia.bindings import Binding, ClientHalf
from licentia.settings import SettingsError
from licentia.testing.bindings import BindingContract
from licentia_plugins.bindings.physical import Physical

FILES = {
    "sys/class/dmi/id/board_vendor": "Acme Inc.",
    "sys/class/dmi/id/board_name": "R9-MB",
    "sys/class/dmi/id/product_uuid": "7D1C0A6E-52F4-4C8E-9F0B-{}",
    "etc/machine-id": "5f0c2b7d9a3e41c68b1d{}",
}


def machine(root: Path, number: str) -> ClientHalf:
    """The client half on a machine of this model, which differs from others by 12 digits."""
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text.format(number) + "\n", "utf-8")
    return Physical("physical", {"root": str(root)}).client()


class TestPhysical(BindingContract):
    """Every test of the kit. Nobody vouches for what a machine says of itself."""

    signed = False

    @pytest.fixture
    def binding(self) -> Binding:
        """As an entry point names it."""
        return Physical("physical", {"tolerance": "loose"})

    @pytest.fixture
    def machine(self, tmp_path: Path) -> ClientHalf:
        """A machine."""
        return machine(tmp_path / "one", "3a6d1e2b4c5d")

    @pytest.fixture
    def other_machine(self, tmp_path: Path) -> ClientHalf:
        """Another machine of the model."""
        return machine(tmp_path / "two", "9b0a77c1e2f3")

    def test_it_says_what_it_is(self, binding: Binding) -> None:
        """It ties to one machine."""
        assert binding.capabilities == ["device-bound"]

    @pytest.mark.parametrize(
        "settings", [{"tolerance": "lax"}, {"weak": "maybe"}, {"tolerence": "loose"}, {"tolerance": 3}]
    )
    def test_a_wrong_setting_is_named(self, settings: dict[str, object]) -> None:
        """It is refused when the server half is made, by its name."""
        with pytest.raises(SettingsError, match=r"weak|toler"):
            Physical("physical", settings).server()
