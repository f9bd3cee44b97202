"""The merged line: the same journal whatever the ticks, kills and order of arrival."""

from __future__ import annotations

import gc
import json
import random
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest

from tower.calendars import Calendar, CalendarSpec
from tower.clocks import fold
from tower.cycles import Cycle, Folded, Verdict
from tower.rulebook import load_rulebook
from tower.signs import Evidence, RuleInForce, Setting, Sign, Spell, Subject, rules_in_force
from tower.timeline import (
    ClockKey,
    Entry,
    UnitState,
    advance,
    changes,
    standing,
)
from tower.zones import zone

SHIPPED = Path(__file__).resolve().parents[2] / "sla_rules.yaml"
RULES = rules_in_force(load_rulebook(SHIPPED.read_text(encoding="utf-8")))
HQ = Calendar(
    "hq",
    CalendarSpec(zone="Europe/Berlin", open={"mon-fri": ["08:00-12:00", "13:00-17:00"]}),
)
SOURCES = (
    Evidence("portal", timedelta(minutes=30), pull=True),
    Evidence("edi", timedelta(hours=4), pull=False),
)
PROFILE = {
    "supplier.tier": "A",
    "supplier.acknowledges": True,
    "supplier.expects_fa": True,
    "supplier.sends_asn": True,
    "partner.stage": "live",
}
PO = Subject("po", "main", "4711")
LINES = (Subject("po_line", "main", "4711", "1"), Subject("po_line", "main", "4711", "2"))
BEGIN = datetime(2026, 3, 23, 6, tzinfo=UTC)
END = BEGIN + timedelta(days=16)
BERLIN = zone("Europe/Berlin")
NAMES = UUID("11111111-2222-3333-4444-555555555555")


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=BERLIN).astimezone(UTC)


@dataclass
class Court:
    rules_in_force: Sequence[RuleInForce] = RULES
    asked: list[str] = field(default_factory=list)

    def rules(self, subject: Subject) -> Sequence[RuleInForce]:
        return [rule for rule in self.rules_in_force if rule.about == subject.kind]

    def setting(self, rule: RuleInForce, subject: Subject, cycle: int, start: datetime) -> Setting:
        self.asked.append(rule.id)
        evidence = SOURCES if rule.rule.evidence else ()
        return Setting(rule, HQ, PROFILE, evidence, silent_after=timedelta(hours=3))


Line = dict[Subject, list[Sign]]


@dataclass
class Story:
    """Everything that ever happened to a unit, with the time each sign became visible."""

    signs: Line
    spells: list[Spell]
    visible: dict[UUID, datetime]


def story(seed: int, late_rows: bool = False) -> Story:
    """A random unit: header and line signs out of order, some told days late, silent sources."""
    rng = random.Random(seed)
    header = [
        "po.released", "po.transmitted", "fa.received", "po.acknowledged", "po.rejected",
        "po.revised", "po.held", "po.unheld", "po.answer_applied", "po.cancelled", "asn.received",
    ]  # fmt: skip
    chances = [0.95, 0.9, 0.7, 0.8, 0.15, 0.3, 0.35, 0.3, 0.6, 0.15, 0.5]
    signs: Line = {PO: [], **{line: [] for line in LINES}}
    visible: dict[UUID, datetime] = {}

    def instant(low: float, high: float) -> datetime:
        # Whole quarters of an hour, so that ties and exact hits of due happen often.
        return BEGIN + timedelta(minutes=15 * round(rng.uniform(low, high) * 96))

    for type_, chance in zip(header, chances, strict=True):
        while rng.random() < chance:
            chance /= 3
            occurred = instant(0, 5)
            arrived = occurred + rng.choice(
                [timedelta(0), timedelta(minutes=15), timedelta(minutes=rng.randrange(9000))]
            )
            name = UUID(int=rng.getrandbits(128), version=4)
            visible[name] = arrived
            if late_rows and rng.random() < 0.4:
                visible[name] = arrived + timedelta(minutes=rng.randrange(3000))
            facts: dict[str, Any] = {}
            if type_ in ("po.released", "po.revised") and rng.random() < 0.3:
                facts["acknowledge_by"] = instant(2, 7).date().isoformat()
            signs[PO].append(Sign(type_, occurred, arrived, name, facts))
            for line in LINES:
                words: dict[str, Any] = {}
                if type_ in ("po.released", "po.revised"):
                    words["requested_date"] = instant(5, 10).date().isoformat()
                elif type_ == "po.acknowledged" and rng.random() < 0.6:
                    words["confirmed_date"] = instant(5, 12).date().isoformat()
                if rng.random() < 0.8:
                    signs[line].append(Sign(type_, occurred, arrived, name, words))
    spells: list[Spell] = []
    for source in SOURCES:
        cursor = BEGIN
        while rng.random() < 0.5:
            start = cursor + timedelta(minutes=15 * rng.randrange(300))
            known = start + source.tolerance
            over = known + timedelta(minutes=15 * rng.randrange(200))
            spells.append(Spell(source.source, start, known, over))
            cursor = over + timedelta(minutes=15)
    return Story(signs, [s for s in spells if s.to_at and s.to_at < END], visible)


