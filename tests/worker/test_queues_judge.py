"""Queues judged from their samples: one case and one mail, whatever the order of what is told."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from db import timers
from db.ingest import store_retrying
from db.tables import clock, measured_unit, timer
from tests.worker.conftest import BERLIN, berlin
from tower.network import QueueProfile
from tower.raw import QueueSample
from tower.rulebook import RuleBook, load_rulebook

BOOK = """
version: 1
notify:
  technical: {fallback: it_integration, group_by: [rule], wait: 1m, every: 15m, closed: at_once}
rules:
- id: queue.backlog
  kind: queue
  category: QUEUE_BACKLOG
  title: "Queue {queue.name} is backed up"
  any: [{depth: {above: 500}}, {oldest_age: {above: 20m}}]
  hold: 5m
  clear_after: 10m
  no_sample_after: 10m
  levels:
    breach: {severity: high, notify: technical}
    worse: {at: +1h, severity: critical, notify: technical}
"""

OTHER = BOOK.replace("queue.backlog", "queue.other").replace("above: 500", "above: 9000")

Told = tuple[str, int | None, float | None]  # minute of the day, depth, age of the oldest in s


def samples(told: Iterable[Told], queue: str = "erp.posting") -> list[QueueSample]:
    return [
        QueueSample("rabbit", queue, berlin(f"03-30 {at}"), total=depth, oldest_age_s=age)
        for at, depth, age in told
    ]


def minutes(start: str, n: int, depth: int | None, age: float | None = None) -> list[Told]:
    """One sample a minute."""
    begin = datetime.fromisoformat(f"2026-03-30 {start}")
    return [(f"{begin + timedelta(minutes=m):%H:%M}", depth, age) for m in range(n)]


def measure(house: Any, found: Iterable[QueueSample], arrives: str | None = None) -> None:
    """Samples that come one by one, each as it was measured, or all of them at one instant."""
    for one in found:
        at = berlin(f"03-30 {arrives}") if arrives else one.at
        store_retrying(house.engine, (), net=house.network, now=at, samples=[one])


@pytest.fixture
def book() -> RuleBook:
    return load_rulebook(BOOK)


@pytest.fixture
def broker(make_house: Callable[..., Any], book: RuleBook) -> Any:
    house = make_house(book)
    house.until("03-30 06:00")
    return house


def test_a_backlog_that_lasts_opens_one_case_and_one_mail_and_heals(broker: Any) -> None:
    measure(broker, samples(minutes("09:00", 5, 812)))
    broker.until("03-30 09:05")
    assert broker.cases() == []  # four minutes are no five
    measure(broker, samples([("09:05", 830, None)]))
    broker.until("03-30 09:05")
    [case] = broker.cases()
    assert (case.category, case.severity, case.state) == ("QUEUE_BACKLOG", "high", "new")
    assert (case.title, case.owner) == ("Queue erp.posting is backed up", "it_integration")
    assert (case.opened_at, case.due_at) == (berlin("03-30 09:05"), berlin("03-30 09:05"))
    assert case.why["measured"] == {"depth": 830}
    broker.until("03-30 09:07")
    assert broker.subjects() == [
        "it_integration: [1 open, 1 new] Queue too deep or too old - erp.posting"
    ]
    assert b"830 messages" in broker.mails()[0].message

    measure(broker, samples(minutes("09:06", 4, 900)) + samples(minutes("09:10", 11, 20)))
    broker.until("03-30 09:40")
    [case] = broker.cases()
    assert (case.state, case.resolution) == ("resolved", "healed")
    assert broker.notes(case.id)[-1] == ("resolved", "healed: back under its limit")
    assert broker.journal("queue.backlog") == [
        ("started", "03-30 09:00"),
        ("breach", "03-30 09:05"),
        ("end:cleared", "03-30 09:20"),
    ]
    broker.until("03-30 09:42")
    assert len(broker.mails()) == 2  # told open is told closed
    [judged] = broker.clocks()
    assert (judged.verdict, judged.open) == ("met_late", False)


def test_a_short_peak_is_no_case(broker: Any) -> None:
    measure(broker, samples([*minutes("09:00", 4, 812), ("09:04", 20, None), ("09:05", 900, None)]))
    broker.until("03-30 09:30")
    assert broker.cases() == []
    assert broker.clocks() == []


def test_an_old_message_in_a_short_queue_is_a_case(broker: Any) -> None:
    measure(broker, samples(minutes("09:00", 7, 1, 1500.0)))
    broker.until("03-30 09:07")
    assert [c.category for c in broker.cases()] == ["QUEUE_BACKLOG"]
    # Nobody says how old the oldest is: that heals nothing. An empty queue does.
    measure(broker, samples(minutes("09:07", 20, 1)))
    broker.until("03-30 09:27")
    assert [c.state for c in broker.cases()] == ["new"]
    measure(broker, samples(minutes("09:27", 12, 0)))
    broker.until("03-30 09:40")
    assert [c.resolution for c in broker.cases()] == ["healed"]


def test_what_the_broker_does_not_say_is_never_zero(broker: Any) -> None:
    measure(broker, samples(minutes("09:00", 6, 812)))
    broker.until("03-30 09:06")
    measure(broker, samples(minutes("09:06", 30, None)))
    broker.until("03-30 09:36")
    [case] = broker.cases()
    assert case.state == "new"
    # Ten minutes after the last sample that said something the clock is held.
    assert broker.journal("queue.backlog")[-1] == ("held", "03-30 09:15")
    measure(broker, samples(minutes("09:40", 11, 3)))
    broker.until("03-30 09:51")
    assert [c.resolution for c in broker.cases()] == ["healed"]


def test_samples_far_apart_do_not_speak_of_the_time_between(broker: Any) -> None:
    measure(broker, samples([("09:00", 812, None), ("09:30", 812, None), ("10:00", 812, None)]))
    broker.until("03-30 10:30")
    assert broker.cases() == []


def test_a_later_level_is_reached_by_a_sample_that_confirms_it(broker: Any) -> None:
    measure(broker, samples(minutes("09:00", 60, 812)))
    broker.until("03-30 12:00")
    assert [c.severity for c in broker.cases()] == ["high"]
    measure(broker, samples(minutes("10:00", 6, 812)), arrives="12:01")
    broker.until("03-30 12:01")
    [case] = broker.cases()
    assert (case.severity, case.levels) == ("critical", ["breach", "worse"])


def test_a_late_sample_withdraws_the_breach(broker: Any) -> None:
    measure(broker, samples([t for t in minutes("09:00", 9, 812) if t[0] != "09:03"]))
    broker.until("03-30 09:08")
    assert [c.state for c in broker.cases()] == ["new"]
    measure(broker, samples([("09:03", 12, None)]), arrives="09:09")
    broker.until("03-30 09:09")
    # Its stretch began anew at 09:04; the breach moves to 09:09, which no sample confirms yet.
    assert [c.resolution for c in broker.cases()] == ["healed"]
    assert "not late" in broker.notes(broker.cases()[0].id)[-1][1]
    assert [name for name, _ in broker.journal("queue.backlog")] == [
        "started", "breach", "retract:breach", "retract:started", "recalculated",
    ]  # fmt: skip
    assert broker.clocks() == []


def story() -> list[QueueSample]:
    told = [
        *minutes("06:30", 30, 40), *minutes("07:00", 20, 700), *minutes("07:20", 30, 10),
        *minutes("07:50", 4, 600), *minutes("07:54", 8, None), *minutes("08:02", 9, 650),
        *minutes("08:11", 70, 8, 2000.0), *minutes("09:21", 50, 0), *minutes("12:00", 30, 501),
    ]  # fmt: skip
    return samples(told)


def standing(house: Any) -> list[tuple[Any, ...]]:
    c = clock.c
    return [
        (row.cycle, row.verdict, row.started_at, row.breached_at, row.ended_at, row.open)
        for row in house.rows(select(clock).order_by(c.cycle))
    ]


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2))])
def test_order_duplicates_and_delay_change_nothing_that_stands(
    make_house: Callable[..., Any], book: RuleBook, seed: int
) -> None:
    told = story()
    calm = make_house(book)
    calm.until("03-30 06:00")
    measure(calm, told)
    calm.until("03-30 13:00")
    expected = standing(calm)
    assert [row[1] for row in expected] == ["met_late", "met_late", "breached"]

    chance = random.Random(seed)
    shuffled = [*told, *chance.sample(told, 60)]
    chance.shuffle(shuffled)
    house = make_house(book)
    house.until("03-30 06:00")
    size = chance.choice([7, 40, 90])
    for n in range(0, len(shuffled), size):
        at = f"13:{n * 50 // len(shuffled):02}"
        now = berlin(f"03-30 {at}")
        store_retrying(house.engine, (), net=house.network, now=now, samples=shuffled[n : n + size])
        if chance.random() < 0.7:
            house.until(f"03-30 {at}")
    house.until("03-30 14:30")
    assert standing(house) == expected


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.long), 45])
def test_rounds_do_not_show_in_the_journal(
    make_house: Callable[..., Any], book: RuleBook, step: int
) -> None:
    """Judged after each sample, or forty-five at a time: the same journal, instants and all."""
    told = story()
    journals = []
    for size in (step, len(told)):
        house = make_house(book)
        house.until("03-30 06:00")
        for n in range(0, len(told), size):
            part = told[n : n + size]
            measure(house, part)
            house.until(f"{part[-1].at.astimezone(BERLIN):%m-%d %H:%M}")
        house.until("03-30 13:00")
        journals.append(house.journal("queue.backlog"))
    assert len(journals[0]) > 6
    assert journals[0] == journals[1]


@pytest.mark.long
def test_a_visit_reads_the_last_hours_only_and_a_sample_of_yesterday_is_still_judged(
    broker: Any,
) -> None:
    measure(broker, samples(minutes("07:00", 14 * 60, 700)))
    broker.until("03-30 21:00")
    [row] = broker.rows(select(measured_unit))
    _, states = row.footings["queue.backlog"]
    assert states[-1]["at"] > berlin("03-30 17:00").isoformat()
    [case] = broker.cases()
    assert case.state == "new"
    before = len(broker.journal("queue.backlog"))
    # Half a minute under the limit, told in the evening.
    late = [
        QueueSample("rabbit", "erp.posting", berlin("03-30 10:00") + timedelta(seconds=s), total=3)
        for s in (1, 30)
    ]
    store_retrying(broker.engine, (), net=broker.network, now=berlin("03-30 21:05"), samples=late)
    broker.until("03-30 21:05")
    assert len(broker.journal("queue.backlog")) == before  # thirty seconds are no ten minutes
    assert [c.state for c in broker.cases()] == ["new"]
    # A night of yesterday that was quiet changes what stands, though it lies before every state.
    measure(broker, samples([("06:30", 3, None), ("06:55", 900, None)]), arrives="21:10")
    broker.until("03-30 21:10")
    assert standing(broker)[0][2] == berlin("03-30 06:55")


def test_a_queue_rule_that_is_gone_closes_its_cases(broker: Any) -> None:
    measure(broker, samples(minutes("09:00", 7, 812)))
    broker.until("03-30 09:10")
    broker.use(load_rulebook(OTHER))
    broker.until("03-30 09:11")
    assert [(c.rule, c.resolution) for c in broker.cases()] == [("queue.backlog", "healed")]


def test_a_changed_limit_judges_the_open_cycle_anew(broker: Any) -> None:
    measure(broker, samples(minutes("09:00", 7, 812)))
    broker.until("03-30 09:10")
    broker.use(load_rulebook(BOOK.replace("above: 500", "above: 900")))
    broker.until("03-30 09:11")
    [case] = broker.cases()
    assert case.resolution == "healed"
    assert [row.open for row in broker.clocks()] == []


def test_without_a_queue_rule_samples_wait_for_nobody(house: Any) -> None:
    book = load_rulebook(BOOK.partition("- id:")[0].replace("rules:", "rules: []"))
    house.use(book)
    measure(house, samples(minutes("09:00", 3, 812)))
    house.until("03-30 09:05")
    kinds = {row.kind for row in house.rows(select(timer.c.kind))}
    assert timers.QUEUE not in kinds


def test_the_shipped_rule_knows_agreed_depths_and_leaves_dead_letters_alone(
    make_house: Callable[..., Any],
) -> None:
    house = make_house()
    agreed = {"rabbit/wms.east": QueueProfile(max_depth=60)}
    house.network = house.network.model_copy(update={"queues": agreed})
    house.use(house.rulebook)
    house.until("03-30 06:00")
    for queue in ("wms.east", "wms.west"):
        measure(house, samples(minutes("09:00", 7, 80), queue))
    measure(
        house,
        [replace(s, dlq_of="wms.east") for s in samples(minutes("09:00", 7, 900), "wms.east.dlq")],
    )
    house.until("03-30 09:07")
    assert [(c.rule, c.scope, c.number) for c in house.cases("QUEUE_BACKLOG")] == [
        ("queue.backlog", "rabbit", "wms.east")
    ]
