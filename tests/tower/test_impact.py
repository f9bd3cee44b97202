"""Supply and who waits for it, with whole numbers that can be checked by hand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower.impact import Affected, OrderLine, Peg, PoLine, affected, next_change, supply

TODAY = date(2026, 4, 1)
DAY = timedelta(days=1)


def line(**words: Any) -> PoLine:
    told = {
        "ordered": Decimal(10),
        "requested_date": date(2026, 4, 7),
        "usual_delay_days": 6,
        "dock_days": 1,
        **words,
    }
    return PoLine("main", told.pop("po", "1"), "10", 1, **told)


def order(number: str = "SO", promise: date | None = date(2026, 4, 10), **words: Any) -> OrderLine:
    told = {"ordered": Decimal(10), "shipped": None, "open_value": Decimal(100), **words}
    return OrderLine("main", number, "1", 2, promise_date=promise, **told)


def judged(po: PoLine, *orders: OrderLine, qty: int = 10, today: date = TODAY) -> list[Affected]:
    pegs = [Peg(po.key, o.key, Decimal(qty)) for o in orders]
    return affected({po.key: po}, {o.key: o for o in orders}, pegs, today)


def told(po: PoLine) -> list[tuple[int, str, str, str]]:
    return [(int(s.qty), s.day.isoformat()[5:], s.basis, s.why) for s in supply(po, TODAY)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, [(10, "04-08", "assumed", "")]),
        ({"silent": True}, [(10, "04-14", "assumed", "ACK_OVERDUE")]),
        ({"confirmed_date": date(2026, 4, 7)}, [(10, "04-08", "confirmed", "")]),
        # An answer ends the silence.
        ({"silent": True, "confirmed_date": date(2026, 4, 7)}, [(10, "04-08", "confirmed", "")]),
        (
            {"confirmed_date": date(2026, 4, 9)},
            [(10, "04-10", "confirmed", "ACK_DATE_VARIANCE")],
        ),
        (
            {"first_confirmed_date": date(2026, 4, 9), "confirmed_date": date(2026, 4, 12)},
            [(10, "04-13", "confirmed", "COMMIT_CHANGED")],
        ),
        ({"requested_date": date(2026, 3, 20)}, [(10, "04-02", "assumed", "PO_DELAYED")]),
        # Overdue and silent: the usual delay may lie in the past too, but goods cannot.
        (
            {"requested_date": date(2026, 3, 20), "silent": True},
            [(10, "04-02", "assumed", "ACK_OVERDUE")],
        ),
        (
            {"shipped": Decimal(4), "eta": date(2026, 4, 3)},
            [(4, "04-04", "asn", ""), (6, "04-08", "assumed", "")],
        ),
        (
            {"shipped": Decimal(10), "eta": date(2026, 4, 3), "asn_failed": True},
            [(10, "04-10", "assumed", "ASN_INVALID")],
        ),
        ({"asn_missing": True}, [(10, "04-14", "assumed", "ASN_MISSING")]),
        (
            {"received": Decimal(3), "received_date": date(2026, 3, 30)},
            [(3, "03-31", "receipt", ""), (7, "04-08", "assumed", "")],
        ),
        (
            {"received": Decimal(10), "rejected_qty": Decimal(2),
             "received_date": date(2026, 3, 30)},
            [(8, "03-31", "receipt", "")],
        ),
        ({"confirmed": Decimal(6)}, [(6, "04-08", "assumed", "")]),
        ({"refused": True}, []),
        ({"ends": True, "received": Decimal(2), "received_date": TODAY},
         [(2, "04-02", "receipt", "")]),
        ({"requested_date": None}, []),
    ],
)  # fmt: skip
def test_what_will_come_and_when(words: dict[str, Any], expected: list[Any]) -> None:
    assert told(line(**words)) == expected


def test_the_day_of_the_promise_is_in_time() -> None:
    assert judged(line(), order(promise=date(2026, 4, 8))) == []
    [late] = judged(line(), order(promise=date(2026, 4, 7)))
    assert (late.days_late, late.cause, late.confidence) == (1, "ORDER_AFFECTED", 0.6)


@pytest.mark.parametrize(
    "words",
    [{"ends": True}, {"shipped": Decimal(10)}, {"promise": None}, {"ordered": Decimal(0)}],
)
def test_who_waits_no_more_is_not_affected(words: dict[str, Any]) -> None:
    assert judged(line(silent=True), order(**words)) == []


def test_what_never_comes_has_no_day() -> None:
    [hit] = judged(line(refused=True), order())
    assert (hit.projected, hit.uncovered, hit.cause) == (None, Decimal(10), "ACK_REJECTED")
    [hit] = judged(line(refused=True), order(), today=date(2026, 4, 15))
    assert hit.days_late == 5


def test_uncertain_evidence_halves_the_confidence() -> None:
    [hit] = judged(line(silent=True, unknown=True), order())
    assert hit.confidence == 0.3


def test_what_was_shipped_to_the_customer_is_no_longer_waited_for() -> None:
    po = line(received=Decimal(4), received_date=date(2026, 3, 1), silent=True)
    [hit] = judged(po, order(shipped=Decimal(4)))
    assert hit.uncovered == 6


def test_the_earliest_promise_is_served_first() -> None:
    po = line(confirmed=Decimal(6), confirmed_date=date(2026, 4, 7))
    first = order("B", date(2026, 4, 9), ordered=Decimal(6))
    second = order("A", date(2026, 4, 20), ordered=Decimal(6))
    [hit] = judged(po, second, first, qty=6)
    assert hit.order.order == "A"


def test_time_alone_moves_only_what_is_awaited() -> None:
    assert next_change(line(), TODAY) == date(2026, 4, 8)  # overdue the day after
    assert next_change(line(requested_date=date(2026, 3, 1)), TODAY) == TODAY + DAY
    assert next_change(line(received=Decimal(10)), TODAY) is None
    assert next_change(line(refused=True), TODAY) is None


quantities = st.integers(min_value=0, max_value=20).map(Decimal)
days = st.integers(min_value=-20, max_value=40).map(lambda n: TODAY + n * DAY)


@given(
    po=st.builds(
        lambda **w: line(**w),
        ordered=quantities,
        confirmed=st.none() | quantities,
        shipped=st.none() | quantities,
        received=st.none() | quantities,
        received_date=days,
        confirmed_date=st.none() | days,
        eta=st.none() | days,
        silent=st.booleans(),
        asn_failed=st.booleans(),
        asn_missing=st.booleans(),
        refused=st.booleans(),
        ends=st.booleans(),
    ),
    wishes=st.lists(st.tuples(quantities, days), min_size=1, max_size=4),
)
def test_nothing_is_promised_twice_and_nothing_arrives_in_the_past(
    po: PoLine, wishes: list[tuple[Decimal, date]]
) -> None:
    coming = supply(po, TODAY)
    assert sum(s.qty for s in coming) <= max(po.expected, po.received or Decimal(0))
    assert all(s.day >= TODAY + DAY for s in coming if s.basis != "receipt")
    orders = [order(f"O{n}", day, ordered=qty) for n, (qty, day) in enumerate(wishes)]
    pegs = [Peg(po.key, o.key, o.ordered or Decimal(0)) for o in orders]
    hits = affected({po.key: po}, {o.key: o for o in orders}, pegs, TODAY)
    wanted = sum(qty for qty, _ in wishes)
    uncovered = sum(h.uncovered for h in hits)
    assert uncovered <= wanted
    assert wanted - uncovered <= sum(s.qty for s in coming)
    for hit in hits:
        assert hit.projected is None or hit.projected > (hit.order.promise_date or date.max)
