"""The subjects that a figure counted, a page at a time: each in or out, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, and_, func, or_, select

from db.reads import paging
from db.reads.figures import MAKERS, NO_SWITCHES, SCORE, figure, labels, lacking, question, scoring
from db.reads.filters import Filter
from db.reads.restating import DOCUMENTS, late_homes
from tower.access import Scope
from tower.identity import document_home
from tower.kpi_catalogue import Switches, definition
from tower.kpi_score import reached
from tower.kpi_why import why
from tower.kpis import HIT, MISS

Only = Literal["all", "in", "out", "hit", "miss"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One subject of a figure.

    kind .. line   the document, case, queue, feed or message it is (a case: its number)
    at             when it counts: fell due, came, ended; days as midnight UTC
    counted        in the figure or left out
    verdict        hit, miss, or the word under which it is left out
    why            the same in words, with what it rests on
    facts          what it rests on: instants and days as ISO texts, quantities as numbers
    amount         its duration, or what it weighs
    supplier       key; None where nobody is told
    restated       something it rests on became known only after the period was over
    """

    kind: str
    scope: str
    number: str
    line: str
    at: datetime
    counted: bool
    verdict: str
    why: str
    facts: Mapping[str, Any]
    amount: float | None
    supplier: str | None
    supplier_name: str | None
    buyer: str | None
    warehouse: str | None
    category: str | None
    topic: str | None
    restated: bool = False


@dataclass(frozen=True, slots=True)
class SubjectPage:
    """Subjects, newest first; ``following`` names the next page, None on the last.

    total   subjects by verdict, on all pages
    reason  why there are none, where the figure has no data for a reason of its own
    """

    rows: tuple[Subject, ...]
    total: Mapping[str, int]
    following: str | None = None
    reason: str = ""


def subjects(
    conn: Connection,
    scope: Scope,
    kpi_id: str,
    narrowed: Filter,
    now: datetime,
    switches: Switches = NO_SWITCHES,
    *,
    only: Only = "all",
    after: str | None = None,
    limit: int = 50,
) -> SubjectPage:
    """Exactly the subjects that ``figure`` counted over the same period, and what it left out.

    ``only``: those in the figure, out of it, or with one verdict; ``after``: a page's
    ``following``. Raises UnknownChoice.
    """
    of = definition(kpi_id)
    if kpi_id == SCORE:
        return _components(conn, scope, narrowed, now)
    why_none = lacking(scope, kpi_id, switches, narrowed)
    if why_none is not None:
        return SubjectPage((), {}, reason=why_none.reason)
    asked = question(conn, scope, kpi_id, narrowed, now, switches)
    rows = MAKERS[kpi_id](asked).rows.subquery("subjects")
    r = rows.c
    inside = r.verdict.in_((HIT, MISS))
    total: dict[str, int] = dict(
        conn.execute(select(r.verdict, func.count()).group_by(r.verdict)).all()
    )
    wanted = select(rows)
    if only in (HIT, MISS):
        wanted = wanted.where(r.verdict == only)
    elif only != "all":
        wanted = wanted.where(inside if only == "in" else ~inside)
    place = paging.read_place(after, 5)
    if place is not None and place[0] is not None:
        # Nobody writes such a place by hand: a word that is none begins anew.
        try:
            at = datetime.fromisoformat(place[0])
        except ValueError:
            at = None
        if at is not None:
            rest = tuple(part or "" for part in place[1:])
            names = func.row(r.kind, r.scope, r.number, r.line)
            wanted = wanted.where(or_(r.at < at, and_(r.at == at, names > func.row(*rest))))
    size = paging.bounded(limit)
    found = conn.execute(
        wanted.order_by(r.at.desc(), r.kind, r.scope, r.number, r.line).limit(size + 1)
    ).all()
    named = labels(conn, scope, "supplier")
    page = []
    for row in found[:size]:
        told = row._asdict()
        key, name = named.get(told["supplier"], (None, None))
        facts: Mapping[str, Any] = told["facts"] or {}
        page.append(
            Subject(
                kind=told["kind"],
                scope=told["scope"],
                number=told["number"],
                line=told["line"],
                at=told["at"],
                counted=told["verdict"] in (HIT, MISS),
                verdict=told["verdict"],
                why=why(of, told["verdict"], facts, healed=bool(told.get("healed"))),
                facts=facts,
                amount=None if told.get("amount") is None else float(told["amount"]),
                supplier=key,
                supplier_name=name,
                buyer=told["buyer"],
                warehouse=told["warehouse"],
                category=told["category"],
                topic=told["topic"],
            )
        )
    following = None
    if len(found) > size and page:
        last = page[-1]
        following = paging.place(
            (last.at.isoformat(), last.kind, last.scope, last.number, last.line)
        )
    if not of.snapshot:
        page = _marked(conn, page, asked.period.end)
    return SubjectPage(tuple(page), total, following)


def _marked(conn: Connection, page: list[Subject], end: datetime) -> list[Subject]:
    """The page with a mark on documents of which something was learnt after the period that had
    happened before its end: the past has moved."""
    homes = {
        place: document_home(one.kind, one.scope, one.number)
        for place, one in enumerate(page)
        if one.kind in DOCUMENTS
    }
    late = late_homes(conn, homes.values(), end)
    return [
        replace(one, restated=True) if homes.get(place) in late else one
        for place, one in enumerate(page)
    ]


def _components(conn: Connection, scope: Scope, narrowed: Filter, now: datetime) -> SubjectPage:
    """The figures that a score is made from."""
    rows = []
    weights, targets = scoring(conn)
    for name, weight in weights.items():
        one = figure(conn, scope, name, narrowed, now)
        value = None if one.value is None else float(one.value)
        points = None if value is None else weight * reached(name, value, targets)
        target = targets.get(name, one.definition.target)
        facts = {"weight": weight, "value": value, "target": target, "n": one.n}
        told = "in" if value is not None else "out"
        rows.append(
            Subject(
                kind="figure",
                scope="",
                number=name,
                line="",
                at=narrowed.period.end,
                counted=value is not None,
                verdict=HIT
                if value is not None and not one.missed
                else MISS
                if value is not None
                else "no_data",
                why=f"{told}: {points:.1f} of {weight:g} points"
                if points is not None
                else f"out: {one.reason}",
                facts=facts,
                amount=points,
                supplier=narrowed.supplier,
                supplier_name=None,
                buyer=narrowed.buyer,
                warehouse=narrowed.warehouse,
                category=narrowed.category,
                topic=None,
            )
        )
    total = {"in": sum(r.counted for r in rows), "out": sum(not r.counted for r in rows)}
    return SubjectPage(tuple(rows), total)