def seen_by(spells: Sequence[Spell], now: datetime) -> list[Spell]:
    """Spells as a visitor sees them at an instant: not the future, not an end to come."""
    return [
        spell if spell.to_at is not None and spell.to_at <= now else replace(spell, to_at=None)
        for spell in spells
        if spell.known_at <= now
    ]


def replay(tale: Story, applied: Mapping[UUID, datetime] | None = None) -> list[Entry]:
    """The whole story in one visit at its end."""
    signs = {
        subject: [replace(s, applied_at=(applied or {}).get(s.event_id)) for s in its]
        for subject, its in tale.signs.items()
    }
    return list(advance(UnitState(), signs, tale.spells, END, Court()).journal)


def stored(state: UnitState) -> UnitState:
    """The state after a journey through JSON, as a database keeps it."""
    clocks: dict[ClockKey, tuple[Cycle, ...]] = {
        key: tuple(Cycle.from_json(json.loads(json.dumps(c.to_json()))) for c in cycles)
        for key, cycles in state.clocks.items()
    }
    return replace(state, clocks=clocks)


def live(tale: Story, seed: int) -> tuple[list[Entry], UnitState, dict[UUID, datetime]]:
    """Visits at random instants, some of them killed before they could commit."""
    rng = random.Random(seed)
    span = (END - BEGIN) // timedelta(minutes=1)
    ticks = sorted(BEGIN + timedelta(minutes=rng.randrange(span)) for _ in range(rng.randrange(40)))
    state, journal, applied = UnitState(), list[Entry](), dict[UUID, datetime]()
    for tick in [*ticks, END]:
        new = {
            subject: [
                s for s in its if tale.visible[s.event_id] <= tick and s.event_id not in applied
            ]
            for subject, its in tale.signs.items()
        }
        for its in new.values():
            rng.shuffle(its)
        done = advance(state, new, seen_by(tale.spells, tick), tick, Court())
        if rng.random() < 0.25 and tick != END:
            continue  # killed: nothing of it was kept
        journal.extend(done.journal)
        applied.update(done.applied)
        state = stored(done.state)
    return journal, state, applied


# --- the timer rule -----------------------------------------------------------------------------


@pytest.mark.parametrize("block", range(6))
def test_any_ticks_and_kills_write_the_journal_of_a_replay(block: int) -> None:
    for seed in range(block * 20, block * 20 + 20):
        tale = story(seed)
        expected = replay(tale)
        for visits in range(2):
            journal, _, _ = live(tale, seed * 7 + visits)
            assert journal == expected, seed


@pytest.mark.parametrize("block", range(3))
def test_rows_that_become_visible_late_are_replayed_from_their_stored_instants(block: int) -> None:
    for seed in range(block * 20, block * 20 + 20):
        tale = story(seed, late_rows=True)
        tale.spells.clear()  # a spell is recorded in time: its watcher is not late, only rows are
        tale.visible = {name: min(seen, END) for name, seen in tale.visible.items()}
        journal, _, applied = live(tale, seed)
        assert journal == replay(tale, applied), seed


@pytest.mark.parametrize("block", range(3))
def test_standing_facts_are_the_journal_summed_up_and_depend_on_no_order(block: int) -> None:
    for seed in range(block * 20, block * 20 + 20):
        tale = story(seed)
        journal, _, _ = live(tale, seed)
        facts = {}
        for subject, signs in tale.signs.items():
            mixed = signs * 2
            random.Random(seed).shuffle(mixed)
            for rule in Court().rules(subject):
                folded = fold(rule, mixed, tale.spells, setting_of(rule, subject), END)
                for cycle in folded.cycles:
                    for fact in cycle.facts:
                        facts[rule.id, subject, cycle.number, fact.name] = fact.effective
        assert standing(journal) == facts, seed


