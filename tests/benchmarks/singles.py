"""What one thing costs: a signature, a request inside the gateways, the start of the demo."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gateways
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from figures import Figure

from licentia.crypto.keyfolder import KeyFolder
from licentia.crypto.leases import LeaseSigner

CLAIMS = {
    "jti": "4f0c2f5c-9b1e-4c39-8f53-6f2b2a5e3f11", "sub": "ada@example.com", "iat": 1795500000, "exp": 1795500600,
    "license_id": "lic_281648389449ea652e56c558f", "product_code": "201001", "seats": 1,
}  # fmt: skip
BATCH = 256
WAIT_SECONDS = 60


def signing(rounds: int) -> list[Figure]:
    """Tokens of a batch, each; against one signature each by the library that OIDC needs anyway."""
    key = ECC.generate(curve="ed25519")
    signed = json.dumps(CLAIMS).encode()
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    with tempfile.TemporaryDirectory() as folder:
        signer = LeaseSigner(KeyFolder(Path(folder)).lease_key())
        for _ in range(rounds + 1):
            began = time.process_time()
            asyncio.run(signer.sign_many([CLAIMS] * BATCH))
            times["ours"].append((time.process_time() - began) / BATCH * 1e6)
            began = time.process_time()
            for _ in range(BATCH):
                eddsa.new(key, "rfc8032").sign(signed)
            times["theirs"].append((time.process_time() - began) / BATCH * 1e6)
    ratio = statistics.median(ours / theirs for ours, theirs in zip(times["ours"], times["theirs"], strict=True))
    return [
        Figure(
            what=f"signed token of a lease, {BATCH} at a time: CPU of each",
            value=statistics.median(times["ours"]),
            unit=" us",
            reference="bare Ed25519 signature by pycryptodome",
            reference_value=statistics.median(times["theirs"]),
            ratio=ratio,
            goal=10.0,
            goal_of_value=True,
            less_is_better=True,
        )
    ]


def in_gateways(seconds: float) -> list[Figure]:
    """CPU of a request in our own code alone, without HTTP server and database."""
    measured = gateways.measure(seconds)
    pairs = (("REST", "rest", "bare", "a bare Starlette route", None), ("SOAP", "soap", "rest", "REST checkout", 2.0))
    return [
        Figure(
            what=f"{name} checkout in the gateway alone: CPU",
            value=measured[f"{kind}_us"],
            unit=" us",
            reference=reference,
            reference_value=measured[f"{other}_us"],
            ratio=measured[f"{kind}_us"] / measured[f"{other}_us"],
            goal=goal,
            less_is_better=True,
        )
        for name, kind, other, reference, goal in pairs
    ]


def demo(rounds: int) -> list[Figure]:
    """From the call of `licentia demo` until it is ready, the start of the interpreter included."""
    times = [_demo_seconds() for _ in range(rounds)]
    return [
        Figure(
            what="`licentia demo` until it is ready",
            value=statistics.median(times),
            unit=" s",
            goal=2.0,
            goal_of_value=True,
            less_is_better=True,
        )
    ]


def _demo_seconds() -> float:
    with tempfile.TemporaryDirectory(prefix="licentia-bench-") as folder:
        info = Path(folder) / "demo.json"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LICENTIA_")}
        words = [sys.executable, "-m", "licentia", "demo", "--port", "0", "--info", str(info)]
        began = time.monotonic()
        running = subprocess.Popen(
            words, env=environment | {"TMPDIR": folder, "XDG_RUNTIME_DIR": folder}, stdout=subprocess.DEVNULL
        )
        try:
            while not info.exists():
                assert running.poll() is None, f"the demo ended with {running.returncode}"
                assert time.monotonic() < began + WAIT_SECONDS, "the demo was not ready"
                time.sleep(0.005)
            return time.monotonic() - began
        finally:
            running.terminate()
            running.wait(WAIT_SECONDS)
