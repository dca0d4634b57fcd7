"""What a vendor decides about containers that are away: how they are bound, signed for, and what a copy means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from licentia.containers import Host
from licentia.exchange.combination import Combination
from licentia.settings import SettingsError, table

OnFork = Literal["flag", "grace", "invalidate"]


class _Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    bindings: Annotated[tuple[str | dict[str, int], ...], Meta(min_length=1, max_length=16)] | None = None
    on_fork: OnFork = "flag"
    grace_days: Annotated[int, Meta(ge=1, le=365)] = 14


class Policy(msgspec.Struct, frozen=True):
    """How containers of one kind are treated.

    Attributes:
        combinations: the bindings that are taken, the best first.
        on_fork: what happens when a copy of a container is found: it is noted (`flag`), it is served for
            `grace_days` more, or the container is refused from then on.
    """

    combinations: tuple[Combination, ...]
    on_fork: OnFork
    grace_days: int

    @classmethod
    def of(cls, settings: Mapping[str, Any], host: Host) -> Policy:
        """From the table `[container.KIND]`; by default each binding in use is taken by itself, if it proves something.

        Raises:
            SettingsError: a setting is unknown or wrong, or names a binding that is not in use.
        """
        read = table(settings, _Settings, "the table")
        proving = [name for name in host.bindings() if not host.binding(name).trials_only]
        combinations = tuple(map(Combination.of, proving if read.bindings is None else read.bindings))
        for combination in combinations:
            for name in combination.weights:
                host.binding(name)
        if not combinations:
            raise SettingsError("no binding is in use that could tie it to a machine; name one in `bindings`")
        return cls(combinations, read.on_fork, read.grace_days)