def setting_of(rule: RuleInForce, subject: Subject) -> Any:
    return lambda number, start: Court().setting(rule, subject, number, start)


@dataclass
class Plain:
    """The timer rule written down once more, from the fold alone, with either half removable."""

    tale: Story
    half_1: bool = True
    half_2: bool = True
    cycles: dict[tuple[RuleInForce, Subject], tuple[Cycle, ...]] = field(default_factory=dict)
    taken: Line = field(default_factory=dict)
    instant: datetime = BEGIN
    journal: list[Entry] = field(default_factory=list)

    def judge(self, rule: RuleInForce, subject: Subject, now: datetime) -> None:
        setting, signs = setting_of(rule, subject), self.taken.get(subject, [])
        folded = fold(rule, signs, self.tale.spells, setting, now)
        before = self.cycles.get((rule, subject), ())
        self.journal.extend(changes(rule.id, subject, before, folded.cycles, now))
        self.cycles[rule, subject] = folded.cycles
        self.instant = max(self.instant, now)

    def fire(self, until: datetime) -> None:
        while True:
            due = [(Folded(c).next, k) for k, c in self.cycles.items()]
            waiting = [(at_, key) for at_, key in due if at_ is not None and at_ <= until]
            if not waiting:
                return
            first = min(at_ for at_, _ in waiting)
            for rule, subject in sorted(
                (key for at_, key in waiting if at_ == first), key=lambda k: (k[0].id, k[1])
            ):
                self.judge(rule, subject, first)

    def apply(self, arrived: datetime) -> None:
        now = max(arrived, self.instant)
        for subject in sorted(self.tale.signs):
            new = [s for s in self.tale.signs[subject] if s.arrived_at == arrived]
            self.taken.setdefault(subject, []).extend(new)
            for rule in Court().rules(subject):
                if any(rule.listens(sign) for sign in new):
                    self.judge(rule, subject, now)

    def run(self, ticks: Sequence[datetime]) -> list[Entry]:
        arrivals = sorted({s.arrived_at for its in self.tale.signs.values() for s in its})
        for tick in [*ticks, END]:
            ready = [a for a in arrivals if a <= tick]
            arrivals = arrivals[len(ready) :]
            if not self.half_2:
                self.fire(tick)
            for arrived in ready:
                if self.half_1:
                    self.fire(arrived)
                self.apply(arrived)
            self.fire(tick)
        return self.journal


@pytest.mark.parametrize(
    ("half_1", "half_2"), [(True, True), (False, True), (True, False)], ids=["both", "no 1", "no 2"]
)
def test_both_halves_of_the_timer_rule_are_needed(half_1: bool, half_2: bool) -> None:
    differ = 0
    for seed in range(60):
        tale = story(seed)
        tale.spells.clear()
        rng = random.Random(seed)
        ticks = sorted(BEGIN + timedelta(hours=rng.randrange(24 * 16)) for _ in range(6))
        differ += Plain(tale, half_1, half_2).run(ticks) != replay(tale)
    if half_1 and half_2:
        assert differ == 0
    else:
        assert differ > 5


# --- single stories -----------------------------------------------------------------------------


def sign(type_: str, occurred: str, arrived: str | None = None, **facts: Any) -> Sign:
    name = uuid5(NAMES, f"{type_} {occurred}")
    return Sign(type_, at(occurred), at(arrived or occurred), name, facts)


def recalculated(journal: Sequence[Entry]) -> Entry:
    """The one of the rule ``po.unacknowledged``."""
    [found] = [e for e in journal if e.rule == "po.unacknowledged" and e.name == "recalculated"]
    return found


def names(entries: Sequence[Entry], rule: str = "po.unacknowledged") -> list[str]:
    return [entry.name for entry in entries if entry.rule == rule]


