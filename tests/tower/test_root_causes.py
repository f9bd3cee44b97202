"""Root causes: which cases form a group, what their parent says, and that order never matters."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from tower.cases import Brief, Case, Changed, Happening, Level, fold, heal
from tower.root_causes import Grouping, Regrouped, groups, of_source, regroup, shared
from tower.signs import Subject

NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)
NAME = shared("ACK_OVERDUE", "ACME")
NAMES = {"ACME": "ACME Fasteners Ltd"}


def minutes(n: float) -> datetime:
    return NOW + timedelta(minutes=n)


def case(number: int, at: float, severity: str = "medium", shares: str = NAME) -> Case:
    brief = Brief(
        subject=Subject("po", "main", f"47{number:02}"),
        home_key=number,
        rule="po.unacknowledged",
        category="ACK_OVERDUE",
        levels={"breach": Level("breach", severity, "business")},
        title=f"PO 47{number:02} not acknowledged",
        advice="Call the order desk.",
        owner="anna",
        letter="D",
        supplier="ACME",
        shares=shares,
    )
    [opened] = fold(None, [Happening("breach", 1, minutes(at), minutes(at))], brief)
    return replace(opened.case, id=number)


def stored(found: Regrouped, cases: Sequence[Case], parents: dict[int, Case]) -> list[Case]:
    """The cases as they hang now; new parents get the next numbers."""
    numbers = count(max((1000, *parents)) + 1)
    under: dict[int, int | None] = {c.id or 0: None for c in found.loose}
    for group in found.groups:
        parent = group.parent.case
        number = parent.id or next(numbers)
        parents[number] = replace(parent, id=number)
        under |= {c.id or 0: number for c in group.members}
    for ended in found.ended:
        parents[ended.case.id or 0] = ended.case
    return [replace(c, parent_id=under.get(c.id or 0, c.parent_id)) for c in cases]


def parent_of(changed: Changed) -> Case:
    return replace(changed.case, id=1001)


def test_five_within_half_an_hour_are_one_cause_and_four_are_not() -> None:
    four = [case(n, n * 7) for n in range(1, 5)]
    assert groups(four) == []
    assert groups([*four, case(5, 5 * 7)]) == [[*four, case(5, 35)]]  # 7 to 35: 28 minutes
    assert groups([*four, case(5, 38)]) == []  # the fifth comes after 31


def test_later_ones_join_for_a_day_and_earlier_ones_stay_alone() -> None:
    burst = [case(n, 0) for n in range(1, 6)]
    before, after, late = case(6, -120), case(7, 23 * 60), case(8, 48 * 60)
    assert groups([late, after, *burst, before]) == [[*burst, after]]


def test_the_parent_counts_and_names_what_hangs_under_it() -> None:
    cases = [case(n, n) for n in range(1, 6)]
    [group] = regroup(NAME, cases, {}, NAMES, NOW).groups
    parent = group.parent.case
    assert parent.title == "5 × PO not answered: ACME Fasteners Ltd"
    assert parent.advice == "Call the order desk. It is about 4701, 4702, 4703, 4704, 4705."
    assert (parent.severity, parent.owner, parent.supplier) == ("medium", "anna", "ACME")
    assert (parent.opened_at, parent.why["cases"]) == (minutes(1), 5)
    assert group.parent.tell


def test_the_parent_lives_as_long_as_one_of_its_cases() -> None:
    cases = [case(n, n) for n in range(1, 6)]
    parents: dict[int, Case] = {}
    cases = stored(regroup(NAME, cases, {}, NAMES, NOW), cases, parents)
    assert {c.parent_id for c in cases} == {1001}
    cases = [heal(c, minutes(60), "it came").case for c in cases[:4]] + cases[4:]
    [group] = regroup(NAME, cases, parents, NAMES, minutes(60)).groups
    assert group.parent.case.open
    assert group.parent.case.title.startswith("1 × ")
    assert not group.parent.tell
    cases = [heal(c, minutes(90), "it came").case for c in cases]
    [group] = regroup(NAME, cases, parents, NAMES, minutes(90)).groups
    assert group.parent.case.resolution == "healed"
    assert group.parent.tell
    parents[1001] = parent_of(group.parent)
    cases[0] = replace(cases[0], state="new", resolution=None)
    [group] = regroup(NAME, cases, parents, NAMES, minutes(95)).groups
    assert (group.parent.case.state, group.parent.case.reopened) == ("new", 1)


@pytest.mark.parametrize("resolution", ["repaired", "accepted", "false_alarm"])
def test_what_a_person_decided_about_the_parent_stands(resolution: str) -> None:
    cases = [case(n, n) for n in range(1, 6)]
    parents: dict[int, Case] = {}
    cases = stored(regroup(NAME, cases, {}, NAMES, NOW), cases, parents)
    parents[1001] = replace(parents[1001], state="resolved", resolution=resolution)
    [group] = regroup(NAME, [*cases, case(6, 20)], parents, NAMES, NOW).groups
    assert group.parent.case.resolution == resolution
    assert not group.parent.tell


def test_a_worse_case_makes_its_parent_worse() -> None:
    cases = [case(n, n) for n in range(1, 6)]
    parents: dict[int, Case] = {}
    cases = stored(regroup(NAME, cases, {}, NAMES, NOW), cases, parents)
    cases[2] = replace(cases[2], severity="high")
    [group] = regroup(NAME, cases, parents, NAMES, NOW).groups
    assert (group.parent.case.severity, group.parent.tell) == ("high", True)


def test_two_groups_that_late_news_join_become_one_and_the_other_is_merged() -> None:
    first, second = [case(n, 0) for n in range(1, 6)], [case(n, 30 * 60) for n in range(6, 11)]
    parents: dict[int, Case] = {}
    cases = stored(regroup(NAME, [*first, *second], {}, NAMES, NOW), [*first, *second], parents)
    assert [c.parent_id for c in cases] == [1001] * 5 + [1002] * 5
    bridge = case(11, 15 * 60)
    found = regroup(NAME, [*cases, bridge], parents, NAMES, NOW)
    assert [c.case.resolution for c in found.ended] == ["merged"]
    assert {c.parent_id for c in stored(found, [*cases, bridge], parents)} == {1001}


def test_a_case_taken_back_frees_those_that_are_no_group_without_it() -> None:
    cases = [case(n, n) for n in range(1, 6)]
    parents: dict[int, Case] = {}
    cases = stored(regroup(NAME, cases, {}, NAMES, NOW), cases, parents)
    cases[0] = replace(heal(cases[0], NOW, "it was in time").case, levels=())
    found = regroup(NAME, cases, parents, NAMES, NOW)
    assert found.groups == ()
    assert [c.case.resolution for c in found.ended] == ["healed"]
    assert {c.id for c in found.loose} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("seed", range(20))
def test_the_order_in_which_cases_are_found_changes_no_group(seed: int) -> None:
    dice = random.Random(seed)
    clumps = [dice.uniform(0, 6000) for _ in range(5)]
    cases = [case(n, round(dice.choice(clumps) + dice.uniform(0, 60))) for n in range(1, 41)]
    wanted = {frozenset(c.id for c in group) for group in groups(cases)}
    dice.shuffle(cases)
    parents: dict[int, Case] = {}
    known: list[Case] = []
    for arrived in cases:
        known = [*known, arrived]
        if dice.random() < 0.3:
            known = stored(regroup(NAME, known, parents, NAMES, NOW), known, parents)
    known = stored(regroup(NAME, known, parents, NAMES, NOW), known, parents)
    under: dict[int, set[int | None]] = {}
    for one in known:
        if one.parent_id is not None:
            under.setdefault(one.parent_id, set()).add(one.id)
    assert {frozenset(ids) for ids in under.values()} == wanted
    standing = {n for n, parent in parents.items() if parent.open}
    assert standing == set(under)


def test_what_a_person_merged_elsewhere_stays_there() -> None:
    cases = [case(n, n) for n in range(1, 7)]
    cases[0] = replace(cases[0], state="resolved", resolution="merged", parent_id=77)
    found = regroup(NAME, cases, {}, NAMES, NOW)
    assert [c.id for c in found.groups[0].members] == [2, 3, 4, 5, 6]
    assert found.loose == ()


def test_what_a_silence_held_back_counts_by_the_day() -> None:
    name = of_source("erp")
    assert len(groups([case(n, n * 100, shares=name) for n in range(5)], Grouping().of(name))) == 1


def test_the_narrowest_cause_names_what_is_shared() -> None:
    assert shared("ASN_INVALID", "ACME", code="po_unknown") == "partner|ACME|ASN_INVALID|po_unknown"
    assert shared("DELIVERY_FAILURE", "ACME", queue="orders", mapping="v3") == "queue|orders"
    assert shared("MAPPING_FAILURE", "ACME", mapping="v3") == "mapping|v3"
    assert shared("SOURCE_SILENT", None) == ""
