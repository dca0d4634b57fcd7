"""Servers that are killed while they tell webhooks: every event arrives, each under one id."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import receiver as receivers

HERE = Path(__file__).parent
Got, Say = receivers.Got, receivers.Say


@contextlib.asynccontextmanager
async def servers(**job: Any) -> AsyncIterator[Callable[..., Any]]:
    """Starts servers on one database; a call gives the process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "couriers.py"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    async def start(*products: str, url: str = "") -> int:
        stdin.write(json.dumps(job | {"products": products, "url": url}).encode() + b"\n")
        return int(await asyncio.wait_for(stdout.readline(), 30))

    try:
        yield start
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def until(condition: Callable[[], Any]) -> None:
    """Wait for it."""
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process has not ended yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def events(data: Path, database_url: str) -> set[str]:
    """The ids of all events that the endpoint had to be told of."""
    from licentia.services.application import Application
    from licentia.settings import Settings
    from licentia.storage import eventlog

    application = await Application.open(Settings(data=data, database=database_url))
    try:
        async with application.database.read() as connection:
            found, _ = await eventlog.page(connection, "", 1000)
    finally:
        await application.close()
    return {event.event_id for event in found if event.kind == "product.put"}


def receiver_was_told(receiver: Any) -> dict[str, set[str]]:
    """Each event that arrived, with the ids of its messages."""
    told: dict[str, set[str]] = defaultdict(set)
    for got in receiver.got:
        told[got.event["data"]["event_id"]].add(got.id)
    return told


async def test_every_event_arrives_although_servers_are_killed(data: Path, database_url: str) -> None:
    """Killed while a message is on its way, then while several are, then at any time: at least once, with one id."""
    receiver = receivers.Receiver()
    pids: list[int] = []
    deadly = {0, 5}

    def answer(got: Any, before: int) -> Any:
        if before in deadly:
            os.kill(pids[-1], signal.SIGKILL)
        return Say()

    receiver.answer = answer
    with receiver.running():
        async with servers(data=str(data), database=database_url) as start:
            pids.append(await start(*(f"a{number}" for number in range(30)), url=f"{receiver.url}/in"))
            await until(lambda: len(receiver.got) >= 1 and not alive(pids[-1]))
            pids.append(await start(*(f"b{number}" for number in range(30))))
            await until(lambda: len(receiver.got) >= 6 and not alive(pids[-1]))
            seen = len(receiver.got)
            pids.append(await start(*(f"c{number}" for number in range(30))))
            await until(lambda: len(receiver.got) >= seen + 3)
            os.kill(pids[-1], signal.SIGKILL)
            pids.append(await start("last"))
            await until(lambda: any(got.event["data"]["sku"] == "last" for got in receiver.got))
            await asyncio.sleep(1.5)
            os.kill(pids[-1], signal.SIGKILL)
            await until(lambda: not alive(pids[-1]))
    told = receiver_was_told(receiver)
    expected = await events(data, database_url)
    assert len(expected) > 3
    assert told.keys() == expected
    assert all(len(ids) == 1 for ids in told.values())
    assert len({next(iter(ids)) for ids in told.values()}) == len(told)
    assert len(receiver.got) > len(told)  # what was on its way came twice


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
async def test_at_any_instant(data: Path, database_url: str, seed: int) -> None:
    """Twelve servers one after the other, each killed after some hundredths of a second."""
    receiver = receivers.Receiver()
    with receiver.running():
        async with servers(data=str(data), database=database_url) as start:
            pid = await start("first", url=f"{receiver.url}/in")
            await until(lambda: receiver.got)
            for life in range(12):
                await asyncio.sleep((seed * 12 + life) % 17 * 0.02)
                os.kill(pid, signal.SIGKILL)
                pid = await start(*(f"{life}-{number}" for number in range(20)))
            await until(lambda: any(got.event["data"]["sku"] == "11-19" for got in receiver.got))
            await asyncio.sleep(1.5)
            os.kill(pid, signal.SIGKILL)
            await until(lambda: not alive(pid))
    told = receiver_was_told(receiver)
    assert told.keys() == await events(data, database_url)
    assert all(len(ids) == 1 for ids in told.values())
