"""Rounds that only time has moved are judged without events, and leave what judging would."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update

from db.tables import clock, judged_unit, source_spell, timer, transition
from tests.statements import listening
from tests.worker.conftest import House, berlin
from worker import judge, passing
from worker.judge import TickResult, tick

Make = Callable[..., House]
WARNED = "03-30 11:00"  # three of four open hours
WALKED = """
  - id: order.affected
    kind: impact
    category: ORDER_AFFECTED
    about: order_line
    walk_from: {po.unacknowledged: warn}
    levels: {breach: {severity: high, notify: business}}
"""


@pytest.fixture(autouse=True)
def _no_unit_is_asked_for_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a few units have heard is read beside; here it shall show which rounds need it."""
    monkeypatch.setattr(judge, "FEW", 0)


def kept(house: House) -> list[list[tuple[Any, ...]]]:
    """All that judging leaves, as far as it is no matter of when it ran."""
    t, k, j, m = transition.c, clock.c, judged_unit.c, timer.c
    journal = select(t.home_key, t.rule, t.number, t.line, t.n, t.cycle, t.name, t.effective_at,
                     t.detected_at, t.rule_hash, t.why)  # fmt: skip
    clocks = select(k.home_key, k.rule, k.number, k.line, k.cycle, k.verdict, k.open, k.due_at,
                    k.next_at, k.breached_at, k.state, k.partner_id)  # fmt: skip
    units = select(j.home_key, j.instant, j.impact_at)
    timers = select(m.key, m.due).where(m.kind == "unit")
    return [sorted(map(repr, house.rows(q))) for q in (journal, clocks, units, timers)]


def read_events(house: House, now: str, *, fresh: bool = True) -> tuple[bool, TickResult]:
    """A round, and whether it read what events say."""
    if fresh:
        house.all_fresh(berlin(now))
    with listening() as said:
        result = tick(house.engine, house.config, berlin(now))
    return any("event_object.words" in told for told in said.texts), result


def two_houses(make: Make, monkeypatch: pytest.MonkeyPatch, live: Callable[[House], None]) -> None:
    """What one house leaves that judges by time, and one that always reads the events."""
    quick = make()
    live(quick)
    monkeypatch.setattr(passing, "_judge", lambda *_: None)
    slow = make()
    live(slow)
    assert kept(quick) == kept(slow)


def test_warnings_are_judged_without_reading_events(
    make_house: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bool] = []

    def live(house: House) -> None:
        house.released("4711", "03-30 08:00", lines=2, requested="2026-04-02")
        house.released("4712", "03-30 08:00", supplier="BOLT")
        house.until("03-30 08:00")
        told, result = read_events(house, WARNED)
        assert (result.units, result.transitions) == (1, 1)
        read.append(told)
        house.until("03-30 12:30")
        house.until("04-03 12:00")

    two_houses(make_house, monkeypatch, live)
    assert read == [False, True]


def test_what_is_written_in_parts_is_the_same(
    make_house: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passing, "PART", 2)

    def live(house: House) -> None:
        for po in ("4711", "4712", "4713", "4714", "4715"):
            house.released(po, "03-30 08:00")
        house.until("03-30 08:00")
        _, result = read_events(house, WARNED)
        assert (result.units, result.transitions) == (5, 5)

    two_houses(make_house, monkeypatch, live)


def test_warnings_that_passed_together_are_each_in_the_journal(
    make_house: Make,
    monkeypatch: pytest.MonkeyPatch,
    shipped_text: str,
    rules_of: Callable[[str], Any],
) -> None:
    warn = "warn: {at: 75%, severity: low}"
    assert shipped_text.count(warn) == 1
    early = "early: {at: 25%, severity: low}\n      half: {at: 50%, severity: low}"
    rules = rules_of(shipped_text.replace(warn, f"{early}\n      {warn}"))

    def live(house: House) -> None:
        house.use(rules)
        house.released("4711", "03-30 08:00")
        house.until("03-30 08:00")
        told, result = read_events(house, WARNED)
        assert (result.units, result.transitions) == (1, 3)
        if not told:
            names = [name for name, _ in house.journal("po.unacknowledged")]
            assert names == ["started", "early", "half", "warn"]
        house.until("03-30 12:30")

    two_houses(make_house, monkeypatch, live)


