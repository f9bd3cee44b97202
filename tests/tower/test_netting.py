"""Netting against counting piece by piece, and what leads to which answer, by hand."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tower.impact import Affected, OrderLine, Peg, PoLine, Supply, planned, supply
from tower.netting import (
    Bucket,
    Incoming,
    Need,
    Netted,
    Point,
    Stock,
    curve,
    free_supply,
    judge,
    needs_of,
    net,
)

TODAY = date(2026, 4, 1)
DAY = timedelta(days=1)
NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)


def line(po: str, qty: int = 10, **words: Any) -> PoLine:
    told = {"ordered": Decimal(qty), "requested_date": TODAY + 5 * DAY, **words}
    return PoLine("main", po, "10", 1, **told)


def order(number: str, qty: int, day: int, **words: Any) -> OrderLine:
    """An open customer order line, promised so many days from today."""
    return OrderLine("main", number, "1", 2, Decimal(qty), words.pop("shipped", None),
                     TODAY + day * DAY, **words)  # fmt: skip


def bucket(on_hand: int | None, *parts: PoLine | OrderLine, pegs: Any = (), **words: Any) -> Bucket:
    stock = None if on_hand is None else Stock(Decimal(on_hand), NOON, **words)
    return Bucket(
        "east",
        "I-1",
        stock,
        {p.key: p for p in parts if isinstance(p, PoLine)},
        {p.key: p for p in parts if isinstance(p, OrderLine)},
        [Peg(po.key, so.key, Decimal(qty)) for po, so, qty in pegs],
    )


def hits(found: Netted) -> list[tuple[str, str, int, int | None, str]]:
    """(order, purchase order, pieces, days late or None where nothing comes, cause)."""
    return [
        (a.order.order, a.po_key[1], int(a.uncovered), a.days_late if a.projected else None,
         a.cause)
        for a in found.affected
    ]  # fmt: skip


# --- by hand -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({}, []),
        ({"confirmed_date": TODAY + 9 * DAY}, [("A", "1", 6, 3, "ACK_DATE_VARIANCE")]),
        (
            {"first_confirmed_date": TODAY + 5 * DAY, "confirmed_date": TODAY + 9 * DAY},
            [("A", "1", 6, 3, "COMMIT_CHANGED")],
        ),
        ({"confirmed": Decimal(3)}, [("A", "1", 3, None, "ACK_QTY_VARIANCE")]),
        ({"refused": True}, [("A", "1", 6, None, "ACK_REJECTED")]),
        (
            {"ends": True, "cancelled": True, "ended_at": NOON},
            [("A", "1", 6, None, "PO_CANCELLED")],
        ),
        ({"silent": True, "usual_delay_days": 6}, [("A", "1", 6, 5, "ACK_OVERDUE")]),
        (
            {"shipped": Decimal(10), "asn_failed": True, "usual_delay_days": 6},
            [("A", "1", 6, 5, "ASN_INVALID")],
        ),
        ({"asn_missing": True, "usual_delay_days": 6}, [("A", "1", 6, 5, "ASN_MISSING")]),
        ({"requested_date": TODAY - 3 * DAY, "dock_days": 7}, [("A", "1", 6, 1, "PO_DELAYED")]),
    ],
)
def test_what_goes_wrong_with_supply_is_told_with_its_cause(
    words: dict[str, Any], told: list[Any]
) -> None:
    placed = NOON - 4 * DAY
    found = judge(bucket(4, line("1", **words), order("A", 10, 6, placed_at=placed)), TODAY)
    assert hits(found) == told
    assert all(a.match == "netting" and a.confidence <= 0.7 for a in found.affected)


def test_the_line_that_moved_is_blamed_not_the_one_that_has_to_serve_now() -> None:
    late = line("1", confirmed_date=TODAY + 20 * DAY)
    to_plan = line("2", requested_date=TODAY + 8 * DAY)
    first, second = order("A", 10, 6), order("B", 10, 9)
    found = judge(bucket(0, late, to_plan, first, second), TODAY)
    assert hits(found) == [
        ("A", "1", 10, 2, "ACK_DATE_VARIANCE"),  # served by 2, two days late
        ("B", "1", 10, 11, "ACK_DATE_VARIANCE"),
    ]


def test_a_loss_excuses_only_as_many_pieces_as_were_lost() -> None:
    late = line("1", 5, confirmed_date=TODAY + 9 * DAY)
    found = judge(bucket(0, late, order("A", 5, 6), order("B", 5, 6)), TODAY)
    assert hits(found) == [
        ("A", "1", 5, 3, "ACK_DATE_VARIANCE"),
        ("B", "", 5, None, "NOT_ON_ORDER"),
    ]


def test_a_promise_earlier_than_its_supply_blames_nobody_elses_fault() -> None:
    found = judge(bucket(0, line("1"), order("A", 4, 2)), TODAY)
    assert hits(found) == [("A", "1", 4, 3, "ORDER_AFFECTED")]


def test_who_ordered_after_a_cancellation_knew_of_it() -> None:
    gone = line("1", ends=True, cancelled=True, ended_at=NOON)
    after = order("A", 5, 6, placed_at=NOON + timedelta(hours=1))
    before = order("B", 5, 6, placed_at=NOON - timedelta(hours=1))
    told = hits(judge(bucket(0, gone, before, after), TODAY))
    assert told == [("A", "", 5, None, "NOT_ON_ORDER"), ("B", "1", 5, None, "PO_CANCELLED")]


def test_pegs_are_served_first_and_only_the_rest_is_netted() -> None:
    one, pegged, other = line("1"), order("P", 8, 30), order("A", 4, 6)
    found = judge(bucket(0, one, pegged, other, pegs=[(one, pegged, 6)]), TODAY)
    # Four of ten are free: A has them, and the two that no peg covers for P have none.
    assert hits(found) == [("P", "", 2, None, "NOT_ON_ORDER")]


def test_stock_received_for_a_peg_is_not_given_to_others() -> None:
    came = line("1", 6, received=Decimal(6), received_date=TODAY)
    waits, other = order("P", 6, 30), order("A", 6, 6)
    parts = (came, waits, other)
    assert hits(judge(bucket(6, *parts, pegs=[(came, waits, 6)]), TODAY)) == [
        ("A", "", 6, None, "NOT_ON_ORDER")
    ]
    assert hits(judge(bucket(6, came, other), TODAY)) == []


def test_what_came_and_went_since_the_report_counts() -> None:
    words = {"came": (Supply(Decimal(5), TODAY + DAY, "receipt"),), "went": Decimal(3)}
    assert hits(judge(bucket(4, order("A", 6, 6), **words), TODAY)) == []
    assert hits(judge(bucket(4, order("A", 7, 6), **words), TODAY))[0][2] == 1
    assert hits(judge(bucket(4, order("A", 6, 0), **words), TODAY))[0][2] == 5


def test_nothing_is_claimed_without_a_stock_report_or_across_units() -> None:
    short = order("A", 6, 6)
    assert judge(bucket(None, short), TODAY) == Netted(problem="no stock report")
    mixed = judge(bucket(1, order("A", 6, 6, uom="CA"), uom="EA"), TODAY)
    assert mixed == Netted(problem="units differ: CA, EA")


def test_overdue_goods_are_looked_at_again_each_day() -> None:
    assert judge(bucket(0, line("1"), order("A", 4, 9)), TODAY).next == TODAY + 6 * DAY
    late = line("1", requested_date=TODAY - DAY)
    assert judge(bucket(0, late, order("A", 4, 9)), TODAY).next == TODAY + DAY
    assert judge(bucket(9, order("A", 4, 9)), TODAY).next is None


def test_a_silent_feed_halves_the_confidence() -> None:
    found = judge(bucket(0, line("1", confirmed_date=TODAY + 9 * DAY), order("A", 4, 6),
                         unknown=True), TODAY)  # fmt: skip
    assert found.affected[0].confidence == 0.315


def test_the_curve_shows_plan_and_truth_from_today_on() -> None:
    parts = (line("1", confirmed_date=TODAY + 9 * DAY), order("A", 7, -2), order("B", 4, 6))
    assert curve(bucket(2, *parts), TODAY) == (
        Point(TODAY, Decimal(7), Decimal(2), Decimal(2)),
        Point(TODAY + 5 * DAY, Decimal(7), Decimal(12), Decimal(2)),
        Point(TODAY + 6 * DAY, Decimal(11), Decimal(12), Decimal(2)),
        Point(TODAY + 9 * DAY, Decimal(11), Decimal(12), Decimal(12)),
    )


# --- against counting piece by piece -------------------------------------------------------------

days = st.integers(min_value=-4, max_value=14).map(lambda n: TODAY + n * DAY)
pieces = st.integers(min_value=0, max_value=6).map(Decimal)
instants = st.integers(min_value=-3, max_value=3).map(lambda n: NOON + n * DAY)
po_lines = st.builds(
    lambda **w: w,
    ordered=pieces,
    confirmed=st.none() | pieces,
    shipped=st.none() | pieces,
    received=st.none() | pieces,
    received_date=days,
    requested_date=st.none() | days,
    confirmed_date=st.none() | days,
    first_confirmed_date=st.none() | days,
    eta=st.none() | days,
    silent=st.booleans(),
    asn_failed=st.booleans(),
    refused=st.booleans(),
    cancelled=st.booleans(),
    ended_at=st.none() | instants,
    usual_delay_days=st.sampled_from((0, 3)),
    dock_days=st.sampled_from((0, 1)),
)
order_lines = st.tuples(pieces, st.integers(min_value=-2, max_value=12), st.none() | pieces,
                        st.none() | instants, st.booleans())  # fmt: skip


@st.composite
def buckets(draw: st.DrawFn) -> Bucket:
    lines = [
        PoLine("main", f"{n}", "10", n, **w, ends=w["cancelled"])
        for n, w in enumerate(draw(st.lists(po_lines, max_size=4)))
    ]
    orders = [
        order(f"O{n}", int(qty), day, shipped=shipped, placed_at=placed, ends=ends)
        for n, (qty, day, shipped, placed, ends) in enumerate(
            draw(st.lists(order_lines, max_size=5))
        )
    ]
    pegs = []
    if lines and orders:
        for n, m, qty in draw(
            st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), pieces), max_size=4)
        ):
            pegs.append((lines[n % len(lines)], orders[m % len(orders)], qty))
    unique = {(po.key, so.key): (po, so, qty) for po, so, qty in pegs}
    return bucket(draw(st.integers(0, 8)), *lines, *orders, pegs=list(unique.values()),
                  went=draw(pieces))  # fmt: skip


def one_by_one(
    stock: list[Supply], incoming: list[Incoming], needs: list[Need]
) -> tuple[Counter[Any], dict[Any, Any]]:
    """The same answer from single pieces: (order, line) -> uncovered, order -> last day."""
    pool: list[tuple[date, Any]] = []
    for one in stock:
        pool += [(one.day, ("", "", ""))] * int(one.qty)
    for source in incoming:
        for one in source.projected:
            pool += [(one.day, source.line.key)] * int(one.qty)
    pool.sort()
    wanted = [need for need in needs for _ in range(int(need.qty))]
    blamed: Counter[Any] = Counter()
    last: dict[Any, Any] = {}
    for need in needs:
        mine = [n for n, one in enumerate(wanted) if one is need]
        got = [pool[n] if n < len(pool) else None for n in mine]
        day = need.order.needed_by
        late = [piece for piece in got if piece is None or piece[0] > day]
        if not late:
            continue
        last[need.order.key] = None if None in late else max(p[0] for p in late if p)
        lost: list[Any] = []
        for source in sorted(
            incoming,
            key=lambda s: (min((p.day for p in s.planned), default=date.max), s.line.key),
        ):
            ended, placed = source.line.ended_at, need.order.placed_at
            if ended and placed and placed >= ended:
                continue
            was = sum(int(p.qty) for p in source.planned if p.day <= day)
            now = sum(int(p.qty) for p in source.projected if p.day <= day)
            lost += [source.line.key] * (was - now)
        in_time = sum(1 for piece in pool if piece[0] <= day)
        lost = lost[max(mine[0] - in_time, 0) :][: len(late)]
        rest = late[len(lost) :]
        for culprit in lost + [("", "", "") if piece is None else piece[1] for piece in rest]:
            blamed[need.order.key, culprit] += 1
    return blamed, last


@settings(max_examples=150, deadline=None)
@given(buckets(), st.randoms(use_true_random=False))
def test_netting_is_what_counting_single_pieces_gives(given_: Bucket, dice: Random) -> None:
    incoming, held = free_supply(given_, TODAY)
    needs = needs_of(given_)
    assert given_.stock is not None
    stock = given_.stock.free(held)
    found = net(stock, incoming, needs, TODAY)
    expected, last = one_by_one(stock, incoming, needs)
    assert {(a.order.key, a.po_key): int(a.uncovered) for a in found} == dict(expected)
    assert {a.order.key: a.projected for a in found} == last
    assert judge(given_, TODAY).affected == tuple(found)
    assert judge(_shuffled(given_, dice), TODAY).affected == tuple(found)
    _nothing_is_given_twice(given_, incoming, found)


def _shuffled(given_: Bucket, dice: Random) -> Bucket:
    """The same bucket, as if its rows had come in another order."""

    def mixed(found: Any) -> list[Any]:
        rows = list(found)
        dice.shuffle(rows)
        return rows

    return Bucket(
        given_.warehouse,
        given_.item,
        given_.stock,
        dict(mixed(given_.po_lines.items())),
        dict(mixed(given_.order_lines.items())),
        mixed(given_.pegs),
    )


def _nothing_is_given_twice(
    given_: Bucket, incoming: list[Incoming], found: list[Affected]
) -> None:
    for one in incoming:
        comes = sum((s.qty for s in supply(one.line, TODAY) if s.basis != "receipt"), Decimal(0))
        assert sum((s.qty for s in one.projected), Decimal(0)) <= comes
        assert sum((s.qty for s in one.planned), Decimal(0)) <= sum(
            (s.qty for s in planned(one.line)), Decimal(0)
        )
    uncovered: Counter[Any] = Counter()
    for a in found:
        uncovered[a.order.key] += int(a.uncovered)
    assert all(uncovered[n.order.key] <= n.qty for n in needs_of(given_))
