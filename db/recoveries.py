"""Dead letters whose effect may have been seen without us, found from what came in since the last
look.

Work grows with what came in, never with how many letters are open. What such a look cannot see (an
event that was tied to its document later, one that was committed long after its receipt, another
network) is found by a sweep over all open letters, once in ``SWEEP_EVERY``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, tuple_

from db.tables import dead_letter, text_mark
from tower.identity import item_key
from tower.replays import LetterRef

OVERLAP = timedelta(seconds=60)  # a slow commit: received before the mark, seen after it
SWEEP_EVERY = timedelta(hours=1)

_NAME = "recovered"
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('tower.recovered', 0))"
_m, _d = text_mark.c, dead_letter.c
_REF = (_d.source, _d.key, _d.attempt, _d.position)
_OPEN = (_d.state == "open", _d.kind == "deliver")

# Every captured letter tells of its death at the documents that it speaks of.
_NEAR = """
    WITH told AS (
        SELECT DISTINCT home_key AS home FROM event
        WHERE received_at >= %(since)s AND type = ANY(%(types)s)
    ), near AS (
        SELECT home FROM told
        UNION SELECT f.other_key FROM told t JOIN flow_link f ON f.home_key = t.home
    )
    SELECT DISTINCT e.source, e.raw_key FROM near n
    JOIN event e ON e.home_key = n.home AND e.type = 'message.dead_lettered'
"""


@dataclass(frozen=True, slots=True)
class Look:
    """One look: at what came in at or after ``since``, or with None at everything that is open."""

    since: datetime | None


def begin(conn: Connection, now: datetime) -> Look | None:
    """Move the mark to ``now`` and say what to look at; None while another worker looks.

    The caller's transaction holds the mark: what it did not do is done again by the next one.
    """
    if not conn.exec_driver_sql(_LOCK).scalar_one():
        return None
    row = conn.execute(select(_m.upto, _m.swept_at).where(_m.name == _NAME)).one_or_none()
    if row is None:
        conn.execute(text_mark.insert().values(name=_NAME, upto=now, swept_at=now))
        return Look(None)
    sweep = now - row.swept_at >= SWEEP_EVERY
    values = {"upto": now, "swept_at": now} if sweep else {"upto": now}
    conn.execute(text_mark.update().where(_m.name == _NAME).values(values))
    return Look(None if sweep else row.upto - OVERLAP)


def candidates(conn: Connection, since: datetime, types: Sequence[str]) -> list[LetterRef]:
    """Open letters that came or were opened again since then, and those with a document of which
    an event of these types came since then.
    """
    fresh = select(*_REF).where(*_OPEN, _d.state_at >= since)
    found = {LetterRef(*row) for row in conn.execute(fresh)}
    near = conn.exec_driver_sql(_NEAR, {"since": since, "types": list(types)}).all()
    keys = sorted((item_key(source, key), source, key) for source, key in near)
    if keys:
        named = select(*_REF).where(tuple_(_d.item_key, _d.source, _d.key).in_(keys), *_OPEN)
        found.update(LetterRef(*row) for row in conn.execute(named))
    return sorted(found)