def test_an_answer_told_a_day_late_retracts_the_breach_and_ends_the_clock() -> None:
    released = sign("po.released", "03-27 14:00")
    first = advance(UnitState(), {PO: [released]}, [], at("03-30 12:00"), Court())
    assert names(first.journal) == ["started", "warn", "breach"]
    breach = first.journal[-1]
    # Portal is read every quarter of an hour: a breach waits for twice that, longer than settle.
    assert (breach.effective, breach.detected) == (at("03-30 09:00"), at("03-30 09:30"))
    assert breach.level == "breach"
    assert breach.why["budget"] == "4bh"
    answer = sign("po.acknowledged", "03-30 08:30", "03-31 09:00")
    second = advance(first.state, {PO: [answer]}, [], at("03-31 09:00"), Court())
    assert names(second.journal) == ["retract:breach", "end:met", "recalculated"]
    told = recalculated(second.journal)
    assert (told.effective, told.detected) == (at("03-30 09:00"), at("03-31 09:00"))
    assert dict(told.why) == {
        "was": "breached",
        "now": "met",
        "because": "po.acknowledged of 2026-03-30 06:30Z became known",
    }
    assert second.journal[0].level == "breach"
    assert second.journal[1].why["by"] == "po.acknowledged"
    [cycle] = second.changed["po.unacknowledged", PO]
    assert cycle.verdict is Verdict.MET


def test_history_that_arrives_at_once_is_judged_at_once_without_false_alarms() -> None:
    batch = [
        sign("po.released", "01-12 09:00", "03-27 14:00"),
        sign("po.acknowledged", "01-12 10:00", "03-27 14:00"),
    ]
    done = advance(UnitState(), {PO: batch}, [], at("03-27 14:00"), Court())
    assert names(done.journal) == ["started", "end:met"]


def test_a_timer_at_the_instant_of_an_arrival_fires_before_it() -> None:
    released = sign("po.released", "03-27 14:00")
    answer = sign("po.acknowledged", "03-30 08:30", "03-30 09:30")
    done = advance(UnitState(), {PO: [released, answer]}, [], at("03-30 09:30"), Court())
    assert names(done.journal) == [
        "started", "warn", "breach", "retract:breach", "end:met", "recalculated",
    ]  # fmt: skip


def test_a_row_visible_late_is_taken_just_after_the_last_instant() -> None:
    released = sign("po.released", "03-27 14:00")
    first = advance(UnitState(), {PO: [released]}, [], at("03-30 12:00"), Court())
    assert first.state.instant == at("03-30 09:30")
    late = sign("po.acknowledged", "03-27 15:00", "03-27 15:00")
    second = advance(first.state, {PO: [late]}, [], at("03-30 12:30"), Court())
    instant = at("03-30 09:30") + timedelta(microseconds=1)
    assert second.applied == {late.event_id: instant}
    assert {entry.detected for entry in second.journal} == {instant}
    [taken] = [s for s in second.state.signs[PO] if s.event_id == late.event_id]
    assert taken.applied_at == instant


def test_a_silent_source_holds_and_its_recovery_releases_the_judgement() -> None:
    released = sign("po.released", "03-27 14:00")
    blind = Spell("portal", at("03-30 08:00"), at("03-30 08:30"))
    first = advance(UnitState(), {PO: [released]}, [blind], at("03-30 12:00"), Court())
    assert names(first.journal) == ["started", "warn", "held"]
    assert first.next is None
    [cycle] = first.changed["po.unacknowledged", PO]
    assert (cycle.verdict, cycle.held_by) == (Verdict.UNKNOWN, "portal")
    over = replace(blind, to_at=at("03-30 14:00"))
    second = advance(first.state, {}, [over], at("03-30 16:00"), Court())
    assert names(second.journal) == ["breach"]
    assert second.journal[0].detected == at("03-30 14:10")


def test_a_breach_judged_in_a_blind_span_is_withdrawn_and_judged_again() -> None:
    released = sign("po.released", "03-27 14:00")
    court = Court()
    first = advance(UnitState(), {PO: [released]}, [], at("03-30 11:00"), court)
    assert names(first.journal)[-1] == "breach"
    blind = Spell("edi", at("03-30 08:30"), at("03-30 12:30"))
    second = advance(first.state, {}, [blind], at("03-30 13:00"), court)
    assert names(second.journal) == ["retract:breach", "held", "recalculated"]
    assert recalculated(second.journal).why["now"] == "unknown"
    assert second.journal[0].detected == at("03-30 12:30")
    over = replace(blind, to_at=at("03-30 15:00"))
    third = advance(second.state, {}, [over], at("03-30 17:00"), court)
    assert names(third.journal) == ["breach"]


def test_a_hold_and_its_end_are_told_and_move_due() -> None:
    unit = UnitState()
    journal: list[Entry] = []
    for step in (
        sign("po.released", "03-30 09:00"),
        sign("po.held", "03-30 11:00"),
        sign("po.unheld", "03-31 10:00"),
    ):
        done = advance(unit, {PO: [step]}, [], step.arrived_at, Court())
        journal.extend(done.journal)
        unit = done.state
    assert names(journal) == ["started", "paused", "resumed", "moved:breach"]
    assert journal[-1].effective == at("03-31 12:00")  # 4 bh, half of them used before the hold


