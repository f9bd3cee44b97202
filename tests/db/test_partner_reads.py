"""Every function that reads, asked by a partner as its own database role: nothing of others."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.conftest import Databases
from tests.db.questions import QUESTIONS, World, ask, given, month_of_three
from tower.access import EVERYTHING, scope_of
from tower.errors import AccessDenied

AS_ACME = scope_of("partner", frozenset({"ACME"}))
SOME_STAFF = scope_of("support", frozenset({"ACME"}))
PORTAL = {
    "answering.answering",
    "freshness.freshness",
    "fulfilment.discrepancies",
    "partners.partners",
    "portal.open_orders",
    "portal.order",
    "portal.rejected",
    "purchase_orders.purchase_orders",
    "scorecards.scorecard",
    "unmatched.dead_letters",
}


@pytest.fixture(scope="module")
def world(databases: Databases) -> Iterator[World]:
    with month_of_three(databases) as made:
        yield made


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_nothing_of_others_is_told(world: World, name: str) -> None:
    for ref, supplier in ((world.own_ref, "ACME"), (world.foreign_ref, "BOLT")):
        values = given(world, ref, supplier)
        for scope in (AS_ACME, SOME_STAFF):
            told = repr(ask(world, name, scope, values))
            # What was asked for may be repeated, in a refusal.
            named = told.replace(ref, "").replace(ref.rpartition(":")[2], "")
            named = named.replace(f"'{supplier}'", "").replace(f'"{supplier}"', "")
            found = [n for n in world.foreign if n in named]
            assert found == [], scope.role
            assert not re.search("BOLT|CORK", named), scope.role


def test_the_same_questions_tell_of_others_to_who_may_see_them(world: World) -> None:
    """Else the test above would show nothing."""
    values = given(world, world.foreign_ref, "BOLT")
    telling = set()
    for name in QUESTIONS:
        told = repr(ask(world, name, EVERYTHING, values))
        if any(n in told for n in world.foreign) or re.search("BOLT Limited|CORK", told):
            telling.add(name)
    assert len(telling) >= 15, sorted(telling)


def test_a_partner_is_answered_what_its_portal_needs(world: World) -> None:
    values = given(world, world.own_ref, "ACME")
    answers = {name: ask(world, name, AS_ACME, values) for name in PORTAL}
    refused = {
        name: repr(answer.__cause__)
        for name, answer in answers.items()
        if isinstance(answer, AccessDenied)
    }
    assert refused == {}
    page = ask(world, "purchase_orders.purchase_orders", AS_ACME, values)
    assert world.own_ref.rpartition(":")[2] in repr(page)
