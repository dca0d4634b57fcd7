"""One log for structlog, uvicorn and every library."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from licentia.settings import Settings
from licentia_gateways.logging import configure

NAMES = (None, "uvicorn", "uvicorn.error", "uvicorn.access")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave the process's logging as it was."""
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers, logger.level, logger.propagate = handlers, level, propagate
    logging.getLogger("uvicorn.access").disabled = False


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """What was logged, as JSON."""
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_everything_is_one_json_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """structlog, uvicorn and a library each give one line of the same form."""
    configure(Settings())
    structlog.get_logger().info("ours", seats=3)
    logging.getLogger("uvicorn.error").info("Application %s", "up")
    logging.getLogger("some.library").warning("beware")
    ours, servers, others = lines(capsys)
    assert (ours["event"], ours["level"], ours["seats"]) == ("ours", "info", 3)
    assert (servers["event"], servers["level"], servers["logger"]) == ("Application up", "info", "uvicorn.error")
    assert (others["event"], others["level"], others["logger"]) == ("beware", "warning", "some.library")
    assert all(str(line["timestamp"]).endswith("Z") for line in (ours, servers, others))


def test_libraries_are_quiet_and_uvicorn_writes_no_access_log(capsys: pytest.CaptureFixture[str]) -> None:
    """A library's notes could hold addresses with ticket codes in them; uvicorn's access log surely does."""
    configure(Settings(log_level="debug"))
    logging.getLogger("httpx").info("GET /v1/tickets/SECRET")
    logging.getLogger("uvicorn.access").critical("GET /v1/tickets/SECRET")
    assert not logging.getLogger("uvicorn.access").hasHandlers()
    assert lines(capsys) == []


def test_the_level_is_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """With `error`, neither notes nor warnings are written."""
    configure(Settings(log_level="error"))
    structlog.get_logger().warning("quiet")
    logging.getLogger("some.library").warning("quiet")
    logging.getLogger("uvicorn.error").warning("quiet")
    logging.getLogger("some.library").error("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def fail(secret: str) -> None:
    """Log a failure in the presence of a secret."""
    try:
        raise RuntimeError(f"a wild failure with {len(secret)} characters")
    except RuntimeError:
        structlog.get_logger().exception("failed")
        logging.getLogger("some.library").exception("failed")


def test_a_failure_is_one_line_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback does not break the form of one line per event."""
    configure(Settings())
    fail("hunter2")
    ours, others = lines(capsys)
    assert "RuntimeError: a wild failure" in str(ours["exception"])
    assert "RuntimeError: a wild failure" in str(others["exception"])


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_traceback_shows_no_variables(
    capsys: pytest.CaptureFixture[str], log_format: Literal["json", "text"]
) -> None:
    """What a function held when it failed, a key perhaps, is not logged."""
    configure(Settings(log_format=log_format))
    fail("hunt" + "er2")
    text = capsys.readouterr().err
    assert text.count("RuntimeError: a wild failure") == 2
    assert "hunter2" not in text


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """With `text`, a line is not JSON, has no colors where no terminal is, and holds the same facts."""
    configure(Settings(log_format="text"))
    structlog.get_logger().info("ours", seats=3)
    logging.getLogger("some.library").warning("beware")
    text = capsys.readouterr().err
    assert "seats=3" in text
    assert "beware" in text
    assert "\x1b" not in text


def test_configuring_again_does_not_double(capsys: pytest.CaptureFixture[str]) -> None:
    """A second start in one process, as in a test, still writes each line once."""
    configure(Settings())
    configure(Settings())
    logging.getLogger("some.library").warning("once")
    structlog.get_logger().warning("once")
    assert len(lines(capsys)) == 2
