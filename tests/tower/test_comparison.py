"""Same, reformatted, changed, lost, added; and when one message is proved to be another's copy."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tower.comparison import (
    Hop,
    Told,
    content_hash,
    differences,
    fields_of,
    first_difference,
    links,
    normal,
    parts_compared,
    three_way,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [("12.50", "12.5"), ("20260401", "2026-04-01"), ("01.04.2026", "2026-04-01"), ("EA", "ea"),
     ("1e3", "1000")],
)  # fmt: skip
def test_forms_of_one_value_are_the_same(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(("one", "other"), [("0012", "12"), ("5", "6"), ("NaN", "0")])
def test_other_values_are_not(one: str, other: str) -> None:
    assert normal(one) != normal(other)


def test_fields_go_by_their_line_not_by_their_place() -> None:
    one = {"po": "1", "lines": [{"line": "10", "qty": "5"}, {"line": "20", "qty": "6"}]}
    other = {"lines": [{"line": "20", "qty": "6.0"}, {"line": "10", "qty": "7"}], "po": "1",
             "message": "m9"}  # fmt: skip
    found = {d.field: d.change for d in differences(fields_of(one), fields_of(other))}
    assert found == {"line 10 · qty": "changed", "line 20 · qty": "reformatted", "po": "same"}


def test_each_class_is_told_and_bytes_count_as_form() -> None:
    one = {"a": Told("2026-04-01", "a", raw="20260401"), "b": Told("1", "b"), "c": Told("1", "c")}
    other = {"a": Told("2026-04-01", "a", raw="2026-04-01"), "b": Told("2", "b"),
             "d": Told("1", "d")}  # fmt: skip
    found = [(d.field, d.change) for d in differences(one, other)]
    assert found == [("b", "changed"), ("c", "lost"), ("d", "added"), ("a", "reformatted")]


def test_content_is_proved_whatever_its_order_and_envelope() -> None:
    one = fields_of({"po": "1", "lines": [{"line": "1", "qty": "5"}, {"line": "2", "qty": "6"}]})
    other = fields_of({"lines": [{"qty": "6.0", "line": "2"}, {"qty": "5", "line": "1"}],
                       "po": "1", "control": "000123"})  # fmt: skip
    assert content_hash("order", [one]) == content_hash("order", [other])
    assert content_hash("order", [one]) != content_hash("answer", [one])


def hop(n: int, bytes_hash: str, content: str | None, *ids: str, group: str = "order") -> Hop:
    at = datetime(2026, 1, 1, n, tzinfo=UTC)
    return Hop("s", f"k{n}", "edi", "x", group, at, at, "", bytes_hash, content, frozenset(ids),
               "x", "e")  # fmt: skip


def test_links_are_proved_claimed_or_gaps() -> None:
    hops = [
        hop(0, "a", "c1", "4500"),
        hop(1, "a", "c1", "4500"),
        hop(2, "b", "c1", "4500"),
        hop(3, "x", None, "9", group="answer"),
        hop(4, "c", "c2", "4500"),
        hop(5, "d", None),
    ]
    found = [(link.one, link.other, link.proof, link.basis) for link in links(hops)]
    assert found == [
        (0, 1, "proved", "the same bytes"),
        (1, 2, "proved", "the same content"),
        (2, 4, "claimed", "both name 4500; the content differs"),
        (4, 5, "gap", "nothing in common"),
    ]


def test_segments_are_compared_in_order() -> None:
    start = b"ISA*00*          *00*          *ZZ*US             *ZZ*THEM           *260101*0900*U*"
    start += b"00401*000000001*0*P*>~"
    one = start + b"ST*850*1~BEG*00*SA*45~PO1*1*5*EA~SE*4*1~"
    other = start + b"ST*850*1~BEG*00*SA*45~PO1*1*6*EA~PO1*2*1*EA~SE*5*1~"
    rows = [(r.change, r.one and r.one[2], r.other and r.other[2]) for r in
            parts_compared(one, other)]  # fmt: skip
    assert [change for change, _, _ in rows] == [
        "same", "same", "same", "changed", "changed", "added",
    ]  # fmt: skip
    assert rows[3][1:] == ("PO1*1*5*EA", "PO1*1*6*EA")
    assert first_difference(one, other) == one.index(b"*5*EA") + 1
    assert first_difference(one, one) is None


def test_ordered_answered_and_held_by_the_erp() -> None:
    line = {
        "line": "10", "ordered_qty": Decimal("40.0"), "requested_date": None, "price": None,
        "confirmed_qty": Decimal(35), "last_confirmed_date": None, "acknowledged_at": 1,
        "reports": {
            "edi": {"confirmed_qty": ["35", "2026-01-02"], "ordered_qty": ["40", ""]},
            "erp": {"confirmed_qty": ["40", "2026-01-03"]},
        },
    }  # fmt: skip
    (row,) = three_way([line], ["erp"])
    assert (row.ordered, row.answered, row.erp, row.agrees) == ("40", "35", "40", False)
