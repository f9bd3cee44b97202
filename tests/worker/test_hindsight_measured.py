"""Queues and partners in hindsight: what the worker said of them, and mails as silences left."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from db import clocks, measured, silences
from db.ingest import store_retrying
from db.tables import clock, measured_unit, outbox, transition
from tests.worker.conftest import House, berlin
from tests.worker.test_impact_rule import RULE
from tests.worker.test_partners_judge import hour, tell
from tests.worker.test_queues_judge import BOOK, OTHER
from tower.court import Code
from tower.raw import QueueSample
from tower.rulebook import RuleBook, load_rulebook
from tower.signs import Subject
from worker.hindsight import By, Hindsight, judge_past, uncovered
from worker.hindsight_measured import play_queue
from worker.judge import tick
from worker.judging import Judging

BEGIN = berlin("03-20 00:00")


def seen_by(house: House, end: datetime, by: By = "arrival") -> Hindsight:
    with house.engine.connect() as conn:
        code = Code(house.network, house.rulebook, clocks.kept_profiles(conn))
        hushes = silences.between(conn, BEGIN, end)
        seen = Hindsight(Judging(house.network, house.rulebook), code, BEGIN, end, by, hushes)
        judge_past(conn, [seen], [code], end)
    return seen


def says_what_was_said(house: House, seen: Hindsight) -> int:
    """Compare alerts, verdicts and mails with the journal, the clocks and the outbox."""
    c, o = clock.c, outbox.c
    telling = {(r.id, name) for r in house.rulebook.rules for name in r.telling_levels}
    said = {
        (row.rule, row.number, row.name, row.effective_at, row.detected_at)
        for row in house.rows(select(transition))
        if (row.rule, row.name) in telling
    }
    found = {
        (a.rule, a.subject.split(":")[2], a.level, a.effective, a.detected)
        for a in seen.alerts.values()
    }
    assert found == said
    rows = house.rows(select(c.rule, c.verdict, func.count()).group_by(c.rule, c.verdict))
    assert {(rule, v): n for rule, its in seen.verdicts.items() for v, n in its.items()} == {
        (row[0], row[1]): row[2] for row in rows
    }
    mails = house.rows(select(o.recipient, o.created_at, o.group_key))
    assert sorted((m.recipient, m.at, m.key.group) for m in seen.mails()) == sorted(
        (m.recipient, m.created_at, m.group_key) for m in mails
    )
    return len(found)


@pytest.fixture
def broker(make_house: Callable[..., Any]) -> Any:
    rules = BOOK + OTHER[OTHER.index("- id:") :]
    return make_house(load_rulebook(rules))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_queue_is_played_again_as_it_was_judged(broker: Any, seed: int) -> None:
    chance = random.Random(seed)
    broker.until("03-30 00:00")
    at, depth, told = berlin("03-30 01:00"), 100, []
    while at < berlin("03-30 23:00"):
        quiet = 4 < at.hour < 16  # hours in which nothing is over a limit
        depth = 100 if quiet else max(0, depth + chance.choice([-400, -60, 0, 60, 500]))
        told.append((at, depth, at + timedelta(minutes=chance.choice([0, 0, 0, 1, 30]))))
        at += timedelta(minutes=chance.choice([2, 3, 5, 12]))
    told.sort(key=lambda one: one[2])
    for read_at, deep, arrived in told:
        sample = QueueSample("rabbit", "erp.posting", read_at, total=deep)
        store_retrying(broker.engine, (), net=broker.network, now=arrived, samples=[sample])
        if chance.random() < 0.3 or arrived == told[-1][2]:  # rounds come when they come
            broker.all_fresh(arrived)
            tick(broker.engine, broker.config, arrived)
    broker.live("03-31 12:00")
    end = berlin("03-31 12:00")
    [(home, subject)] = [
        (row.home_key, Subject("queue", row.scope, row.number))
        for row in broker.rows(select(measured_unit))
    ]
    code = Code(broker.network, broker.rulebook, {})
    with broker.engine.connect() as conn:
        found = measured.samples(conn, {(home, subject): clocks.BEGINNING}, end)[home, subject]
    played = play_queue(code, home, subject, found, end)
    t = transition.c
    said = broker.rows(select(t.rule, t.cycle, t.name, t.effective_at, t.detected_at))
    assert sorted(map(tuple, said)) == sorted(
        (e.rule, e.cycle, e.name, e.effective, e.detected) for e in played.journal
    )
    assert [e.name for e in played.journal].count("breach") >= 2
    seen = seen_by(broker, end)
    assert sum(n for its in seen.verdicts.values() for n in its.values()) == len(
        broker.rows(select(clock.c.cycle))
    )


def test_a_partner_is_played_again_as_it_was_judged(house: House) -> None:
    house.until("03-30 07:00")
    tell(house, hour(bad=0, of=30, hour_="08", partner="BOLT"))
    tell(house, hour(bad=10, of=20))
    tell(house, hour(bad=0, of=50, hour_="10"))
    tell(house, hour(bad=9, of=20, hour_="13"), arrives="03-30 15:30")  # told late
    house.live("04-01 12:00")
    assert says_what_was_said(house, seen_by(house, berlin("04-01 12:00"))) >= 1
    late = seen_by(house, berlin("03-30 14:30"))
    true = seen_by(house, berlin("03-30 14:30"), by="occurred")
    assert len(true.alerts) > len(late.alerts)


@pytest.mark.parametrize("ended", [False, True])
def test_mails_are_those_that_silences_left(house: House, ended: bool) -> None:
    house.until("03-30 07:00")
    house.released("4711", "03-30 08:00")
    house.released("4712", "03-30 08:00", supplier="BOLT")
    with house.engine.begin() as conn:
        put = silences.add(
            conn, matchers={"partner": "ACME"}, from_at=berlin("03-30 08:00"),
            to_at=berlin("03-31 10:00"), reason="move", author="anna", now=berlin("03-30 08:00"),
        )  # fmt: skip
    house.live("03-30 16:00")
    assert house.mails() == []
    if ended:
        with house.engine.begin() as conn:
            silences.end(conn, put.id, author="anna", now=berlin("03-30 16:00"))
    house.live("04-02 12:00")
    seen = seen_by(house, berlin("04-02 12:00"))
    assert says_what_was_said(house, seen) >= 2
    first = min(mail.at for mail in seen.mails())
    assert (first < berlin("03-31 10:00")) is ended


def test_what_is_not_replayed_is_named_with_its_reason(
    house: House, shipped_text: str, rules_of: Callable[[str], RuleBook]
) -> None:
    book = rules_of(shipped_text + RULE)
    told = {one.rule: one.why for one in uncovered(Code(house.network, book, {}))}
    kinds = {rule.id: rule.kind for rule in book.rules}
    assert {kinds[rule] for rule in told} == {"agreement", "impact", "volume"}
    assert all("is not kept" in why for why in told.values())
