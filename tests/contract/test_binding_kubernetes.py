"""kubernetes, by the kit that every binding is measured with: two service accounts of one cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from licentia.bindings import Binding, ClientHalf
from licentia.testing import BindingContract
from licentia.testing.issuer import RSA, Issuer
from licentia_plugins.bindings.kubernetes import Kubernetes


class TestKubernetes(BindingContract):
    """A pod of each account has a token in a file."""

    @pytest.fixture
    def issuer(self) -> Iterator[Issuer]:
        """The cluster."""
        with Issuer() as running:
            yield running

    @pytest.fixture
    def binding(self, tmp_path: Path, issuer: Issuer) -> Binding:
        """With the keys of the cluster in a file."""
        keys = tmp_path / "jwks.json"
        keys.write_text(json.dumps({"keys": [RSA.as_dict(private=False)]}))
        clusters = {"east": {"issuer": issuer.url, "jwks": str(keys)}}
        return Kubernetes("kubernetes", {"audience": "licentia", "clusters": clusters})

    @pytest.fixture
    def machine(self, tmp_path: Path, issuer: Issuer) -> ClientHalf:
        """A pod of one account."""
        return pod(tmp_path, issuer, "render")

    @pytest.fixture
    def other_machine(self, tmp_path: Path, issuer: Issuer) -> ClientHalf:
        """A pod of another account."""
        return pod(tmp_path, issuer, "simulate")


def pod(folder: Path, issuer: Issuer, account: str) -> ClientHalf:
    """The client half in a pod of a service account."""
    place = {
        "namespace": "cad",
        "serviceaccount": {"name": account, "uid": f"uid-of-{account}"},
        "pod": {"name": f"{account}-1", "uid": f"uid-of-{account}-1"},
    }
    claims: dict[str, Any] = {"aud": ["licentia"], "sub": f"system:serviceaccount:cad:{account}"}
    (folder / account).write_text(issuer.token(RSA, **claims, **{"kubernetes.io": place}))
    return Kubernetes("kubernetes", {"token_file": str(folder / account)}).client()
