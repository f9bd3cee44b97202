"""Judging the past anew: by arrival it says what the worker said, by occurrence what was true."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from db import clocks, configuration
from db.tables import clock, exception_case, outbox, transition
from tests.worker.conftest import NETWORK, House, berlin
from tower.court import Code
from tower.rulebook import RuleBook, load_rulebook
from worker.backtest import judge_in_parts
from worker.commands.rule_changes import books_of
from worker.hindsight import By, Hindsight, differences, judge_past, uncovered
from worker.judging import Judging

BEGIN, END = berlin("03-20 00:00"), berlin("04-03 12:00")


@pytest.fixture
def lived(house: House) -> House:
    """Two weeks in which an answer was late, one was told late, one never came, one was refused."""
    for n, (po, at) in enumerate(
        (("4711", "03-27 14:00"), ("4712", "03-27 14:30"), ("4713", "03-30 08:10"))
    ):
        house.released(po, at, lines=n + 1, requested="2026-04-03")
    house.tell("po.acknowledged", {"po": "4711", "erp": "main", "supplier": "ACME"}, "03-30 08:30",
               arrives="03-31 09:00")  # fmt: skip
    house.tell("po.rejected", {"po": "4713", "erp": "main", "supplier": "ACME"}, "03-30 16:00")
    house.released("4714", "03-31 14:00", arrives="04-02 14:00")
    house.live("04-03 12:00")
    return house


def past(
    house: House, *books: RuleBook, by: By = "arrival", begin: datetime = BEGIN
) -> list[Hindsight]:
    with house.engine.connect() as conn:
        kept = clocks.kept_profiles(conn)
        codes = [Code(house.network, book, kept) for book in books]
        seen = [
            Hindsight(Judging(house.network, book), code, begin, END, by)
            for book, code in zip(books, codes, strict=True)
        ]
        told: list[tuple[int, int]] = []
        documents, events = judge_past(conn, seen, codes, END, lambda *n: told.append(n))
    assert (documents, told[-1]) == (4, (4, 4))
    assert events > documents
    return seen


def spoken(house: House) -> set[tuple[Any, ...]]:
    """Levels that tell people, as the worker's journal has them."""
    t = transition
    telling = {(r.id, name) for r in house.rulebook.rules for name in r.telling_levels}
    return {
        (row.rule, f"{row.kind}:{row.scope}:{row.number}" + (f":{row.line}" if row.line else ""),
         row.name, row.effective_at, row.detected_at)
        for row in house.rows(select(t))
        if (row.rule, row.name) in telling
    }  # fmt: skip


def test_by_arrival_it_says_what_the_worker_said(lived: House) -> None:
    [seen] = past(lived, lived.rulebook)
    told = {(a.rule, a.subject, a.level, a.effective, a.detected) for a in seen.alerts.values()}
    assert told == spoken(lived)
    assert len(told) >= 5
    counted = {
        (rule, verdict): n for rule, found in seen.verdicts.items() for verdict, n in found.items()
    }
    c = clock.c
    rows = lived.rows(select(c.rule, c.verdict, func.count()).group_by(c.rule, c.verdict))
    assert counted == {(row[0], row[1]): row[2] for row in rows}


def test_by_arrival_it_mails_what_the_worker_mailed(lived: House) -> None:
    [seen] = past(lived, lived.rulebook)
    rows = lived.rows(select(outbox.c.recipient, outbox.c.created_at, outbox.c.group_key))
    really = sorted((row.recipient, row.created_at, row.group_key) for row in rows)
    assert sorted((m.recipient, m.at, m.key.group) for m in seen.mails()) == really
    assert really


@pytest.mark.long
def test_two_processes_say_what_one_says(
    lived: House, database_url: str, shipped_text: str
) -> None:
    with lived.engine.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, NETWORK, BEGIN)
        configuration.activate(conn, configuration.RULES, shipped_text, BEGIN)
    make = partial(books_of, rules=None, begin=BEGIN, end=END, by="arrival")
    told: list[tuple[int, int]] = []
    with lived.engine.connect() as conn:
        [(_, alone)], *counted = judge_in_parts(conn, database_url, make, END)
        [(_, together)], *summed = judge_in_parts(
            conn, database_url, make, END, lambda *n: told.append(n), small=0
        )
    assert summed == counted
    assert counted[0] == 4
    assert together.alerts == alone.alerts
    assert len(alone.alerts) > 3
    assert together.verdicts == alone.verdicts
    assert together.mails() == alone.mails()
    assert told[-1] == (4, 4)


def test_by_occurrence_it_says_what_was_true(lived: House) -> None:
    [seen] = past(lived, lived.rulebook, by="occurred")
    breached = {a.subject for a in seen.alerts.values() if a.rule == "po.unacknowledged"}
    # 4711 was answered in time, though that was told late.
    assert breached == {"po:main:4712", "po:main:4713", "po:main:4714"}
    assert not any(alert.withdrawn for alert in seen.alerts.values())


def test_only_what_was_said_in_the_period_counts(lived: House) -> None:
    [all_of_it] = past(lived, lived.rulebook)
    since = berlin("03-31 00:00")
    [seen] = past(lived, lived.rulebook, begin=since)
    assert {a.key for a in seen.alerts.values()} == {
        a.key for a in all_of_it.alerts.values() if a.detected >= since
    }
    assert [m.at for m in seen.mails()] == [m.at for m in all_of_it.mails() if m.at >= since]


def test_nothing_is_written(lived: House, engine: Engine) -> None:
    def counts() -> list[int]:
        tables = (clock, transition, exception_case, outbox)
        return [lived.rows(select(func.count()).select_from(t))[0][0] for t in tables]

    before = counts()
    past(lived, lived.rulebook)
    assert counts() == before


def test_two_books_differ_in_added_removed_and_moved_alerts(
    lived: House, shipped_text: str
) -> None:
    text = shipped_text.replace("supplier.tier: A}, within: 4bh", "supplier.tier: A}, within: 5bh")
    text = text.replace("before: 24bh", "before: 8bh").replace(
        "  - id: po.rejected", "  - id: po.refused"
    )
    draft = load_rulebook(text)
    old, new = past(lived, lived.rulebook, draft)
    found = differences(old, new)
    assert {(a.rule, a.level) for a in found.added} == {
        ("po.refused", "new"),
        ("po.refused", "aging"),
    }
    assert {a.rule for a in found.removed} >= {"po.rejected"}
    moved = {(b.rule, b.subject, b.level): (a.effective, b.effective) for a, b in found.moved}
    assert moved["po.unacknowledged", "po:main:4712", "breach"] == (
        berlin("03-30 09:30"), berlin("03-30 10:30"),
    )  # fmt: skip
    same = differences(old, past(lived, lived.rulebook)[0])
    assert (same.added, same.removed, same.moved) == ([], [], [])


def test_what_is_not_judged_from_events_is_named(lived: House) -> None:
    code = Code(lived.network, lived.rulebook, {})
    kinds = {rule.kind for rule in lived.rulebook.rules if rule.id in uncovered(code)}
    assert kinds <= {"queue", "ratio", "volume", "impact"}
