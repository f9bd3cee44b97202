"""Whose clock ran: the parts add up to the whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tower.holders import _PASSES_TO, shares, stretches

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
NOW = START + timedelta(days=30)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def test_an_order_passes_from_hand_to_hand() -> None:
    told = [
        (at(0), "po.released"),
        (at(1), "message.received"),
        (at(2), "message.sent"),
        (at(3), "message.delivered"),
        (at(4), "fa.received"),
        (at(27), "po.acknowledged"),
        (at(28), "message.received"),  # the answer on its way in
        (at(29), "po.answer_applied"),
        (at(100), "asn.received"),
        (at(120), "receipt.posted"),
        (at(130), "message.sent"),
    ]
    found = [(one.holder, one.wall / timedelta(hours=1)) for one in stretches(told, NOW, None)]
    assert found == [
        ("ours", 1), ("translator", 1), ("transport", 1), ("partner", 24), ("erp", 2),
        ("partner", 71), ("carrier", 20),
    ]  # fmt: skip


def test_what_is_open_runs_until_now_and_nothing_without_events() -> None:
    (only,) = stretches([(at(0), "po.released")], NOW, None)
    assert only.end == NOW
    assert stretches([], NOW, None) == []


@given(
    st.lists(
        st.tuples(st.floats(0, 700), st.sampled_from(sorted(_PASSES_TO))), min_size=1, max_size=20
    )
)
def test_parts_add_up_to_the_whole(told: list[tuple[float, str]]) -> None:
    events = sorted((at(hours), type_) for hours, type_ in told)
    found = stretches(events, NOW, None)
    for one, other in pairwise(found):
        assert one.end == other.begin or one.end < other.begin
    total = sum((one.wall for one in shares(found)), timedelta())
    assert total == sum((one.wall for one in found), timedelta())
    if found and found[0].holder != "nobody":
        assert all(one.wall >= timedelta() for one in found)