def test_a_cycle_whose_end_is_voided_is_reopened() -> None:
    signs = [
        sign("po.released", "03-27 14:00"),
        sign("po.acknowledged", "03-27 16:00"),
    ]
    first = advance(UnitState(), {PO: signs}, [], at("03-27 16:00"), Court())
    assert names(first.journal) == ["started", "end:met"]
    without = replace(first.state, signs={PO: (signs[0],)})  # the answer was another order's
    again = sign("po.released", "03-27 15:00", "03-27 16:30")
    second = advance(without, {PO: [again]}, [], at("03-27 16:30"), Court())
    assert names(second.journal) == ["reopened", "recalculated"]


def test_what_a_message_read_again_no_longer_tells_is_judged_without_it() -> None:
    signs = [sign("po.released", "03-27 14:00"), sign("po.acknowledged", "03-27 16:00")]
    first = advance(UnitState(), {PO: signs}, [], at("03-30 12:00"), Court())
    assert names(first.journal) == ["started", "end:met"]
    without = replace(first.state, signs={PO: (signs[0],)})
    read, now = at("03-30 12:30"), at("03-30 13:00")
    assert names(advance(without, {}, [], now, Court()).journal) == []  # nobody says it is gone
    found = advance(without, {}, [], now, Court(), reread_at=read)
    assert names(found.journal) == ["reopened", "warn", "breach", "recalculated"]
    told = recalculated(found.journal)
    assert (told.effective, told.detected) == (signs[1].occurred_at, read)
    assert dict(told.why) == {
        "was": "met", "now": "breached", "because": "a message was read again",
    }  # fmt: skip
    # What the reading tells instead is taken with it: the order was never without an answer.
    other = sign("po.acknowledged", "03-30 10:00", "03-27 16:00")
    mended = advance(without, {PO: [other]}, [], now, Court(), reread_at=read)
    assert names(mended.journal) == ["warn", "breach", "end:late", "recalculated"]
    assert recalculated(mended.journal).why["now"] == "met_late"
    assert set(mended.applied.values()) == {read}


def test_an_answer_after_the_breach_recalculates_nothing() -> None:
    signs = [sign("po.released", "03-27 14:00"), sign("po.acknowledged", "03-30 15:00")]
    done = advance(UnitState(), {PO: signs}, [], at("03-30 16:00"), Court())
    assert names(done.journal) == ["started", "warn", "breach", "end:late"]


def test_a_source_writes_its_own_journal_from_its_spells() -> None:
    feed = Subject("source", "", "edi")
    blind = Spell("edi", at("03-30 08:00"), at("03-30 08:30"))
    waiting = advance(UnitState(), {feed: []}, [blind], at("03-30 10:00"), Court())
    assert (waiting.journal, waiting.next) == ((), at("03-30 11:00"))
    first = advance(waiting.state, {feed: []}, [blind], at("03-30 12:00"), Court())
    assert names(first.journal, "source.silent") == ["started", "breach"]
    over = replace(blind, to_at=at("03-30 13:00"))
    second = advance(first.state, {feed: []}, [over], at("03-30 14:00"), Court())
    assert names(second.journal, "source.silent") == ["end:late"]


def test_only_clocks_that_listen_or_are_due_are_judged() -> None:
    signs = {
        PO: [sign("po.released", "03-27 14:00"), sign("po.transmitted", "03-27 14:05")],
        LINES[0]: [sign("po.released", "03-27 14:00", requested_date="2026-04-20")],
    }
    first = advance(UnitState(), signs, [], at("03-27 15:00"), Court())
    court = Court()
    advance(first.state, {PO: [sign("fa.received", "03-27 15:30")]}, [], at("03-27 15:30"), court)
    assert set(court.asked) == {"fa.overdue"}


@dataclass
class Pinned(Court):
    """Judges by another book, but keeps what it was told to keep."""

    kept: Mapping[int, RuleInForce] = field(default_factory=dict)

    def setting(self, rule: RuleInForce, subject: Subject, cycle: int, start: datetime) -> Setting:
        return replace(
            super().setting(rule, subject, cycle, start), rule=self.kept.get(cycle, rule)
        )


