"""Worker processes under test: `python workers.py JOB`, where JOB is a JSON file.

The job names the database, how many processes to fork, what they do and for how long; the `doomed`
one goes on until it is killed, however slow the machine is. Each process
opens an application of its own and writes, with fsync, what it was told to the journal
`FOLDER/NUMBER.journal`, before it acts on it. The first line of output holds the process ids.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from licentia.contract import BY_NAME, parse
from licentia.errors import NoFreeSeats, TicketExhausted, Unavailable
from licentia.services.application import Application
from licentia.services.identity import OPERATOR
from licentia.settings import Settings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Worker:
    """One process: an open application, a journal, and what the job asks for."""

    def __init__(self, application: Application, job: dict[str, Any], number: int) -> None:
        self.application = application
        self.job = job
        self.number = number
        self.name = f"{Path(job['folder']).name}-w{number}"
        seconds = 600 if number == job.get("doomed") else job.get("seconds", 60)
        self.ends = time.monotonic() + seconds
        path = Path(job["folder"]) / f"{number}.journal"
        self._journal = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.refusals = 0

    def note(self, op: str, **facts: Any) -> None:
        """Write down what we were told, so that it outlives this process."""
        os.write(self._journal, (json.dumps({"op": op, **facts}) + "\n").encode())
        os.fsync(self._journal)

    async def call(self, name: str, /, **members: Any) -> Any:
        """Run an operation until the server is available."""
        operation = BY_NAME[name]
        request = parse(operation, members)
        while True:
            try:
                return await self.application.call(operation, request, OPERATOR)
            except Unavailable:
                self.refusals += 1
                await asyncio.sleep(random.uniform(0.02, 0.1))

    async def all_at_once(self, work: Callable[[int], Awaitable[None]], count: int) -> None:
        """Run so many clients."""
        async with asyncio.TaskGroup() as group:
            for client in range(count):
                group.create_task(work(client))  # type: ignore[arg-type]


async def lease(worker: Worker) -> None:
    """Claim, renew, release and forget leases until the time is up; some come back to one that has expired."""

    async def client(number: int) -> None:
        turn = 0
        lease = ""
        while time.monotonic() < worker.ends:
            if not lease:
                turn += 1
                lease = f"{worker.name}-c{number}-{turn}"
            if not await claim(worker, lease):
                await asyncio.sleep(random.uniform(0, 0.1))
                continue
            for _ in range(random.choice((0, 0, 1, 2))):
                await asyncio.sleep(random.uniform(0, 0.4))
                await claim(worker, lease)
            if random.random() < 0.2:
                await asyncio.sleep(worker.job["claim"]["ttl_seconds"] + random.uniform(-0.1, 0.1))
                continue
            if random.random() < 0.8:
                await worker.call("ReleaseLease", lease_id=lease)
                worker.note("released", lease=lease)
            lease = ""

    await worker.all_at_once(client, worker.job["clients"])


async def claim(worker: Worker, lease: str) -> bool:
    """Claim or renew one seat; false if all are taken."""
    try:
        granted = await worker.call("CheckoutLicense", **worker.job["claim"], lease_id=lease)
    except NoFreeSeats:
        return False
    worker.note("granted", lease=lease, until=(granted.expires_at - EPOCH) // timedelta(microseconds=1))
    return True


async def order(worker: Worker) -> None:
    """Push orders, all of them at once: the same as every other worker, or its own."""

    async def client(number: int) -> None:
        name = f"{worker.number}-{number}" if worker.job["own"] else "the-same"
        placed = await worker.call("CreateOrder", **worker.job["order"], order_number=name)
        worker.note("order", number=name, ticket=placed.ticket, created=placed.created)

    await worker.all_at_once(client, worker.job["clients"])


async def consume(worker: Worker) -> None:
    """Send the same consumptions as every other worker, in another order, twice each."""
    requests = [*worker.job["requests"].items()] * 2
    random.shuffle(requests)

    async def client(number: int) -> None:
        request, units = requests[number]
        await worker.call("ConsumeUnits", **worker.job["claim"], request_id=request, units=units)
        worker.note("consumed", request=request)

    await worker.all_at_once(client, len(requests))


async def activate(worker: Worker) -> None:
    """Activate one seat of the ticket for each of many users, until none is left."""

    async def client(number: int) -> None:
        container = {"kind": "cloud-lite", "user": f"user-{worker.number}-{number}"}
        try:
            placed = await worker.call("ActivateTicket", code=worker.job["ticket"], container=container, quantity=1)
        except TicketExhausted:
            return
        worker.note("activated", activation=placed.activation_id)

    await worker.all_at_once(client, worker.job["clients"])


WORK = {"lease": lease, "order": order, "consume": consume, "activate": activate}


async def work(job: dict[str, Any], number: int) -> None:
    """Open, work, close."""
    application = await Application.open(Settings(data=Path(job["data"]), database=job["database"]))
    worker = Worker(application, job, number)
    try:
        await WORK[job["work"]](worker)
    finally:
        await application.close()
    say({"worker": number, "refusals": worker.refusals})


def say(what: Any) -> None:
    """One line of output, whole even when several processes write."""
    os.write(1, (json.dumps(what) + "\n").encode())


def main(path: str) -> int:
    """Fork the workers and wait for them; the number of those that failed by themselves."""
    job = json.loads(Path(path).read_text())
    # A server that is away is told by every call; a traceback of each would take longer than the calls.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    children = []
    for number in range(job["processes"]):
        child = os.fork()
        if not child:
            try:
                asyncio.run(work(job, number))
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        children.append(child)
    say(children)
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return sum(end not in (0, -signal.SIGKILL) for end in ends)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
