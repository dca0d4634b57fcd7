"""Whatever is sent to the SOAP services, there is one well-formed answer, soon, and nothing else happens.

`pytest tests/fuzz --seconds 1200` attacks for longer; `--seed N` begins with the input N, where a
failure was seen.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

BETWEEN = 500
"""Inputs between two honest calls."""
GROWTH_KILOBYTES = 4096
"""What memory may differ by: 41 bytes for each of the calls between."""


def test_nothing_makes_it_stumble(
    target: Any, attack: Any, seconds: float, first_seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each input gets a reply or a fault, without a failure, a secret in it or in the log, or much time spent."""
    end = time.monotonic() + seconds
    seed = first_seed
    while time.monotonic() < end:
        try:
            target.judge(**attack(Random(seed)))
        except Exception as failure:
            failure.add_note(f"This was the input {seed}: pytest tests/fuzz --seed {seed}")
            raise
        seed += 1
        if seed % BETWEEN == 0:
            target.still_answers()
    with capsys.disabled():
        sys.stdout.write(f"{target.count} inputs from seed {first_seed}, statuses {dict(target.statuses)}\n")
    assert set(target.statuses) >= {200, 400, 401, 405, 413, 415, 500}


@hypothesis.settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False))
def test_a_stumble_would_be_made_small(target: Any, attack: Any, random: Random) -> None:
    """The same, with choices that are taken back one by one until the smallest message that fails is found."""
    target.judge(**attack(random))


@pytest.mark.slow
def test_memory_stays_flat(target: Any, attack: Any) -> None:
    """A hundred thousand calls of all kinds leave no more behind than the first ten thousand."""
    pool = [attack(Random(seed)) for seed in range(2000)]
    sizes = []
    for _ in range(50):
        for each in pool:
            target.send(**each)
            target.events.clear()
        sizes.append(resident_kilobytes())
    assert min(sizes[-10:]) - min(sizes[5:15]) < GROWTH_KILOBYTES, sizes


def resident_kilobytes() -> int:
    """The memory of this process that is in use."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4
