"""Where the log of a command goes: warnings, as text, on the standard error. `serve` has its own."""

from __future__ import annotations

import logging
import sys

import structlog


def to_standard_error() -> None:
    """Keep the standard output free for the reply."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            # The formatter of rich would print the values of local variables, and with them secrets.
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
