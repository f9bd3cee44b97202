"""Frozen sets of cases: picked once, counted, acted on as they are, whatever comes meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from db import audit, cases, switches
from db.reads.filters import within_scope
from db.tables import case_set, exception_case
from tower.access import Scope
from tower.case_sets import MOST, Deed, SetRefused, set_hash
from tower.errors import TowerError

DONE = "done"
LONGEST = 2000
_s, _c = case_set.c, exception_case.c


@dataclass(frozen=True, slots=True)
class CaseSet:
    """A set and what became of it. ``outcome``: case -> "done", or why nothing was done to it."""

    id: int
    cases: tuple[int, ...]
    sha256: str
    remark: str
    made_by: str
    made_at: datetime
    state: str
    action: str
    done_by: str | None
    done_at: datetime | None
    outcome: Mapping[int, str]

    @property
    def subject(self) -> str:
        """Its name in the audit."""
        return f"case_set:{self.id}"


def freeze(
    conn: Connection, scope: Scope, numbers: Sequence[int], who: str, remark: str, now: datetime
) -> CaseSet:
    """Keep these cases as a set. Doubles count once; SetRefused if one is not the viewer's."""
    switches.check_writable(conn)
    scope.demand("case.note")
    chosen = sorted(set(numbers))
    if not chosen:
        raise SetRefused("Nothing was picked. Tick cases first.")
    if len(chosen) > MOST:
        raise SetRefused(
            f"{len(chosen):,} cases were picked; at most {MOST} go into one set. Narrow the choice."
        )
    known = set(
        conn.execute(select(_c.id).where(_c.id.in_(chosen), *within_scope(_c, scope))).scalars()
    )
    missing = [one for one in chosen if one not in known]
    if missing:
        raise SetRefused(f"There is no case {missing[0]} in your area.")
    values = {
        "cases": chosen,
        "sha256": set_hash(chosen),
        "remark": remark[:LONGEST],
        "made_by": who,
        "made_at": now,
    }
    set_id = conn.execute(insert(case_set).values(values).returning(_s.id)).scalar_one()
    made = get(conn, set_id)
    told = {"count": len(chosen), "sha256": made.sha256, "remark": made.remark}
    audit.record(conn, who, "cases.frozen", made.subject, told, now)
    return made


def get(conn: Connection, set_id: int, *, lock: bool = False) -> CaseSet:
    """One set; SetRefused if there is none of this number."""
    asked = select(case_set).where(_s.id == set_id)
    row = conn.execute(asked.with_for_update() if lock else asked).one_or_none()
    if row is None:
        raise SetRefused(f"There is no set {set_id}.")
    return _of_row(row)


def rows(conn: Connection, scope: Scope, one: CaseSet) -> list[Mapping[str, Any]]:
    """The cases of a set as they are now, in the order of their numbers."""
    asked = (
        select(exception_case).where(_c.id.in_(one.cases), *within_scope(_c, scope)).order_by(_c.id)
    )
    return [dict(row._mapping) for row in conn.execute(asked)]


def act(
    conn: Connection,
    scope: Scope,
    set_id: int,
    deed: Deed,
    *,
    count: int,
    sha256: str,
    who: str,
    now: datetime,
) -> CaseSet:
    """Do one thing to every case of a set, once. A case that refuses it stops no other.

    ``count`` is typed by hand. A second click finds the set done and changes nothing.
    """
    switches.check_writable(conn)
    scope.demand("case.note" if deed.action == "note" else "case.decide")
    one = get(conn, set_id, lock=True)
    if one.state == "done" and one.action == deed.action:
        return one
    if one.state != "open":
        raise SetRefused(f"Set {set_id} is {one.state} already. Pick the cases anew.")
    if sha256 != one.sha256 or set_hash(one.cases).hex() != sha256:
        raise SetRefused("These are not the cases that were shown. Open the set anew.")
    if count != len(one.cases):
        raise SetRefused(f"The set has {len(one.cases)} cases, not {count}. Type its number.")
    deed.check()
    outcome = {}
    for number in one.cases:
        try:
            with conn.begin_nested():
                _do(conn, scope, number, deed, who, now)
        except TowerError as error:
            outcome[number] = str(error)
        else:
            outcome[number] = DONE
    conn.execute(
        update(case_set)
        .where(_s.id == set_id)
        .values(
            state="done",
            action=deed.action,
            done_by=who,
            done_at=now,
            outcome={str(number): said for number, said in outcome.items()},
        )
    )
    acted = get(conn, set_id)
    told = {
        "action": deed.action,
        "count": len(one.cases),
        "sha256": one.sha256,
        "done": sum(said == DONE for said in outcome.values()),
        "text": deed.text[:LONGEST],
    }
    audit.record(conn, who, "cases.acted_on", acted.subject, told, now)
    return acted


def drop(conn: Connection, set_id: int, who: str, now: datetime) -> CaseSet:
    """Put a set aside; nothing is done to its cases."""
    switches.check_writable(conn)
    one = get(conn, set_id, lock=True)
    if one.state == "open":
        conn.execute(
            update(case_set)
            .where(_s.id == set_id)
            .values(state="dropped", done_by=who, done_at=now)
        )
        audit.record(conn, who, "cases.dropped", one.subject, {"count": len(one.cases)}, now)
    return get(conn, set_id)


def _do(conn: Connection, scope: Scope, number: int, deed: Deed, who: str, now: datetime) -> None:
    match deed.action:
        case "take":
            cases.take(conn, scope, number, who, now)
        case "release":
            cases.release(conn, scope, number, who, now)
        case "snooze":
            cases.snooze(conn, scope, number, who, deed.until or now, now)
        case "assign":
            cases.assign(conn, scope, number, who, deed.to, now)
        case "resolve":
            cases.resolve(conn, scope, number, who, deed.how, deed.text, now, deed.cause)
        case "false_alarm":
            cases.judge(conn, scope, number, who, "false_alarm", deed.text, now)
        case _:
            cases.note(conn, scope, number, who, deed.text, now)


def _of_row(row: Row[Any]) -> CaseSet:
    return CaseSet(
        id=row.id,
        cases=tuple(row.cases),
        sha256=bytes(row.sha256).hex(),
        remark=row.remark,
        made_by=row.made_by,
        made_at=row.made_at,
        state=row.state,
        action=row.action,
        done_by=row.done_by,
        done_at=row.done_at,
        outcome={int(number): said for number, said in row.outcome.items()},
    )
