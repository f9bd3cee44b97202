"""Roles and permissions: the matrix of the design, and nothing that is not in it."""

from __future__ import annotations

import pytest

from tower.access import (
    EVERYTHING,
    MATRIX,
    PERMISSIONS,
    ROLES,
    Permission,
    Role,
    Scope,
    may,
    scope_of,
)
from tower.errors import AccessDenied

# One line for each line of the table of roles: leader, support, admin, partner, read-only.
TABLE: dict[Permission, str] = {
    "kpis.read": "yyyyy",
    "flows.read": "yyyyy",
    "house.read": "yyy-y",
    "customers.read": "yy--y",
    "payload.read": "-y-y-",
    "payload.reveal": "-y---",
    "case.note": "yy-y-",
    "case.decide": "yy---",
    "po.answer": "yy-y-",
    "portal.see": "---y-",
    "flow.tie": "-y---",
    "replay.ask": "-y---",
    "replay.act": "-g---",
    "replay.approve": "-yy--",
    "data.export": "yyyyy",
    "house.configure": "--y--",
    "people.manage": "--y--",
    "audit.read": "--y--",
}


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_each_role_may_what_the_table_says(permission: Permission) -> None:
    for role, sign in zip(ROLES, TABLE[permission], strict=True):
        granted: frozenset[Permission] = frozenset({permission})
        assert may(role, permission) is (sign == "y"), role
        assert may(role, permission, granted) is (sign in "yg"), role


def test_every_role_has_its_column() -> None:
    assert set(MATRIX) == set(ROLES)


def test_a_scope_refuses_in_words() -> None:
    with pytest.raises(AccessDenied, match=r"read-only.*case\.decide"):
        scope_of("read-only", None).demand("case.decide")
    for permission in PERMISSIONS:
        EVERYTHING.demand(permission)


@pytest.mark.parametrize(
    ("role", "partners", "expected"),
    [
        (None, None, "service"),
        (None, frozenset({"acme"}), "staff"),
        ("admin", None, "staff"),
        ("leader", frozenset({"acme"}), "staff"),
        ("partner", frozenset({"acme"}), "partner"),
        ("partner", None, "partner"),
    ],
)
def test_the_database_is_asked_as_the_least_role(
    role: Role | None, partners: frozenset[str] | None, expected: str
) -> None:
    scope = Scope(partners) if role is None else scope_of(role, partners)
    assert scope.database_role == expected


def test_a_partner_without_partners_sees_nobody() -> None:
    scope = scope_of("partner", None)
    assert scope.partner_ids == []
    assert not scope.sees_all


def test_customers_belong_to_those_who_see_all_and_may() -> None:
    assert scope_of("leader", None).sees_customers
    assert not scope_of("leader", frozenset({"acme"})).sees_customers
    assert not scope_of("admin", None).sees_customers
