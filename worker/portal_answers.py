"""An answer that a supplier writes into the form of its portal, taken in like one by phone.

The form offers what may be answered, but is not trusted: whose order it is, which lines it has and
what was answered is checked here again, the order by the database role of who asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from sqlalchemy import Engine

from collectors import manual_answers
from db import audit, switches, throttles
from db import engine as engines
from db.reads import names, portal
from tower.access import Scope
from tower.errors import ConfigError, PayloadRejected, TowerError
from worker import pipeline

Answer = Literal["accept", "change", "reject"]

RATE = throttles.Rate(per_minute=30, burst=60)
"""Answers of one account: more than anybody writes, less than what would flood us."""


class AnswerRefused(TowerError):
    """The answer was not taken; the sentence says why and what to do. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class LineAnswer:
    """What is promised of one line: ``qty`` in its unit, 0 = nothing comes; ``day`` of delivery."""

    line: str
    qty: Decimal
    day: date | None


def available(engine: Engine) -> bool:
    """Whether network.yaml has the source that answers of the form belong to."""
    with engine.connect() as conn:
        net = names.network(conn)
    if net is None:
        return False
    try:
        manual_answers.portal_form_of(net)
    except ConfigError:
        return False
    return True


def take(
    engine: Engine,
    scope: Scope,
    who: str,
    ref: str,
    answer: Answer,
    now: datetime,
    *,
    seen: int,
    lines: Sequence[LineAnswer] = (),
    reason: str = "",
) -> bool:
    """Store the answer of account ``who`` to the order ``ref`` ("po:main:4500001234").

    ``seen``: the revision of the order in the form; the same answer to it twice is stored once.
    Returns whether it was new. Documents are current when this returns. Raises AccessDenied,
    AnswerRefused, also above ``RATE``, or ReadOnly while changes are switched off.
    """
    scope.demand("po.answer")
    with engine.begin() as conn:
        wait_s = throttles.take(conn, f"portal/{who}", 1, RATE, now)
    if wait_s is not None:
        raise AnswerRefused(
            f"Those were many answers at once. Go on in {wait_s} s; nothing was changed."
        )
    with engines.looking(engine.connect(), scope) as conn:
        order = portal.order(conn, scope, ref)
    if order is None or (scope.partners is not None and order.supplier not in scope.partners):
        raise AnswerRefused("There is no such order of yours. Nothing was changed.")
    if order.closed:
        raise AnswerRefused(
            f"Order {order.number} is closed. Call your contact if it matters; nothing was changed."
        )
    with engine.begin() as conn:
        switches.check_writable(conn)
        net = names.network(conn)
    if net is None:
        raise AnswerRefused("The tower has no network in force yet. Nothing was changed.")
    try:
        source = manual_answers.portal_form_of(net)
        said = manual_answers.read(
            {
                "po": order.number,
                "erp": order.scope,
                "supplier": order.supplier,
                **_said(order, answer, lines, reason, now),
                "heard_from": who,
                "heard_at": now,
                "recorded_by": who,
            }
        )
        raw = manual_answers.raw_of(
            source, said, order.supplier, order.scope, now, channel="portal", seen=seen
        )
    except (PayloadRejected, ConfigError) as error:
        advice = getattr(error, "advice", "")
        raise AnswerRefused(f"{error} {advice} Nothing was changed.".replace("  ", " ")) from error
    (item,) = pipeline.ingest_raws(engine, net, [raw], now=now).items
    if item.outcome == "refused" or item.dead_letters:
        raise AnswerRefused(f"The answer could not be taken: {item.cause} {item.advice}")
    if item.outcome == "repeated":
        return False
    with engine.begin() as conn:
        detail = {"answer": said.answer, "reason": reason[:200], "key": raw.key}
        audit.record(conn, who, "po.answered", order.ref, detail, now)
    return True


def _said(
    order: portal.OwnOrder,
    answer: Answer,
    lines: Sequence[LineAnswer],
    reason: str,
    now: datetime,
) -> dict[str, object]:
    """The words of the vocabulary for what the form says."""
    reason = reason.strip()
    if answer == "accept":
        return {"answer": "accepted", "reason": reason, "lines": _as_ordered(order)}
    if answer == "reject":
        if not reason:
            raise AnswerRefused("Say why you reject the order. Nothing was changed.")
        return {"answer": "rejected", "reason": reason}
    standing = {one.line: one for one in order.lines if not one.cancelled}
    if not lines:
        raise AnswerRefused("No line is changed: confirm the order instead. Nothing was changed.")
    told = []
    for one in lines:
        known = standing.pop(one.line, None)
        if known is None:
            raise AnswerRefused(
                f"Order {order.number} has no open line {one.line}, or it is answered twice here. "
                "Nothing was changed."
            )
        if not one.qty.is_finite() or one.qty < 0:
            raise AnswerRefused(
                f"Line {one.line}: the quantity is no number from 0 on. Nothing was changed."
            )
        if one.day is not None and one.day < (now - timedelta(days=1)).date():
            raise AnswerRefused(
                f"Line {one.line}: {one.day:%d %b %Y} has passed. Give the day on which it will be "
                "delivered; nothing was changed."
            )
        told.append(_line(known, one))
    return {"answer": "accepted_with_changes", "lines": told, "reason": reason}


def _as_ordered(order: portal.OwnOrder) -> list[dict[str, object]]:
    """Every line by its name where an earlier answer changed one, which the word for the whole
    order would leave as it is; else none, for the word says it all.
    """
    standing = [one for one in order.lines if not one.cancelled and one.ordered_qty is not None]
    if not any(
        one.confirmed_qty not in (None, one.ordered_qty)
        or one.confirmed_date not in (None, one.requested_date)
        or one.answer == "rejected"
        for one in standing
    ):
        return []
    return [
        _line(one, LineAnswer(one.line, one.ordered_qty, one.requested_date))
        for one in standing
        if one.ordered_qty is not None
    ]


def _line(known: portal.OrderLine, one: LineAnswer) -> dict[str, object]:
    if one.qty == 0:
        return {"line": one.line, "answer": "rejected"}
    same = one.qty == known.ordered_qty and one.day in (None, known.requested_date)
    found: dict[str, object] = {
        "line": one.line,
        "answer": "accepted" if same else "accepted_with_changes",
        "qty": one.qty,
    }
    if known.uom:
        found["uom"] = known.uom
    if one.day is not None:
        found["date"] = one.day
    return found
