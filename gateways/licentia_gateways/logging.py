"""One log for everything in the process: structlog's own events, uvicorn's, and those of any library.

One line per event on standard error, JSON or text. Nothing that a caller sent is logged but the
request id and, in an event of an error, the words of that error.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from licentia.settings import Settings


def _timestamp(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The time as replies write it; structlog's own takes five times as long, and each request has a line."""
    event["timestamp"] = msgspec.to_builtins(datetime.now(UTC))
    return event


_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    _timestamp,
)


def configure(settings: Settings) -> None:
    """Set up logging as `log_level` and `log_format` say. May be called again."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    finish = _finish(settings.log_format)
    structlog.configure(
        processors=[*_SHARED, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Line,
        cache_logger_on_first_use=False,
    )
    handler = _Foreign()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    root = logging.getLogger()
    root.handlers = [*(other for other in root.handlers if not isinstance(other, _Foreign)), handler]
    root.setLevel(max(level, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = name != "uvicorn.access"
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn").setLevel(level)


def _finish(log_format: str) -> list[Processor]:
    if log_format == "text":
        return [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    return [structlog.processors.format_exc_info, _json]


def _json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode("utf-8")


class _Line:
    """Writes finished lines to what is standard error at that moment."""

    def __init__(self, *_: Any) -> None:
        pass

    def msg(self, line: str) -> None:
        """Write one line."""
        sys.stderr.write(line + "\n")

    debug = info = warning = error = critical = exception = log = msg


class _Foreign(logging.Handler):
    """Takes the records of the standard library's loggers."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        sys.stderr.write(self.format(record) + "\n")
