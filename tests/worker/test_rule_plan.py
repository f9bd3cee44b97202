"""A changed rule book: planned before it comes into force, and no mail about the past after."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db import configuration
from db.tables import active_config, case_note, outbox, suppression
from tests.worker.conftest import NETWORK, House, berlin
from tower.errors import ConfigError
from worker import configuration as files
from worker.configuration import parse
from worker.judging import Judging
from worker.rule_plan import Present, present, rule_changes

WITHIN = "supplier.tier: A}, within: 4bh"


def take_in(house: House, text: str, at: str, network: str = NETWORK) -> None:
    """Put a rule book and a network in force, as a running worker would."""
    with house.engine.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, network, berlin(at))
        configuration.activate(conn, configuration.RULES, text, berlin(at))
    config = parse(network, text)
    house.rulebook, house.network = config.rulebook, config.network
    house.config = Judging(config.network, config.rulebook)
    house.until(at)


def planned(house: House, text: str, at: str, network: str = NETWORK) -> Present:
    house.all_fresh(berlin(at))
    with house.engine.connect() as conn:
        return present(conn, parse(network, text), berlin(at))


def numbered(house: House, start: datetime) -> list[tuple[str, str, Sequence[int]]]:
    o = outbox.c
    rows = house.rows(select(outbox).where(o.created_at >= start).order_by(o.id))
    return [(row.recipient, row.group_key, row.cases) for row in rows]


@pytest.fixture
def waiting(house: House, shipped_text: str) -> House:
    """Three orders of Friday afternoon that are due on Monday at 9, 9:30 and 10:15."""
    take_in(house, shipped_text, "03-20 08:00")
    for po, at in (("4711", "03-27 14:00"), ("4712", "03-27 14:30"), ("4713", "03-27 15:00")):
        house.released(po, at)
    house.live("03-30 08:45")
    return house


def test_a_shorter_budget_is_planned_before_it_is_in_force(
    waiting: House, shipped_text: str
) -> None:
    plan = planned(waiting, shipped_text.replace(WITHIN, WITHIN[:-3] + "3bh"), "03-30 08:45")
    acks = [m for m in plan.moved if m.rule == "po.unacknowledged"]
    assert [(m.subject, m.due_before, m.due_after, m.verdict_after) for m in acks] == [
        ("po:main:4711", berlin("03-30 09:00"), berlin("03-27 17:00"), "breached"),
        ("po:main:4712", berlin("03-30 09:30"), berlin("03-30 08:30"), "breached"),
        ("po:main:4713", berlin("03-30 10:00"), berlin("03-30 09:00"), "at_risk"),
    ]
    assert {c.subject for c in plan.opened} == {"po:main:4711", "po:main:4712"}
    assert [(s.recipient, s.opened, s.closed) for s in plan.summaries] == [("anna", 2, 0)]
    assert plan.closed == []


def test_what_is_planned_is_what_happens(waiting: House, shipped_text: str) -> None:
    text = shipped_text.replace(WITHIN, WITHIN[:-3] + "3bh")
    plan = planned(waiting, text, "03-30 08:45")
    take_in(waiting, text, "03-30 08:45")
    waiting.live("03-30 09:05")
    cases = waiting.cases()
    assert {str(case.number) for case in cases} == {
        case.subject.rpartition(":")[2] for case in plan.opened
    }
    [summary] = plan.summaries
    sent = waiting.mails()
    assert [(m.recipient, m.created_at) for m in sent] == [(summary.recipient, summary.at)]


def test_the_past_is_told_in_one_summary_and_what_follows_by_mail(
    waiting: House, shipped_text: str
) -> None:
    text = shipped_text.replace(WITHIN, WITHIN[:-3] + "3bh")
    take_in(waiting, text, "03-30 08:45")
    waiting.live("03-30 12:00")
    told = numbered(waiting, berlin("03-30 00:00"))
    assert [(who, group, len(cases)) for who, group, cases in told] == [
        ("anna", "digest", 2),
        ("anna", "rule=po.unacknowledged", 3),
    ]
    reasons = {row.reason for row in waiting.rows(select(suppression))}
    assert reasons == {"before activation of the rule: told in one summary"}


def test_without_a_change_nothing_is_told_in_summary(waiting: House, shipped_text: str) -> None:
    plan = planned(waiting, shipped_text, "03-30 08:45")
    assert (plan.moved, plan.opened, plan.closed, plan.summaries) == ([], [], [], [])
    assert plan.open >= 3


def test_a_removed_rule_closes_its_cases_in_one_summary(waiting: House, shipped_text: str) -> None:
    waiting.live("03-30 11:00")
    assert len(waiting.cases("ACK_OVERDUE")) == 3
    start, end = shipped_text.index("  # 1. "), shipped_text.index("  # 2. ")
    text = shipped_text[:start] + shipped_text[end:]
    plan = planned(waiting, text, "03-30 11:00")
    assert len(plan.closed) == 3
    assert {c.why for c in plan.closed} <= {
        "its rule was removed", "no longer expected (rule removed)",
    }  # fmt: skip
    [summary] = plan.summaries
    assert (summary.recipient, summary.opened, summary.closed) == ("anna", 0, 3)
    take_in(waiting, text, "03-30 11:00")
    waiting.live("03-30 14:00")
    assert {case.state for case in waiting.cases("ACK_OVERDUE")} == {"resolved"}
    told = numbered(waiting, berlin("03-30 11:00"))
    assert [(who, group, len(cases)) for who, group, cases in told] == [("anna", "digest", 3)]


def test_a_holiday_more_moves_open_clocks_and_takes_back_what_it_excuses(
    waiting: House, shipped_text: str
) -> None:
    waiting.live("03-30 09:20")
    assert len(waiting.cases("ACK_OVERDUE")) == 1
    closed = NETWORK.replace('"13:00-17:00"]}}', '"13:00-17:00"]}, days: {"2026-03-30": []}}')
    plan = planned(waiting, shipped_text, "03-30 09:20", closed)
    acks = [m for m in plan.moved if m.rule == "po.unacknowledged"]
    assert [(m.subject[-1], m.due_after, m.verdict_after) for m in acks] == [
        ("1", berlin("03-31 09:00"), "at_risk"),
        ("2", berlin("03-31 09:30"), "pending"),
        ("3", berlin("03-31 10:00"), "pending"),
    ]
    assert [c.subject for c in plan.closed] == ["po:main:4711"]
    take_in(waiting, shipped_text, "03-30 09:20", closed)
    assert {case.state for case in waiting.cases("ACK_OVERDUE")} == {"resolved"}
    waiting.live("03-31 12:00")
    told = numbered(waiting, berlin("03-30 09:20"))
    # The summary of the change in the morning, then what became due by the new calendar.
    assert [(who, group, len(cases)) for who, group, cases in told] == [
        ("anna", "digest", 1),
        *(("anna", "rule=po.unacknowledged", n) for n in (1, 2, 3)),
    ]


def test_a_holiday_less_finds_the_past_and_mails_nothing_about_it(
    house: House, shipped_text: str
) -> None:
    closed = NETWORK.replace('"13:00-17:00"]}}', '"13:00-17:00"]}, days: {"2026-03-30": []}}')
    take_in(house, shipped_text, "03-20 08:00", closed)
    house.released("4711", "03-27 14:00")
    house.live("03-31 08:30")
    assert house.cases("ACK_OVERDUE") == []
    plan = planned(house, shipped_text, "03-31 08:30")
    assert [(c.subject, c.id) for c in plan.opened] == [("po:main:4711", None)]
    take_in(house, shipped_text, "03-31 08:30")
    house.live("03-31 17:00")
    told = numbered(house, berlin("03-31 00:00"))
    assert [(who, group, len(cases)) for who, group, cases in told][:1] == [("anna", "digest", 1)]


def test_another_tier_rewrites_nothing_that_runs(waiting: House, shipped_text: str) -> None:
    lower = NETWORK.replace("ACME Fasteners Ltd, tier: A", "ACME Fasteners Ltd, tier: C")
    plan = planned(waiting, shipped_text, "03-30 08:45", lower)
    assert (plan.moved, plan.opened, plan.summaries) == ([], [], [])
    take_in(waiting, shipped_text, "03-30 08:45", lower)
    waiting.released("4799", "03-30 08:50")
    waiting.live("03-30 09:20")
    due = {row.number: row.due_at for row in waiting.clocks() if row.rule == "po.unacknowledged"}
    assert (due["4711"], due["4799"]) == (berlin("03-30 09:00"), berlin("04-01 17:00"))


def test_a_plan_writes_nothing(waiting: House, shipped_text: str) -> None:
    def counts() -> list[int]:
        tables = (case_note, outbox, suppression, active_config)
        return [waiting.rows(select(func.count()).select_from(t))[0][0] for t in tables]

    before = counts()
    planned(waiting, shipped_text.replace(WITHIN, WITHIN[:-3] + "1bh"), "03-30 08:45")
    assert counts() == before


def test_how_each_rule_differs(house: House, shipped_text: str) -> None:
    text = shipped_text.replace(WITHIN, WITHIN[:-3] + "3bh")
    text = text.replace("id: fa.overdue", "id: fa.missing")
    text = text.replace('advice: "Talk to the supplier, or', 'advice: "Call, or')
    changes = rule_changes(parse(NETWORK, shipped_text).rulebook, parse(NETWORK, text).rulebook)
    assert [(c.rule, c.change) for c in changes] == [
        ("po.unacknowledged", "judging"), ("po.rejected", "telling"), ("fa.missing", "added"),
        ("fa.overdue", "removed"),
    ]  # fmt: skip


def test_taking_over_replaces_the_file_in_use_whole_or_not_at_all(
    house: House, shipped_text: str, tmp_path: Path
) -> None:
    network, rules, draft = (tmp_path / n for n in ("network.yaml", "rules.yaml", "draft.yaml"))
    network.write_text(NETWORK, encoding="utf-8")
    rules.write_text(shipped_text, encoding="utf-8")
    files.activate(house.engine, network, rules, berlin("03-20 08:00"))
    draft.write_text(shipped_text.replace(WITHIN, WITHIN[:-3] + "4 hours"), encoding="utf-8")
    with pytest.raises(ConfigError):
        files.take_over(house.engine, network, rules, network, draft, berlin("03-21 08:00"))
    assert rules.read_text(encoding="utf-8") == shipped_text
    changed = shipped_text.replace(WITHIN, WITHIN[:-3] + "3bh")
    draft.write_text(changed, encoding="utf-8")
    files.take_over(house.engine, network, rules, network, draft, berlin("03-21 08:00"))
    assert rules.read_text(encoding="utf-8") == changed
    assert (tmp_path / "rules.yaml.before").read_text(encoding="utf-8") == shipped_text
    with house.engine.connect() as conn:
        active = configuration.active(conn, configuration.RULES)
    assert active is not None
    assert (active.body, active.activated_at) == (changed, berlin("03-21 08:00"))
