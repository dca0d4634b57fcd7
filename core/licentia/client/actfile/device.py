"""The device's half of the exchange: it makes requests, takes updates, and opens what they hold."""

from __future__ import annotations

import platform
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from licentia.bindings import ClientHalf
from licentia.client.actfile import held as rules
from licentia.client.actfile.clock import SAVE_SECONDS, Now, remember, tell
from licentia.client.actfile.file import FORMAT, REQUESTS_KEPT, File, State, decode, encode, state_of, with_state
from licentia.client.actfile.halves import client_half
from licentia.client.actfile.held import License
from licentia.client.actfile.opened import (
    Opened,
    after,
    contents_in,
    held_in,
    out_of_order,
    told,
    unused,
    use_of,
    waits_for,
    with_use,
)
from licentia.client.actfile.store import Store
from licentia.client.actfile.trust import follow, newest_of, verify_update
from licentia.client.faults import Unreachable
from licentia.crypto.sealing import BoxKey
from licentia.crypto.signing import SoftwareKey
from licentia.crypto.suites import ED25519
from licentia.errors import (
    Conflict,
    ContainerUnknown,
    DocumentInvalid,
    LicensingError,
    NotFound,
    NotLicensed,
    UpdateOutOfOrder,
    UpdateRequired,
)
from licentia.exchange import messages
from licentia.exchange.combination import Unlocked, unlock
from licentia.exchange.messages import RECEIPT, REQUEST, Evidence, Held, Statement, Update

OTHERS = 4
"""How often a contact may find that another process was faster, before it gives up."""


