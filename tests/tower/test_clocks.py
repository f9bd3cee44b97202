"""The fold: verdicts and facts at exact instants, whatever order the signs come in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest

from tower.calendars import Calendar, CalendarSpec
from tower.clocks import fold
from tower.cycles import Cycle, Folded, Verdict
from tower.rulebook import RuleBook, load_rulebook
from tower.signs import Evidence, RuleInForce, Setting, Sign, Spell, rules_in_force
from tower.zones import zone

SHIPPED = Path(__file__).resolve().parents[2] / "sla_rules.yaml"
HQ = Calendar(
    "hq",
    CalendarSpec(
        zone="Europe/Berlin",
        open={"mon-fri": ["08:00-12:00", "13:00-17:00"]},
        days={"2026-04-03": [], "2026-04-06": []},
    ),
)
BERLIN = zone("Europe/Berlin")
TIER_A = {"supplier.tier": "A", "supplier.acknowledges": True, "partner.stage": "live"}
NAMES = UUID("11111111-2222-3333-4444-555555555555")


def at(text: str) -> datetime:
    """A Berlin time of 2026."""
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=BERLIN).astimezone(UTC)


def sign(type_: str, occurred: str, arrived: str | None = None, **facts: Any) -> Sign:
    name = f"{type_} {occurred} {sorted(facts)}"
    return Sign(type_, at(occurred), at(arrived or occurred), uuid5(NAMES, name), facts)


@pytest.fixture(scope="module")
def book() -> RuleBook:
    return load_rulebook(SHIPPED.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rules(book: RuleBook) -> dict[str, RuleInForce]:
    return {rule.id: rule for rule in rules_in_force(book)}


@pytest.fixture
def ack(rules: dict[str, RuleInForce]) -> RuleInForce:
    return rules["po.unacknowledged"]


def judge(
    rule: RuleInForce,
    signs: Sequence[Sign],
    now: str,
    profile: dict[str, Any] = TIER_A,
    spells: Sequence[Spell] = (),
    evidence: tuple[Evidence, ...] = (),
    calendar: Calendar = HQ,
) -> Folded:
    setting = Setting(rule, calendar, profile, evidence, silent_after=timedelta(hours=4))
    return fold(rule, signs, spells, lambda _number, _start: setting, at(now))


def only(folded: Folded) -> Cycle:
    [cycle] = folded.cycles
    return cycle


def names(cycle: Cycle) -> list[str]:
    return [fact.name for fact in cycle.facts]


def custom(text: str) -> RuleInForce:
    """A rule from its YAML lines, in a book of its own."""
    head = (
        "version: 1\nnotify: {n: {fallback: x, group_by: [rule], wait: 1m, every: 1m, "
        'digest: "08:00"}}\nrules:\n'
    )
    return rules_in_force(load_rulebook(head + text))[0]


def budget(within: str, clock: str = "", rest: str = "") -> RuleInForce:
    return custom(
        "- id: po.late\n  kind: deadline\n  category: ACK_OVERDUE\n  about: po\n"
        f"  clock: {{start: po.released, stop: po.acknowledged{clock}}}\n"
        f"  due: {{otherwise: {within}}}\n{rest}"
        "  levels: {warn: {at: 75%, severity: low}, breach: {severity: medium, notify: n}}\n"
    )


# --- the life of a clock ------------------------------------------------------------------------

RELEASED = sign("po.released", "03-27 14:00")  # Friday; 4 bh end on Monday at 09:00


def test_a_clock_runs_warns_settles_and_breaches_at_exact_instants(ack: RuleInForce) -> None:
    expected = [
        ("03-27 14:00", Verdict.PENDING, "03-27 17:00"),
        ("03-27 16:59:59", Verdict.PENDING, "03-27 17:00"),
        ("03-27 17:00", Verdict.AT_RISK, "03-30 09:10"),
        ("03-30 09:09:59", Verdict.AT_RISK, "03-30 09:10"),
        ("03-30 09:10", Verdict.BREACHED, "03-31 09:10"),
        ("03-31 09:10", Verdict.BREACHED, None),
    ]
    for now, verdict, following in expected:
        cycle = only(judge(ack, [RELEASED], now))
        assert (cycle.verdict, cycle.next) == (verdict, at(following) if following else None), now
        assert cycle.due == at("03-30 09:00")
        assert cycle.open
    assert names(cycle) == ["started", "warn", "breach", "escalate"]
    assert cycle.breached_at == at("03-30 09:00")


def test_an_answer_at_the_due_instant_is_in_time_and_a_microsecond_later_is_late(
    ack: RuleInForce,
) -> None:
    on_time = only(judge(ack, [RELEASED, sign("po.acknowledged", "03-30 09:00")], "04-01 12:00"))
    late = only(judge(ack, [RELEASED, sign("po.rejected", "03-30 09:00:00.000001")], "04-01 12:00"))
    assert on_time.verdict is Verdict.MET
    assert names(on_time) == ["started", "warn", "end:met"]
    assert late.verdict is Verdict.MET_LATE
    assert names(late) == ["started", "warn", "breach", "end:late"]
    assert late.next is None
    assert not late.open


def test_an_answer_told_late_but_given_in_time_withdraws_the_breach(ack: RuleInForce) -> None:
    answer = sign("po.acknowledged", "03-30 08:30", "03-31 09:00")
    assert only(judge(ack, [RELEASED], "03-30 10:00")).verdict is Verdict.BREACHED
    after = only(judge(ack, [RELEASED, answer], "03-31 09:00"))
    assert after.verdict is Verdict.MET
    assert after.breached_at is None


def test_shipping_is_an_answer_where_the_rule_says_so(ack: RuleInForce) -> None:
    cycle = only(judge(ack, [RELEASED, sign("asn.received", "03-27 15:00")], "04-01 12:00"))
    assert (cycle.verdict, cycle.ended) == (Verdict.MET, at("03-27 15:00"))


@pytest.mark.parametrize("shuffle", range(8))
def test_the_order_of_arrival_and_doubles_change_nothing(ack: RuleInForce, shuffle: int) -> None:
    signs = [
        RELEASED,
        sign("po.held", "03-27 15:00"),
        sign("po.unheld", "03-27 16:00"),
        sign("po.revised", "03-30 09:30", type="rush"),
        sign("po.acknowledged", "03-30 11:00"),
        sign("po.acknowledged", "03-31 11:00"),
        sign("po.cancelled", "04-01 11:00"),
    ]
    plain = judge(ack, signs, "04-07 12:00")
    mixed = signs * 2
    random.Random(shuffle).shuffle(mixed)
    assert judge(ack, mixed, "04-07 12:00") == plain
    assert [c.verdict for c in plain.cycles] == [Verdict.NOT_MEASURED, Verdict.MET]


def test_cancelling_ends_a_clock_and_does_not_wash_a_breach(ack: RuleInForce) -> None:
    before = only(judge(ack, [RELEASED, sign("po.cancelled", "03-30 09:00")], "04-01 12:00"))
    after = only(judge(ack, [RELEASED, sign("po.closed", "03-30 09:01")], "04-01 12:00"))
    assert before.verdict is Verdict.NOT_MEASURED
    assert before.reason == "cancelled before it was due"
    assert names(before) == ["started", "warn", "end:cancelled"]
    assert after.verdict is Verdict.BREACHED
    assert not after.open
    assert names(after) == ["started", "warn", "breach", "end:cancelled"]


def test_a_revision_restarts_the_clock_with_its_full_budget(ack: RuleInForce) -> None:
    signs = [RELEASED, sign("po.revised", "03-30 08:30")]
    first, second = judge(ack, signs, "03-30 09:10").cycles
    assert (first.verdict, first.open) == (Verdict.NOT_MEASURED, False)
    assert names(first)[-1] == "end:superseded"
    assert (second.number, second.due) == (2, at("03-30 13:30"))


def test_a_revision_after_the_answer_restarts_nothing(ack: RuleInForce) -> None:
    signs = [RELEASED, sign("po.acknowledged", "03-27 15:00"), sign("po.revised", "03-30 08:30")]
    assert only(judge(ack, signs, "04-07 12:00")).verdict is Verdict.MET


def test_a_new_start_after_the_end_is_a_new_cycle_and_one_before_is_not(ack: RuleInForce) -> None:
    again = sign("po.released", "03-27 14:30")
    answered = sign("po.acknowledged", "03-27 15:00")
    later = sign("po.released", "03-30 10:00")
    cycles = judge(ack, [RELEASED, again, answered, later], "03-30 10:00").cycles
    assert [(c.number, c.started, c.verdict) for c in cycles] == [
        (1, at("03-27 14:00"), Verdict.MET),
        (2, at("03-30 10:00"), Verdict.PENDING),
    ]


def test_an_answer_dated_before_the_release_counts_as_given_at_once(ack: RuleInForce) -> None:
    cycle = only(judge(ack, [sign("po.acknowledged", "03-27 13:00"), RELEASED], "04-01 12:00"))
    assert (cycle.verdict, cycle.ended) == (Verdict.MET, RELEASED.occurred_at)
    end = cycle.fact("end:met")
    assert end is not None
    assert end.why["before_start"] == at("03-27 13:00").isoformat()


def test_a_partners_clock_in_the_future_keeps_its_time(ack: RuleInForce) -> None:
    skewed = sign("po.acknowledged", "03-30 11:00", "03-30 08:30")
    cycle = only(judge(ack, [RELEASED, skewed], "03-30 08:30"))
    assert (cycle.verdict, cycle.ended) == (Verdict.MET_LATE, at("03-30 11:00"))


def test_time_received_counts_when_it_reached_us() -> None:
    answer = sign("po.acknowledged", "03-27 15:00", "03-30 10:00")
    by_source = only(judge(budget("4bh"), [RELEASED, answer], "04-01 12:00"))
    by_us = only(judge(budget("4bh", ", time: received"), [RELEASED, answer], "04-01 12:00"))
    assert (by_source.verdict, by_us.verdict) == (Verdict.MET, Verdict.MET_LATE)


# --- due ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "facts", "due"),
    [
        ({"supplier.tier": "A"}, {}, "03-30 09:00"),
        ({"supplier.tier": "B"}, {}, "03-30 17:00"),
        ({"supplier.tier": "C"}, {}, "03-31 17:00"),
        ({}, {}, "03-31 17:00"),
        ({"supplier.tier": "C"}, {"type": "rush"}, "03-27 16:00"),
        ({"supplier.tier": "A"}, {"acknowledge_by": "2026-03-31"}, "04-01 00:00"),
        (
            {"supplier.tier": "A"},
            {"acknowledge_by": "2026-03-31T10:00:00+00:00"},
            "03-31 12:00",
        ),
        ({"supplier.tier": "A"}, {"acknowledge_by": "2026-03-31T10:00:00"}, "03-31 10:00"),
        ({"supplier.tier": "A"}, {"acknowledge_by": "2026-03-26"}, "03-30 09:00"),
        ({"supplier.tier": "A"}, {"acknowledge_by": "soon"}, "03-30 09:00"),
    ],
)
def test_the_first_of_date_row_and_rest_that_answers_is_due(
    ack: RuleInForce, profile: dict[str, Any], facts: dict[str, Any], due: str
) -> None:
    released = sign("po.released", "03-27 14:00", **facts)
    live = {"supplier.acknowledges": True, "partner.stage": "live"} | profile
    assert only(judge(ack, [released], "03-27 14:00", live)).due == at(due)


def test_a_start_past_the_cut_off_counts_from_the_next_business_day(ack: RuleInForce) -> None:
    def due(start: str) -> datetime | None:
        return only(judge(ack, [sign("po.released", start)], "04-01 19:00")).due

    assert due("04-01 15:00:00") == at("04-02 10:00")
    assert due("04-01 15:00:01") == at("04-02 12:00")


def test_clock_hours_run_through_the_night_and_the_clock_change() -> None:
    cycle = only(judge(budget("24h"), [sign("po.released", "03-28 14:00")], "03-28 14:00"))
    assert cycle.due == at("03-29 15:00")


def test_a_pause_stretches_the_budget_and_its_warning(ack: RuleInForce) -> None:
    signs = [
        sign("po.released", "03-30 09:00", type="standard"),
        sign("po.held", "03-30 11:00"),
        sign("po.unheld", "03-31 10:00"),
    ]
    rule = budget("8bh", ", pause: {from: po.held, to: po.unheld}")
    cycle = only(judge(rule, signs, "03-31 11:00"))
    assert cycle.due == at("03-31 17:00")
    assert cycle.next == at("03-31 15:00")  # 6 of 8 hours
    assert not cycle.paused
    held = only(judge(rule, signs[:2], "04-07 12:00"))
    assert (held.paused, held.due, held.next, held.verdict) == (True, None, None, Verdict.PENDING)


def test_a_pause_that_begins_before_the_start_still_holds(ack: RuleInForce) -> None:
    signs = [sign("po.held", "03-27 13:00"), RELEASED, sign("po.unheld", "03-30 10:00")]
    cycle = only(judge(ack, signs, "03-30 12:00"))
    assert cycle.due == at("03-30 15:00")


def test_to_go_on_without_having_rested_changes_nothing(ack: RuleInForce) -> None:
    signs = [RELEASED, sign("po.unheld", "03-27 14:00"), sign("po.unheld", "03-30 10:00")]
    plain, went_on = (
        only(judge(ack, [RELEASED], "03-30 12:00")),
        only(judge(ack, signs, "03-30 12:00")),
    )
    assert (went_on.due, went_on.receipt) == (plain.due, plain.receipt)


def test_a_pause_of_business_days_counts_as_open_time() -> None:
    rule = budget("1bd", ", pause: {from: po.held, to: po.unheld}")
    signs = [
        sign("po.released", "03-30 10:00"),
        sign("po.held", "03-30 15:00"),
        sign("po.unheld", "03-31 15:00"),
    ]
    plain, stretched = (only(judge(rule, s, "04-01 08:00")).due for s in (signs[:1], signs))
    assert (plain, stretched) == (at("03-31 17:00"), at("04-01 17:00"))


def test_a_pause_never_moves_a_stated_date(ack: RuleInForce) -> None:
    signs = [
        sign("po.released", "03-27 14:00", acknowledge_by="2026-03-31"),
        sign("po.held", "03-30 09:00"),
    ]
    cycle = only(judge(ack, signs, "04-01 00:10"))
    assert (cycle.due, cycle.verdict) == (at("04-01 00:00"), Verdict.BREACHED)


def test_a_date_stated_while_running_moves_due_and_one_stated_after_it_does_not(
    ack: RuleInForce,
) -> None:
    moved = sign("po.revised", "03-30 08:00", acknowledge_by="2026-03-31")
    rule = custom(
        "- id: po.late\n  kind: deadline\n  category: ACK_OVERDUE\n  about: po\n"
        "  clock: {start: po.released, stop: po.acknowledged}\n"
        "  due: {from_document: po.acknowledge_by, otherwise: 4bh}\n"
        "  levels: {breach: {severity: low}}\n"
    )
    assert only(judge(rule, [RELEASED, moved], "03-30 12:00")).due == at("04-01 00:00")
    late = sign("po.revised", "03-30 09:00:01", acknowledge_by="2026-03-31")
    assert only(judge(rule, [RELEASED, late], "03-30 12:00")).due == at("03-30 09:00")


@pytest.mark.parametrize(
    ("stated", "told", "verdict"),
    [
        ("2026-03-31", "03-31 23:59:59", Verdict.MET),
        ("2026-03-31", "04-01 00:00", Verdict.MET_LATE),  # all that is told is the day: 1 April
        ("2026-03-31T17:00:00", "03-31 17:00", Verdict.MET),
        ("2026-03-31T17:00:00", "03-31 17:00:01", Verdict.MET_LATE),
    ],
)
def test_a_stated_day_ends_before_its_midnight_and_a_stated_time_includes_itself(
    ack: RuleInForce, stated: str, told: str, verdict: Verdict
) -> None:
    signs = [
        sign("po.released", "03-27 14:00", acknowledge_by=stated),
        sign("po.acknowledged", told),
    ]
    assert only(judge(ack, signs, "04-03 10:00")).verdict is verdict


def test_beyond_the_years_of_the_calendar_nothing_is_measured(ack: RuleInForce) -> None:
    old = Sign("po.released", datetime(1999, 5, 1, 9, tzinfo=UTC), at("03-27 14:00"), NAMES)
    cycle = only(judge(ack, [old], "03-27 14:00"))
    assert cycle.verdict is Verdict.NOT_MEASURED
    assert "answers for 2000 to 2035" in cycle.reason


# --- not measured -------------------------------------------------------------------------------


def test_whoever_is_exempt_is_not_measured_for_a_reason(ack: RuleInForce) -> None:
    onboarding = only(judge(ack, [RELEASED], "04-07 12:00", TIER_A | {"partner.stage": "paused"}))
    own = only(judge(ack, [RELEASED], "04-07 12:00", TIER_A | {"supplier.group": "own"}))
    assert (onboarding.verdict, own.verdict) == (Verdict.NOT_MEASURED, Verdict.NOT_MEASURED)
    assert onboarding.reason == "the partner is not live"
    assert own.reason == "supplier group is own: not measured"
    assert names(own) == ["excluded"]
    assert own.next is None


def test_a_rule_that_does_not_apply_has_no_clock(ack: RuleInForce) -> None:
    profile = TIER_A | {"supplier.acknowledges": False}
    assert judge(ack, [RELEASED], "04-07 12:00", profile).cycles == ()


# --- anchors ------------------------------------------------------------------------------------

ASN = {"supplier.sends_asn": True, "partner.stage": "live"}


def test_a_shipment_notice_is_due_before_the_date_last_confirmed(
    rules: dict[str, RuleInForce],
) -> None:
    rule = rules["asn.missing"]
    signs = [
        sign("po.released", "03-20 09:00", requested_date="2026-04-01"),
        sign("po.acknowledged", "03-23 09:00", confirmed_date="2026-04-09"),
    ]
    requested = only(judge(rule, signs[:1], "03-20 09:00", ASN))
    assert requested.due == at("03-30 08:00")  # 24 open hours before the midnight ending 1 April
    confirmed = only(judge(rule, signs, "03-23 09:00", ASN))
    assert confirmed.due == at("04-07 08:00")
    assert confirmed.started == at("03-20 09:00")
    late = only(judge(rule, signs, "04-07 08:10", ASN))
    assert (late.verdict, late.breached_at) == (Verdict.BREACHED, at("04-07 08:00"))
    shipped = [*signs, sign("asn.received", "04-02 10:00")]
    assert only(judge(rule, shipped, "04-09 12:00", ASN)).verdict is Verdict.MET


def test_a_date_that_leaves_no_time_is_ignored(rules: dict[str, RuleInForce]) -> None:
    rule = rules["asn.missing"]
    tight = sign("po.released", "03-31 09:00", requested_date="2026-04-01")
    cycle = only(judge(rule, [tight], "04-09 12:00", ASN))
    assert cycle.verdict is Verdict.NOT_MEASURED
    assert cycle.reason == "po_line.requested_date 2026-04-01 leaves no time"
    kept = [tight, sign("po.acknowledged", "03-31 10:00", confirmed_date="2026-04-15")]
    assert only(judge(rule, kept, "03-31 12:00", ASN)).due == at("04-13 08:00")


def test_a_miss_is_not_talked_away_by_a_later_date(rules: dict[str, RuleInForce]) -> None:
    signs = [
        sign("po.released", "03-20 09:00", requested_date="2026-04-01"),
        sign("po.acknowledged", "03-30 09:00", confirmed_date="2026-04-15"),
    ]
    cycle = only(judge(rules["asn.missing"], signs, "03-31 09:00", ASN))
    assert (cycle.verdict, cycle.due) == (Verdict.BREACHED, at("03-30 08:00"))


def test_a_refused_line_needs_no_shipment_notice(rules: dict[str, RuleInForce]) -> None:
    signs = [
        sign("po.released", "03-20 09:00", requested_date="2026-04-01"),
        sign("po.acknowledged", "03-23 09:00", answer="rejected"),
    ]
    cycle = only(judge(rules["asn.missing"], signs, "04-09 12:00", ASN))
    assert (cycle.verdict, cycle.ended) == (Verdict.NOT_MEASURED, at("03-23 09:00"))


# --- evidence -----------------------------------------------------------------------------------

PORTAL = Evidence("portal", timedelta(minutes=30), pull=True)
EDI = Evidence("edi", timedelta(hours=4), pull=False)


def test_a_breach_waits_for_the_tolerance_of_a_pull_source(ack: RuleInForce) -> None:
    before = only(judge(ack, [RELEASED], "03-30 09:29:59", evidence=(PORTAL,)))
    assert (before.verdict, before.next) == (Verdict.AT_RISK, at("03-30 09:30"))
    breached = only(judge(ack, [RELEASED], "03-30 09:30", evidence=(PORTAL,)))
    assert (breached.verdict, breached.breached_at) == (Verdict.BREACHED, at("03-30 09:00"))


def test_a_silent_source_holds_the_judgement_until_it_has_recovered_and_settled(
    ack: RuleInForce,
) -> None:
    blind = [Spell("portal", at("03-30 08:00"), at("03-30 08:30"))]
    over = [Spell("portal", at("03-30 08:00"), at("03-30 08:30"), at("03-30 14:00"))]
    for now, verdict in [
        ("03-30 08:59", Verdict.AT_RISK),
        ("03-30 09:00", Verdict.UNKNOWN),
        ("04-07 09:00", Verdict.UNKNOWN),
    ]:
        cycle = only(judge(ack, [RELEASED], now, spells=blind, evidence=(PORTAL,)))
        assert cycle.verdict is verdict, now
    assert (cycle.held_by, cycle.next) == ("portal", None)
    assert names(cycle) == ["started", "warn", "held"]
    settled = only(judge(ack, [RELEASED], "03-30 14:09", spells=over, evidence=(PORTAL,)))
    assert (settled.verdict, settled.next) == (Verdict.UNKNOWN, at("03-30 14:10"))
    judged = only(judge(ack, [RELEASED], "03-30 14:10", spells=over, evidence=(PORTAL,)))
    assert (judged.verdict, judged.held_by) == (Verdict.BREACHED, None)


def test_a_proof_that_comes_after_recovery_is_met_and_never_was_a_breach(ack: RuleInForce) -> None:
    over = [Spell("portal", at("03-30 08:00"), at("03-30 08:30"), at("03-30 14:00"))]
    answer = sign("po.acknowledged", "03-30 08:45", "03-30 14:00")
    cycle = only(judge(ack, [RELEASED, answer], "03-30 14:10", spells=over, evidence=(PORTAL,)))
    assert names(cycle) == ["started", "warn", "end:met"]


def test_a_silence_recognised_late_withdraws_what_was_judged_in_its_blind_span(
    ack: RuleInForce,
) -> None:
    spell = [Spell("edi", at("03-30 08:00"), at("03-30 12:00"))]
    before = only(judge(ack, [RELEASED], "03-30 11:59", spells=spell, evidence=(EDI,)))
    after = only(judge(ack, [RELEASED], "03-30 12:00", spells=spell, evidence=(EDI,)))
    assert (before.verdict, before.next) == (Verdict.BREACHED, at("03-30 12:00"))
    assert (after.verdict, after.held_by) == (Verdict.UNKNOWN, "edi")


@pytest.mark.parametrize(
    ("spell", "verdict"),
    [
        (Spell("edi", at("03-30 09:00"), at("03-30 09:05")), Verdict.BREACHED),
        (Spell("edi", at("03-30 08:59"), at("03-30 09:05")), Verdict.UNKNOWN),
        (Spell("wms", at("03-30 08:00"), at("03-30 08:05")), Verdict.BREACHED),
        (Spell("edi", at("03-27 15:00"), at("03-27 16:00"), at("03-27 17:00")), Verdict.BREACHED),
    ],
    ids=["complete to due", "a minute short", "another source", "over long ago"],
)
def test_only_a_source_of_the_evidence_incomplete_before_due_holds(
    ack: RuleInForce, spell: Spell, verdict: Verdict
) -> None:
    cycle = only(judge(ack, [RELEASED], "03-30 12:00", spells=[spell], evidence=(EDI,)))
    assert cycle.verdict is verdict


def test_the_earliest_blind_source_is_named_first(ack: RuleInForce) -> None:
    spells = [
        Spell("edi", at("03-30 08:00"), at("03-30 08:30")),
        Spell("portal", at("03-30 07:00"), at("03-30 07:30")),
    ]
    cycle = only(judge(ack, [RELEASED], "03-30 12:00", spells=spells, evidence=(EDI, PORTAL)))
    assert cycle.held_by == "portal"


def test_a_warning_needs_no_evidence(ack: RuleInForce) -> None:
    blind = [Spell("portal", at("03-27 15:00"), at("03-27 15:30"))]
    cycle = only(judge(ack, [RELEASED], "03-27 17:00", spells=blind, evidence=(PORTAL,)))
    assert cycle.verdict is Verdict.AT_RISK


def test_a_known_end_needs_no_evidence(ack: RuleInForce) -> None:
    blind = [Spell("portal", at("03-30 08:00"), at("03-30 08:30"))]
    late = sign("po.acknowledged", "03-30 10:00")
    cycle = only(judge(ack, [RELEASED, late], "03-30 10:00", spells=blind, evidence=(PORTAL,)))
    assert cycle.verdict is Verdict.MET_LATE


# --- events and sources -------------------------------------------------------------------------


def test_a_failed_shipment_notice_is_bad_at_once_and_ages_until_it_is_cleared(
    rules: dict[str, RuleInForce],
) -> None:
    rule, live = rules["asn.failed"], {"partner.stage": "live"}
    failed = sign("asn.rejected", "03-27 16:00")
    again = sign("asn.rejected", "03-27 16:30")
    new = only(judge(rule, [failed, again], "03-27 16:30", live))
    assert (new.verdict, new.next) == (Verdict.BREACHED, at("03-30 11:00"))
    assert names(new) == ["started", "new"]
    aged = only(judge(rule, [failed, again], "03-30 11:00", live))
    assert names(aged) == ["started", "new", "aging"]
    cleared = only(judge(rule, [failed, sign("asn.accepted", "03-30 10:00")], "03-31 12:00", live))
    assert names(cleared) == ["started", "new", "end:late"]
    assert cleared.verdict is Verdict.MET_LATE


def test_what_was_good_before_it_went_wrong_clears_nothing(rules: dict[str, RuleInForce]) -> None:
    signs = [sign("asn.accepted", "03-27 15:00"), sign("asn.rejected", "03-27 16:00")]
    assert only(judge(rules["asn.failed"], signs, "03-27 16:00", {})).open


def test_a_source_is_a_case_once_its_silence_outlives_what_the_network_allows(
    rules: dict[str, RuleInForce],
) -> None:
    rule = rules["source.silent"]
    blind = Spell("edi", at("03-30 08:00"), at("03-30 08:30"))
    none = judge(rule, [], "03-30 11:59", spells=[blind])
    assert (none.cycles, none.next) == ((), at("03-30 12:00"))
    silent = only(judge(rule, [], "03-30 12:00", spells=[blind]))
    assert (silent.verdict, silent.breached_at) == (Verdict.BREACHED, at("03-30 12:00"))
    over = Spell("edi", at("03-30 08:00"), at("03-30 08:30"), at("03-30 15:00"))
    recovered = only(judge(rule, [], "03-30 15:00", spells=[over]))
    assert names(recovered) == ["started", "breach", "end:late"]
    short = Spell("edi", at("03-30 08:00"), at("03-30 08:30"), at("03-30 11:00"))
    assert judge(rule, [], "03-31 15:00", spells=[short]).cycles == ()


def test_a_cycle_written_as_json_is_read_back_equal(ack: RuleInForce) -> None:
    blind = [Spell("portal", at("03-30 08:00"), at("03-30 08:30"))]
    signs = [RELEASED, sign("po.revised", "03-30 08:30"), sign("po.held", "03-30 09:00")]
    for cycle in judge(ack, signs, "04-07 12:00", spells=blind, evidence=(PORTAL,)).cycles:
        again = Cycle.from_json(cycle.to_json())
        assert again == cycle
        assert again.receipt == cycle.receipt
