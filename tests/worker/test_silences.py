"""Silences and planned work: no mails for a time; clocks, cases and closings go on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from db import silences
from db.reads.silences import listing
from db.tables import exception_case, group_member, silence, suppression, transition
from tests.worker.conftest import NETWORK, House, berlin
from tower.access import EVERYTHING, Scope
from tower.network import load_network
from tower.silences import NotASilence


def put(house: Any, begin: str, end: str, now: str | None = None, **matchers: str) -> Any:
    with house.engine.begin() as conn:
        return silences.add(
            conn,
            matchers=matchers,
            from_at=berlin(begin),
            to_at=berlin(end),
            reason="gateway upkeep",
            author="kim",
            now=berlin(now or begin),
        )


def reasons(house: Any) -> list[str]:
    return [row.reason for row in house.rows(select(suppression).order_by(suppression.c.id))]


def test_a_silence_keeps_mails_back_and_what_is_open_at_its_end_is_told(house: Any) -> None:
    made = put(house, "03-30 07:00", "03-30 15:00", partner="ACME")
    house.released("4711", "03-30 08:00")
    house.live("03-30 14:59")
    assert house.mails() == []
    assert [c.state for c in house.cases()] == ["new"]
    assert set(reasons(house)) == {made.words}
    assert "by kim: gateway upkeep" in made.words
    house.live("03-30 15:00")
    assert house.subjects() == ["anna: [1 open, 1 new] PO not answered - ACME Fasteners Ltd"]
    assert house.rows(select(group_member)) == []


def test_a_silence_changes_no_clock_and_no_case(house: Any, make_house: Any) -> None:
    """The journal and the cases of a silenced house equal those of one that is not."""
    loud = make_house()
    put(house, "03-30 07:00", "04-10 15:00", rule="po.unacknowledged")
    for one in (house, loud):
        one.released("4711", "03-30 08:00")
        one.released("4712", "03-30 08:00", supplier="BOLT")
        one.acknowledged("4711", "03-31 09:00")
        one.live("04-01 12:00")
    columns = ("rule", "number", "name", "effective_at", "detected_at")
    told = [transition.c[name] for name in columns]
    query = select(*told).order_by(*told)
    assert house.rows(query) == loud.rows(query)
    kept = [exception_case.c[n] for n in ("fingerprint", "state", "severity", "levels", "owner")]
    assert house.rows(select(*kept).order_by(kept[0])) == loud.rows(select(*kept).order_by(kept[0]))
    about = "PO not answered"
    assert any(about in m.subject for m in loud.mails())
    assert not any(about in m.subject for m in house.mails())


def test_who_was_told_hears_of_the_end_though_it_is_silenced(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.live("03-30 13:00")
    put(house, "03-30 13:01", "04-05 12:00", po="4711")
    house.acknowledged("4711", "03-30 14:00")
    house.tell("po.answer_applied", {"po": "4711", "erp": "main"}, "03-30 14:30")
    house.live("03-31 08:00")
    assert [m.subject for m in house.mails()][1:] == ["[0 open, 1 settled] Daily summary"]


def test_other_cases_are_told_meanwhile(house: Any) -> None:
    put(house, "03-30 07:00", "03-31 15:00", po="4711")
    house.released("4711", "03-30 08:00")
    house.released("4712", "03-30 08:00")
    house.live("03-30 17:00")
    [mail] = house.mails()
    assert mail.subject.startswith("[1 open, 1 new]")
    assert mail.cases == [c.id for c in house.cases() if c.number == "4712"]


def test_ended_before_its_time_it_lets_speak_at_once(house: Any) -> None:
    made = put(house, "03-30 07:00", "04-20 15:00", category="ACK_OVERDUE")
    house.released("4711", "03-30 08:00")
    house.live("03-30 14:00")
    with house.engine.begin() as conn:
        silences.end(conn, made.id, author="kim", now=berlin("03-30 14:00"))
    house.live("03-30 14:01")
    assert [m.reason for m in house.mails()] == ["new"]
    with house.engine.begin() as conn, pytest.raises(NotASilence, match="is over since"):
        silences.end(conn, made.id, author="kim", now=berlin("03-30 14:01"))


def test_a_silence_without_end_reason_or_matter_is_refused(house: Any) -> None:
    given = {
        "matchers": {"partner": "ACME"},
        "from_at": berlin("03-30 07:00"),
        "to_at": berlin("03-30 09:00"),
        "reason": "x",
        "author": "kim",
        "now": berlin("03-30 07:00"),
    }
    changes: list[tuple[dict[str, Any], str]] = [
        ({"matchers": {}}, "name at least one"),
        ({"matchers": {"partner": "  "}}, "name at least one"),
        ({"to_at": berlin("03-30 07:00")}, "later end"),
        ({"to_at": berlin("03-30 07:00") + timedelta(days=91)}, "within 90 days"),
        ({"reason": " "}, "Say why"),
        ({"author": ""}, "who asks"),
        ({"now": berlin("04-30 07:00")}, "over"),
    ]
    for change, said in changes:
        with house.engine.begin() as conn, pytest.raises(NotASilence, match=said):
            silences.add(conn, **{**given, **change})
    assert house.rows(select(silence)) == []


def test_the_list_shows_state_and_open_cases_to_staff_only(house: Any) -> None:
    put(house, "03-30 07:00", "03-30 08:00", source="edi_in")
    active = put(house, "03-30 07:00", "04-30 08:00", partner="ACME")
    put(house, "04-01 07:00", "04-02 08:00", now="03-30 07:00", po="9")
    house.released("4711", "03-30 08:00")
    house.released("4712", "03-30 08:00", supplier="BOLT")
    house.live("04-01 05:00")
    now = berlin("04-01 05:00")
    with house.engine.connect() as conn:
        found = listing(conn, EVERYTHING, now)
        assert listing(conn, Scope(frozenset({"ACME"})), now) == []
    assert [one.state for one in found] == ["active", "coming", "over"]
    assert found[0].silence == active
    mine = [c for c in house.cases() if c.supplier == "ACME" and c.state != "resolved"]
    assert found[0].open_cases == len(mine) == 1


def test_planned_work_on_a_source_is_no_news_until_it_lasts_longer(
    engine: Any, shipped_rules: Any
) -> None:
    planned = NETWORK.replace(
        "silent_after: 12h}\n  portal",
        "silent_after: 12h, maintenance: upkeep}\n  portal",
    ).replace(
        "calendars:\n",
        'calendars:\n  upkeep: {zone: Europe/Berlin, open: {sat: ["06:00-22:00"]}}\n',
    )
    assert planned.count("upkeep") == 2
    house = House(engine, load_network(planned, "network.yaml"), shipped_rules)
    house.until("03-28 05:00")  # a Saturday
    house.until("03-28 18:00", fresh=False)  # nothing was read for 13 hours
    silent = {c.number for c in house.cases("SOURCE_SILENT")}
    assert silent == {"edi_in", "portal", "erp"}
    told = {c for m in house.mails() for c in m.cases}
    hushed = [c.id for c in house.cases("SOURCE_SILENT") if c.number == "edi_in"]
    assert told.isdisjoint(hushed)
    assert any(r.startswith("planned work until 2026-03-28 21:00 UTC") for r in reasons(house))
    house.until("03-28 22:01", fresh=False)
    assert set(hushed) <= {c for m in house.mails() for c in m.cases}
