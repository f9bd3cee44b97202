"""Statuses: derived from milestones and quantities, never edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tower.amounts import compare, positive

Row = Mapping[str, Any]

DONE = frozenset({"received", "over_received", "invoiced", "closed", "cancelled", "delivered"})
"""Statuses after which nothing more is expected of a document."""

_ANSWERED = frozenset(
    ["accepted", "accepted_with_changes", "backordered", "substituted", "on_hold", "rejected"]
)
_UNTOLD = frozenset({None, "unknown"})
_OUT = frozenset({"cancelled", "closed", "rejected"})
_IN = frozenset({"received", "over_received"})
_GONE = _IN | {"shipped", "part_received"}


def reached(
    done: str | None, wanted: str | None, none: str, part: str, full: str, over: str
) -> str:
    """One of four words for how much of ``wanted`` is done; what was wanted may be unknown."""
    if not positive(done):
        return none
    if done is None or wanted is None:
        return full
    if done == wanted:
        return full
    return part if compare(done, wanted) < 0 else over


def line_status(line: Row, *, cancelled: bool, closed: bool) -> str:
    """Status of a purchase order line.

    What came in outranks the answer. A line cancelled after goods came in is closed.
    """
    received = line.get("received_qty")
    if cancelled:
        return "closed" if positive(received) else "cancelled"
    wanted = line.get("ordered_qty") or line.get("confirmed_qty")
    status = reached(received, wanted, "", "part_received", "received", "over_received")
    if closed and status not in _IN:
        return "closed"
    if status:
        return status
    status = reached(line.get("shipped_qty"), wanted, "", "part_shipped", "shipped", "shipped")
    if status:
        return status
    answer: str = line.get("answer") or "open"
    return answer if answer in _ANSWERED else "open"


def answer_of(lines: Sequence[Row], header: str | None) -> str:
    """Answer to a whole order from the answers to its lines; lines outrank the header's word.

    An order of which some lines are not answered is neither accepted nor rejected.
    """
    live = [line for line in lines if line["status"] not in ("cancelled", "closed")]
    words = {line.get("answer") for line in live} - _UNTOLD
    if not words:
        return header if header is not None and header != "unknown" else "none"
    if any(line.get("known") and line.get("answer") in _UNTOLD for line in live):
        return "part_accepted"
    if words == {"rejected"}:
        return "rejected"
    if words == {"accepted"}:
        return "accepted"
    if "rejected" in words:
        return "part_accepted"
    return "accepted_with_changes"


def po_status(po: Row, lines: Sequence[Row], *, change_pending: bool) -> str:
    """Status of a purchase order: its least advanced open line, else its furthest milestone."""
    statuses = [line["status"] for line in lines]
    live = [line for line in lines if line["status"] not in _OUT]
    if po.get("cancelled_at") is not None and "closed" not in statuses:
        return "cancelled"
    if po.get("closed_at") is not None or po.get("cancelled_at") is not None:
        return "closed"
    if statuses and not live and "rejected" not in statuses:
        return "cancelled" if set(statuses) == {"cancelled"} else "closed"
    words = {line["status"] for line in live}
    if live and words <= _IN:
        billed = all(
            reached(line.get("invoiced_qty"), line.get("received_qty"), "", "", "all", "all")
            for line in live
        )
        return "invoiced" if billed else "received"
    if words & (_IN | {"part_received"}):
        return "part_received"
    if live and words <= _GONE:
        return "shipped"
    if words & {"shipped", "part_shipped"}:
        return "part_shipped"
    if change_pending:
        return "change_pending"
    for column, word in (
        ("applied_at", "applied"),
        ("acknowledged_at", "acknowledged"),
        ("func_acked_at", "func_acked"),
        ("transport_acked_at", "transport_acked"),
        ("transmitted_at", "transmitted"),
    ):
        if po.get(column) is not None:
            return word
    return "released"


def order_line_status(line: Row, *, cancelled: bool, closed: bool, stock: str | None) -> str:
    """Status of a customer order line."""
    if cancelled:
        return "closed" if positive(line.get("shipped_qty")) else "cancelled"
    wanted = line.get("ordered_qty")
    status = reached(line.get("received_qty"), wanted, "", "", "delivered", "delivered")
    if status:
        return status
    if closed:
        return "closed"
    status = reached(line.get("shipped_qty"), wanted, "", "part_shipped", "shipped", "shipped")
    if status:
        return status
    if stock == "allocated":
        return "allocated"
    return "promised" if line.get("promised_date") else "placed"


_ORDER_LADDER = ("placed", "promised", "allocated", "part_shipped", "shipped", "delivered")


def order_status(order: Row, lines: Sequence[Row]) -> str:
    """Status of a customer order: its least advanced open line; part_shipped when some went."""
    statuses = [line["status"] for line in lines]
    live = [s for s in statuses if s not in ("cancelled", "closed")]
    if order.get("cancelled_at") is not None and "closed" not in statuses:
        return "cancelled"
    if order.get("closed_at") is not None or order.get("cancelled_at") is not None:
        return "closed"
    if statuses and not live:
        return "cancelled" if set(statuses) == {"cancelled"} else "closed"
    if not live:
        return "placed"
    least: str = min(live, key=_ORDER_LADDER.index)
    if least in ("placed", "promised", "allocated") and any(
        s in ("part_shipped", "shipped", "delivered") for s in live
    ):
        return "part_shipped"
    return least
