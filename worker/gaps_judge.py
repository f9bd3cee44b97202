"""Interchanges that never came: a case for each pair of sender and receiver with missing numbers.

What is missing follows from the numbers that are kept, so the order in which files arrive changes
nothing; the case heals when the last missing number has come.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from collectors.gaps import gap_of, gap_raw
from db import control_numbers, timers
from db.control_numbers import SETTLE
from db.driver import Conflict
from db.ingest import store
from db.timers import Timer
from tower.cases import Changed
from tower.court import Code
from tower.raw import Interpreted
from tower.sequences import Gap
from worker import internal
from worker.judging import Judging

log = logging.getLogger(__name__)

AGAIN = timedelta(minutes=1)  # until what could not be stored beside others is stored again
SHOWN = 20  # gaps that a case lists


def look(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> list[Changed]:
    """Judge these streams, whose timers the caller holds; each is set anew or dropped."""
    changes: list[Changed] = []
    ringing: list[Timer] = []
    silent: list[tuple[str, str]] = []
    # Nearly every look finds nothing missing, and nothing to take back.
    told = control_numbers.with_open_case(conn, [timer.key for timer in claimed])
    for timer in claimed:
        found = control_numbers.missing(conn, timer.key)
        due = [gap for gap in found if gap.seen_at + SETTLE <= now]
        ahead = [gap.seen_at + SETTLE for gap in found if gap.seen_at + SETTLE > now]
        if not _tell(conn, code, timer.key, due, now):
            ahead.append(now + AGAIN)
        if due or timer.key in told:
            changes += _judge(conn, config, timer.key, due, now)
        if ahead:
            ringing.append(Timer(timer.kind, timer.key, min(ahead)))
        else:
            silent.append((timer.kind, timer.key))
    timers.set_(conn, ringing)
    timers.drop(conn, silent)
    return changes


def _tell(conn: Connection, code: Code, stream: str, due: Sequence[Gap], now: datetime) -> bool:
    """Store each gap as ``source.gap``; one that was told before is only seen again.

    False if another writer was faster; nothing is stored then.
    """
    raws = [
        gap_raw(gap.source, "interchange", stream, str(gap.first), str(gap.last), gap.seen_at)
        for gap in due
    ]
    read = [(raw, gap_of(raw, code.network)) for raw in raws]
    items = [Interpreted(raw, reading) for raw, reading in read if reading is not None]
    if not items:
        return True
    try:
        with conn.begin_nested():
            store(conn, items, net=code.network, now=now)
    except Conflict:
        log.info("Gaps are told later", extra={"action": "gaps.later", "stream": stream})
        return False
    return True


def _judge(
    conn: Connection, config: Judging, stream: str, due: Sequence[Gap], now: datetime
) -> list[Changed]:
    shown = ", ".join(map(str, due[:SHOWN])) + (", ..." if len(due) > SHOWN else "")
    return internal.numbers_missing(conn, config, stream, shown, due[-1].last if due else None, now)
