"""The acknowledgement ladder: each rung's state, and whose turn it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tower.ladder import RUNGS, Rung, rungs

T0 = datetime(2026, 3, 2, 8, tzinfo=UTC)


def t(hours: int) -> datetime:
    return T0 + timedelta(hours=hours)


def order(**columns: Any) -> dict[str, Any]:
    return {"status": "released", "known": True, "answer": "none", "fa_status": "none", **columns}


def clock(rule: str, verdict: str, **columns: Any) -> dict[str, Any]:
    return {"rule": rule, "verdict": verdict, "due_at": t(4), "line": "", **columns}


def ladder(po: dict[str, Any], *clocks: dict[str, Any], **more: Any) -> dict[str, Rung]:
    found = rungs(po, more.pop("lines", ()), clocks, **more)
    assert [rung.name for rung in found] == list(RUNGS)
    return {rung.name: rung for rung in found}


def states(po: dict[str, Any], *clocks: dict[str, Any], **more: Any) -> str:
    return " ".join(rung.state for rung in ladder(po, *clocks, **more).values())


def test_an_order_climbs_rung_by_rung() -> None:
    po = order()
    assert states(po, expects_fa=True) == "waiting waiting waiting waiting waiting waiting"
    po |= {"transmitted_at": t(1), "transport_acked_at": t(2), "fa_status": "accepted"}
    po |= {"func_acked_at": t(3)}
    assert states(po) == "done done done waiting waiting waiting"
    po |= {"acknowledged_at": t(5), "answer": "accepted"}
    assert states(po) == "done done done done waiting waiting"
    po |= {"applied_at": t(6), "agrees": True}
    assert states(po) == "done done done done done done"
    assert ladder(po)["applied"].at == t(6)


def test_a_later_step_proves_the_delivery() -> None:
    found = ladder(order(acknowledged_at=t(5), answer="accepted"), expects_fa=True)
    assert (found["sent"].state, found["sent"].at) == ("done", None)
    assert found["transport"].state == "not_expected"
    assert found["functional"].state == "not_expected"


@pytest.mark.parametrize(
    ("verdict", "state"),
    [("breached", "late"), ("pending", "waiting"), ("unknown", "unknown"), ("at_risk", "waiting"),
     ("not_measured", "not_expected")],
)  # fmt: skip
def test_an_open_rung_is_as_its_clock(verdict: str, state: str) -> None:
    po = order(transmitted_at=t(1))
    rung = ladder(po, clock("po.unacknowledged", verdict, held_by="edi"))["answer"]
    assert (rung.state, rung.due, rung.whose) == (state, t(4), "partner")
    if verdict == "unknown":
        assert "edi" in rung.note


def test_answered_but_never_applied_is_the_turn_of_the_erp() -> None:
    po = order(acknowledged_at=t(5), answer="accepted")
    rung = ladder(po, clock("po.answer_not_applied", "breached"))["applied"]
    assert (rung.state, rung.whose) == ("late", "erp")


@pytest.mark.parametrize(
    ("status", "state"),
    [("accepted", "done"), ("accepted_with_errors", "done_with_errors"),
     ("part_accepted", "done_with_errors"), ("rejected", "refused")],
)  # fmt: skip
def test_a_functional_verdict_is_a_state(status: str, state: str) -> None:
    assert ladder(order(fa_status=status))["functional"].state == state


@pytest.mark.parametrize(
    ("answer", "state"),
    [("accepted", "done"), ("accepted_with_changes", "done_with_errors"),
     ("part_accepted", "done_with_errors"), ("rejected", "refused")],
)  # fmt: skip
def test_an_answer_is_a_state_and_names_the_lines(answer: str, state: str) -> None:
    po = order(acknowledged_at=t(5), answer=answer)
    lines = [{"line": "10", "answer": "accepted"}, {"line": "20", "answer": "rejected"}]
    rung = ladder(po, lines=lines)["answer"]
    assert rung.state == state
    if state == "done_with_errors":
        assert "line 20" in rung.note


def test_a_refused_order_is_not_expected_in_the_erp() -> None:
    po = order(acknowledged_at=t(5), answer="rejected")
    assert ladder(po)["applied"].state == "not_expected"


def test_disagreement_names_its_lines() -> None:
    po = order(acknowledged_at=t(5), answer="accepted", applied_at=t(6), agrees=False)
    lines = [{"line": "10", "agrees": True}, {"line": "20", "agrees": False}]
    rung = ladder(po, lines=lines)["agrees"]
    assert (rung.state, rung.whose) == ("done_with_errors", "ours")
    assert "line 20" in rung.note


def test_nothing_is_expected_of_a_cancelled_order() -> None:
    found = ladder(order(status="cancelled", transmitted_at=t(1)), expects_fa=True)
    assert {rung.state for name, rung in found.items() if name != "sent"} == {"not_expected"}


def test_an_order_only_referred_to_was_never_reported() -> None:
    assert ladder(order(known=False))["sent"].state == "unknown"


def test_clocks_of_lines_do_not_time_the_header() -> None:
    po = order(transmitted_at=t(1))
    assert ladder(po, clock("po.unacknowledged", "breached", line="10"))["answer"].state == (
        "waiting"
    )
