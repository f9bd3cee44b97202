"""The acknowledgement ladder of a purchase order: how far it got, when, and whose clock runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Row = Mapping[str, Any]

RUNGS = ("sent", "transport", "functional", "answer", "applied", "agrees")

LABELS = {
    "sent": "Sent",
    "transport": "Transport receipt",
    "functional": "Functional acknowledgement",
    "answer": "Business answer",
    "applied": "Applied in ERP",
    "agrees": "Agrees line by line",
}

RULES = {
    "po.unacknowledged": "answer",
    "fa.overdue": "functional",
    "po.answer_not_applied": "applied",
}
"""Which rung the clock of a shipped rule times."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder.

    name   one of RUNGS; ``label`` the same for people
    state  done, done_with_errors, waiting, late, refused, not_expected, unknown
    at     when it was reached; None while it is not, or where the time is not known
    due    when it should be reached, where a clock runs
    whose  whose turn it is or was: ours, gateway, partner, erp
    note   one sentence for people, may be empty
    """

    name: str
    label: str
    state: str
    at: datetime | None
    due: datetime | None
    whose: str
    note: str = ""


def rungs(
    po: Row,
    lines: Sequence[Row],
    clocks: Sequence[Row] = (),
    *,
    expects_fa: bool | None = None,
) -> list[Rung]:
    """The six rungs of a purchase order from its `document` rows and, if given, its `clock` rows.

    ``expects_fa`` says whether a functional acknowledgement is agreed with the supplier; None means
    that only the order's own fa_status tells.
    """
    timed = {RULES[c["rule"]]: c for c in clocks if c["rule"] in RULES and not c.get("line", "")}
    ended = po.get("status") in ("cancelled", "closed")
    return [
        _sent(po),
        _transport(po, ended),
        _functional(po, timed.get("functional"), expects_fa, ended),
        _answer(po, lines, timed.get("answer"), ended),
        _applied(po, timed.get("applied"), ended),
        _agrees(po, lines, ended),
    ]


def _rung(
    name: str, state: str, at: Any, whose: str, note: str = "", clock: Row | None = None
) -> Rung:
    return Rung(name, LABELS[name], state, at, clock["due_at"] if clock else None, whose, note)


def _open(clock: Row | None) -> tuple[str, str]:
    """State and note of a rung that is not reached, by the clock on it."""
    if clock is None:
        return "waiting", ""
    if clock["verdict"] == "breached":
        return "late", ""
    if clock["verdict"] == "unknown":
        source = clock.get("held_by")
        return "unknown", f"The feed {source} is silent, so nobody can tell." if source else ""
    if clock["verdict"] == "not_measured":
        return "not_expected", "Not measured for this order."
    return "waiting", ""


def _late(clock: Row | None) -> str:
    return "It came late." if clock is not None and clock["verdict"] == "met_late" else ""


def _sent(po: Row) -> Rung:
    at = po.get("transmitted_at")
    if at is not None:
        return _rung("sent", "done", at, "ours")
    if any(po.get(c) for c in ("transport_acked_at", "func_acked_at", "acknowledged_at")):
        return _rung("sent", "done", None, "ours", "Nobody reported it; a later step proves it.")
    if not po.get("known", True):
        return _rung("sent", "unknown", None, "ours", "Only referred to; it was never reported.")
    return _rung("sent", "waiting", None, "ours")


def _transport(po: Row, ended: bool) -> Rung:
    at = po.get("transport_acked_at")
    if at is not None:
        return _rung("transport", "done", at, "gateway")
    if po.get("func_acked_at") or po.get("acknowledged_at"):
        note = "Nobody reported a receipt; a later step proves the delivery."
        return _rung("transport", "not_expected", None, "gateway", note)
    if ended:
        return _rung("transport", "not_expected", None, "gateway")
    whose = "gateway" if po.get("transmitted_at") else "ours"
    return _rung("transport", "waiting", None, whose)


_FA = {
    "accepted": ("done", ""),
    "accepted_with_errors": ("done_with_errors", "Accepted with errors: do not send it again."),
    "part_accepted": ("done_with_errors", "Only part of the group was accepted."),
    "rejected": ("refused", "The partner's translator refused the document."),
}


def _functional(po: Row, clock: Row | None, expects: bool | None, ended: bool) -> Rung:
    status = po.get("fa_status") or "none"
    if status in _FA:
        state, note = _FA[status]
        note = note or _late(clock)
        return _rung("functional", state, po.get("func_acked_at"), "partner", note, clock)
    if po.get("acknowledged_at"):
        note = "None came; the business answer proves that the order was read."
        return _rung("functional", "not_expected", None, "partner", note, clock)
    if ended or expects is False or (expects is None and status == "none" and clock is None):
        return _rung("functional", "not_expected", None, "partner", "", clock)
    state, note = _open(clock)
    return _rung("functional", state, None, "partner", note, clock)


def _answer(po: Row, lines: Sequence[Row], clock: Row | None, ended: bool) -> Rung:
    at, word = po.get("acknowledged_at"), po.get("answer") or "none"
    if at is None:
        if ended:
            return _rung("answer", "not_expected", None, "partner", "", clock)
        state, note = _open(clock)
        return _rung("answer", state, None, "partner", note, clock)
    if word == "rejected":
        return _rung("answer", "refused", at, "partner", "The supplier refused it.", clock)
    changed = [x["line"] for x in lines if x.get("answer") not in (None, "accepted")]
    if word in ("accepted_with_changes", "part_accepted"):
        return _rung("answer", "done_with_errors", at, "partner", _named("Other", changed), clock)
    return _rung("answer", "done", at, "partner", _late(clock), clock)


def _named(what: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    shown = ", ".join(lines[:5]) + (" ..." if len(lines) > 5 else "")
    return f"{what} than ordered in line {shown}." if what == "Other" else f"{what} {shown}."


def _applied(po: Row, clock: Row | None, ended: bool) -> Rung:
    at = po.get("applied_at")
    if at is not None:
        return _rung("applied", "done", at, "erp", _late(clock), clock)
    if po.get("acknowledged_at") is None:
        state = "not_expected" if ended else "waiting"
        return _rung("applied", state, None, "partner", "", clock)
    if ended or po.get("answer") == "rejected":
        return _rung("applied", "not_expected", None, "erp", "", clock)
    state, note = _open(clock)
    return _rung("applied", state, None, "erp", note, clock)


def _agrees(po: Row, lines: Sequence[Row], ended: bool) -> Rung:
    agrees = po.get("agrees")
    if agrees:
        return _rung("agrees", "done", po.get("applied_at"), "erp")
    if agrees is False:
        apart = [x["line"] for x in lines if x.get("agrees") is False]
        note = _named("Order, answer and ERP differ in line", apart)
        return _rung("agrees", "done_with_errors", None, "ours", note)
    if ended:
        return _rung("agrees", "not_expected", None, "erp")
    if po.get("applied_at") is not None:
        note = "The ERP did not say which values it holds."
        return _rung("agrees", "unknown", None, "erp", note)
    return _rung("agrees", "waiting", None, "erp" if po.get("acknowledged_at") else "partner")
