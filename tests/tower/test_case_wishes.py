"""What else people do to a case: wait, give back, judge its alert, merge; and what comes then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tower import case_wishes, cases
from tower.cases import Brief, Case, Happening, Level, NotPossible, fold
from tower.signs import Subject

NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BRIEF = Brief(
    subject=Subject("po", "main", "4711"),
    home_key=1,
    rule="po.unacknowledged",
    category="ACK_OVERDUE",
    levels={
        "breach": Level("breach", "medium", "business"),
        "escalate": Level("escalate", "high", "business"),
    },
    title="PO 4711 not acknowledged",
    advice="",
    owner="anna",
    letter="D",
)


def opened() -> Case:
    [changed] = fold(None, [Happening("breach", 1, NOW, NOW)], BRIEF)
    return replace(changed.case, id=7)


def test_waiting_ends_and_is_raised_again() -> None:
    waiting = case_wishes.wait(opened(), "ben", NOW, "the carrier", NOW + HOUR).case
    assert (waiting.state, waiting.why["waits_on"]) == ("waiting", "the carrier")
    assert waiting.first_taken_at == NOW
    assert cases.wake(waiting, NOW, True) is None
    woken = cases.wake(waiting, NOW + HOUR, True)
    assert woken is not None
    assert (woken.case.state, woken.tell, woken.notes[0].kind) == ("new", True, "woken")
    with pytest.raises(NotPossible, match="on whom"):
        case_wishes.wait(opened(), "ben", NOW, " ", NOW + HOUR)
    with pytest.raises(NotPossible, match="past"):
        case_wishes.wait(opened(), "ben", NOW, "them", NOW)


def test_what_is_held_can_be_given_back() -> None:
    taken = cases.take(opened(), "ben", NOW).case
    freed = case_wishes.release(taken, "ben", NOW)
    assert (freed.case.state, freed.case.taken_until, freed.tell) == ("new", None, True)
    with pytest.raises(NotPossible, match="Nobody holds"):
        case_wishes.release(freed.case, "ben", NOW)


def test_a_judgement_has_a_reason_and_the_last_word_counts() -> None:
    useful = case_wishes.judge(opened(), "ben", NOW, "useful", "acted on it").case
    assert (useful.verdict, useful.judged_at, useful.state) == ("useful", NOW, "new")
    false = case_wishes.judge(useful, "ben", NOW + HOUR, "false_alarm", "it had come by phone")
    assert (false.case.verdict, false.case.judged_at) == ("false_alarm", NOW + HOUR)
    assert (false.case.resolution, false.tell) == ("false_alarm", True)
    assert [note.kind for note in false.notes] == ["judged", "resolved"]
    after = case_wishes.judge(false.case, "ann", NOW + 2 * HOUR, "useful", "no, it was true")
    assert (after.case.verdict, after.case.resolution) == ("useful", "false_alarm")
    with pytest.raises(NotPossible, match="in a few words why"):
        case_wishes.judge(opened(), "ben", NOW, "useful", "")
    with pytest.raises(NotPossible, match="no verdict"):
        case_wishes.judge(opened(), "ben", NOW, "nonsense", "why")


def test_resolving_as_a_false_alarm_is_a_judgement() -> None:
    closed = cases.resolve(opened(), "ben", NOW, "false_alarm", "agreed").case
    assert (closed.verdict, closed.judged_at) == ("false_alarm", NOW)


def test_a_merged_case_is_decided_for_its_cycle() -> None:
    into = replace(opened(), id=9)
    merged = case_wishes.merge(opened(), "ben", NOW, into).case
    assert (merged.state, merged.resolution, merged.parent_id) == ("resolved", "merged", 9)
    [still] = fold(merged, [Happening("escalate", 1, NOW + HOUR, NOW + HOUR)], BRIEF)
    assert (still.case.state, still.tell) == ("resolved", False)
    with pytest.raises(NotPossible, match="itself"):
        case_wishes.merge(into, "ben", NOW, into)
    with pytest.raises(NotPossible, match="resolved"):
        case_wishes.merge(opened(), "ben", NOW, cases.resolve(into, "b", NOW, "accepted", "").case)


def test_a_merged_case_comes_back_by_itself() -> None:
    merged = case_wishes.merge(opened(), "ben", NOW, replace(opened(), id=9)).case
    assert cases.wake(merged, NOW + HOUR, still_true=False) is None
    woken = cases.wake(merged, NOW + HOUR, still_true=True)
    assert woken is not None
    assert (woken.case.state, woken.case.parent_id, woken.case.reopened) == ("new", None, 1)
    [note] = woken.notes
    assert note.text == "still true; case 9, into which it was merged, is resolved"
    # A new failure is its own, too: nobody speaks for it any more.
    [again] = fold(merged, [Happening("breach", 2, NOW + HOUR, NOW + HOUR)], BRIEF)
    assert (again.case.state, again.case.parent_id, again.tell) == ("new", None, True)


def test_what_settled_a_merged_case_may_be_undone() -> None:
    merged = case_wishes.merge(opened(), "ben", NOW, replace(opened(), id=9)).case
    [undone] = fold(merged, [Happening("reopened", 1, NOW + HOUR, NOW + HOUR)], BRIEF)
    assert (undone.case, undone.notes, undone.tell) == (merged, (), True)


def test_a_raise_after_a_month_is_no_news() -> None:
    case = opened()
    soon = cases.with_raise(case, 1, NOW + HOUR, "a customer waits")
    late = cases.with_raise(case, 1, NOW + timedelta(days=31), "a customer waits")
    assert soon is not None
    assert late is not None
    assert (soon.tell, late.tell, late.case.severity) == (True, False, "high")
