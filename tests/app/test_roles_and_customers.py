"""Whom cases hurt is on the screens for those alone who may read of customers."""

from __future__ import annotations

from decimal import Decimal

import pytest
import streamlit as st
from sqlalchemy import Engine, update

from app.pages import (
    CASE,
    EXCEPTIONS,
    FIGURES,
    OVERVIEW,
    PURCHASE_ORDERS,
    SUPPLIER,
    SUPPLIERS,
    Page,
)
from db.tables import exception_case, order_impact
from tests.app.conftest import Sit
from tests.desk import Desk
from tower.access import scope_of

TOLD: tuple[tuple[Page, dict[str, str], str], ...] = (
    (OVERVIEW, {}, "Value at risk"),
    (EXCEPTIONS, {"view": "all"}, "At risk"),
    (PURCHASE_ORDERS, {}, "customer orders at risk"),
    (SUPPLIERS, {}, "At risk"),
    (SUPPLIER, {"id": "acme", "tab": "exceptions"}, "At risk"),
    (FIGURES, {}, "Value at risk"),
    (FIGURES, {"id": "value_at_risk"}, "31"),
    (CASE, {"id": "1"}, "Customers hit"),
)


@pytest.fixture
def hurt(shop: Desk, database: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """An order in trouble that leaves goods for 31,337 short."""
    monkeypatch.setenv("TOWER_DATABASE_URL", database_url)
    st.cache_data.clear()
    st.cache_resource.clear()
    value = Decimal(31337)
    why = {"priority": {"value": "31337", "value_at_risk": "31337", "currency": "EUR",
                        "urgency": 1.0, "confidence": 0.9}}  # fmt: skip
    with database.begin() as conn:
        conn.execute(update(exception_case).values(orders_affected=1, value_at_risk=value, why=why))
        conn.execute(update(order_impact).values(open_value=value))
    return shop


@pytest.mark.parametrize(("page", "query", "mark"), TOLD)
def test_who_may_not_read_of_customers_sees_no_trace_of_them(
    hurt: Desk, sit: Sit, page: Page, query: dict[str, str], mark: str
) -> None:
    leader = sit(scope_of("leader", None)).goes(page, **query)
    assert mark in leader
    admin = sit(scope_of("admin", None)).goes(page, **query)
    assert mark not in admin or mark == "31"
    for value in ("31337", "31,337", "31k", "31.3k", "Baker Stores"):
        assert value not in admin, value


def test_who_sees_some_suppliers_is_told_how_many_but_not_whom(hurt: Desk, sit: Sit) -> None:
    told = sit(scope_of("leader", frozenset({"acme"}))).goes(CASE, id="1")
    assert "1 customer order, EUR 31.3k open value at risk" in told
    assert "No customer order is pegged" not in told
    assert "Baker Stores" not in told