def test_a_cycle_written_in_another_hand_is_read_as_well(house: House) -> None:
    house.released("4711", "03-30 08:00")
    house.until("03-30 08:00")
    of_rule = clock.c.rule == "po.unacknowledged"
    [[state]] = house.rows(select(clock.c.state).where(of_rule))
    spaced = json.dumps(dict(reversed(state.items())), indent=1)
    with house.engine.begin() as conn:
        given = {"state": spaced, "rule": "po.unacknowledged"}
        said = "UPDATE clock SET state = CAST(:state AS json) WHERE rule = :rule"
        conn.execute(text(said), given)
    assert not read_events(house, WARNED)[0]
    [[after]] = house.rows(select(clock.c.state).where(of_rule))
    assert after["receipt"] == state["receipt"]
    assert [name for name, *_ in after["facts"]] == ["started", "warn"]
    whys = house.rows(select(transition.c.why).where(transition.c.name == "warn"))
    assert whys == [(state["receipt"],)]


def test_what_was_told_meanwhile_is_heard_before_the_warning(
    make_house: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def live(house: House) -> None:
        house.released("4711", "03-30 08:00")
        house.until("03-30 08:00")
        house.acknowledged("4711", "03-30 10:00", arrives="03-30 10:59")
        told, _ = read_events(house, WARNED)
        assert told
        assert [name for name, _ in house.journal("po.unacknowledged")] == ["started", "end:met"]

    two_houses(make_house, monkeypatch, live)


@pytest.mark.parametrize("whose", ["its own", "another's"])
def test_a_silent_source_of_any_clock_of_a_unit_has_all_of_it_judged(
    make_house: Make,
    monkeypatch: pytest.MonkeyPatch,
    shipped_text: str,
    rules_of: Callable[[str], Any],
    whose: str,
) -> None:
    """Whether it could tell of what warns, or only of another clock that is not due."""
    comment = "    # while a feed of this supplier is silent: unknown, not late"
    told_by = "evidence: supplier.feeds" + comment
    assert shipped_text.count(told_by) == 1
    mine = "evidence: erp" + comment if whose == "another's" else told_by

    def live(house: House) -> None:
        house.use(rules_of(shipped_text.replace(told_by, mine)))
        house.released("4711", "03-30 08:00")
        house.until("03-30 08:00")
        house.all_fresh(berlin(WARNED))
        house.heard("edi_in", berlin("03-29 12:00"))  # blind from then on, known at midnight
        told, _ = read_events(house, WARNED, fresh=False)
        assert told
        house.until("03-30 11:30", fresh=False)
        house.until("03-31 12:30")

    two_houses(make_house, monkeypatch, live)


def test_a_spell_that_is_over_but_may_still_count_has_the_unit_judged(house: House) -> None:
    house.released("4711", "03-30 08:00")
    house.until("03-30 08:00")
    with house.engine.begin() as conn:
        row = {
            "source": "edi_in", "from_at": berlin("03-29 08:00"), "known_at": berlin("03-29 20:00"),
            "to_at": berlin("03-30 10:55"), "cause": "silent",
        }  # fmt: skip
        conn.execute(source_spell.insert().values(row))
    assert read_events(house, WARNED)[0]


@pytest.mark.parametrize(
    "why",
    ["failed_at", "reread_at", "impact_at", "rule_hash", "calendar_hash", "wait", "told", "walked"],
)
def test_what_else_may_be_due_is_judged_from_events(
    house: House, why: str, shipped_text: str, rules_of: Callable[[str], Any]
) -> None:
    if why == "told":  # a warning that a person is told of
        warn = "warn: {at: 75%, severity: low"
        house.use(rules_of(shipped_text.replace(warn, f"{warn}, notify: business")))
    elif why == "walked":  # or one that puts a date in doubt
        house.use(rules_of(shipped_text + WALKED))
    house.released("4711", "03-30 08:00")
    house.until("03-30 08:00")
    with house.engine.begin() as conn:
        if why in ("failed_at", "reread_at", "impact_at"):
            conn.execute(update(judged_unit).values({why: berlin("03-30 10:00")}))
        elif why == "wait":  # the source is read in another rhythm now
            [state] = conn.execute(
                select(clock.c.state).where(clock.c.rule == "po.unacknowledged")
            ).scalars()
            state["ahead"]["wait"] = timedelta(hours=3).total_seconds()
            conn.execute(
                update(clock).where(clock.c.rule == "po.unacknowledged").values(state=state)
            )
        elif why.endswith("hash"):
            conn.execute(
                update(clock).where(clock.c.rule == "asn.missing").values({why: "another"})
            )
    assert read_events(house, WARNED)[0]
