"""How the rules of the book do: what they found lately, what is open, what people think of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, func, select, true

from db.reads import precision
from db.reads.filters import within_scope
from db.tables import clock, exception_case, outbox
from tower.access import Scope
from tower.precision import Precision
from tower.root_causes import KIND

DAYS = 30


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """One rule over the last thirty days.

    fires, before  cases that began in them, and in the thirty days before
    by_day         the same by day (UTC), the oldest first
    open_cases     not resolved now; ``causes`` of them are root causes, which count besides
    verdicts       clocks that fell due in them, by what they are
    mails          mails that named a case of it
    noisiest       suppliers (or what else the cases are about) with most cases, with how many
    """

    rule: str
    fires: int
    before: int
    by_day: tuple[int, ...]
    open_cases: int
    causes: int
    precision: Precision
    verdicts: Mapping[str, int]
    mails: int
    noisiest: tuple[tuple[str, int], ...]


def figures(conn: Connection, scope: Scope, now: datetime) -> dict[str, RuleFigures]:
    """Every rule that ever found or judged anything, by its id."""
    c = exception_case.c
    mine = within_scope(c, scope)
    first = now.date() - timedelta(days=DAYS - 1)
    since = now - timedelta(days=DAYS)
    leaf = c.kind != KIND
    day = func.date(func.timezone("UTC", c.opened_at))
    counted = {
        row.rule: row
        for row in conn.execute(
            select(
                c.rule,
                func.count().filter(leaf, c.opened_at > since, c.opened_at <= now).label("fires"),
                func.count()
                .filter(leaf, c.opened_at > since - timedelta(days=DAYS), c.opened_at <= since)
                .label("before"),
                func.count().filter(leaf, c.state != "resolved").label("open_cases"),
                func.count().filter(~leaf, c.state != "resolved").label("causes"),
            )
            .where(*mine)
            .group_by(c.rule)
        )
    }
    days: dict[str, dict[date, int]] = {}
    for row in conn.execute(
        select(c.rule, day.label("day"), func.count().label("n"))
        .where(leaf, c.opened_at > since - timedelta(days=1), c.opened_at <= now, *mine)
        .group_by(c.rule, day)
    ):
        days.setdefault(row.rule, {})[row.day] = row.n
    noisy: dict[str, list[tuple[str, int]]] = {}
    whom = func.coalesce(c.supplier, c.number)
    for row in conn.execute(
        select(c.rule, whom.label("whom"), func.count().label("n"))
        .where(leaf, c.opened_at > since, c.opened_at <= now, *mine)
        .group_by(c.rule, whom)
        .order_by(c.rule, func.count().desc(), whom)
    ):
        noisy.setdefault(row.rule, []).append((row.whom, row.n))
    verdicts: dict[str, dict[str, int]] = {}
    for row in conn.execute(
        select(clock.c.rule, clock.c.verdict, func.count().label("n"))
        .where(clock.c.due_at > since, clock.c.due_at <= now, *within_scope(clock.c, scope))
        .group_by(clock.c.rule, clock.c.verdict)
    ):
        verdicts.setdefault(row.rule, {})[row.verdict] = row.n
    named = func.unnest(outbox.c.cases).table_valued("case_id").render_derived(name="named")
    mails = {
        row.rule: row.n
        for row in conn.execute(
            select(c.rule, func.count(func.distinct(outbox.c.id)).label("n"))
            .select_from(outbox)
            .join(named, true())
            .join(exception_case, c.id == named.c.case_id)
            .where(outbox.c.created_at > since, outbox.c.created_at <= now, *mine)
            .group_by(c.rule)
        )
    }
    judged = precision.by_rule(conn, scope)
    found = {}
    for rule in sorted({*counted, *verdicts}):
        tally = counted.get(rule)
        of_days = days.get(rule, {})
        found[rule] = RuleFigures(
            rule=rule,
            fires=tally.fires if tally else 0,
            before=tally.before if tally else 0,
            by_day=tuple(of_days.get(first + timedelta(days=n), 0) for n in range(DAYS)),
            open_cases=tally.open_cases if tally else 0,
            causes=tally.causes if tally else 0,
            precision=judged.get(rule, Precision(rule)),
            verdicts=verdicts.get(rule, {}),
            mails=mails.get(rule, 0),
            noisiest=tuple(noisy.get(rule, ())[:5]),
        )
    return found


def nothing(rule: str) -> RuleFigures:
    """The figures of a rule that has found nothing yet."""
    return RuleFigures(rule, 0, 0, (0,) * DAYS, 0, 0, Precision(rule), {}, 0, ())
