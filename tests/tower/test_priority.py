"""Priority: value at risk x urgency x confidence, by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from tower.calendars import Calendar, CalendarSpec
from tower.priority import AffectedLine, Hurt, hurt, priority, urgency

HQ = Calendar(
    "hq",
    CalendarSpec(zone="Europe/Berlin", open={"mon-fri": ["08:00-12:00", "13:00-17:00"]}),
)
MONDAY = datetime(2026, 3, 30, 6, tzinfo=UTC)  # 08:00 in Berlin


def affected(order: str, value: str | None, currency: str = "EUR", line: str = "1") -> AffectedLine:
    amount = None if value is None else Decimal(value)
    return AffectedLine(("main", order), line, date(2026, 4, 1), amount, currency, 0.9)


def test_urgency_is_half_a_working_day_before_and_one_once_past() -> None:
    assert urgency(date(2026, 3, 30), MONDAY, HQ) == 0.5  # eight open hours are left
    assert urgency(date(2026, 3, 31), MONDAY, HQ) == 1 / 3
    assert urgency(date(2026, 3, 29), MONDAY, HQ) == 1.0
    assert urgency(None, MONDAY, HQ) is None


def test_an_order_line_counts_once_and_money_of_another_currency_never() -> None:
    found = hurt(
        [
            affected("A", "100"), affected("A", "100"), affected("A", "50", line="2"),
            affected("B", "70", "USD"), affected("C", None),
        ],
        currency="EUR",
    )  # fmt: skip
    assert (found.orders, found.lines) == (3, 4)
    assert (found.value_at_risk, found.currency, found.unpriced_lines) == (Decimal(150), "EUR", 2)


def test_without_own_currency_the_commonest_one_is_told() -> None:
    found = hurt([affected("A", "100", "USD"), affected("B", "70", "USD")], currency="EUR")
    assert (found.value_at_risk, found.currency) == (Decimal(170), "USD")


def test_no_line_priced_is_no_data_not_zero() -> None:
    assert hurt([affected("A", None)], currency="EUR").value_at_risk is None
    assert hurt([], currency="EUR", document_currency="USD").currency == "USD"


def test_purchase_value_in_another_currency_does_not_weigh() -> None:
    found = hurt(
        [affected("A", "100")],
        currency="EUR",
        document_currency="USD",
        unpegged_value=Decimal(1000),
    )
    assert found.unpegged_value == 0


def test_the_factors_multiply_to_the_figure() -> None:
    weighed = priority(
        Hurt(
            orders=1,
            lines=1,
            value_at_risk=Decimal(1000),
            currency="EUR",
            unpegged_value=Decimal(500),
            need_date=date(2026, 3, 30),
            confidence=0.6,
        ),
        MONDAY,
        HQ,
    )
    assert weighed.value == (1000 + 50) * 0.5 * 0.6
    assert weighed.factors["value"] == "1050.00"
    assert weighed.factors["urgency"] == 0.5


def test_nothing_at_risk_has_no_priority() -> None:
    assert priority(Hurt(need_date=date(2026, 3, 30)), MONDAY, HQ).value is None
    assert priority(Hurt(value_at_risk=Decimal(5)), MONDAY, HQ).value is None
