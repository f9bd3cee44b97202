"""Rounds that net supply against demand: buckets marked dirty, computed anew, and whom that hurts.

A round reads only the buckets that marks name, writes the order lines found uncovered, and wakes
the purchase orders whose lines are to blame: their own visit then follows with clocks and cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from db import impact as rows
from db import netting as kept
from db import netting_marks, timers
from db.timers import NETTING, UNIT, Timer
from tower.court import Code
from tower.impact import Affected
from tower.netting import judge
from tower.zones import zone
from worker.impact import begin_of, terms_of


@dataclass(frozen=True, slots=True)
class Round:
    """What a round did: buckets netted, and order lines found uncovered."""

    buckets: int = 0
    affected: int = 0


def look(conn: Connection, code: Code, claimed: Sequence[Timer], now: datetime) -> Round:
    """Net what these marks name."""
    marked = netting_marks.read(timer.key for timer in claimed)
    wanted = marked.places | kept.places_of(conn, marked.homes)
    # Order lines that named another item, or none any more, leave nothing behind.
    wanted |= rows.netted_places(conn, marked.homes)
    places = kept.reported(conn, wanted) | rows.places_with_rows(conn, wanted)
    timers.drop(conn, [(timer.kind, timer.key) for timer in claimed])
    if not places:
        return Round()
    kept.lock(conn, places)
    kept.prune(conn, places)
    terms = terms_of(code)
    today = now.astimezone(zone(code.network.company.zone)).date()
    found: list[Affected] = []
    ahead: list[Timer] = []
    buckets = kept.load(conn, terms, places)
    for bucket in buckets:
        netted = judge(bucket, today)
        found.extend(netted.affected)
        if netted.next is not None:
            key = netting_marks.on(netted.next, bucket.warehouse, bucket.item)
            ahead.append(Timer(NETTING, key, begin_of(netted.next, code)))
    hurt = rows.replace_affected(conn, (), found, "netting", terms.hours, now, places=places)
    timers.sooner(conn, [*ahead, *(Timer(UNIT, str(home), now) for home in hurt)])
    return Round(len(buckets), len(found))


def mark(conn: Connection, homes: Sequence[int], now: datetime) -> None:
    """Have the lines of these purchase orders netted anew: a clock put them in doubt, or no more.

    Nothing is marked where none of them stands in a bucket whose stock is known.
    """
    if homes and kept.anything_reported(conn) and kept.reported(conn, kept.places_of(conn, homes)):
        timers.sooner(conn, [Timer(NETTING, netting_marks.home(h), now) for h in sorted(homes)])
