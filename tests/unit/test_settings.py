"""The settings: what may stand in the file and in variables, and how a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.settings import Limits, Settings, SettingsError, load


def written(folder: Path, text: str) -> Path:
    """A settings file with this text."""
    file = folder / "licentia.toml"
    file.write_text(text, "utf-8")
    return file


def test_without_a_file_all_defaults_hold() -> None:
    """Without a file and variables the settings are the defaults, with an absolute data folder."""
    settings = load(environ={})
    assert settings.port == 8400
    assert settings.host == "127.0.0.1"
    assert settings.data.is_absolute()


def test_data_is_relative_to_the_file(tmp_path: Path) -> None:
    """A relative data folder starts at the folder of the settings file, wherever the server is started."""
    settings = load(written(tmp_path, 'data = "state"'), {})
    assert settings.data == tmp_path / "state"
    assert settings.database_url == f"sqlite:///{tmp_path}/state/licentia.db"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/licentia.db",
        "postgres://user:secret@db:5432/licentia",
        "postgresql://db/licentia?sslmode=require",
    ],
)
def test_an_absolute_database_stays_as_it_is(tmp_path: Path, url: str) -> None:
    """Only a relative SQLite path is taken from the data folder; any other URL is left alone."""
    assert load(written(tmp_path, f'database = "{url}"'), {}).database_url == url


def test_a_variable_overrides_the_file(tmp_path: Path) -> None:
    """A variable wins over the file, in a table too, and its value is read as TOML."""
    settings = load(
        written(tmp_path, "port = 1\nlog_level = 'error'\n[limits]\nticket_misses_per_minute = 5"),
        {
            "LICENTIA_PORT": "9000",
            "LICENTIA_ALLOWED_HOSTS": '["licenses.example.com"]',
            "LICENTIA_LOG_LEVEL": "debug",
            "LICENTIA_LIMITS__TICKET_MISSES_PER_MINUTE": "10",
        },
    )
    assert (settings.port, settings.allowed_hosts, settings.log_level) == (9000, ("licenses.example.com",), "debug")
    assert settings.limits == Limits(ticket_misses_per_minute=10)


def test_a_variable_reaches_a_plugin_table() -> None:
    """A plugin's own setting can come from a variable, so that a secret need not stand in the file."""
    settings = load(environ={"LICENTIA_DIRECTORY__OIDC__ISSUER": "https://login.example.com"})
    assert settings.directory == {"oidc": {"issuer": "https://login.example.com"}}


@pytest.mark.parametrize("name", ["LICENTIA_KEY", "LICENTIA_URL", "LICENTIA_CONFIG", "PATH", "OTHER_PORT"])
def test_foreign_variables_are_no_settings(name: str) -> None:
    """Variables of the command line and of others are not mistaken for settings."""
    assert load(environ={name: "x"}) == load(environ={})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot = 8400", "there is no setting `prot`"),
        ("[limits]\nmisses = 1", "limits: there is no setting `misses`"),
        ("port = 70000", "port: "),
        ('port = "8400"', "port: "),
        ("workers = 0", "workers: "),
        ('log_level = "loud"', "log_level: "),
        ('public_url = "licenses.example.com"', "public_url: "),
        ("port = ", "not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, named: str) -> None:
    """A wrong or unknown setting stops the start with one sentence that names the setting and the file."""
    file = written(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load(file, {})
    assert named in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_a_variable_is_named() -> None:
    """A misspelled variable stops the start and is named."""
    with pytest.raises(SettingsError, match="LICENTIA_PROT") as caught:
        load(environ={"LICENTIA_PROT": "1"})
    assert "there is no setting `prot`" in str(caught.value)


def test_a_variable_below_a_plain_setting_is_named() -> None:
    """A variable that treats a plain setting as a table is refused as any other mistake."""
    with pytest.raises(SettingsError, match="LICENTIA_PORT__LOW"):
        load(environ={"LICENTIA_PORT": "1", "LICENTIA_PORT__LOW": "2"})


@pytest.mark.parametrize("make", [lambda file: None, lambda file: file.mkdir(), lambda file: file.write_bytes(b"\xff")])
def test_an_unreadable_file_is_named(tmp_path: Path, make: object) -> None:
    """A file that is missing, a folder or not UTF-8 is told by its name, without a traceback of Python."""
    file = tmp_path / "licentia.toml"
    make(file)  # type: ignore[operator]
    with pytest.raises(SettingsError, match=r"licentia\.toml"):
        load(file, {})


@given(st.dictionaries(st.from_regex(r"LICENTIA_[A-Z_]{1,20}", fullmatch=True), st.text(max_size=30), max_size=3))
def test_any_variables_give_settings_or_one_error(environ: dict[str, str]) -> None:
    """Whatever the variables hold, the answer is settings or a SettingsError, never another exception."""
    try:
        assert isinstance(load(environ=environ), Settings)
    except SettingsError as error:
        assert str(error)  # noqa: PT017
