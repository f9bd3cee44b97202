"""Exception cases as a fold over the journal of a clock, and what people may do to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tower.cases import (
    ANY_CYCLE,
    Brief,
    Case,
    Changed,
    Happening,
    Level,
    NotPossible,
    assign,
    fold,
    owner_of,
    resolve,
    snooze,
    take,
    wake,
    with_raise,
)
from tower.network import Company, Network, Person, System
from tower.signs import Subject

T0 = datetime(2026, 3, 30, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
BRIEF = Brief(
    subject=Subject("po", "main", "4711"),
    home_key=1,
    rule="po.unacknowledged",
    category="ACK_OVERDUE",
    levels={
        "breach": Level("breach", "medium", "business"),
        "escalate": Level("escalate", "high", "business", also="lead", unless_taken=True),
    },
    title="PO 4711 not acknowledged",
    advice="",
    owner="anna",
    letter="D",
)


def happening(name: str, hours: float = 0, cycle: int = 1, **why: Any) -> Happening:
    at = T0 + hours * HOUR
    return Happening(name, cycle, at, at, at, why)


def after(*names: Happening, known: Case | None = None) -> list[Changed]:
    return fold(known, list(names), BRIEF)


def one(*names: Happening, known: Case | None = None) -> Case:
    [changed] = after(*names, known=known)
    return changed.case


def kinds(changed: Changed) -> list[str]:
    return [note.kind for note in changed.notes]


def moved(name: str, hours: float, to: float, cycle: int = 1) -> Happening:
    """A level whose instant became another, as a journal tells it."""
    return happening(f"moved:{name}", to, cycle, **{"from": (T0 + hours * HOUR).isoformat()})


def test_a_case_began_when_the_level_that_opened_it_was_reached_wherever_others_move() -> None:
    case = one(happening("breach"), happening("escalate", 8))
    earlier = one(moved("breach", 0, -2), moved("escalate", 8, 6), known=case)
    assert (earlier.opened_at, earlier.level) == (T0 - 2 * HOUR, "escalate")
    assert one(moved("escalate", 8, 12), known=case).opened_at == T0
    # Late in the story another cycle of its clock is reached: the trouble is as old as it was.
    revised = one(happening("breach", 20, cycle=2), known=case)
    assert one(moved("breach", 20, 30, cycle=2), known=revised).opened_at == T0


def test_only_a_telling_level_opens_a_case() -> None:
    assert after(happening("started"), happening("warn"), happening("end:met")) == []
    case = one(happening("warn"), happening("breach", 1))
    assert (case.state, case.severity, case.cycle) == ("new", "medium", 1)


def test_one_by_one_equals_all_at_once() -> None:
    story = [
        happening("breach"), happening("escalate", 8), happening("retract:escalate", 9),
        happening("end:late", 10), happening("reopened", 11), happening("end:met", 12),
        happening("breach", 60, 2), happening("end:cancelled", 61, 2),
        happening("breach", 300, 3),
    ]  # fmt: skip
    case: Case | None = None
    notes: list[Any] = []
    for entry in story:
        for changed in after(entry, known=case):
            case = changed.case
            notes.extend(changed.notes)
    together = after(*story)
    assert together[-1].case == case
    assert [note for changed in together for note in changed.notes] == notes
    assert [changed.case.cycle for changed in together] == [1, 2]


def test_a_higher_level_raises_it_and_says_so() -> None:
    [changed] = after(happening("breach"), happening("escalate", 8))
    assert (changed.case.severity, changed.case.level) == ("high", "escalate")
    assert kinds(changed) == ["opened", "severity"]


def test_nothing_escalates_after_a_month() -> None:
    case = one(happening("breach"), happening("escalate", 24 * 31))
    assert case.severity == "medium"


def test_what_ends_while_the_breach_stands_may_be_undone() -> None:
    case = one(happening("breach"), happening("end:late", 1, by="po.acknowledged"))
    assert (case.state, case.resolution) == ("resolved", "healed")
    assert case.why["healed"] == "it came, late (po.acknowledged)"
    again = one(happening("reopened", 2), known=case)
    assert (again.state, again.reopened) == ("new", 1)


def test_within_72_hours_it_reopens_later_it_is_another_case() -> None:
    healed = one(happening("breach"), happening("end:late", 1))
    again = one(happening("breach", 73, 2), known=healed)
    assert (again.cycle, again.reopened) == (1, 1)
    other = one(happening("breach", 73.1, 2), known=healed)
    assert (other.cycle, other.reopened, other.id) == (2, 0, None)


def test_entries_of_another_cycle_do_not_close_it() -> None:
    case = one(happening("breach", 0, 2))
    assert after(happening("end:met", 1, 1), known=case) == []
    assert one(happening("end:met", 1, ANY_CYCLE), known=case).resolution == "healed"


def test_what_a_person_decided_stands_for_that_cycle() -> None:
    case = one(happening("breach"))
    closed = resolve(case, "anna", T0 + HOUR, "accepted", "not worth it").case
    [changed] = after(happening("escalate", 8), known=closed)
    assert (changed.case.state, changed.tell, changed.notes) == ("resolved", False, ())
    assert after(happening("end:late", 9), known=changed.case) == []
    assert one(happening("breach", 20, 2), known=closed).state == "new"


def test_a_moved_due_moves_the_case() -> None:
    case = one(happening("breach"), moved("breach", 0, 5))
    assert case.opened_at == T0 + 5 * HOUR


def test_the_raise_goes_both_ways_and_never_beyond_critical() -> None:
    case = one(happening("breach"))
    raised = with_raise(case, 1, T0, "a customer waits")
    assert raised is not None
    assert (raised.case.severity, raised.case.base_severity) == ("high", "medium")
    assert raised.tell
    assert with_raise(raised.case, 1, T0, "") is None
    lowered = with_raise(raised.case, 0, T0, "no longer")
    assert lowered is not None
    assert (lowered.case.severity, lowered.tell) == ("medium", False)
    top = with_raise(case, 9, T0, "")
    assert top is not None
    assert top.case.severity == "critical"


def test_taking_lasts_four_hours() -> None:
    case = take(one(happening("breach")), "anna", T0).case
    assert (case.state, case.taken_until) == ("taken", T0 + 4 * HOUR)
    assert after(happening("escalate", 8), known=case) == []
    assert wake(case, T0 + 3 * HOUR, still_true=True) is None
    back = wake(case, T0 + 4 * HOUR, still_true=True)
    assert back is not None
    assert (back.case.state, back.tell) == ("new", True)
    assert back.case.first_taken_at == T0


def test_a_snooze_needs_an_end_to_come() -> None:
    case = one(happening("breach"))
    with pytest.raises(NotPossible, match="past"):
        snooze(case, "anna", T0, T0)
    quiet = snooze(case, "anna", T0, T0 + HOUR).case
    woken = wake(quiet, T0 + HOUR, still_true=True)
    assert woken is not None
    assert woken.case.state == "new"


def test_wishes_that_do_not_fit_say_why() -> None:
    case = one(happening("breach"))
    closed = resolve(case, "anna", T0, "repaired", "").case
    for wish in (
        lambda: take(closed, "anna", T0),
        lambda: snooze(closed, "anna", T0, T0 + HOUR),
        lambda: assign(closed, "anna", T0, "ben"),
        lambda: resolve(closed, "anna", T0, "repaired", ""),
        lambda: resolve(case, "anna", T0, "healed", ""),
        lambda: resolve(case, "anna", T0, "repaired", "", "weather"),
        lambda: assign(case, "anna", T0, "anna"),
    ):
        with pytest.raises(NotPossible):
            wish()


def test_repaired_by_hand_comes_back_only_if_still_true() -> None:
    closed = resolve(one(happening("breach")), "anna", T0, "repaired", "").case
    assert wake(closed, T0 + 20 * HOUR, still_true=False) is None
    back = wake(closed, T0 + 20 * HOUR, still_true=True)
    assert back is not None
    assert (back.case.state, back.case.reopened) == ("new", 1)
    left = resolve(one(happening("breach")), "anna", T0, "accepted", "").case
    assert wake(left, T0 + 20 * HOUR, still_true=True) is None


@pytest.mark.parametrize(
    ("letter", "buyer", "owner"),
    [
        ("B", "ben", "ben"),  # the order's buyer, whom the network knows
        ("B", "zoe", "desk"),  # a buyer it does not know
        ("D", "ben", "desk"),
        ("S", None, "desk"),  # for the supplier its desk answers
        ("W", None, "it"),  # nobody named: the fallback
    ],
)
def test_every_case_has_an_owner(letter: str, buyer: str | None, owner: str) -> None:
    network = Network(
        company=Company(name="N"),
        systems={"erp": System(name="ERP", kind="erp")},
        sources={},
        people={
            name: Person(name=name, mail=f"{name}@example.org") for name in ("ben", "desk", "it")
        },
        owners={"D": "desk", "B": "desk"},
    )
    assert owner_of(letter, network, buyer, "it") == owner
