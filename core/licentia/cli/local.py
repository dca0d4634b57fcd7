"""A data folder opened in this process, as the operator."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from licentia.cli.command import Failure
from licentia.cli.logs import to_standard_error
from licentia.contract import Operation, Reply, Request
from licentia.crypto.keyfolder import KeyFolderError
from licentia.plugins import PluginError
from licentia.services.application import Application
from licentia.services.identity import OPERATOR
from licentia.settings import Settings
from licentia.storage.database import DatabaseError

T = TypeVar("T")


async def open_application(settings: Settings) -> Application:
    """Open the data folder.

    Raises:
        Failure: the database, a key or a plugin cannot be used.
    """
    try:
        return await Application.open(settings)
    except (DatabaseError, KeyFolderError, PluginError) as error:
        raise Failure(str(error)) from None


class LocalLicentia:
    """The application on a data folder, for as long as the `with` block lasts."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> Self:
        to_standard_error()
        with contextlib.ExitStack() as exits:
            self._runner = exits.enter_context(asyncio.Runner())
            self._application = self._runner.run(open_application(self._settings))
            exits.callback(lambda: self._runner.run(self._application.close()))
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._exits.close()

    def call(self, operation: Operation, request: Request, *, idempotency_key: str | None = None) -> Reply | None:
        """Carry out one operation as the operator.

        Raises:
            LicensingError: it was refused.
        """
        return self.run(
            lambda application: application.call(operation, request, OPERATOR, idempotency_key=idempotency_key)
        )

    def run(self, use: Callable[[Application], Coroutine[Any, Any, T]]) -> T:
        """Whatever else the application can do, such as making keys."""
        return self._runner.run(use(self._application))
