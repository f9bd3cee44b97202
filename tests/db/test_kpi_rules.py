"""Rules that hold for all key figures, each by a small story."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from sqlalchemy import Connection

from db.reads import figures, kpis
from db.reads.filters import Filter, Period
from tests.desk import NOW, Desk
from tower.access import EVERYTHING

EVERYONE = Filter(Period.last(30, NOW))


def test_an_empty_tower_has_no_data_and_no_false_comfort(connection: Connection) -> None:
    figures = kpis.leader_figures(connection, EVERYTHING, EVERYONE, NOW)
    told = {f.definition.id: f.value for f in figures}
    assert told.pop("open_exceptions") == 0
    assert set(told.values()) == {None}
    assert all(f.reason for f in figures if f.value is None)


def test_goods_received_on_the_due_day_at_any_hour_are_in_time(connection: Connection) -> None:
    desk = Desk()
    due = NOW.date() - timedelta(days=2)
    for n, day in enumerate([due - timedelta(days=1), due, due, due, due, due + timedelta(days=1)]):
        number = f"46{n}"
        desk.po(number)
        desk.line(
            number,
            "10",
            requested_date=due,
            received_qty=Decimal(10),
            actual_receipt_date=day,
        )
    desk.write(connection)
    figure = figures.figure(connection, EVERYTHING, "otif", EVERYONE, NOW)
    assert (figure.numerator, figure.n) == (5, 6)


def test_money_of_two_currencies_is_never_added(connection: Connection) -> None:
    desk = Desk()
    desk.po("1")
    desk.impact("70", "1", open_value=Decimal(100), currency="EUR")
    desk.impact("71", "1", open_value=Decimal(100), currency="EUR", line="2")
    desk.impact("72", "1", open_value=Decimal(7000), currency="JPY")
    desk.write(connection)
    figure = kpis.value_at_risk(connection, EVERYTHING, EVERYONE)
    assert (figure.value, figure.currency) == (Decimal(200), "EUR")
    assert figure.parts["JPY"] == "7,000"


def test_notices_are_told_apart_by_the_buyer_of_the_orders_they_name(
    connection: Connection,
) -> None:
    desk = Desk()
    for buyer, numbers in (("ann", range(5)), ("bob", range(5, 12))):
        for n in numbers:
            desk.tie(desk.asn(f"A{n}"), desk.po(f"47{n}", buyer=buyer))
    desk.write(connection)
    for buyer, n in (("ann", 5), ("bob", 7)):
        narrowed = Filter(EVERYONE.period, buyer=buyer)
        on_time, valid = (
            figures.figure(connection, EVERYTHING, name, narrowed, NOW)
            for name in ("asn_on_time", "asn_valid")
        )
        assert (on_time.n, valid.n) == (n, n)


def test_the_heat_map_tells_single_weeks_where_they_hold_enough_and_pools_where_not(
    connection: Connection,
) -> None:
    desk = Desk()
    for week in range(6):
        for n in range(6):
            number = f"b{week}{n}"
            desk.po(number, "birch")
            desk.clock(number, "met" if n else "breached", desk.at(days=7 * week + 1), "birch")
        desk.po(f"a{week}")
        desk.clock(f"a{week}", "met", desk.at(days=7 * week + 1))
    desk.write(connection)
    month = Filter(Period.last(30, NOW))
    single = kpis.ack_by_week(connection, EVERYTHING, Filter(month.period, "birch"), NOW)
    assert [(c.weeks, c.hits, c.n) for c in single] == [(1, 5, 6)] * 6
    pooled = kpis.ack_by_week(connection, EVERYTHING, Filter(month.period, "acme"), NOW)
    assert {c.weeks for c in pooled} == {4}
    assert [c.n for c in pooled][-3:] == [4, 4, 4]
    assert all(c.share is None for c in pooled)
    both = kpis.ack_by_week(connection, EVERYTHING, month, NOW)
    assert next(c.supplier for c in both) == "birch"  # it has the misses
