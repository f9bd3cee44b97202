"""Trials of an edited rule book: wished for, judged by a worker, told as differences."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from db import configuration, rule_trials
from tests.worker.conftest import NETWORK, berlin
from worker import rule_trials as fulfilled

NOW = berlin("03-31 12:00")


def wish(house: Any, text: str) -> int:
    with house.engine.begin() as conn:
        return rule_trials.ask(conn, "ann", text, NOW - timedelta(days=7), NOW, NOW)


def outcome(house: Any, number: int) -> rule_trials.Trial:
    with house.engine.connect() as conn:
        found = rule_trials.get(conn, number)
    assert found is not None
    return found


@pytest.fixture
def tried(house: Any, shipped_text: str) -> Any:
    """A house with one late order, whose files are in force."""
    with house.engine.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, NETWORK, NOW)
        configuration.activate(conn, configuration.RULES, shipped_text, NOW)
    house.released("4711", "03-30 08:00")
    house.live("03-31 08:00")
    return house


def test_a_shorter_time_moves_the_alert_and_nothing_comes_into_force(
    tried: Any, shipped_text: str
) -> None:
    number = wish(tried, shipped_text.replace("within: 4bh", "within: 2bh"))
    assert fulfilled.fulfil_waiting(tried.engine, lambda: NOW)
    found = outcome(tried, number)
    assert (found.state, found.problem) == ("done", "")
    assert found.answer["changes"] == [{"rule": "po.unacknowledged", "change": "judging"}]
    moved = found.answer["compared"]["moved"]
    assert {m["after"]["subject"] for m in moved} == {"po:main:4711"}
    breach = next(m for m in moved if m["after"]["level"] == "breach")
    assert breach["after"]["effective"] == "2026-03-30T08:00:00+00:00"
    assert found.answer["plan"]["clocks"]["moved_total"] == 1
    assert [c.state for c in tried.cases()] == ["new"]
    assert not fulfilled.fulfil_waiting(tried.engine, lambda: NOW)  # nothing else waits


def test_a_book_with_mistakes_fails_with_their_places(tried: Any, shipped_text: str) -> None:
    number = wish(tried, shipped_text.replace("within: 4bh", "within: 4 hours"))
    fulfilled.fulfil_waiting(tried.engine, lambda: NOW)
    found = outcome(tried, number)
    assert found.state == "failed"
    assert '"4 hours" is not a duration' in found.problem
    assert "sla_rules.yaml:" in found.problem


def test_a_trial_that_was_called_off_stops_and_says_nothing(tried: Any, shipped_text: str) -> None:
    number = wish(tried, shipped_text)
    with tried.engine.begin() as conn:
        claimed = rule_trials.claim(conn, NOW)
        assert claimed is not None
        rule_trials.cancel(conn, number, NOW)
    with tried.engine.begin() as conn:
        assert not rule_trials.progress(conn, number, 1, 2, NOW)
    assert outcome(tried, number).state == "cancelled"


def test_a_worker_that_died_gives_its_trial_to_the_next(tried: Any, shipped_text: str) -> None:
    number = wish(tried, shipped_text)
    with tried.engine.begin() as conn:
        assert rule_trials.claim(conn, NOW) is not None
        assert rule_trials.claim(conn, NOW) is None  # its lease stands
    later = NOW + rule_trials.LEASE + timedelta(seconds=1)
    assert fulfilled.fulfil_waiting(tried.engine, lambda: later)
    assert outcome(tried, number).state == "done"


def test_a_wish_that_makes_no_sense_is_refused(tried: Any) -> None:
    with tried.engine.begin() as conn:
        with pytest.raises(rule_trials.TrialRefused, match="ends before it begins"):
            rule_trials.ask(conn, "ann", "version: 1", NOW, NOW, NOW)
        with pytest.raises(rule_trials.TrialRefused, match="1 MB"):
            rule_trials.ask(conn, "ann", "x" * 1_000_001, NOW - timedelta(days=1), NOW, NOW)
