"""Log lines: JSON for machines, readable on a terminal, obeyed by none."""

from __future__ import annotations

import io
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import orjson
import pytest

from worker import logs

TELL = """
import logging
from worker import logs
logs.start()
about = {"action": "source.down", "source": "edi"}
logging.getLogger("worker.x").warning("Source not read", extra=about)
"""


@pytest.fixture
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def through_a_terminal(code: str) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.run([sys.executable, "-c", code], stderr=theirs, timeout=60, check=True)
    os.close(theirs)
    assert process.returncode == 0
    told = b""
    try:
        while more := os.read(ours, 4096):
            told += more
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    return told.decode()


def test_a_machine_reads_json() -> None:
    told = subprocess.run(
        [sys.executable, "-c", TELL], capture_output=True, text=True, timeout=60, check=True
    )
    line = orjson.loads(told.stderr)
    assert line["message"] == "Source not read"
    assert line["action"] == "source.down"
    assert line["source"] == "edi"


def test_a_person_at_a_terminal_reads_a_sentence() -> None:
    told = through_a_terminal(TELL)
    assert told.rstrip().endswith("warning: Source not read (source edi)")
    assert "{" not in told


def test_nothing_of_a_line_is_obeyed_and_other_lines_stay() -> None:
    record = logging.LogRecord("worker", logging.INFO, "", 0, "Read \x1b[2J\nof \u202ea", (), None)
    told = logs.for_people(logs.JsonLines().format(record))
    assert told.isprintable()
    assert "info" not in told
    for other in ("Stopped.", '{"at": 5}', '{"at":', '{"at":"x"}', '["at"]', ""):
        assert logs.for_people(other) == other


def test_an_error_keeps_its_lines() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.LogRecord("worker", 40, "", 0, "Failed", (), sys.exc_info())
    first, *rest = logs.for_people(logs.JsonLines().format(record)).splitlines()
    assert first.endswith("error: Failed")
    assert rest[-1] == "    ValueError: broken"


@pytest.mark.usefixtures("as_before")
def test_lines_go_where_standard_error_is_now(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar of progress takes its place to write above itself."""
    logs.start()
    bar = io.StringIO()
    monkeypatch.setattr(sys, "stderr", bar)
    logging.getLogger("worker.x").warning("above")
    assert "above" in bar.getvalue()
    assert "above" not in capsys.readouterr().err
