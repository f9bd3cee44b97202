"""Log lines: a sentence plus an ``action`` key, never a payload, never a secret.

As JSON for machines; on a terminal as a line that a person reads.
"""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

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


_HEAD = frozenset({"at", "level", "message", "action", "error"})


def for_people(line: str) -> str:
    """A line of JsonLines as one that a person reads, with local time; any other as it is.

    Nothing in it is obeyed by a terminal: partners and peers write some of its words.
    """
    try:
        told = orjson.loads(line) if line.startswith('{"at":') else None
        at = datetime.fromisoformat(told["at"]) if isinstance(told, dict) else None
    except (ValueError, KeyError, TypeError):
        at = None
    if at is None or not isinstance(told, dict):
        return line
    details = ", ".join(
        f"{key} {value}" for key, value in told.items() if key not in _HEAD and value is not None
    )
    level = "" if told.get("level") == "info" else f"{told.get('level')}: "
    words = f"{level}{told.get('message')}" + (f" ({details})" if details else "")
    found = [f"{at.astimezone():%H:%M:%S} {_visible(words)}"]
    found += [f"    {_visible(part)}" for part in str(told.get("error") or "").splitlines()]
    return "\n".join(found)


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


class _ForPeople(JsonLines):
    def format(self, record: logging.LogRecord) -> str:
        return for_people(super().format(record))


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what is standard error now: while a bar of progress is shown, that is above it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        raise AttributeError("this handler always writes to standard error")


def start(level: int = logging.INFO) -> None:
    """Log to standard error; libraries only from warnings on."""
    handler = _StandardError()
    handler.setFormatter(_ForPeople() if sys.stderr.isatty() else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # It warns of the end of what was under way when a connection was lost; the loss is told anyway.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    for room in ("tower", "collectors", "db", "worker", "api", "app"):
        logging.getLogger(room).setLevel(level)