def test_closed_cycles_ignore_a_new_book_and_open_ones_are_judged_by_it() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    stricter = rules_in_force(load_rulebook(text.replace("within: 4bh", "within: 1bh")))
    old = next(rule for rule in RULES if rule.id == "po.unacknowledged")
    signs = [
        sign("po.released", "03-27 09:00"),
        sign("po.acknowledged", "03-27 11:00"),
        sign("po.released", "03-27 14:00"),
    ]
    first = advance(UnitState(), {PO: signs}, [], at("03-27 14:00"), Court())
    court = Pinned(stricter, kept={1: old})
    late = sign("po.acknowledged", "03-27 11:30", "03-27 17:00")
    second = advance(
        first.state, {PO: [late]}, [], at("03-27 17:00"), court, rejudge_at=at("03-27 16:00")
    )
    done, running = second.state.clocks["po.unacknowledged", PO]
    assert (done.verdict, done.rule_version) == (Verdict.MET, old.version)
    assert (running.due, running.verdict) == (at("03-27 15:00"), Verdict.BREACHED)
    assert running.rule_version != old.version
    told = [e for e in second.journal if e.rule == "po.unacknowledged"]
    assert {(e.cycle, e.detected) for e in told} == {(2, at("03-27 16:00"))}


def test_a_removed_rule_ends_its_open_clocks_unmeasured() -> None:
    first = advance(
        UnitState(), {PO: [sign("po.released", "03-27 14:00")]}, [], at("03-30 12:00"), Court()
    )
    others = [rule for rule in RULES if rule.id != "po.unacknowledged"]
    second = advance(first.state, {}, [], at("03-30 13:00"), Court(others), at("03-30 13:00"))
    assert names(second.journal) == ["end:cancelled"]
    [cycle] = second.state.clocks["po.unacknowledged", PO]
    assert (cycle.verdict, cycle.open) == (Verdict.NOT_MEASURED, False)
    assert second.next is None


def test_no_breach_is_spoken_while_its_evidence_is_known_to_be_incomplete() -> None:
    spoken = 0
    for seed in range(120):
        tale = story(seed)
        for entry in replay(tale):
            if entry.name != "breach" or entry.rule in ("source.silent", "po.rejected"):
                continue
            ended = [c for c in tale.signs[entry.subject] if c.arrived_at <= entry.detected]
            blind = [
                spell
                for spell in tale.spells
                if spell.from_at < entry.effective
                and spell.known_at <= entry.detected
                and (spell.to_at is None or entry.detected < spell.to_at)
            ]
            spoken += bool(blind)
            if blind:  # then only because the end is known: nothing is missing any more
                assert any(sign.occurred_at > entry.effective for sign in ended), seed
    assert spoken


def test_after_recovery_every_held_clock_is_judged() -> None:
    held = 0
    for seed in range(120):
        tale = story(seed)
        done = advance(UnitState(), tale.signs, tale.spells, END, Court())
        held += sum(entry.name == "held" for entry in done.journal)
        for cycles in done.state.clocks.values():
            assert all(cycle.verdict is not Verdict.UNKNOWN for cycle in cycles), seed
    assert held > 20


def test_a_visit_leaves_nothing_for_the_garbage_collector() -> None:
    """Batches run without collections; a ring of references would keep every unit in memory."""
    tale, court = story(7), Court()
    gone = weakref.ref(court)
    was_on = gc.isenabled()
    gc.disable()
    try:
        advance(UnitState(), tale.signs, tale.spells, END, court)
        del court
        assert gone() is None
    finally:
        if was_on:
            gc.enable()


def test_what_is_heard_and_changes_no_cycle_is_not_judged_again() -> None:
    """Of an order that was answered, goods and receipts tell its clocks nothing new."""
    court = Court()
    told = [
        Sign("po.released", at("03-27 14:00"), at("03-27 14:00"), uuid5(NAMES, "1")),
        Sign("po.acknowledged", at("03-27 15:00"), at("03-27 15:00"), uuid5(NAMES, "2")),
        Sign("asn.received", at("03-30 15:00"), at("03-30 15:00"), uuid5(NAMES, "3")),
    ]
    whole = advance(UnitState(), {PO: told}, (), END, court)
    assert whole.journal == advance(UnitState(), {PO: told[:2]}, (), END, court).journal
    assert whole.applied[told[2].event_id] == told[2].arrived_at
    [cycle] = whole.state.clocks["po.unacknowledged", PO]
    assert cycle.verdict is Verdict.MET
