"""Rounds of judging on a real database: journals, cases, and what happens when something breaks."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text, update

from db import cases as kept
from db import clocks, completeness, timers
from db.reinterpret import reinterpret
from db.tables import clock, event_object, judged_unit, source_spell, timer, transition
from db.tables import exception_case as case_table
from tests.worker.conftest import berlin
from tower.access import EVERYTHING
from tower.identity import document_home
from tower.raw import Interpretation, Interpreted, Raw
from worker import judge
from worker.code import code_for
from worker.judge import tick
from worker.units import visit


def names(journal: list[tuple[str, str]]) -> list[str]:
    return [name for name, _ in journal]


def test_an_unanswered_order_opens_a_case_for_the_supplier_desk(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.until("03-30 12:05")
    assert house.cases() == []  # four open hours are over at 12:00, but stragglers are waited for
    house.until("03-30 12:10")
    [case] = house.cases()
    assert (case.category, case.severity, case.state) == ("ACK_OVERDUE", "medium", "new")
    assert (case.owner, case.owner_letter, case.policy) == ("anna", "D", "business")
    assert case.title == "PO 4711 not acknowledged by ACME Fasteners Ltd"
    assert case.opened_at == case.due_at
    assert case.detected_at - case.opened_at == timedelta(minutes=10)
    assert case.why["rule_version"]
    assert house.notes(case.id) == [("opened", case.title)]


def test_a_round_that_finds_nothing_due_touches_nothing(house: Any) -> None:
    house.until("03-30 08:00")
    result = house.until("03-30 08:00")
    assert (result.claimed, result.units, result.more) == ({}, 0, False)
    assert result.next_due is not None


def test_what_another_worker_holds_is_left_to_it(house: Any) -> None:
    house.until("03-30 08:00")
    for number in ("4711", "4712"):
        house.tell("po.rejected", {"po": number, "erp": "main", "supplier": "ACME"}, "03-30 08:01")
    one, due = document_home("po", "main", "4711"), berlin("03-30 08:02")
    house.all_fresh(due)
    with house.engine.begin() as other:
        assert timers.claim_one(other, timers.Timer(timers.UNIT, str(one), due), due)
        result = tick(house.engine, house.config, due)
        assert (result.claimed[timers.UNIT], [c.number for c in house.cases()]) == (1, ["4712"])
    house.until("03-30 08:02")
    assert sorted(c.number for c in house.cases()) == ["4711", "4712"]


def test_an_answer_in_time_that_arrives_late_withdraws_the_breach(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.until("03-30 13:00")
    assert house.cases()[0].state == "new"
    house.acknowledged("4711", "03-30 11:30", arrives="03-31 09:00")
    house.until("03-31 09:00")
    assert names(house.journal("po.unacknowledged")) == [
        "started", "warn", "breach", "retract:breach", "end:met", "recalculated",
    ]  # fmt: skip
    [case] = house.cases("ACK_OVERDUE")
    assert (case.state, case.resolution) == ("resolved", "healed")
    assert "not late" in house.notes(case.id)[-1][1]
    assert [c.verdict for c in house.clocks() if c.rule == "po.unacknowledged"] == ["met"]


def test_a_message_that_is_read_again_and_tells_no_answer_reopens_what_it_had_ended(
    house: Any,
) -> None:
    house.released("4711", "03-30 08:00")
    answer = house.acknowledged("4711", "03-30 11:00")
    house.until("03-30 13:00")
    assert house.cases("ACK_OVERDUE") == []
    raw = Raw(answer.source, answer.raw_key, b"{}", answer.occurred_at)
    now = berlin("03-30 14:00")
    with house.engine.begin() as conn:
        reinterpret(conn, [Interpreted(raw, Interpretation("test", 2))], net=house.network, now=now)
    house.until("03-30 14:00")
    assert names(house.journal("po.unacknowledged")) == [
        "started", "warn", "retract:warn", "end:met", "reopened", "warn", "breach", "recalculated",
    ]  # fmt: skip
    assert house.cases("ACK_OVERDUE")[0].state == "new"
    [why] = [row.why for row in house.rows(select(transition)) if row.name == "recalculated"]
    assert why == {"was": "met", "now": "breached", "because": "a message was read again"}
    assert house.rows(select(judged_unit.c.reread_at)) == [(None,)] * len(
        house.rows(select(judged_unit))
    )
    house.until("03-30 14:30")
    assert names(house.journal("po.unacknowledged"))[-1] == "recalculated"


def test_a_late_answer_heals_the_case_and_stays_late(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.acknowledged("4711", "03-30 14:00")
    house.until("03-30 15:00")  # one round sees all of it
    [case] = house.cases()
    assert (case.state, case.resolution) == ("resolved", "healed")
    assert [kind for kind, _ in house.notes(case.id)] == ["opened", "resolved"]
    assert next(c for c in house.clocks() if c.rule == "po.unacknowledged").verdict == "met_late"


def test_the_same_trouble_within_three_days_is_the_same_case(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.acknowledged("4711", "03-30 14:00")
    house.until("03-30 15:00")
    house.tell("po.revised", {"po": "4711", "erp": "main"}, "03-31 08:00")
    house.released("4711", "03-31 08:00", revision="2")
    house.until("03-31 12:30")
    [case] = house.cases("ACK_OVERDUE")
    assert (case.state, case.reopened, case.clock_cycle) == ("new", 1, 2)
    house.acknowledged("4711", "03-31 13:00")
    house.released("4711", "04-07 08:00", revision="3")
    house.until("04-07 12:30")
    first, second = house.cases("ACK_OVERDUE")
    assert first.fingerprint == second.fingerprint
    assert (first.state, first.cycle) == ("resolved", 1)
    assert (second.state, second.cycle) == ("new", 2)


def test_a_cancelled_order_closes_its_case(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.until("03-30 13:00")
    house.tell("po.cancelled", {"po": "4711", "erp": "main"}, "03-30 14:00")
    house.until("03-30 14:00")
    assert house.cases()[0].resolution == "healed"
    # Cancelling does not wash a breach.
    assert next(c for c in house.clocks() if c.rule == "po.unacknowledged").verdict == "breached"
    # What is said of the whole order is true of its lines.
    assert next(c for c in house.clocks() if c.rule == "asn.missing").verdict == "not_measured"


def test_cancelling_one_line_leaves_the_order_and_the_other_lines(house: Any) -> None:
    house.released("4711", "03-30 08:00", lines=2)
    house.tell(
        "po.cancelled", {"po": "4711", "erp": "main", "lines": [{"line": "10"}]}, "03-30 09:00"
    )
    house.until("03-30 12:30")
    open_now = {(c.rule, c.line) for c in house.clocks() if c.open}
    assert open_now == {("po.unacknowledged", ""), ("asn.missing", "20")}


def test_escalation_raises_the_case_and_tells_somebody_else_too(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.until("03-31 13:30")
    [case] = house.cases()
    assert (case.severity, case.level, case.levels) == ("high", "escalate", ["breach", "escalate"])
    house.until("03-31 13:40")
    told = {row.recipient: row for row in house.mails()}
    assert set(told) == {"anna", "purchasing_lead"}
    assert b"escalated to you, still open with Anna Weber" in told["purchasing_lead"].message
    assert told["anna"].reason == "new"


def test_taking_a_case_stops_its_escalation_until_it_expires(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.until("03-30 12:30")
    [case] = house.cases()
    now = house.cases()[0].detected_at + timedelta(hours=19)  # shortly before the escalation
    with house.engine.begin() as conn:
        taken = kept.take(conn, EVERYTHING, case.id, "anna", now)
    assert taken.state == "taken"
    house.until("03-31 12:50")
    [case] = house.cases()
    assert (case.severity, case.state) == ("medium", "new")
    assert [kind for kind, _ in house.notes(case.id)] == ["opened", "taken", "expired"]


def test_a_paused_partner_is_not_judged(house: Any) -> None:
    house.released("4711", "03-30 08:00", supplier="SLOW")
    house.until("04-10 12:00")
    assert house.cases() == []
    assert {c.verdict for c in house.clocks()} == {"not_measured"}


def test_a_refused_order_is_a_case_at_once_for_the_buyer_it_names(house: Any) -> None:
    house.released("4711", "03-30 08:00", buyer="ben")
    house.tell("po.rejected", {"po": "4711", "erp": "main", "supplier": "ACME"}, "03-30 09:00")
    house.until("03-30 09:00")
    [case] = house.cases()
    assert (case.category, case.severity, case.owner) == ("ACK_REJECTED", "high", "ben")


def test_a_refused_change_neither_refuses_the_order_nor_calls_off_its_notices(house: Any) -> None:
    named = {"po": "4711", "erp": "main", "supplier": "ACME"}
    house.released("4711", "03-30 08:00", requested="2026-04-15", lines=2)
    house.acknowledged("4711", "03-30 09:00")
    house.tell("po.answer_applied", named, "03-30 09:30")
    change = {"line": "10", "qty": "12", "action": "change"}
    house.tell("po.revised", {**named, "lines": [change]}, "03-30 10:00")
    no = {"answer": "rejected", "lines": [{"line": "10", "answer": "rejected"}]}
    house.tell("po.change_answered", {**named, **no}, "03-30 11:00")
    house.until("03-30 12:00")
    assert house.cases() == []
    waiting = [c.line for c in house.clocks() if c.rule == "asn.missing" and c.open]
    assert sorted(waiting) == ["10", "20"]


def test_a_refused_line_calls_off_its_own_notice_alone(house: Any) -> None:
    named = {"po": "4711", "erp": "main", "supplier": "ACME"}
    house.released("4711", "03-30 08:00", requested="2026-04-15", lines=2)
    house.acknowledged("4711", "03-30 09:00")
    house.tell("po.answer_applied", named, "03-30 09:30")
    no = {"answer": "part_accepted", "lines": [{"line": "20", "answer": "rejected"}]}
    house.tell("po.acknowledged", {**named, **no}, "03-30 11:00")
    house.until("03-30 12:00")
    assert house.cases("ACK_REJECTED") == []
    waiting = [c.line for c in house.clocks() if c.rule == "asn.missing" and c.open]
    assert waiting == ["10"]


def test_a_failed_shipment_notice_heals_when_it_is_accepted(house: Any) -> None:
    asn = {"asn": "A-1", "supplier": "ACME"}
    house.tell("asn.rejected", {**asn, "reason": "carton count"}, "03-30 09:00")
    house.until("03-30 09:01")
    [case] = house.cases()
    assert case.title == "Shipment notice A-1 of ACME Fasteners Ltd failed: carton count"
    assert (case.kind, case.scope, case.number) == ("asn", "ACME", "A-1")
    house.tell("asn.accepted", asn, "03-30 11:00")
    house.until("03-30 11:01")
    assert house.cases()[0].resolution == "healed"


# --- evidence -------------------------------------------------------------------------------------


def test_nothing_is_late_while_the_feed_that_would_tell_is_silent(house: Any) -> None:
    house.released("4711", "03-27 08:00", supplier="BOLT")  # due Mon 17:00, answers come by portal
    house.until("03-30 16:00")
    house.until("03-30 19:00", fresh=False)
    assert house.cases() == []
    held = next(c for c in house.clocks() if c.rule == "po.unacknowledged")
    assert (held.verdict, held.held_by) == ("unknown", "portal")

    house.until("03-31 04:30", fresh=False)  # twelve hours after the last read
    silent = {c.number: c for c in house.cases()}
    assert set(silent) == {"portal", "erp", "edi_in"}
    assert silent["portal"].category == "SOURCE_SILENT"
    assert silent["portal"].severity == "critical"
    assert silent["portal"].held_subjects == 1

    house.until("03-31 06:00")
    assert {c.number: c.state for c in house.cases()}["portal"] == "resolved"
    house.until("03-31 06:20")
    judged = next(c for c in house.clocks() if c.rule == "po.unacknowledged")
    assert (judged.verdict, judged.held_by) == ("breached", None)
    assert names(house.journal("po.unacknowledged")) == ["started", "warn", "held", "breach"]
    assert [c.category for c in house.cases() if c.state != "resolved"] == ["ACK_OVERDUE"]
    spells = house.rows(select(source_spell).where(source_spell.c.source == "portal"))
    assert [s.to_at is not None for s in spells] == [True]


def test_an_answer_found_after_the_silence_was_in_time(house: Any) -> None:
    house.released("4711", "03-27 08:00", supplier="BOLT")
    house.until("03-30 16:00")
    house.until("03-31 05:00", fresh=False)
    house.acknowledged("4711", "03-30 16:30", arrives="03-31 06:00")
    house.until("03-31 06:30")
    assert names(house.journal("po.unacknowledged")) == ["started", "warn", "held", "end:met"]
    assert not [c for c in house.cases() if c.category == "ACK_OVERDUE"]


def test_a_source_that_was_never_read_is_silent_from_when_we_began_to_look(house: Any) -> None:
    house.until("03-30 08:00", fresh=False)
    house.until("03-30 19:00", fresh=False)
    assert house.cases() == []
    house.until("03-30 20:05", fresh=False)
    assert {c.number for c in house.cases()} == {"edi_in", "portal", "erp"}
    house.until("03-30 21:00")
    assert {c.state for c in house.cases()} == {"resolved"}


# --- the same journal, whatever the rounds --------------------------------------------------------


def story(house: Any, seed: int) -> None:
    """Events of six orders over four days, told with their arrival, in any order."""
    chance = random.Random(seed)
    told = []
    for n in range(6):
        po, start = f"47{n:02}", chance.randrange(0, 2000)

        def at(minutes: int) -> str:
            day, rest = divmod(8 * 60 + minutes, 24 * 60)
            return f"{['03-30', '03-31', '04-01', '04-02', '04-03', '04-04', '04-05'][day]} " + (
                f"{rest // 60:02}:{rest % 60:02}"
            )

        lines = [
            {"line": "10", "qty": "5", "price": "3", "requested_date": f"2026-04-0{3 + n % 4}"},
            {"line": "20", "qty": "5", "price": "3", "requested_date": "2026-05-04"},
        ]
        head = {"po": po, "erp": "main", "supplier": chance.choice(["ACME", "BOLT"])}
        told.append(("po.released", {**head, "lines": lines}, at(start), chance.randrange(60)))
        for type_ in chance.sample(
            ["po.acknowledged", "po.rejected", "po.revised", "po.held", "po.unheld",
             "po.cancelled", "asn.received", "po.answer_applied"],
            k=chance.randrange(1, 6),
        ):  # fmt: skip
            body = dict(head)
            if type_ == "asn.received":
                body = {
                    "asn": f"A{n}", "supplier": head["supplier"],
                    "lines": [{"erp": "main", "po": po, "line": "10", "qty": "5"}],
                }  # fmt: skip
            when = start + chance.randrange(0, 2500)
            told.append((type_, body, at(when), chance.choice([0, 1, 30, 600])))
    stored = []
    for type_, body, when, delay in told:
        event = house.event(type_, body, when)
        stored.append((event, event.occurred_at + timedelta(minutes=delay)))
    chance.shuffle(stored)
    house.pending = stored


def run(house: Any, seed: int, steps: int, workers: int = 1, kills: bool = False) -> None:
    """Judge the pending story: events become visible at their arrival, rounds come at random."""
    chance = random.Random(seed)
    begin = min(arrived for _, arrived in house.pending) - timedelta(hours=1)
    end = begin + timedelta(days=8)
    marks = [*sorted(chance.uniform(0, 1) for _ in range(steps)), 1.0]
    waiting = sorted(house.pending, key=lambda p: p[1])
    house.all_fresh(end + timedelta(days=1))
    for share in marks:
        now = begin + (end - begin) * share
        visible = [p for p in waiting if p[1] <= now]
        waiting = waiting[len(visible) :]
        house.store(visible)
        if kills and chance.random() < 0.5:
            # The connection dies in the middle of a round: nothing of it may remain.
            with pytest.raises(RuntimeError, match="killed"):
                _killed_round(house, now)
        threads = [
            threading.Thread(target=_drain, args=(house, now, 3 if workers > 1 else 500))
            for _ in range(workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        _drain(house, now, 500)


def _killed_round(house: Any, now: Any) -> None:
    """A round that wrote everything and then died before its commit."""
    with house.engine.begin() as conn:
        claimed = timers.claim(conn, [timers.UNIT], now, 500)
        code = code_for(house.engine, house.config, now)
        if claimed:
            judge._units(conn, house.config, code, claimed, now)
        raise RuntimeError("killed")


def _drain(house: Any, now: Any, limit: int) -> None:
    for _ in range(200):
        if not tick(house.engine, house.config, now, limit).more:
            return


def full_journal(house: Any) -> list[tuple[Any, ...]]:
    t = transition
    return [
        tuple(row)
        for row in house.rows(
            select(
                t.c.home_key, t.c.rule, t.c.kind, t.c.number, t.c.line, t.c.n, t.c.cycle,
                t.c.name, t.c.effective_at, t.c.detected_at,
            ).order_by(t.c.home_key, t.c.rule, t.c.kind, t.c.number, t.c.line, t.c.n)
        )
    ]  # fmt: skip


def without_sources(journal: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [row for row in journal if row[2] != "source"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ticks_kills_and_workers_do_not_show_in_the_journal(
    make_house: Callable[..., Any], seed: int
) -> None:
    journals, cases = [], []
    for steps, workers, kills in ((0, 1, False), (25, 1, True), (12, 3, False)):
        house = make_house()
        story(house, seed)
        run(house, seed * 100 + steps, steps, workers, kills)
        journals.append(without_sources(full_journal(house)))
        cases.append(
            [
                (c.fingerprint, c.cycle, c.state, c.resolution, c.opened_at, c.detected_at)
                for c in sorted(house.cases(), key=lambda c: (c.fingerprint, c.cycle))
            ]
        )
    assert len(journals[0]) > 20
    assert journals[1] == journals[0]
    assert journals[2] == journals[0]
    assert cases[1] == cases[0]
    assert cases[2] == cases[0]


@pytest.mark.parametrize("seed", [4, 5])
def test_the_journal_equals_a_replay_in_memory(make_house: Callable[..., Any], seed: int) -> None:
    house = make_house()
    story(house, seed)
    run(house, seed, 20)
    now = max(arrived for _, arrived in house.pending) + timedelta(days=6)
    _drain(house, now, 500)
    code = code_for(house.engine, house.config, now)
    homes = sorted({row[0] for row in without_sources(full_journal(house))})
    with house.engine.connect() as conn:
        units = clocks.load(conn, homes, code.unheard)
        feeds = completeness.read(conn, house.network.sources, None)
    for home, rows in units.items():
        rows.clocks.clear()
        rows.instant = None
        for subject, signs in rows.signs.items():
            rows.signs[subject] = [
                type(s)(s.type, s.occurred_at, s.applied_at or s.arrived_at, s.event_id, s.facts)
                for s in signs
            ]
        replayed = visit(rows, code, feeds, now).judged.journal
        stored = [row for row in full_journal(house) if row[0] == home]
        assert sorted(
            (e.rule, e.subject.kind, e.subject.line, e.cycle, e.name, e.effective, e.detected)
            for e in replayed
        ) == sorted((r[1], r[2], r[4], r[6], r[7], r[8], r[9]) for r in stored)


# --- when something breaks ------------------------------------------------------------------------


def test_a_unit_that_crashes_waits_an_hour_and_the_others_go_on(house: Any) -> None:
    bad = house.released("4700", "03-30 08:00")
    house.released("4711", "03-30 08:00")
    with house.engine.begin() as conn:
        conn.execute(
            update(event_object).where(event_object.c.event_id == bad.id).values(words={"": [1]})
        )
    result = house.until("03-30 12:30")
    assert {(c.category, c.number) for c in house.cases() if c.category == "ACK_OVERDUE"} == {
        ("ACK_OVERDUE", "4711")
    }
    [broken] = [c for c in house.cases() if c.category == "TOWER_UNHEALTHY"]
    assert "AttributeError" in broken.why["cause"]
    assert broken.owner == "it_integration"
    assert result.next_due is not None
    # Mended: an hour later it is judged, and its case heals.
    with house.engine.begin() as conn:
        conn.execute(
            update(event_object).where(event_object.c.event_id == bad.id).values(words={"": {}})
        )
    house.until("03-30 13:31")
    [broken] = [c for c in house.cases() if c.category == "TOWER_UNHEALTHY"]
    assert (broken.state, broken.resolution) == ("resolved", "healed")
    assert {row.failed_at for row in house.rows(select(judged_unit))} == {None}


def test_a_unit_that_cannot_be_stored_does_not_hold_up_the_others(
    house: Any, owner_url: str
) -> None:
    owner = create_engine(owner_url)
    with owner.begin() as conn:
        conn.execute(
            text("ALTER TABLE transition ADD CONSTRAINT not_this CHECK (number <> '4700')")
        )
    owner.dispose()
    house.released("4700", "03-30 08:00")
    house.released("4711", "03-30 08:00")
    result = house.until("03-30 12:30")
    assert {c.number for c in house.cases() if c.category == "ACK_OVERDUE"} == {"4711"}
    assert [c.category for c in house.cases()].count("TOWER_UNHEALTHY") == 1
    assert result.more is False


def test_a_changed_rule_book_judges_running_clocks_anew_and_leaves_closed_ones(
    house: Any, rules_of: Callable[[str], Any], shipped_text: str
) -> None:
    house.released("4700", "03-30 08:00")
    house.acknowledged("4700", "03-30 12:30")
    house.released("4711", "03-30 08:00")
    house.until("03-30 13:00")
    before = {c.number: c for c in house.clocks() if c.rule == "po.unacknowledged"}
    assert (before["4700"].verdict, before["4711"].verdict) == ("met_late", "breached")

    house.use(rules_of(shipped_text.replace("tier: A}, within: 4bh", "tier: A}, within: 5bh")))
    house.until("03-30 13:05")
    after = {c.number: c for c in house.clocks() if c.rule == "po.unacknowledged"}
    assert (after["4700"].verdict, after["4711"].verdict) == ("met_late", "at_risk")
    assert after["4700"].rule_hash == before["4700"].rule_hash != after["4711"].rule_hash
    assert {c.number: c.resolution for c in house.cases()}["4711"] == "healed"

    # Late proof reopens the closed one; it is still judged by the rules of its day.
    house.acknowledged("4700", "03-30 12:15", arrives="03-30 14:00")
    house.until("03-30 14:00")
    again = {c.number: c for c in house.clocks() if c.rule == "po.unacknowledged"}
    assert again["4700"].verdict == "met_late"
    assert again["4700"].ended_at < before["4700"].ended_at
    assert again["4700"].rule_hash == before["4700"].rule_hash
    assert house.cases("TOWER_UNHEALTHY") == []


def test_a_rule_that_is_gone_ends_its_clocks_and_closes_its_cases(
    house: Any, rules_of: Callable[[str], Any], shipped_text: str
) -> None:
    house.released("4711", "03-30 08:00")
    house.until("03-30 13:00")
    begin = shipped_text.index("  # 1. A purchase order")
    rest = shipped_text.index("  # 2. The supplier says no")
    house.use(rules_of(shipped_text[:begin] + shipped_text[rest:]))
    house.until("03-30 13:05")
    gone = next(c for c in house.clocks() if c.rule == "po.unacknowledged")
    assert (gone.verdict, gone.open) == ("not_measured", False)
    [case] = house.cases()
    assert (case.state, case.resolution) == ("resolved", "healed")


def test_only_what_is_due_is_touched(house: Any) -> None:
    for n in range(30):
        house.released(f"47{n:02}", "03-30 08:00", supplier="BOLT")
    house.released("4800", "03-30 08:00")
    house.until("03-30 08:00")
    result = house.until("03-30 12:10")
    assert (result.claimed, result.units) == ({"unit": 1}, 1)
    with house.engine.begin() as conn:
        waiting = conn.execute(select(timer.c.key).where(timer.c.kind == "unit")).scalars().all()
    assert len(waiting) == 31
    assert len(house.rows(select(clock).where(clock.c.open))) == 62
    assert len(house.rows(select(case_table))) == 1
