"""Log lines as JSON: a sentence plus an ``action`` key, never a payload, never a secret."""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

from tower.keys import without_keys

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_SECRET = re.compile(
    r"(?i)((?:password|passwd|secret|token|authorization|api[_-]?key)\W{1,3})(\S+)|(://[^:/\s]+:)([^@\s]+)(@)"
)


def redacted(text: str) -> str:
    """The text with passwords in addresses and after telling words hidden, and API keys."""
    text = without_keys(text)
    return _SECRET.sub(lambda m: f"{m[1]}***" if m[1] is not None else f"{m[3]}***{m[5]}", text)


class JsonLines(logging.Formatter):
    """One JSON object per line; control characters come out escaped."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": redacted(record.getMessage()),
        }
        for key, value in record.__dict__.items():
            if key not in _STANDARD:
                line[key] = redacted(value) if isinstance(value, str) else value
        if record.exc_info:
            line["error"] = redacted(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


def start(level: int = logging.INFO) -> None:
    """Log to standard error; libraries only from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for room in ("tower", "collectors", "db", "worker", "api", "app"):
        logging.getLogger(room).setLevel(level)