class ActFile:
    """The act-file at `path`.

    Args:
        trust: the vendor's key manifest, as the application brings it (`licentia key manifest`).
        half: gives the client half of a binding; by default that of the installed plugin.
        clock: the machine's clock, in seconds since 1970.
        look_again_seconds: how long it is believed that this is still the machine that the file opened on;
            to look costs what the binding says, for `physical` some 100 ms.

    Every method reads the file anew, so several processes may work with it. Each raises
    `DocumentInvalid` if it was changed, and `BindingMismatch` if this is not its machine.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        trust: bytes,
        half: Callable[[str], ClientHalf] = client_half,
        clock: Callable[[], float] = time.time,
        store: Store | None = None,
        look_again_seconds: float = 3600,
    ) -> None:
        self._store = store or Store(Path(path))
        self._trust = trust
        self._half = half
        self._clock = clock
        self._steady = time.monotonic()
        self._latest = 0
        self._counted = False
        self._look_again_seconds = look_again_seconds
        self._looked: tuple[bytes, Unlocked, float] | None = None

    def create(self, bindings: Iterable[str]) -> str:
        """Make an empty container with keys of its own; its id. One that is there already stays as it is.

        Raises:
            Conflict: there is one, for other bindings.
        """
        names = tuple(dict.fromkeys(bindings))
        with self._store.alone():
            if self._store.read() is not None:
                opened = self._open()
                if opened.state.bindings != names:
                    raise Conflict(
                        f"{self._store.path} is bound by {'+'.join(opened.state.bindings)}.",
                        help="Choose another file, or delete this one if nothing was activated into it.",
                    )
                return self._id(opened.state)
            trust = follow(self._trust, ())
            state = State(
                key=SoftwareKey.generate(ED25519).to_bytes(),
                box=BoxKey.generate().to_bytes(),
                name=platform.node()[:200],
                bindings=names,
                manifest=newest_of(trust).version,
            )
            self._save(with_state(File(format=FORMAT, trust=(self._trust,), state=b""), state, None))
            return self._id(state)

    @property
    def id(self) -> str:
        """The container's id."""
        return self._id(self._open().state)

    def request(self, *, anew: bool = False) -> bytes:
        """The request to send or to carry to the server. It stays the same one until an update answers it.

        Args:
            anew: give up the request that waits. Only for one that the server says it has answered before.

        Raises:
            BindingEvidenceInvalid: a binding finds nothing here to give evidence of.
        """
        return self._asked(lambda state: anew)

    def _asked(self, give_up: Callable[[State], bool]) -> bytes:
        with self._store.alone():
            opened = self._open()
            state = opened.state
            if state.request_id is None or give_up(state):
                state = msgspec.structs.replace(state, request_id=secrets.token_bytes(16))
                self._save_state(opened, state)
        assert state.request_id is not None
        nonce = messages.nonce(self._id(state), state.request_id)
        evidence = tuple(Evidence(binding=name, data=self._half(name).collect(nonce)) for name in state.bindings)
        return self._stated(state, REQUEST, evidence)

    def apply(self, chain: bytes) -> bytes:
        """Take a file of updates; the receipt for the server.

        Raises:
            DocumentInvalid: an update is damaged, forged, or for another container.
            UpdateOutOfOrder: none of them follows the one that this container holds.
            BindingMismatch: they were made for another machine.
        """
        documents = messages.split(chain)
        with self._store.alone():
            opened = self._open()
            state, trust = opened.state, follow(self._trust, opened.file.trust)
            newest: tuple[Update, bytes] | None = None
            answered = False
            for document in documents:
                update, trust = verify_update(document, trust)
                if update.container != self._id(opened.state):
                    raise DocumentInvalid(
                        "The update is for another container.", help="Carry it to the machine whose request it answers."
                    )
                if update.previous == state.head and update.sequence > state.sequence:
                    state = msgspec.structs.replace(state, sequence=update.sequence, head=messages.head_of(document))
                    newest = (update, document)
                    answered = answered or update.request_id == opened.state.request_id is not None
            if newest is None:
                raise out_of_order(state, documents)
            update, document = newest
            unlocked = unlock(update.lock, self._half)
            contents = contents_in(update, BoxKey.from_bytes(state.box), unlocked)
            # An older application may follow from an older manifest than this one brings.
            kept = follow(opened.file.trust[0], (*opened.file.trust[1:], *trust))
            file = File(format=FORMAT, trust=kept, update=document, state=b"")
            state = msgspec.structs.replace(state, manifest=newest_of(kept).version)
            state = after(opened.state, state, update, contents, answered)
            self._save(with_state(file, state, unlocked.secret))
        return self._stated(state, RECEIPT)

    def receipt(self) -> bytes:
        """The receipt of what this container holds, once more."""
        return self._stated(self._open().state, RECEIPT)

    def give_back(self, activation_id: str) -> bytes:
        """Give up an activation here, for good; the receipt with which the server takes it back.

        Raises:
            NotFound: the container does not hold it, and never gave it up.
        """
        with self._store.alone():
            opened = self._open()
            if activation_id not in opened.state.returned:
                if activation_id not in {held.activation_id for held in held_in(opened)}:
                    raise NotFound(f"This container holds no activation {activation_id!r}.")
                returned = (*opened.state.returned, activation_id)
                opened = self._save_state(opened, msgspec.structs.replace(opened.state, returned=returned))
        return self._stated(opened.state, RECEIPT)

    def contact(self, send: Callable[[bytes], bytes | None]) -> bool:
        """Speak with the server: send the request, take the answer, send the receipt.

        `send` carries a message and gives the answer, as `licentia.client.actfile.contact.by_http` does.

        Returns:
            Whether an update was taken.

        Raises:
            Unreachable: there is no answer; it may be tried again at any time.
            LicensingError: the server refuses.
        """
        request = self.request()
        for _ in range(OTHERS):
            try:
                answer = send(request)
                break
            except UpdateOutOfOrder:  # by a copy of this container, or by another process
                request = self._asked(partial(waits_for, request))
        else:
            answer = send(request)
        if answer is None:
            return False
        try:
            receipt = self.apply(answer)
        except UpdateOutOfOrder:
            if waits_for(request, self._open().state):
                raise
            receipt = self.receipt()  # another process has taken the answer meanwhile
        with suppress(LicensingError, Unreachable):  # the next request says the same
            send(receipt)
        return True

    def changed(self) -> tuple[str, ...]:
        """What differs here from when the file was bound, as `binding.feature`; the next contact binds it anew."""
        opened = self._open()
        return () if opened.unlocked is None else opened.unlocked.changed

    def weak(self) -> bool:
        """Whether a binding finds so little here that another machine may look the same."""
        opened = self._open()
        return opened.unlocked is not None and opened.unlocked.weak

    def licenses(self) -> list[License]:
        """What this container holds, used up or not."""
        opened = self._open()
        return [rules.shown(held, use_of(opened.state, held)) for held in held_in(opened)]

    def require(
        self, product_code: str, *, feature: str | None = None, release_date: datetime | None = None
    ) -> License:
        """The license to use a product now, and note that it is used.

        Of several that allow it, the one that ends first.

        Raises:
            NotLicensed: there is none for this product.
            LicenseNotYetValid, LicenseExpired, FeatureNotLicensed, MaintenanceEnded, UpdateRequired: there
                is, but it does not allow this now.
        """
        with self._store.alone():
            opened = self._open()
            now = self._time(opened.state)
            held = self._usable(opened, now, product_code, feature, release_date)
            opened = self._noted(opened, held, now)
            return rules.shown(held, use_of(opened.state, held))

    def consume(self, product_code: str, units: int, *, request_id: str, meter: str = "") -> int:
        """Use up units, once per `request_id`; what is left of them.

        Raises:
            UnitsExhausted: fewer are left.
            LicensingError: as in `require`.
        """
        if units < 1:
            raise ValueError("units are consumed one or more at a time")
        with self._store.alone():
            opened = self._open()
            if request_id in opened.state.consumed:
                return opened.state.consumed[request_id]
            now = self._time(opened.state)
            held = self._usable(opened, now, product_code, None, None, meter=meter)
            opened = self._noted(opened, held, now)
            use = rules.consume(held, use_of(opened.state, held) or unused(held), meter, units)
            left = held.units.get(meter, 0) - use.units[meter]
            consumed = dict([*opened.state.consumed.items(), (request_id, left)][-REQUESTS_KEPT:])
            state = msgspec.structs.replace(opened.state, used=with_use(opened.state.used, use), consumed=consumed)
            self._save_state(opened, state)
            return left

    def _usable(
        self,
        opened: Opened,
        now: Now,
        product_code: str,
        feature: str | None,
        release_date: datetime | None,
        meter: str | None = None,
    ) -> Held:
        refusal: LicensingError | None = None
        at = datetime.fromtimestamp(now.at, UTC)
        candidates = [held for held in held_in(opened) if held.product_code == product_code]
        if meter is not None:
            candidates = [held for held in candidates if meter in held.units] or candidates
        for held in sorted(candidates, key=lambda held: (held.valid_until is None, held.valid_until or 0)):
            try:
                rules.check(held, use_of(opened.state, held), at, feature=feature, release_date=release_date)
            except LicensingError as error:
                refusal = refusal or error
            else:
                if now.ask_server:
                    raise UpdateRequired(
                        "The clock of this machine is behind what it was, and has been for too long.",
                        help="Set the clock, or contact the server: `licentia container contact`.",
                    )
                return held
        raise refusal or NotLicensed(f"This container holds no license for {product_code!r}.")

    def _noted(self, opened: Opened, held: Held, now: Now) -> Opened:
        """Write down that the license is used now, if that is news."""
        state = opened.state
        use = use_of(state, held) or unused(held)
        if use.first_used_at is None:
            use = msgspec.structs.replace(use, first_used_at=now.at)
        running = self._running(state)
        self._counted = self._counted and now.behind
        progress = running if now.behind else now.at - state.seen.latest
        due = progress >= SAVE_SECONDS or (now.behind and not self._counted)
        if use == use_of(state, held) and not due:
            return opened
        seen = remember(self._machine_time(), state.seen, running)
        self._steady, self._latest, self._counted = time.monotonic(), seen.latest, now.behind
        return self._save_state(opened, msgspec.structs.replace(state, seen=seen, used=with_use(state.used, use)))

    def _time(self, state: State) -> Now:
        return tell(self._machine_time(), state.seen, self._running(state))

    def _machine_time(self) -> int:
        return min(max(0, int(self._clock())), messages.LAST_SECOND)

    def _running(self, state: State) -> int:
        """How long this object has been at work since the time was written down last."""
        if state.seen.latest != self._latest:
            self._latest = state.seen.latest
            self._steady = time.monotonic()
        return int(time.monotonic() - self._steady)

    def _stated(self, state: State, kind: str, evidence: tuple[Evidence, ...] = ()) -> bytes:
        key = SoftwareKey.from_bytes(state.key)
        statement = Statement(
            key=key.public.ed25519,
            box=BoxKey.from_bytes(state.box).public,
            name=state.name,
            sequence=state.sequence,
            head=state.head,
            request_id=state.request_id or bytes(16),
            manifest=state.manifest,
            at=self._machine_time(),
            evidence=evidence,
            returned=state.returned,
            used=told(state.used),
        )
        return messages.sign_statement(statement, kind, key)

    def _open(self) -> Opened:
        data = self._store.read()
        if data is None:
            raise ContainerUnknown(
                f"There is no act-file {self._store.path}.", help="`licentia container new` makes one."
            )
        file = decode(data)
        trust = follow(self._trust, file.trust)
        if file.update is None:
            return Opened(file, state_of(file, None), None, None)
        update, _ = verify_update(file.update, trust)
        unlocked = self._unlocked(file.update, update)
        state = state_of(file, unlocked.secret)
        if messages.head_of(file.update) != state.head:
            raise DocumentInvalid("The act-file's update is not the one that its state belongs to.")
        return Opened(file, state, unlocked, contents_in(update, BoxKey.from_bytes(state.box), unlocked))

    def _unlocked(self, document: bytes, update: Update) -> Unlocked:
        """What the bindings open, looked up again now and then."""
        head, now = messages.head_of(document), time.monotonic()
        if self._looked is None or self._looked[0] != head or now - self._looked[2] >= self._look_again_seconds:
            self._looked = (head, unlock(update.lock, self._half), now)
        return self._looked[1]

    def _save_state(self, opened: Opened, state: State) -> Opened:
        secret = opened.unlocked.secret if opened.unlocked is not None else None
        self._save(with_state(opened.file, state, secret))
        return opened._replace(state=state)

    def _save(self, file: File) -> None:
        self._store.write(encode(file))

    def _id(self, state: State) -> str:
        return messages.container_id(SoftwareKey.from_bytes(state.key).public.ed25519)
