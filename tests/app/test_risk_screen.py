"""The page of customer orders at risk: narrowing, the picture, the curve of an item."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from sqlalchemy import Engine, insert
from streamlit.testing.v1 import AppTest

from app.components.streams import laid_out
from app.parts import risk_curve, risk_list
from db.reads.orders_at_risk import Stream
from db.tables import order_impact, stock_level
from tests.app.conftest import Open
from tests.desk import Desk
from tower.identity import NAMESPACE


def words(at: AppTest) -> str:
    return " ".join(str(e.value) for e in [*at.markdown, *at.caption])


@pytest.fixture
def short(database: Engine, shop: Desk) -> Desk:
    """An item that two customers wait for, half of it refused."""
    day = shop.now.date()
    for number, wanted in (("4700000001", 2), ("4700000002", 3)):
        shop.po(number)
        shop.line(number, "10", item="I-1", warehouse="EAST", uom="EA",
                  requested_date=day + timedelta(days=wanted),
                  answer="rejected" if wanted == 3 else "accepted")  # fmt: skip
    for order, promise in (("8001", 5), ("8002", 6)):
        row = {
            "kind": "order",
            "scope": "main",
            "number": order,
            "status": "promised",
            "customer": "BAKER",
            "customer_name": "Baker Stores",
            "warehouse": "EAST",
        }
        shop._document(row, shop.at(days=4), {})
        line = {
            "kind": "order_line",
            "line": "1",
            "item": "I-1",
            "uom": "EA",
            "ordered_qty": Decimal(8),
            "promised_date": day + timedelta(days=promise),
        }
        shop._document({**row, **line}, shop.at(days=4), {})  # fmt: skip
    shop.impact("8002", "4700000002", item="I-1", matched_by="netting", cause="ACK_REJECTED",
                projected_date=None, told_at=shop.now, told_date=day)  # fmt: skip
    with database.begin() as conn:
        shop.write(conn)
        conn.execute(insert(stock_level).values(
            warehouse="EAST", item="I-1", on_hand=1, uom="EA", as_of=shop.at(hours=3),
            event_id=NAMESPACE, source="wms",
        ))  # fmt: skip
    return shop


def test_the_curve_says_how_short_an_item_is_and_how_it_was_planned(
    screens: Open, short: Desk
) -> None:
    at = screens("orders_at_risk", item="I-1", site="EAST")
    assert not at.exception
    said = words(at)
    assert "Short by up to 5 EA" in said
    assert "as planned nothing would have been short" in said
    assert "1 on hand, reported" in said
    [unknown] = [words(screens("orders_at_risk", item="I-9", site="EAST"))]
    assert "Nothing is known of item I-9 in warehouse EAST" in unknown


def test_the_list_narrows_to_who_was_told_and_says_so(screens: Open, short: Desk) -> None:
    at = screens("orders_at_risk", told="yes")
    assert not at.exception
    assert "1 entry of the list" in words(at)
    [table] = [d.value for d in at.dataframe if "Told" in d.value]
    assert table["Because"].tolist() == ["Order or line refused"]
    assert table["Told"].tolist() == [f"{short.now:%d %b}, now later"]
    assert "No customer order is at risk here" in words(screens("orders_at_risk", customer="X"))


def test_the_picture_holds_every_line_and_nothing_overlaps() -> None:
    found = [
        Stream(f"C{n % 3}", f"S{n % 4}", f"K{n % 5}", 1 + n % 6, None, f"s{n % 4}", None)
        for n in range(60)
    ]
    nodes, bands, high = laid_out(found, str.title)
    lines = sum(one.lines for one in found)
    for column in range(3):
        mine = [n for n in nodes if n.column == column]
        assert sum(n.lines for n in mine) == lines
        for above, below in pairwise(mine):
            assert above.top + above.high < below.top
        assert mine[0].top >= -0.01
        assert mine[-1].top + mine[-1].high <= high + 0.01
    assert sum(b.lines for b in bands) == 2 * lines
    into: Counter[int] = Counter()
    for band in bands:
        one, other = nodes[band.one], nodes[band.other]
        assert other.column == one.column + 1
        assert one.top - 0.01 <= band.left <= one.top + one.high - band.high + 0.01
        assert other.top - 0.01 <= band.right <= other.top + other.high - band.high + 0.01
        into[band.other] += band.lines
    assert all(into[n] == node.lines for n, node in enumerate(nodes) if node.column)


def test_every_cause_has_words() -> None:
    assert risk_curve.cause_words("PO_CANCELLED") == "Purchase line cancelled"
    assert risk_curve.cause_words("NOT_ON_ORDER") == "Nothing on order"
    assert set(risk_list.TOLD) == {"yes", "unknown"}
    assert order_impact.c.matched_by.nullable is False
