import pytest
from licentia_binding_sample import Sample

from licentia.testing import BindingContract


class TestSample(BindingContract):
    @pytest.fixture
    def binding(self):
        return Sample("sample", {})

    @pytest.fixture
    def machine(self, tmp_path):
        return with_stick(tmp_path / "stick-1", "1")

    @pytest.fixture
    def other_machine(self, tmp_path):
        return with_stick(tmp_path / "stick-2", "2")


def with_stick(file, digit):
    """The client half on a machine with a stick."""
    file.write_text(digit * 64)
    return Sample("sample", {"stick": str(file)}).client()
