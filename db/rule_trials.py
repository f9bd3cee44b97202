"""Wishes to see what an edited rule book would say; a worker fulfils them, one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update

from db import records
from db.tables import rule_trial
from tower.errors import TowerError

LEASE = timedelta(seconds=60)  # a worker that says nothing for so long has died
MOST_BYTES = 1_000_000
MOST_WAITING = 20
KEPT = 50  # the newest ones; older answers are emptied

_t = rule_trial.c
WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"


class TrialRefused(TowerError):
    """The wish cannot be taken; the message says why and what would be."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: the book, the span of the past, how far it is, what it found.

    done, total  documents judged, of how many; ``answer`` is that of ``tower rules backtest`` and
                 of ``tower rules plan``, empty before it is done
    """

    id: int
    asked_by: str
    asked_at: datetime
    body: str
    begin_at: datetime
    end_at: datetime
    state: str
    started_at: datetime | None
    finished_at: datetime | None
    done: int
    total: int
    answer: Mapping[str, Any]
    problem: str

    @property
    def over(self) -> bool:
        return self.state in (DONE, FAILED, CANCELLED)


_COLUMNS = tuple(Trial.__dataclass_fields__)


def ask(
    conn: Connection, who: str, body: str, begin: datetime, end: datetime, now: datetime
) -> int:
    """Wish for a trial of this rule book over a span of the past; its number."""
    if end <= begin:
        raise TrialRefused("The span ends before it begins. Choose an end after its beginning.")
    if len(body.encode()) > MOST_BYTES:
        raise TrialRefused("The rule book is larger than 1 MB.")
    waiting = conn.execute(select(_t.id).where(_t.state == WAITING).limit(MOST_WAITING)).all()
    if len(waiting) >= MOST_WAITING:
        raise TrialRefused(f"{MOST_WAITING} trials wait already. Try again when they are done.")
    row = {
        "asked_by": who,
        "asked_at": now,
        "body": body,
        "begin_at": begin,
        "end_at": end,
        "state": WAITING,
    }
    [given] = records.put(conn, rule_trial, [row], returning=("id",))
    old = conn.execute(select(_t.id).order_by(_t.id.desc()).offset(KEPT).limit(1)).scalar()
    if old is not None:
        conn.execute(
            update(rule_trial).where(_t.id <= old, _t.body != "").values(body="", answer={})
        )
    return int(given.id)


def claim(conn: Connection, now: datetime) -> Trial | None:
    """The next trial that nobody works on, from now on ours; None if there is none."""
    free = or_(_t.state == WAITING, and_(_t.state == RUNNING, _t.lease_until < now))
    number = conn.execute(
        select(_t.id).where(free).order_by(_t.asked_at).limit(1).with_for_update(skip_locked=True)
    ).scalar()
    if number is None:
        return None
    conn.execute(
        update(rule_trial)
        .where(_t.id == number)
        .values(state=RUNNING, started_at=now, lease_until=now + LEASE, done=0, total=0)
    )
    return get(conn, number)


def progress(conn: Connection, number: int, done: int, total: int, now: datetime) -> bool:
    """Say how far it is; False if somebody called it off meanwhile."""
    changed = conn.execute(
        update(rule_trial)
        .where(_t.id == number, _t.state == RUNNING)
        .values(done=done, total=total, lease_until=now + LEASE)
    )
    return changed.rowcount == 1


def finish(conn: Connection, number: int, answer: Mapping[str, Any], now: datetime) -> None:
    records.change(
        conn,
        rule_trial,
        [{"id": number, "state": DONE, "answer": answer, "finished_at": now, "lease_until": None}],
        keys=("id",),
    )


def fail(conn: Connection, number: int, problem: str, now: datetime) -> None:
    conn.execute(
        update(rule_trial)
        .where(_t.id == number, _t.state == RUNNING)
        .values(state=FAILED, problem=problem[:4000], finished_at=now, lease_until=None)
    )


def cancel(conn: Connection, number: int, now: datetime) -> None:
    """Call it off; what runs stops at its next step."""
    conn.execute(
        update(rule_trial)
        .where(_t.id == number, _t.state.in_((WAITING, RUNNING)))
        .values(state=CANCELLED, finished_at=now, lease_until=None)
    )


def get(conn: Connection, number: int) -> Trial | None:
    row = conn.execute(
        select(*(_t[name] for name in _COLUMNS)).where(_t.id == number)
    ).one_or_none()
    return None if row is None else Trial(*row)


def newest(conn: Connection, limit: int = 10) -> list[Trial]:
    """The newest trials, without their answers."""
    rows = conn.execute(
        select(*(_t[name] for name in _COLUMNS if name not in ("answer", "body")))
        .order_by(_t.id.desc())
        .limit(limit)
    )
    return [Trial(**dict(row._mapping), answer={}, body="") for row in rows]
