"""Chains of reminders and steps: what rings when, what stops them, what starts them over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tower.calendars import Calendar, CalendarSpec
from tower.cases import Case
from tower.durations import Span
from tower.escalating import Chain, after_change, next_due, ring
from tower.rule_terms import EscalationStep, NotifyPolicy
from tower.signs import Subject

HQ = Calendar(
    "hq",
    CalendarSpec.model_validate(
        {"zone": "Europe/Berlin", "open": {"mon-fri": ["08:00-12:00", "13:00-17:00"]}}
    ),
)
START = datetime(2026, 3, 30, 9, 0, tzinfo=UTC)  # 11:00 in Berlin
CASE = Case(
    id=7, fingerprint="x", cycle=1, subject=Subject("po", "main", "4711"), home_key=1,
    category="ACK_OVERDUE", rule="po.unacknowledged", level="breach", levels=("breach",),
    base_severity="medium", severity="medium", state="new", resolution=None, clock_cycle=1,
    partner_id=None, supplier="ACME", title="", advice="", owner="anna", letter="D",
    policy="business", cause="unknown", opened_at=START, detected_at=START, due_at=None,
    resolved_at=None,
)  # fmt: skip


def policy(repeat: str | None = "2bh", **steps: str) -> NotifyPolicy:
    return NotifyPolicy(
        fallback="desk",
        group_by=("rule",),
        wait=Span.parse("5m"),
        every=Span.parse("30m"),
        repeat=Span.parse(repeat) if repeat else None,
        escalate=tuple(
            EscalationStep(after=Span.parse(after), to=to) for to, after in steps.items()
        ),
    )


def begun(case: Case = CASE, known: Chain | None = None, **steps: str) -> Chain:
    chain = after_change(case, ["opened"], policy(**steps), START, known)
    assert chain is not None
    return chain


def at(hour: float) -> datetime:
    """An hour of that day in Berlin, where it is summer."""
    return START.replace(hour=0) + timedelta(hours=hour - 2)


def test_reminders_and_steps_count_open_hours() -> None:
    chain = begun(lead="3bh", head="9bh")
    assert next_due(chain, HQ) == at(14)  # 11-12 and 13-14
    rung = ring(chain, CASE, at(14), HQ)
    assert (rung.remind, rung.tell) == (True, ())
    assert next_due(rung.chain, HQ) == at(15)  # the step comes before the next reminder
    rung = ring(rung.chain, CASE, at(15), HQ)
    assert (rung.remind, rung.tell) == (False, ("lead",))
    assert next_due(rung.chain, HQ) == at(16)


def test_after_an_outage_all_steps_are_taken_but_one_reminder_is_enough() -> None:
    rung = ring(begun(lead="3bh", head="9bh"), CASE, at(24 + 16), HQ)
    assert rung.tell == ("lead", "head")
    assert rung.remind
    assert next_due(rung.chain, HQ) == at(48 + 9)
    assert not ring(rung.chain, CASE, at(24 + 16), HQ).remind


@pytest.mark.parametrize("state", ["taken", "waiting", "snoozed", "resolved"])
def test_whoever_looks_after_a_case_stops_its_chain(state: str) -> None:
    """Fails when `ring` no longer asks for the state of the case."""
    rung = ring(begun(lead="3bh"), replace(CASE, state=state), at(16), HQ)
    assert (rung.tell, rung.remind) == ((), False)
    assert next_due(rung.chain, HQ) is None


def test_nothing_older_than_thirty_days_escalates() -> None:
    """Fails when `ring` no longer compares the age of the case."""
    later = START + timedelta(days=30)
    assert ring(begun(lead="3bh"), CASE, later, HQ).tell == ("lead",)
    rung = ring(begun(lead="3bh"), CASE, later + timedelta(seconds=1), HQ)
    assert (rung.tell, rung.remind, rung.chain.stopped) == ((), False, True)


def test_the_end_of_a_promise_starts_the_rest_over_under_a_new_generation() -> None:
    chain = begun(lead="3bh", head="9bh")
    after_lead = ring(chain, CASE, at(15), HQ).chain
    stopped = ring(after_lead, replace(CASE, state="taken"), at(16), HQ).chain
    again = after_change(CASE, ["expired"], policy(), at(17), stopped)
    assert again is not None
    assert again.generation == chain.generation + 1
    assert again.steps == chain.steps, "the copied chain, not the policy of today"
    assert next_due(again, HQ) == at(24 + 10)
    assert ring(again, CASE, at(48 + 9), HQ).tell == ("head",), "the lead was told before"


def test_a_case_that_grows_worse_keeps_its_chain_and_one_that_reopens_has_a_new_one() -> None:
    chain = ring(begun(lead="3bh"), CASE, at(15), HQ).chain
    assert after_change(CASE, ["severity"], policy(lead="3bh"), at(16), chain) is None
    new = after_change(CASE, ["reopened"], policy(lead="1bh"), at(16), chain)
    assert new is not None
    assert (new.next_step, next_due(new, HQ)) == (0, at(17))


def test_a_policy_without_words_waits_for_nothing_and_stops_what_another_one_began() -> None:
    assert after_change(CASE, ["opened"], policy(None), START, None) is None
    other = replace(CASE, policy="technical")
    stopped = after_change(other, ["severity"], policy(None), START, begun(lead="3bh"))
    assert stopped is not None
    assert stopped.stopped
