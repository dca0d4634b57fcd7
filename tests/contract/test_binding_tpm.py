"""tpm, by the kit that every binding is measured with: two TPMs of one maker, in software."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from licentia.bindings import Binding, ClientHalf
from licentia.testing import BindingContract, swtpm
from licentia_plugins.bindings.tpm import Tpm

pytest.importorskip("tpm2_pytss", reason="tpm2-pytss or libtss2 is not installed", exc_type=ImportError)
if swtpm.missing():
    pytest.skip(swtpm.missing(), allow_module_level=True)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """What to trust, and the ways to two running TPMs."""
    folder = tmp_path_factory.mktemp("tpms")
    maker = swtpm.Maker(folder / "maker")
    with ExitStack() as stack:
        ways = []
        for name in ("first", "second"):
            maker.make(folder / name)
            ways.append(stack.enter_context(swtpm.running(folder / name)))
        yield maker.trust, ways


class TestTpm(BindingContract):
    """Each machine has a TPM of its own."""

    @pytest.fixture
    def binding(self, machines: tuple[Path, list[str]]) -> Binding:
        """Trusting the maker."""
        return Tpm("tpm", {"trust": str(machines[0])})

    @pytest.fixture
    def machine(self, machines: tuple[Path, list[str]]) -> ClientHalf:
        """The machine with the first TPM."""
        return Tpm("tpm", {"tcti": machines[1][0]}).client()

    @pytest.fixture
    def other_machine(self, machines: tuple[Path, list[str]]) -> ClientHalf:
        """The machine with the second."""
        return Tpm("tpm", {"tcti": machines[1][1]}).client()
