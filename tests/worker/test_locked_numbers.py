"""What an edited copy of a message may not change: which documents it speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from collectors.dead_letters import CAPTURED_FROM
from tests.worker.replaying import NETWORK, REPLAY
from tower.edits import numbers_of
from tower.network import load_network
from tower.raw import Raw
from worker.replay_dry_run import locked_difference

NET = load_network(
    NETWORK.format(url="http://x.example:15672", vhost="v", replay=REPLAY, partner="ACME"),
    "network.yaml",
)
LINE = {"receipt_line": "1", "po": "4500", "line": "10", "qty": 5}
RECEIPT = {"warehouse": "EAST", "receipt": "R-1", "lines": [LINE]}
NOTICE = {
    "supplier": "ACME", "asn": "S1", "po": "4500",
    "lines": [{"po": "4500", "line": "10", "qty": 5}, {"po": "4501", "line": "20", "qty": 1}],
}  # fmt: skip


def raw(body: Any, type_: str, **headers: str) -> Raw:
    told = body if isinstance(body, bytes) else orjson.dumps(body)
    marks = {CAPTURED_FROM: "dlq", "message-id": "m", "type": type_, "x-death": "[]"}
    return Raw("broker", "k", told, datetime(2026, 3, 1, tzinfo=UTC), headers=marks | headers)


def difference(before: Any, after: Any, type_: str, **headers: str) -> str:
    return locked_difference(NET, raw(before, type_, **headers), raw(after, type_, **headers))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"receipt": "R-2"}, "receipt is locked: it was R-1, now R-2"),
        ({"warehouse": "WEST"}, "warehouse is locked: it was EAST, now WEST"),
        ({"lines": [LINE | {"po": "4711"}]}, "the document of lines is locked: it was po 4500 "
         "line 10 receipt_line 1, now po 4711 line 10 receipt_line 1"),
        ({"lines": [LINE | {"receipt_line": "2"}]}, "the document of lines is locked"),
        ({"lines": []}, "now not given"),
        ({"lines": [LINE | {"qty": 6}]}, ""),
        ({"note": "counted anew"}, ""),
    ],
)  # fmt: skip
def test_a_receipt_stays_the_same_receipt(change: Mapping[str, Any], said: str) -> None:
    wrong = difference(RECEIPT, RECEIPT | change, "receipt.posted")
    assert said in wrong
    assert bool(wrong) is bool(said)


def test_the_lines_of_a_notice_stay_with_their_orders_in_any_order() -> None:
    first, second = NOTICE["lines"]
    moved = NOTICE | {"lines": [first | {"po": "4711"}, second]}
    assert "po 4500 line 10; po 4501 line 20, now po 4501 line 20; po 4711 line 10" in difference(
        NOTICE, moved, "asn.received"
    )
    mended = NOTICE | {"lines": [second | {"qty": 2}, first]}
    assert difference(NOTICE, mended, "asn.received") == ""


def test_a_number_in_the_body_is_locked_though_a_header_goes_before_it() -> None:
    said = difference(NOTICE, NOTICE | {"po": "4711"}, "asn.received", po="4500")
    assert said == "po is locked: it was 4500, now 4711"


def test_a_number_may_be_written_otherwise_and_bytes_be_mended() -> None:
    assert difference(NOTICE | {"po": 4500}, NOTICE, "asn.received") == ""
    broken = orjson.dumps(NOTICE)[:-1]
    assert difference(broken, broken + b"]", "asn.received", po="4500") == ""
    assert "now not given" in difference(NOTICE, b"{", "asn.received", po="4500")


def test_numbers_under_data_count_too() -> None:
    told = {"type": "receipt.posted", "data": RECEIPT}
    assert numbers_of(told) == {
        "data.receipt": "R-1",
        "data.warehouse": "EAST",
        "the document of data.lines": "po 4500 line 10 receipt_line 1",
    }
    for nothing in (None, [], 5, {"lines": "none", "po": None, "data": 1}):
        assert numbers_of(nothing) == {}
