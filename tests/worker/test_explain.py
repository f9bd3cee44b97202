"""``tower rules explain`` on what the worker really did."""

from __future__ import annotations

from dataclasses import replace

from db import configuration
from db.reads.explanations import ClockExplained, explain
from tests.worker.conftest import NETWORK, House, berlin
from tower.access import EVERYTHING, Scope
from tower.identity import own_event_id


def explained(house: House, shipped: str, ref: str = "po:main:4711") -> dict[str, ClockExplained]:
    with house.engine.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, NETWORK, berlin("01-01 00:00"))
        configuration.activate(conn, configuration.RULES, shipped, berlin("01-01 00:00"))
        return {clock.rule: clock for clock in explain(conn, EVERYTHING, ref)}


def test_a_breach_is_explained_from_row_to_mail(house: House, shipped_text: str) -> None:
    house.released("4711", "03-27 14:00")
    house.live("03-30 12:00")
    clock = explained(house, shipped_text)["po.unacknowledged"]
    assert (clock.verdict, clock.due_at) == ("breached", berlin("03-30 09:00"))
    assert clock.row == "row 4: supplier tier is A -> 4bh"
    assert clock.receipt.startswith("released Fri 27 Mar 14:00; Fri 27 Mar 14:00-17:00 3 bh")
    assert [(s.begin, s.why) for s in clock.skipped] == [(berlin("03-27 17:00"), "weekend")]
    assert [e.source for e in clock.evidence] == ["edi_in"]
    names = {entry["name"]: entry for entry in clock.journal}
    assert names["breach"]["effective_at"] == berlin("03-30 09:00")
    assert names["breach"]["detected_at"] == berlin("03-30 09:10")
    assert [(m["recipient"], m["reason"]) for m in clock.mails] == [("anna", "new")]
    assert clock.no_mail == ["warn: shown on screens only, the level names no policy"]


def test_before_its_mail_a_case_says_what_it_waits_for(house: House, shipped_text: str) -> None:
    house.released("4711", "03-27 14:00")
    house.live("03-30 09:12")
    clock = explained(house, shipped_text)["po.unacknowledged"]
    assert clock.mails == []
    assert f"case {clock.case_id}, anna: waits for its group's mail at 2026-03-30 07:15Z" in (
        clock.no_mail
    )


def test_a_silent_feed_is_named_instead_of_the_supplier(house: House, shipped_text: str) -> None:
    house.all_fresh(berlin("03-27 13:00"))
    house.released("4711", "03-27 14:00")
    house.until("03-30 12:00", fresh=False)
    clock = explained(house, shipped_text)["po.unacknowledged"]
    assert (clock.verdict, clock.held_by) == ("unknown", "edi_in")
    assert clock.no_mail[-1] in (
        "nothing is claimed while edi_in is silent",
        "warn: shown on screens only, the level names no policy",
    )
    assert clock.evidence[0].complete_to == berlin("03-27 13:00")


def test_a_reference_to_a_line_tells_of_that_line(house: House, shipped_text: str) -> None:
    house.released("4711", "03-27 14:00", lines=2)
    house.live("03-27 14:30")
    told = explained(house, shipped_text, "po_line:main:4711:20")
    assert told["asn.missing"].subject == "po_line:main:4711:20"
    assert "bh before" in told["asn.missing"].row


def test_nothing_known_explains_nothing(house: House, shipped_text: str) -> None:
    assert explained(house, shipped_text) == {}


def test_what_is_counted_of_a_partner_is_explained_to_who_may_see_it(
    house: House, shipped_text: str
) -> None:
    events = []
    for n in range(20):
        for m, kind in enumerate(("received", "failed")):
            event = house.event(f"message.{kind}", {"message": f"M{n}"}, "03-30 09:02")
            id_ = own_event_id("test", f"{n}/{m}")
            events.append((replace(event, partner="ACME", id=id_), berlin("03-30 09:03")))
    house.store(events)
    house.live("03-30 12:00")
    clock = explained(house, shipped_text, "partner::ACME")["partner.errors"]
    assert (clock.verdict, clock.title) == ("breached", "Messages of ACME Fasteners Ltd fail")
    assert clock.receipt == (
        "20 of 20 went wrong within 1h up to Mon 30 Mar 09:00 Europe/Berlin: at 95% confidence at "
        "least 83.9 %, more than the 20 % that may"
    )
    assert [entry["name"] for entry in clock.journal] == ["started", "warn", "breach"]
    assert clock.no_mail == ["warn: shown on screens only, the level names no policy"]
    with house.engine.connect() as conn:
        assert explain(conn, Scope(frozenset({"BOLT"})), "partner::ACME") == []
        assert explain(conn, EVERYTHING, "partner::NOBODY") == []


def test_a_clock_without_a_case_names_order_and_supplier(house: House, shipped_text: str) -> None:
    house.released("4711", "03-27 14:00")
    house.live("03-27 15:00")
    clock = explained(house, shipped_text)["po.unacknowledged"]
    # The houses of these tests put no partner into the database, so its key stands for its name.
    assert (clock.case_id, clock.title) == (None, "PO 4711 not acknowledged by ACME")
