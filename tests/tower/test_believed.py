"""Clocks as their journal had them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from tower.believed import believed
from tower.cycles import Verdict
from tower.signs import Subject
from tower.timeline import Entry

START = datetime(2026, 3, 30, 8, tzinfo=UTC)
PO = Subject("po", "main", "4711")


@pytest.mark.parametrize(
    ("told", "verdict", "is_open"),
    [
        (["started"], Verdict.PENDING, True),
        (["started", "warn"], Verdict.AT_RISK, True),
        (["started", "warn", "held"], Verdict.UNKNOWN, True),
        (["started", "held", "released", "breach"], Verdict.BREACHED, True),
        (["started", "breach", "end:late"], Verdict.MET_LATE, False),
        (["started", "breach", "retract:breach", "end:met", "recalculated"], Verdict.MET, False),
        (["started", "end:met", "reopened", "breach", "recalculated"], Verdict.BREACHED, True),
        (["started", "end:cancelled"], Verdict.NOT_MEASURED, False),
        (["started", "breach", "end:cancelled"], Verdict.BREACHED, False),
        (["started", "breach", "end:cleared"], Verdict.MET_LATE, False),
        (["started", "warn", "end:cleared"], Verdict.MET, False),
        (["excluded"], Verdict.NOT_MEASURED, False),
    ],
)
def test_a_verdict_is_what_the_journal_had_said(
    told: Sequence[str], verdict: Verdict, is_open: bool
) -> None:
    entries = [
        Entry("r", PO, 1, name, at, at, None, "v", {})
        for name, at in ((name, START + timedelta(hours=n)) for n, name in enumerate(told))
    ]
    [(name, found)] = believed(entries).items()
    assert name == ("r", PO, 1)
    assert (found.verdict, found.open) == (verdict, is_open)
