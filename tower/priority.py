"""Which case first: value at risk x urgency x confidence, shown with its factors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import product
from math import isclose
from typing import Any

from tower.calendars import Calendar

UNPEGGED_SHARE = Decimal("0.1")
"""Purchase value that nobody waits for yet counts a tenth: it hurts stock, not a customer."""

URGENCY_SCALE_H = 8.0  # open hours after which a need is half as urgent as one that is past


@dataclass(frozen=True, slots=True)
class Hurt:
    """What one case does to customers.

    orders, lines    distinct customer orders and order lines affected
    value_at_risk    open value of those lines that are priced in ``currency``; None if none is
    unpriced_lines   affected lines without a value in that currency
    unpegged_value   open value of the subject's purchase lines that no customer waits for
    need_date        earliest promise among the affected lines, else the date wanted of the supplier
    confidence       of the surest affected line, 0 to 1; None when no line is affected
    """

    orders: int = 0
    lines: int = 0
    value_at_risk: Decimal | None = None
    currency: str | None = None
    unpriced_lines: int = 0
    document_value: Decimal | None = None
    unpegged_value: Decimal = Decimal(0)
    need_date: date | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Priority:
    """A figure to sort by, and the factors it came from. None: nothing at risk is known."""

    value: float | None
    urgency: float | None
    confidence: float
    factors: dict[str, Any]


def urgency(need: date | None, now: datetime, calendar: Calendar) -> float | None:
    """1 once the need date is past, half at eight open hours before its end; None without one."""
    if need is None:
        return None
    end = calendar.end_of_day(need)
    if end <= now:
        return 1.0
    hours = max(calendar.between(now, end).total_seconds() / 3600, 0.0)
    return 1.0 / (1.0 + hours / URGENCY_SCALE_H)


def priority(
    hurt: Hurt, now: datetime, calendar: Calendar, *, unknown: bool = False, assumed: bool = True
) -> Priority:
    """The priority of a case.

    ``unknown``: a feed that could tell otherwise is silent. ``assumed``: the supplier has stated no
    date, which counts where no affected line tells how sure it is.
    """
    money = (hurt.value_at_risk or Decimal(0)) + hurt.unpegged_value * UNPEGGED_SHARE
    sure = hurt.confidence
    if sure is None:
        sure = (0.6 if assumed else 0.9) * (0.5 if unknown else 1.0)
    soon = urgency(hurt.need_date, now, calendar)
    figure = float(money) * soon * sure if soon is not None and money > 0 else None
    return Priority(
        value=None if figure is None else round(figure, 2),
        urgency=None if soon is None else round(soon, 4),
        confidence=round(sure, 4),
        factors={
            "value": str(money.quantize(Decimal("0.01"))),
            "value_at_risk": None if hurt.value_at_risk is None else str(hurt.value_at_risk),
            "unpegged_value": str(hurt.unpegged_value),
            "currency": hurt.currency,
            "unpriced_lines": hurt.unpriced_lines,
            "urgency": None if soon is None else round(soon, 4),
            "need_date": None if hurt.need_date is None else hurt.need_date.isoformat(),
            "confidence": round(sure, 4),
            "sure": _parts(sure),
        },
    )


_PEGS = (("peg given", 1.0), ("peg derived", 0.7))
_DATES = (("date shipped", 1.0), ("date confirmed", 0.9), ("date assumed", 0.6))
_EVIDENCE = (("evidence complete", 1.0), ("evidence unknown", 0.5))


def _parts(sure: float) -> list[tuple[str, float]]:
    """What a confidence is the product of, in words; empty where it is no such product."""
    for peg, date_basis, evidence in product(_PEGS, _DATES, _EVIDENCE):
        if isclose(peg[1] * date_basis[1] * evidence[1], sure, abs_tol=1e-4):
            return [peg, date_basis, evidence]
    return []


@dataclass(frozen=True, slots=True)
class AffectedLine:
    """One affected customer order line as a case counts it."""

    order: tuple[str, str]
    line: str
    promise_date: date
    open_value: Decimal | None
    currency: str | None
    confidence: float


def hurt(
    lines: Iterable[AffectedLine],
    *,
    currency: str,
    document_value: Decimal | None = None,
    document_currency: str | None = None,
    unpegged_value: Decimal = Decimal(0),
    need_date: date | None = None,
) -> Hurt:
    """The lines of a case summed up; a line hit by two purchase lines counts once.

    Sums are told in ``currency``, the company's own, where any line is priced in it; else in that
    of most lines; else in the purchase order's. Money in other currencies is never added: lines of
    it are counted as unpriced, purchase value of it is left out.
    """
    distinct: dict[tuple[tuple[str, str], str], AffectedLine] = {}
    for line in lines:
        seen = distinct.get((line.order, line.line))
        if seen is None or line.confidence > seen.confidence:
            distinct[(line.order, line.line)] = line
    counted = list(distinct.values())
    told_in = _currency(counted, currency, document_currency)
    priced = [v.open_value for v in counted if v.currency == told_in and v.open_value is not None]
    return Hurt(
        orders=len({line.order for line in counted}),
        lines=len(counted),
        value_at_risk=sum(priced, Decimal(0)) if priced else None,
        currency=told_in,
        unpriced_lines=len(counted) - len(priced),
        document_value=document_value,
        unpegged_value=unpegged_value if document_currency in (None, told_in) else Decimal(0),
        need_date=min((line.promise_date for line in counted), default=need_date),
        confidence=max((line.confidence for line in counted), default=None),
    )


def _currency(lines: Sequence[AffectedLine], company: str, document: str | None) -> str:
    found = [line.currency for line in lines if line.currency and line.open_value is not None]
    if not found:
        return company if lines else document or company
    return company if company in found else max(sorted(set(found)), key=found.count)
