"""What people think of the alerts of each rule."""

from __future__ import annotations

from sqlalchemy import Connection, case, func, select

from db.reads.filters import within_scope
from db.tables import exception_case
from tower.access import Scope
from tower.precision import JUDGEMENTS, Precision


def by_rule(conn: Connection, scope: Scope) -> dict[str, Precision]:
    """Judged cases by rule; rules that nobody judged are left out.

    A case counts once, with the last word of a person: said outright, or by resolving it as
    repaired or as a false alarm. What was decided about a root cause counts once, for the cause.
    """
    c = exception_case.c
    word = func.coalesce(
        c.verdict,
        case(
            (c.parent_id.is_not(None), None),
            (c.resolution == "repaired", "useful"),
            (c.resolution == "false_alarm", "false_alarm"),
        ),
    )
    judged = (
        select(
            c.rule,
            word.label("word"),
            func.row_number()
            .over(
                partition_by=c.rule,
                order_by=(func.coalesce(c.judged_at, c.resolved_at).desc(), c.id.desc()),
            )
            .label("n"),
        )
        .where(word.is_not(None), *within_scope(c, scope))
        .subquery()
    )
    j = judged.c
    rows = conn.execute(
        select(
            j.rule,
            func.count().filter(j.word == "useful"),
            func.count().filter(j.word == "false_alarm"),
            func.count().filter(j.n <= JUDGEMENTS),
            func.count().filter(j.n <= JUDGEMENTS, j.word == "useful"),
        )
        .group_by(j.rule)
        .order_by(j.rule)
    )
    return {row[0]: Precision(*row) for row in rows}


def doubtful(conn: Connection, scope: Scope) -> list[Precision]:
    """Rules whose alerts people find useless more often than not, the worst first."""
    found = [one for one in by_rule(conn, scope).values() if one.doubtful]
    return sorted(found, key=lambda p: (p.latest_useful / p.latest, p.rule))
