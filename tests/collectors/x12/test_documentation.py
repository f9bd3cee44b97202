from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_finding_and_dead_letter_is_described() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "collectors" / "x12").glob("*.py"))
    codes = set(re.findall(r'(?:find|_dead|_count|_number)\(\s*"([a-z0-9_]+)"', source))
    codes |= set(re.findall(r'(?:Finding|DeadLetter)\(\s*"([a-z0-9_]+)"', source))
    codes |= set(re.findall(r'code="([a-z_]+)"', source))
    assert {"se_count", "junk", "hold_only", "missing_key", "unknown_partner", "crash"} <= codes
    described = set(re.findall(r"`([a-z0-9_]+)`", (ROOT / "docs" / "x12.md").read_text()))
    assert codes - described == set()
