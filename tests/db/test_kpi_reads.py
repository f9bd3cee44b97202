"""Every key figure that SQL sums equals a plain reference over the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, Engine

from db.reads import figures, kpis
from db.reads.filters import Filter, Period
from db.tables import clock, document, exception_case, order_impact
from tests.desk import NOW, Desk, network
from tower.access import EVERYTHING, Scope
from tower.identity import partner_id
from tower.kpis import Figure

SUPPLIERS = {
    "acme": {"zone": "America/Chicago"},
    "birch": {"zone": "Asia/Shanghai"},
    "cedar": {"sends_asn": False},
}
PERIOD = Period.last(30, NOW)
EVERYONE = Filter(PERIOD)
QUESTIONS = [
    pytest.param(EVERYONE, EVERYTHING, id="everything"),
    pytest.param(Filter(PERIOD, supplier="acme"), EVERYTHING, id="one supplier"),
    pytest.param(Filter(PERIOD, buyer="ann"), EVERYTHING, id="one buyer"),
    pytest.param(Filter(PERIOD, warehouse="WEST"), EVERYTHING, id="one warehouse"),
    pytest.param(EVERYONE, Scope(frozenset({"birch"})), id="a viewer of one supplier"),
    pytest.param(Filter(Period.last(7, NOW)), EVERYTHING, id="a week"),
]
Row = dict[str, Any]


@dataclass
class World:
    """The rows as they went in, for references that never ask the database; and the database."""

    conn: Connection
    documents: list[Row]
    clocks: list[Row]
    cases: list[Row]
    impacts: list[Row]


@pytest.fixture(scope="module", params=[1, 2, 3])
def world(request: pytest.FixtureRequest, engine_of_run: Engine) -> Iterator[World]:
    """One per seed, as nothing here writes; rolled back after the last question."""
    with engine_of_run.connect() as conn:
        yield _filled(conn, request.param)
        conn.rollback()


def _filled(conn: Connection, seed: int) -> World:
    dice = Random(seed)
    desk = Desk(net=network(**SUPPLIERS))
    for n in range(120):
        _one_order(desk, dice, f"45{n:06d}")
    kept = World(
        conn,
        *(
            [dict(row) for row in desk.rows.get(table, ())]
            for table in (document, clock, exception_case, order_impact)
        ),
    )
    desk.write(conn)
    return kept


def _one_order(desk: Desk, dice: Random, number: str) -> None:
    supplier = dice.choice(list(SUPPLIERS))
    released = NOW - timedelta(days=dice.uniform(0, 90))
    received = released + timedelta(days=dice.uniform(3, 30)) if dice.random() < 0.6 else None
    told = dice.random() < 0.8
    desk.po(
        number,
        supplier,
        released,
        buyer=dice.choice(["ann", "bob"]),
        warehouse=dice.choice(["EAST", "WEST"]),
        goods_received_at=received,
        shipped_at=released + timedelta(days=2) if told else None,
    )
    for line in range(dice.randint(1, 3)):
        _one_line(desk, dice, number, str(line + 1), supplier, released)
    verdict = dice.choice(["met"] * 6 + ["met_late", "breached", "unknown", "not_measured"])
    due = released + timedelta(hours=dice.uniform(1, 72))
    desk.clock(number, verdict if due <= NOW else "pending", due, supplier)
    if dice.random() < 0.3:
        missing = "unknown" if dice.random() < 0.2 else "met"
        desk.clock(number, missing, due, supplier, "asn.missing", "po_line", "1")
    if told:
        _one_notice(desk, dice, f"A{number}", supplier, released, received)
    if dice.random() < 0.4:
        opened = NOW - timedelta(days=dice.uniform(0, 60))
        desk.case(
            number,
            supplier,
            opened=opened,
            severity=dice.choice(["low", "medium", "high", "critical"]),
            resolved_at=dice.choice([None, opened + timedelta(days=dice.uniform(0, 9))]),
        )
    if dice.random() < 0.3:
        desk.impact(
            f"7{dice.randint(0, 30)}",
            number,
            supplier,
            line=str(dice.randint(1, 2)),
            buyer=dice.choice(["ann", "bob"]),
            warehouse=dice.choice(["EAST", "WEST"]),
            open_value=dice.choice([None, Decimal(100), Decimal("250.5")]),
            confidence=dice.choice([0.6, 0.9]),
            currency="EUR",
        )


def _one_line(
    desk: Desk, dice: Random, number: str, line: str, supplier: str, released: datetime
) -> None:
    wanted = (released + timedelta(days=dice.randint(2, 40))).date()
    confirmed = wanted + timedelta(days=dice.randint(0, 5)) if dice.random() < 0.7 else None
    got = dice.choice([None, Decimal(0), Decimal(4), Decimal(10), Decimal(12)])
    desk.line(
        number,
        line,
        supplier,
        released=released,
        ordered_qty=dice.choice([Decimal(10), Decimal(10), Decimal(10), None, Decimal(0)]),
        requested_date=dice.choice([wanted, wanted, None]),
        first_confirmed_date=confirmed,
        received_qty=got,
        actual_receipt_date=wanted + timedelta(days=dice.randint(-3, 6)) if got else None,
        cancelled_at=_at(wanted + timedelta(days=dice.randint(-3, 3)))
        if dice.random() < 0.1
        else None,
    )


def _one_notice(
    desk: Desk, dice: Random, asn: str, supplier: str, released: datetime, got: datetime | None
) -> None:
    left = released + timedelta(days=2, minutes=dice.randint(0, 600))
    told = left + timedelta(minutes=dice.choice([-90, -5, 30, 59, 61, 300, 3000]))
    dated = dice.random() < 0.3  # only a day of shipping was told: the time is that of the notice
    failed = dice.random() < 0.2
    desk.asn(
        asn,
        supplier,
        told=told,
        shipped_at=told if dated else left,
        actual_ship_date=left.date(),
        asn_status="invalid" if failed and dice.random() < 0.5 else "valid",
        goods_received_at=got,
    )
    if failed:
        desk.clock(asn, "met_late", None, supplier, "asn.failed", "asn")


def _at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


# --- the references -------------------------------------------------------------------------------


def _mine(row: Row, narrowed: Filter, scope: Scope) -> bool:
    allowed = scope.partners
    return (narrowed.supplier in (None, row["supplier"])) and (
        allowed is None or row["supplier"] in allowed
    )


def _headers(world: World, narrowed: Filter) -> set[int]:
    return {
        d["home_key"]
        for d in world.documents
        if d["kind"] == "po"
        and narrowed.buyer in (None, d["buyer"])
        and narrowed.warehouse in (None, d["warehouse"])
    }


def _clocks(world: World, narrowed: Filter, scope: Scope) -> list[Row]:
    homes = _headers(world, narrowed)
    keys = {partner_id(s): s for s in SUPPLIERS}
    return [
        c
        for c in world.clocks
        if c["due_at"] is not None
        and c["home_key"] in homes
        and _mine({"supplier": keys[c["partner_id"]]}, narrowed, scope)
    ]


def _within(moment: datetime, period: Period) -> bool:
    return period.start <= moment < period.end


def reference_ack(world: World, narrowed: Filter, scope: Scope, period: Period) -> tuple[int, int]:
    due = [
        c["verdict"]
        for c in _clocks(world, narrowed, scope)
        if c["rule"] == "po.unacknowledged" and _within(c["due_at"], period)
    ]
    counted = Counter(due)
    return counted["met"], counted["met"] + counted["met_late"] + counted["breached"]


def reference_coverage(
    world: World, narrowed: Filter, scope: Scope, period: Period
) -> tuple[int, int]:
    orders: dict[int, bool] = {}
    for c in _clocks(world, narrowed, scope):
        if _within(c["due_at"], period):
            home = c["home_key"]
            orders[home] = orders.get(home, True) and c["verdict"] != "unknown"
    return sum(orders.values()), len(orders)


def reference_otif(world: World, narrowed: Filter, scope: Scope, period: Period) -> tuple[int, int]:
    homes = _headers(world, narrowed)
    hits = n = 0
    for line in world.documents:
        due = line.get("first_confirmed_date") or line.get("requested_date")
        if line["kind"] != "po_line" or line["home_key"] not in homes or due is None:
            continue
        if not _mine(line, narrowed, scope) or not line["ordered_qty"]:
            continue
        if not period.start.date() <= due < min(period.end.date(), NOW.date()):
            continue
        if line["cancelled_at"] is not None and line["cancelled_at"].date() < due:
            continue
        n += 1
        full = line["received_qty"] is not None and line["received_qty"] >= line["ordered_qty"]
        hits += full and line["actual_receipt_date"] <= due
    return hits, n


def _notices(world: World, narrowed: Filter, scope: Scope, period: Period) -> list[Row]:
    return [
        d
        for d in world.documents
        if d["kind"] == "asn"
        and d["supplier"] != "cedar"
        and _within(d["released_at"], period)
        and _mine(d, narrowed, scope)
    ]


def reference_asn_on_time(
    world: World, narrowed: Filter, scope: Scope, period: Period
) -> tuple[int, int]:
    hits = n = 0
    for notice in _notices(world, narrowed, scope, period):
        n += 1
        told, left = notice["released_at"], notice["shipped_at"]
        zone = ZoneInfo(SUPPLIERS[notice["supplier"]].get("zone", "UTC"))  # type: ignore[arg-type]
        left_on = min(left.date(), left.astimezone(zone).date())
        got = notice["goods_received_at"]
        hits += (
            told <= left + timedelta(hours=1)
            and left_on <= notice["actual_ship_date"]
            and (got is None or told < got)
        )
    homes = _headers(world, narrowed)
    for po in world.documents:
        if po["kind"] == "po" and po["supplier"] != "cedar" and po["home_key"] in homes:
            got = po["goods_received_at"]
            unannounced = po["shipped_at"] is None and got is not None and _within(got, period)
            n += unannounced and _mine(po, narrowed, scope)
    return hits, n


def reference_asn_valid(
    world: World, narrowed: Filter, scope: Scope, period: Period
) -> tuple[int, int]:
    failed = {c["home_key"] for c in world.clocks if c["rule"] == "asn.failed"}
    notices = _notices(world, narrowed, scope, period)
    sound = [d for d in notices if d["home_key"] not in failed and d["asn_status"] != "invalid"]
    return len(sound), len(notices)


Reference = Callable[[World, Filter, Scope, Period], tuple[int, int]]

RATES: dict[str, Reference] = {
    "ack_on_time": reference_ack,
    "coverage": reference_coverage,
    "otif": reference_otif,
}
NOTICES: dict[str, Reference] = {
    "asn_on_time": reference_asn_on_time,
    "asn_valid": reference_asn_valid,
}


@pytest.mark.parametrize(("narrowed", "scope"), QUESTIONS)
@pytest.mark.parametrize("name", RATES)
def test_a_rate_equals_its_plain_reference(
    world: World, name: str, narrowed: Filter, scope: Scope
) -> None:
    figure = figures.figure(world.conn, scope, name, narrowed, NOW)
    _equals(figure, RATES[name], world, narrowed, scope)


@pytest.mark.parametrize(
    ("narrowed", "scope"), [q for q in QUESTIONS if q.id not in ("one buyer", "one warehouse")]
)
@pytest.mark.parametrize("name", NOTICES)
def test_shipments_equal_their_plain_reference(
    world: World, name: str, narrowed: Filter, scope: Scope
) -> None:
    figure = figures.figure(world.conn, scope, name, narrowed, NOW)
    _equals(figure, NOTICES[name], world, narrowed, scope)


def _equals(
    figure: Figure, reference: Reference, world: World, narrowed: Filter, scope: Scope
) -> None:
    hits, n = reference(world, narrowed, scope, narrowed.period)
    assert (figure.numerator, figure.n) == (hits, n)
    least = figure.definition.least
    assert figure.value == (hits / n if n >= least else None)
    earlier = reference(world, narrowed, scope, narrowed.period.previous())
    assert figure.previous == (earlier[0] / earlier[1] if earlier[1] >= least else None)
    assert len(figure.series) == narrowed.period.parts


@pytest.mark.parametrize(("narrowed", "scope"), QUESTIONS)
def test_orders_and_value_at_risk_count_each_line_once(
    world: World, narrowed: Filter, scope: Scope
) -> None:
    mine = [
        i
        for i in world.impacts
        if _mine(i, narrowed, scope)
        and narrowed.buyer in (None, i["buyer"])
        and narrowed.warehouse in (None, i["warehouse"])
    ]
    lines: dict[tuple[str, str], list[Decimal]] = {}
    for i in mine:
        found = lines.setdefault((i["order"], i["order_line"]), [])
        if i["open_value"] is not None:
            found.append(i["open_value"])
    orders = kpis.orders_affected(world.conn, scope, narrowed)
    assert orders.value == len({order for order, _ in lines})
    value = kpis.value_at_risk(world.conn, scope, narrowed)
    priced = [max(v) for v in lines.values() if v]
    if priced:
        assert value.value == sum(priced)
        assert value.outside.get("unpriced", 0) == len(lines) - len(priced)
    else:
        assert value.value in (None, Decimal(0))
    assert value.n == len(lines)


@pytest.mark.parametrize(("narrowed", "scope"), QUESTIONS)
def test_open_exceptions_are_walked_back_day_by_day(
    world: World, narrowed: Filter, scope: Scope
) -> None:
    homes = _headers(world, narrowed)
    mine = [c for c in world.cases if _mine(c, narrowed, scope) and c["home_key"] in homes]
    figure = kpis.open_exceptions(world.conn, scope, narrowed, NOW)
    assert figure.value == sum(c["state"] != "resolved" for c in mine)
    by_severity = Counter(c["severity"] for c in mine if c["state"] != "resolved")
    assert figure.parts == {word: str(n) for word, n in by_severity.items()}
    period = narrowed.period
    step = period.length / period.parts

    def open_at(moment: datetime) -> int:
        return sum(
            c["opened_at"] < moment and not (c.get("resolved_at") and c["resolved_at"] < moment)
            for c in mine
        )

    future = [c for c in mine if c.get("resolved_at") and c["resolved_at"] >= NOW]
    assert figure.previous == open_at(period.start) - len(future)
    assert list(figure.series) == [
        open_at(period.start + step * (n + 1)) - len(future) for n in range(period.parts)
    ]


def test_cells_of_suppliers_equal_their_plain_reference(world: World) -> None:
    cells = kpis.ack_by_week(world.conn, EVERYTHING, Filter(Period.last(60, NOW)), NOW)
    keys = {partner_id(s): s for s in SUPPLIERS}
    assert {c.supplier for c in cells} == set(SUPPLIERS)
    (weeks,) = {c.weeks for c in cells}
    for cell in cells:
        assert cell.week.weekday() == 0
        begin = _at(cell.week).replace(hour=0) - timedelta(weeks=weeks - 1)
        due = [
            c["verdict"]
            for c in world.clocks
            if c["rule"] == "po.unacknowledged"
            and keys[c["partner_id"]] == cell.supplier
            and _within(c["due_at"], Period(begin, begin + timedelta(weeks=weeks)))
            and c["due_at"] < NOW
        ]
        counted = Counter(due)
        n = counted["met"] + counted["met_late"] + counted["breached"]
        assert (cell.hits, cell.n) == (counted["met"], n)
        assert cell.share == (cell.hits / n if n >= 5 else None)
