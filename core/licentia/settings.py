"""The server's settings: a TOML file, overridden by `LICENTIA_*` variables.

A setting that does not exist or has a wrong value stops the start with one sentence that names it:
a typing error must never turn into a silent default.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")
PREFIX = "LICENTIA_"
NOT_SETTINGS = frozenset({"CONFIG", "KEY", "KEY_PASSPHRASE", "KEY_PASSPHRASE_FILE", "KEY_STORE", "URL"})
"""Variables with our prefix that the command line and the key stores read; they are no settings of a file."""


class SettingsError(Exception):
    """A setting is unknown or wrong; the message names it and where it came from."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often something may go wrong before the caller has to wait, and how long a caller may wait for a seat."""

    ticket_misses_per_minute: Annotated[int, Meta(ge=1)] = 60
    failed_authentications_per_minute: Annotated[int, Meta(ge=1)] = 60
    wait_seconds: Annotated[int, Meta(ge=0, le=300)] = 300


class Webhooks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where outgoing webhooks may lead, and for how long their deliveries can be looked up and sent again."""

    allow_private: bool = False
    allow_http: bool = False
    keep_days: Annotated[int, Meta(ge=1, le=3650)] = 30


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings with their defaults; `conf/full.toml` explains each.

    `data` is the folder that holds the keys and, by default, the database; a relative path is taken
    from the folder of the settings file.
    """

    data: Path = Path()
    vendor: Annotated[str, Meta(min_length=1, max_length=200)] = "Licentia"
    database: str = "sqlite:///licentia.db"
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8400
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    public_url: Annotated[str, Meta(pattern=r"^$|^https?://[^/?#]+[^?#]*$")] = ""
    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    trusted_proxies: tuple[str, ...] = ("127.0.0.1",)
    metrics_from: tuple[str, ...] = ("127.0.0.1", "::1")
    body_limit_bytes: Annotated[int, Meta(ge=1024, le=16 * 2**20)] = 256 * 1024
    shutdown_seconds: Annotated[int, Meta(ge=1, le=600)] = 30
    usage_keep_days: Annotated[int, Meta(ge=0, le=36_525)] = 0
    deliveries_keep_days: Annotated[int, Meta(ge=0, le=36_525)] = 90
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    directories: tuple[str, ...] = ("trusted",)
    containers: tuple[str, ...] = ("cloud-lite", "act-file")
    bindings: tuple[str, ...] = ("physical",)
    limits: Limits = Limits()
    webhooks: Webhooks = Webhooks()
    directory: dict[str, dict[str, Any]] = {}
    container: dict[str, dict[str, Any]] = {}
    binding: dict[str, dict[str, Any]] = {}
    connector: dict[str, dict[str, Any]] = {}

    @property
    def database_url(self) -> str:
        """The database's URL with a relative SQLite path made absolute by `data`."""
        if match := re.fullmatch(r"sqlite:///(?!/)(.+)", self.database):
            return f"sqlite:///{(self.data / match[1]).absolute()}"
        return self.database


def load(file: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of `file`, overridden by variables: `LICENTIA_PORT`, `LICENTIA_LIMITS__TICKET_MISSES_PER_MINUTE`.

    A variable's value is read as TOML where it is valid TOML, else as a plain string.

    Raises:
        SettingsError: the file cannot be read, or a setting is unknown or wrong.
    """
    values: dict[str, Any] = {}
    source = "the environment"
    if file is not None:
        source = str(file)
        try:
            values = tomllib.loads(file.read_text("utf-8"))
        except OSError as error:
            raise SettingsError(f"{file}: {error.strerror or error}. `licentia init DIR` writes one.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file}: not valid TOML: {error}") from None
    for name, text in (os.environ if environ is None else environ).items():
        if name.startswith(PREFIX) and name[len(PREFIX) :] not in NOT_SETTINGS:
            _override(values, name[len(PREFIX) :].lower().split("__"), text)
            source += f" and {name}" if len(source) < 200 else ""
    try:
        settings = msgspec.convert(values, Settings, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{source}: {_in_plain_words(str(error))}. conf/full.toml explains each setting.") from None
    folder = file.parent if file is not None else Path()
    return msgspec.structs.replace(settings, data=(folder / settings.data).absolute())


def value_of(text: str) -> Any:
    """What a text says in place of a value in a file: TOML where it is one value of TOML, else the text itself."""
    try:
        read = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return read["value"] if len(read) == 1 else text


def table(values: Mapping[str, Any], wanted: type[T], where: str) -> T:
    """A plugin's own settings as its struct, whose paths may be texts.

    Raises:
        SettingsError: one is unknown, missing or wrong; the message begins with `where` and names it.
    """
    try:
        return msgspec.convert(dict(values), wanted, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: {error}") from None


def _path(wanted: type, value: Any) -> Any:
    if wanted is Path and isinstance(value, str | Path) and value:
        return Path(value)
    raise ValueError("expected a path")


def _override(values: dict[str, Any], path: list[str], text: str) -> None:
    for step in path[:-1]:
        values = values.setdefault(step, {})
        if not isinstance(values, dict):
            raise SettingsError(f"{PREFIX}{'__'.join(path).upper()}: `{step}` is a plain setting, not a table.")
    values[path[-1]] = value_of(text)


def _in_plain_words(message: str) -> str:
    what, _, path = message.partition(" - at `$")
    what = re.sub(r"Object contains unknown field (`.*`)", r"there is no setting \1", what)
    place = path.rstrip("`").lstrip(".")
    return f"{place}: {what}" if place else what
