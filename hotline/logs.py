"""Structured logs: JSON lines for machines (`HOTLINE_LOG=json`), readable ones at a terminal."""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO, cast

import structlog


class _StandardError:
    """Standard error as it is at the moment of writing: who replaced it for a while may have closed what was there."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logging(*, quiet: bool = False) -> None:
    """Send structlog's and the standard library's records to standard error, one shape for both.

    `quiet`: warnings and worse only, for a terminal that shows something else.
    """
    out = cast("TextIO", _StandardError())
    as_json = os.environ.get("HOTLINE_LOG") == "json"
    level = os.environ.get("HOTLINE_LOG_LEVEL", "WARNING" if quiet else "INFO").upper()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False) if as_json else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer] if as_json else [*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level, logging.INFO)),
        logger_factory=structlog.PrintLoggerFactory(out),
        # Not cached: a logger that is would keep these settings when a later call, or a test, sets others.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(
        level=level if level in logging.getLevelNamesMapping() else "INFO", handlers=[handler], force=True
    )
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
