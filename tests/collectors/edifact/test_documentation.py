from __future__ import annotations

import re
from pathlib import Path

from collectors.edifact import interpreter

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "edifact.md").read_text()


def test_every_finding_and_dead_letter_is_described() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "collectors" / "edifact").glob("*.py"))
    codes = set(re.findall(r'(?:find|_dead|_count|_number)\(\s*"([a-z0-9_]+)"', source))
    codes |= set(re.findall(r'(?:Finding|DeadLetter)\(\s*"([a-z0-9_]+)"', source))
    codes |= set(re.findall(r'code="([a-z_]+)"', source))
    assert {"unt_count", "junk", "missing_key", "unknown_partner", "crash"} <= codes
    assert codes - set(re.findall(r"`([a-z0-9_]+)`", PAGE)) == set()


def test_every_message_that_is_read_is_in_the_table() -> None:
    described = set(re.findall(r"^\| ([A-Z]{6}) \|", PAGE, re.MULTILINE))
    assert described == set(interpreter._KINDS)
