"""Every function that reads, asked by who may not read of customers: nothing of whom cases hurt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, text, update

from db.tables import exception_case, order_impact
from tests.conftest import Databases
from tests.db.questions import QUESTIONS, World, ask, given, month_of_three
from tests.db.stories import at
from tower.access import Scope, scope_of
from tower.identity import partner_id

UNTOLD = (
    scope_of("admin", None),
    scope_of("admin", frozenset({"ACME"})),
    scope_of("partner", frozenset({"ACME"})),
)
SECRET = re.compile(r"424[,.]?242|4711|4713|2031.*01.*31|Secretive|SO-SECRET")


@pytest.fixture(scope="module")
def world(databases: Databases) -> Iterator[World]:
    with month_of_three(databases) as made:
        with made.engine.begin() as conn:
            number = made.own_ref.rpartition(":")[2]
            home = conn.execute(
                text("SELECT home_key FROM document WHERE kind = 'po' AND number = :n LIMIT 1"),
                {"n": number},
            ).scalar_one()
            hurt: dict[str, Any] = {
                "home_key": home, "number": number, "orders_affected": 4711,
                "lines_affected": 4713, "value_at_risk": Decimal("424242.42"), "currency": "EUR",
                "need_date": date(2031, 1, 31), "priority": 9.0,
                "why": {"priority": {"value_at_risk": "424242.42", "urgency": 1.0}},
            }  # fmt: skip
            under = {"parent_id": made.cases["ACME"]}
            for key, values in (("ACME", hurt), ("BOLT", under), ("CORK", under | hurt)):
                conn.execute(
                    update(exception_case)
                    .where(exception_case.c.id == made.cases[key])
                    .values(**values)
                )
            conn.execute(
                insert(order_impact).values(
                    order_home=1, scope="main", order="SO-SECRET", order_line="1", po=number,
                    po_line="10", po_home=home, supplier="ACME", partner_id=partner_id("ACME"),
                    customer="SECRETIVE", customer_name="Secretive Clinic", item="A-1",
                    warehouse="east", promise_date=date(2026, 4, 1), basis="assumed", days_late=7,
                    uncovered_qty=Decimal(1), open_value=Decimal("424242.42"), currency="EUR",
                    confidence=0.9, cause="ACK_OVERDUE", case_id=made.cases["ACME"], since=at(790),
                )
            )  # fmt: skip
        yield made


def told(world: World, name: str, scope: Scope) -> str:
    """Also of a case that stands under another one."""
    values = given(world, world.own_ref, "ACME") | {
        "kpi_id": "value_at_risk", "kpis": ["value_at_risk"], "asked": [("value_at_risk", {})],
    }  # fmt: skip
    under = values | {"case_id": world.cases["BOLT"]}
    return "".join(repr(ask(world, name, scope, one)) for one in (values, under))


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_nothing_is_told_of_customers_hurt(world: World, name: str) -> None:
    for scope in UNTOLD:
        assert SECRET.findall(told(world, name, scope)) == [], scope.role


def test_the_same_questions_tell_it_to_who_may_read_it(world: World) -> None:
    """Else the test above would show nothing."""
    leader = scope_of("leader", None)
    telling = {name for name in QUESTIONS if SECRET.search(told(world, name, leader))}
    assert telling >= {
        "cases.queue", "cases.groups", "cases.detail", "stories.story", "overview.needs_decision",
        "overview.changes", "purchase_orders.purchase_orders", "scorecards.scorecard",
        "supplier_page.categories", "figures.several_by", "figures.figure", "subjects.subjects",
        "kpis.leader_figures", "kpi_now.value_at_risk", "orders_at_risk.orders_at_risk",
    }, sorted(telling)  # fmt: skip


def test_a_figure_that_is_not_told_says_so(world: World) -> None:
    values = given(world, world.own_ref, "ACME") | {"kpi_id": "value_at_risk"}
    figure = ask(world, "figures.figure", UNTOLD[0], values)
    assert (figure.value, figure.n) == (None, 0)
    assert figure.reason == "not told to your role, which does not include customers.read"
