"""The binding to nothing keeps the contract of bindings, and says what it is."""

from __future__ import annotations

import json

import pytest

from licentia.bindings import Binding, ClientHalf
from licentia.settings import SettingsError
from licentia.testing.bindings import BindingContract
from licentia_plugins.bindings.none import Unbound


class TestNone(BindingContract):
    """Every test of the kit."""

    signed = False

    @pytest.fixture
    def binding(self) -> Binding:
        """As an entry point names it."""
        return Unbound("none", {})

    @pytest.fixture
    def machine(self) -> ClientHalf:
        """Any machine."""
        return Unbound("none", {}).client()

    @pytest.fixture
    def other_machine(self) -> ClientHalf:
        """Any other."""
        return Unbound("none", {}).client()

    def test_it_says_what_it_is(self, binding: Binding) -> None:
        """It is for trials only, and ties to no device."""
        assert binding.capabilities == ["trials-only"]

    async def test_the_record_says_so_too(self, binding: Binding, machine: ClientHalf) -> None:
        """Who looks at the record sees that it is bound to nothing, and the secret."""
        record = json.loads(await binding.server().seal(machine.collect("0" * 32), bytes(32)))
        assert record | {"checksum": ""} == {
            "version": 1,
            "bound_to": "nothing",
            "secret": "A" * 43 + "=",
            "checksum": "",
        }
        assert machine.unseal(json.dumps(record).encode()).weak

    def test_there_is_nothing_to_set(self) -> None:
        """A setting is a mistake on either side."""
        for make in (Unbound("none", {"tolerance": "loose"}).server, Unbound("none", {"root": "/"}).client):
            with pytest.raises(SettingsError, match="this binding has none"):
                make()
