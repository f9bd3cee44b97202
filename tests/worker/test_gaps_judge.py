"""Interchanges that never came: cases and events, whatever the order in which files arrive."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text

from collectors import registry
from collectors.gaps import gap_raw
from db import control_numbers
from db.ingest import store_retrying
from db.tables import control_number, event
from tests.worker.conftest import House, berlin
from tower.network import Network
from tower.raw import Interpreted, Raw

STREAM = "x12:interchange:01:ACME/ZZ:NORTHWIND"


def interchange(number: int, *, kind: str = "830", usage: str = "P") -> bytes:
    """An interchange from ACME with one set that is not read."""
    return (
        f"ISA*00*{'':10}*00*{'':10}*01*{'ACME':15}*ZZ*{'NORTHWIND':15}*260302*0900*U*00401"
        f"*{number:09}*0*{usage}*:~GS*PS*A*B*20260302*0900*{number}*X*004010~"
        f"ST*{kind}*0001~BFR*05*1~SE*3*0001~GE*1*{number}~IEA*1*{number:09}~"
    ).encode()


def edifact(number: str, *, usage: str = "", at: str = "260302:0900") -> bytes:
    """An interchange from ACME with one message that is not read."""
    ending = f"++++{usage}" if usage else ""
    return (
        f"UNB+UNOC:3+ACME:14+NORTHWIND:14+{at}+{number}++DELFOR{ending}'"
        f"UNH+1+DELFOR:D:96A:UN'BGM+241+1+9'UNT+3+1'UNZ+1+{number}'"
    ).encode()


def bring(house: House, told: Sequence[tuple[int, datetime]], **how: str) -> None:
    """Files with these numbers, each stored by itself in this order."""
    for number, at in told:
        raw = Raw("portal", f"f{number}", interchange(number, **how), at)
        reading = registry.interpret(raw, house.network)
        store_retrying(house.engine, [Interpreted(raw, reading)], net=house.network, now=at)


def gaps_told(house: House) -> list[tuple[str, str, str]]:
    query = select(event.c.data).where(event.c.type == "source.gap")
    return sorted((d["from"], d["to"], d["kind"]) for (d,) in house.rows(query))


AT = berlin("03-02 10:00")


def test_a_missing_number_is_a_case_until_it_comes(house: House) -> None:
    bring(house, [(1, AT), (2, AT), (4, AT + timedelta(minutes=1))])
    house.until("03-02 10:10")
    assert house.cases("SOURCE_GAP") == []  # files of one hour may come in any order
    house.until("03-02 10:20")
    (case,) = house.cases("SOURCE_GAP")
    assert (case.state, case.severity, case.why["missing"]) == ("new", "high", "3")
    assert "01:ACME/ZZ:NORTHWIND" in case.title
    assert gaps_told(house) == [("3", "3", "interchange")]
    bring(house, [(3, berlin("03-02 11:00"))])
    house.until("03-02 11:00")
    (case,) = house.cases("SOURCE_GAP")
    assert (case.state, case.resolution) == ("resolved", "healed")
    house.until("03-02 12:00")
    assert len(house.cases("SOURCE_GAP")) == 1
    assert gaps_told(house) == [("3", "3", "interchange")]


@pytest.mark.parametrize("seed", range(4))
def test_neither_order_nor_repetition_changes_what_is_missing(house: House, seed: int) -> None:
    told = [(n, AT + timedelta(seconds=n)) for n in range(1, 21) if n not in (5, 9, 10, 17)]
    told += told[3:8]
    random.Random(seed).shuffle(told)
    bring(house, told)
    with house.engine.connect() as conn:
        found = control_numbers.missing(conn, STREAM)
    assert [(str(gap), gap.source, gap.seen_at) for gap in found] == [
        ("5", "portal", AT + timedelta(seconds=6)),
        ("9-10", "portal", AT + timedelta(seconds=11)),
        ("17", "portal", AT + timedelta(seconds=18)),
    ]
    house.until("03-02 10:30")
    assert gaps_told(house) == [
        ("17", "17", "interchange"),
        ("5", "5", "interchange"),
        ("9", "10", "interchange"),
    ]
    (case,) = house.cases("SOURCE_GAP")
    assert case.why["missing"] == "5, 9-10, 17"
    late = [(n, berlin("03-02 10:40")) for n in (17, 9, 5, 10)]
    random.Random(seed).shuffle(late)
    bring(house, late[:3])
    house.until("03-02 10:45")
    assert house.cases("SOURCE_GAP")[0].state == "new"
    bring(house, late[3:])
    house.until("03-02 10:50")
    assert house.cases("SOURCE_GAP")[0].state == "resolved"


def test_a_late_file_within_the_time_to_settle_leaves_no_trace(house: House) -> None:
    bring(house, [(3, AT), (1, AT), (2, AT + timedelta(minutes=14))])
    house.until("03-02 11:00")
    assert (house.cases("SOURCE_GAP"), gaps_told(house)) == ([], [])
    assert house.rows(text("SELECT 1 FROM timer WHERE kind = 'gap'")) == []


def test_numbers_of_tests_and_of_other_receivers_do_not_count(house: House) -> None:
    bring(house, [(1, AT), (2, AT)])
    bring(house, [(4, AT)], usage="T")
    other = interchange(7).replace(b"NORTHWIND", b"NORTHEAST")
    raw = Raw("portal", "other", other, AT)
    items = [Interpreted(raw, registry.interpret(raw, house.network))]
    store_retrying(house.engine, items, net=house.network, now=AT)
    house.until("03-02 11:00")
    assert house.cases("SOURCE_GAP") == []
    assert sorted(row.number for row in house.rows(select(control_number))) == [1, 2, 7]


def test_what_a_person_explained_stays_settled_until_more_is_missing(house: House) -> None:
    bring(house, [(1, AT), (2, AT), (4, AT)])
    house.until("03-02 10:30")
    with house.engine.begin() as conn:
        conn.execute(
            text(
                "UPDATE exception_case SET state = 'resolved', resolution = 'accepted', "
                "resolved_at = :at"
            ),
            {"at": berlin("03-02 10:31")},
        )
    bring(house, [(5, berlin("03-02 10:40"))])
    house.until("03-02 11:00")
    assert [case.state for case in house.cases("SOURCE_GAP")] == ["resolved"]
    bring(house, [(7, berlin("03-02 11:10"))])
    house.until("03-02 11:30")
    (case,) = house.cases("SOURCE_GAP")
    assert (case.state, case.why["missing"]) == ("new", "3, 6")


def test_a_gap_is_read_again_as_it_was_told(house_network: Network) -> None:
    raw = gap_raw("portal", "interchange", STREAM, "3", "5", AT)
    reading = registry.interpret(raw, house_network)
    (told,) = reading.events
    assert told.data == {"source": "portal", "from": "3", "to": "5", "kind": "interchange"}
    assert told == registry.interpret(replace(raw, name="again"), house_network).events[0]
    for origin in reading.origins[0]:
        assert origin.offset is not None
        assert origin.length is not None
        part = raw.body[origin.offset : origin.offset + origin.length]
        assert part.decode() == told.data[origin.field]
    again = gap_raw("portal", "interchange", STREAM, "3", "5", AT)
    assert (again.key, again.body) == (raw.key, raw.body)


# --- EDIFACT --------------------------------------------------------------------------------------


def bring_edifact(house: House, told: Sequence[tuple[bytes, datetime]]) -> None:
    """EDIFACT files, each stored by itself in this order."""
    feed = house.network.sources["portal"].model_copy(update={"format": "edifact"})
    net = house.network.model_copy(update={"sources": {**house.network.sources, "portal": feed}})
    for n, (body, at) in enumerate(told):
        raw = Raw("portal", f"{body!r}/{n}", body, at)
        reading = registry.interpret(raw, net)
        assert not reading.dead_letters
        store_retrying(house.engine, [Interpreted(raw, reading)], net=net, now=at)


@pytest.mark.parametrize("seed", range(3))
def test_a_missing_reference_of_edifact_is_a_case_until_it_comes(house: House, seed: int) -> None:
    told = [(edifact(f"{n:05}"), AT + timedelta(seconds=n)) for n in (7, 8, 9, 11, 13)]
    told += told[:2]
    random.Random(seed).shuffle(told)
    bring_edifact(house, told)
    house.until("03-02 10:30")
    (case,) = house.cases("SOURCE_GAP")
    assert (case.state, case.why["missing"]) == ("new", "10, 12")
    assert "ACME/NORTHWIND" in case.title
    assert gaps_told(house) == [("10", "10", "interchange"), ("12", "12", "interchange")]
    bring_edifact(house, [(edifact("12"), berlin("03-02 11:00"))])
    house.until("03-02 11:05")
    assert house.cases("SOURCE_GAP")[0].state == "new"
    bring_edifact(house, [(edifact("00010"), berlin("03-02 11:10"))])
    house.until("03-02 11:15")
    (case,) = house.cases("SOURCE_GAP")
    assert (case.state, case.resolution) == ("resolved", "healed")


def test_references_that_count_nothing_are_never_missing(house: House) -> None:
    numbered = [edifact("1"), edifact("2")]
    others = [
        edifact("4", usage="1"),
        edifact("A5"),
        *(edifact(f"2603020900{second:02}") for second in (1, 3)),  # date and time of the UNB
        *(edifact(f"20260302{clock}01", at=f"20260302:{clock}") for clock in ("0901", "0903")),
        *(edifact(str(1772442000 + second)) for second in (0, 2)),  # 2 March 2026, 9:00 UTC
        *(edifact(str(1772442000000 + ms)) for ms in (0, 2)),
    ]
    bring_edifact(house, [(body, AT) for body in (*numbered, *others)])
    house.until("03-02 11:00")
    assert house.cases("SOURCE_GAP") == []
    assert sorted(row.number for row in house.rows(select(control_number))) == [1, 2]
