"""Mails to partners: their own documents alone, never a customer, a value or a word of ours."""

from __future__ import annotations

import email
import email.policy
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from sqlalchemy import select

from db.tables import suppression, told
from tests.worker.conftest import NETWORK, House, berlin
from tower.cases import Case
from tower.categories import CATEGORIES
from tower.errors import ConfigError
from tower.network import load_network
from tower.partner_words import _WORDS, partner_words
from tower.signs import Subject
from worker.letter import PartnerEntry, PartnerLetter, PartnerSection
from worker.partner_letters import of_partner
from worker.readers import Reader

BREACH = "breach: {severity: medium, notify: business}   # at due"
HOSTILE = (
    "Evil\r\nBcc: all@evil.example =?utf-8?q?x=0ABcc=3Aevil=40example.org?= <script>x</script>"
)


@pytest.fixture
def house_of(
    new_database: Callable[[], str], make_house: Any, rules_of: Any, shipped_text: str
) -> Any:
    """Makes a house that also writes to ACME and BOLT about orders without an answer."""

    def make(network: str = NETWORK, also: str = ", also: partner.contact") -> House:
        assert BREACH in shipped_text
        breach = BREACH.replace("business}", f"business{also}}}")
        book = rules_of(shipped_text.replace(BREACH, breach))
        house: House = make_house(book)
        house.network = load_network(
            network.replace(
                "usual_delay_days: 6}", "usual_delay_days: 6, contacts: {ack: orders@acme.example}}"
            ).replace(
                "feeds: [portal]}", "feeds: [portal], contacts: {alerts: desk@bolt.example}}"
            ),
            "network.yaml",
        )
        house.use(book)
        return house

    return make


def parsed(row: Any) -> Any:
    return email.message_from_bytes(row.message, policy=email.policy.default)


def bodies(row: Any) -> list[str]:
    message = parsed(row)
    return [str(message.get_body((kind,)).get_content()) for kind in ("plain", "html")]


def customer_waits(house: House, po: str, name: str) -> None:
    head = {"order": "SO-77", "erp": "main"}
    line = {"line": "1", "item": "I-0", "qty": "10", "price": "987"}
    placed = {**head, "customer": "C-7", "customer_name": name, "currency": "EUR", "lines": [line]}
    house.tell("order.placed", placed, "03-29 09:00")
    promise = {"line": "1", "promise_date": "2026-04-01"}
    house.tell("order.promised", {**head, "lines": [promise]}, "03-29 09:01")
    ours = {"erp": "main", "order": "SO-77", "order_line": "1", "po": po, "line": "10", "qty": "10"}
    house.tell("peg.set", {"pegs": [ours]}, "03-30 08:01")


def test_a_partner_hears_of_its_document_and_of_its_end_and_of_nothing_else(house_of: Any) -> None:
    house = house_of()
    house.released("4711", "03-30 08:00")
    house.released("B-1", "03-27 08:00", supplier="BOLT")
    customer_waits(house, "4711", "Brandt GmbH")
    house.live("03-30 13:00")
    mine = [m for m in house.mails() if m.recipient == "partner:ACME"]
    [mail] = mine
    assert mail.address == "orders@acme.example"
    assert mail.subject == "Northwind Distribution: 1 open point"
    message = parsed(mail)
    assert message["Reply-To"] == "desk@example.org"
    assert message["Auto-Submitted"] == "auto-generated"
    for body in bodies(mail):
        assert "Order 4711" in body
        assert "has no answer yet" in body
        assert "was due Mon 30 Mar 2026 10:00 UTC" in body
        assert "Please confirm it, change it or reject it." in body
        for secret in (
            "Brandt", "SO-77", "C-7", "9,870", "987", "EUR", "risk", "B-1", "BOLT", "Bolt",
            "medium", "high", "po.unacknowledged", "Call the order desk", "Anna", "127.0.0.1",
            "/case", "supplier tier",
        ):  # fmt: skip
            assert secret not in body, secret
    staff = [m for m in house.mails() if m.recipient == "anna"]
    assert staff
    assert any("Brandt" in body for m in staff for body in bodies(m)), "ours name the customer"
    house.acknowledged("4711", "03-30 14:00")
    house.tell("po.answer_applied", {"po": "4711", "erp": "main"}, "03-30 14:30")
    house.live("03-31 10:00")  # eight o'clock in the partner's zone
    last = [m for m in house.mails() if m.recipient == "partner:ACME"][-1]
    assert last.subject == "Northwind Distribution: all points are settled"
    assert "Order 4711 is settled, thank you" in bodies(last)[0]
    assert "has no answer" not in bodies(last)[0]
    heard = {r.recipient: r.what for r in house.rows(select(told))}
    assert heard["partner:ACME"] == "closed"


def test_two_partners_never_share_a_mail(house_of: Any) -> None:
    house = house_of()
    for n in range(3):
        house.released(f"A-{n}", "03-30 08:00")
        house.released(f"B-{n}", "03-27 08:00", supplier="BOLT")
    house.live("03-31 09:00")
    told_to = {m.recipient: " ".join(bodies(m)) for m in house.mails() if ":" in m.recipient}
    assert set(told_to) == {"partner:ACME", "partner:BOLT"}
    assert "B-1" not in told_to["partner:ACME"]
    assert "A-1" not in told_to["partner:BOLT"]


def test_a_cause_that_many_share_is_told_to_us_and_the_documents_to_the_partner(
    house_of: Any,
) -> None:
    house = house_of()
    for n in range(8):
        house.released(f"A-{n}", "03-30 08:00")
    house.live("03-30 14:00")
    partner = [m for m in house.mails() if m.recipient == "partner:ACME"]
    said = " ".join(body for m in partner for body in bodies(m))
    assert all(f"Order A-{n}" in said for n in range(8))
    assert "cause" not in said.lower()


def test_hostile_numbers_and_names_add_no_header_recipient_or_markup(house_of: Any) -> None:
    """Fails without the cleaning of words, the escaping of HTML or the check of the headers."""
    hostile = NETWORK.replace("name: ACME Fasteners Ltd", f"name: {HOSTILE!r}".replace("'", '"'))
    house = house_of(hostile)
    number = "47<b>11</b>\u202e=?utf-8?q?x=0ABcc=3Aevil=40example.org?="
    house.released(number, "03-30 08:00")
    customer_waits(house, number, HOSTILE)
    house.live("03-30 13:00")
    assert {m.recipient for m in house.mails()} == {"anna", "partner:ACME"}
    for mail in house.mails():
        message = parsed(mail)
        names = Counter(name.lower() for name, _ in message.items())
        assert max(names.values()) == 1
        assert "bcc" not in names
        assert len(message["To"].addresses) == 1
        assert "=?" not in mail.subject
        text, html = bodies(mail)
        assert "<b>11</b>" not in html
        assert "<script" not in html.lower()
        assert "\u202e" not in text + html
    [partner] = [m for m in house.mails() if m.recipient == "partner:ACME"]

    assert parsed(partner)["To"].addresses[0].addr_spec == "orders@acme.example"


def test_without_an_own_address_the_fallback_hears_what_the_partner_should(
    make_house: Any, rules_of: Any, shipped_text: str
) -> None:
    words = "    to: case.owner              #"
    assert words in shipped_text
    to_partner = shipped_text.replace(words, "    to: partner.contact #")
    house = make_house(rules_of(to_partner))
    house.released("4711", "03-30 08:00")
    house.live("03-30 13:00")
    assert [m.recipient for m in house.mails()] == ["purchasing_desk"]
    assert house.rows(select(suppression)) == []


def test_a_letter_to_a_partner_has_no_place_for_customers_values_or_links() -> None:
    """Fails when somebody adds a field: think whether a partner may see it."""
    names = {f.name for kind in (PartnerEntry, PartnerSection, PartnerLetter) for f in fields(kind)}
    assert names == {
        "document", "what", "since", "ask", "heading", "entries", "more", "to_name", "to_address",
        "subject", "date", "message_id", "thread", "list_id", "company", "reply_to", "headline",
        "intro", "sections", "footer",
    }  # fmt: skip
    assert set(_WORDS) <= set(CATEGORIES)


def test_a_contact_that_is_no_address_is_refused_with_its_place() -> None:
    contact = 'contacts: {ack: "a@b.example\\nBcc: c@d.example"}'
    wrong = NETWORK.replace("usual_delay_days: 6}", f"usual_delay_days: 6, {contact}}}")
    with pytest.raises(ConfigError, match="is not a mail address"):
        load_network(wrong, "network.yaml")


def test_times_are_told_in_the_zone_of_the_partner(house_of: Any) -> None:
    there = NETWORK.replace("tier: A, feeds", "tier: A, zone: America/Chicago, feeds")
    house = house_of(there)
    house.released("4711", "03-30 08:00")
    house.live("03-30 13:00")
    [mail] = [m for m in house.mails() if m.recipient == "partner:ACME"]

    assert "Mon 30 Mar 2026 05:00 America/Chicago (10:00 UTC)" in bodies(mail)[0]


CASE = Case(
    id=7, fingerprint="x", cycle=1, subject=Subject("po", "main", "4711"), home_key=1,
    category="ACK_OVERDUE", rule="po.unacknowledged", level="breach", levels=("breach",),
    base_severity="medium", severity="medium", state="new", resolution=None, clock_cycle=1,
    partner_id=None, supplier="ACME", title="for customer Brandt", advice="", owner="anna",
    letter="D", policy="business", cause="unknown", opened_at=berlin("03-30 12:00"),
    detected_at=berlin("03-30 12:10"), due_at=None, resolved_at=None,
)  # fmt: skip


def test_only_documents_of_the_reader_are_told_whatever_is_asked() -> None:
    """Fails when `of_partner` no longer asks whose a case is, or whether it may be told."""
    acme = Reader("partner:ACME", "ACME", "orders@acme.example", "UTC", partner="ACME")
    cases = {
        1: CASE,
        2: replace(CASE, supplier="BOLT"),
        3: replace(CASE, supplier=None),
        4: replace(CASE, category="ORDER_AFFECTED"),
        5: replace(CASE, subject=Subject("order_line", "main", "SO-1", "1")),
    }
    assert list(of_partner(acme, cases)) == [1]


def test_words_to_partners_are_letters_and_digits() -> None:
    """Fails when the number of a document is told as it came."""
    evil = "47<b>\u202e=?utf-8?q?x?=\r\nBcc: x"
    words = partner_words(replace(CASE, subject=Subject("po_line", "main", evil, "1<i>")))
    assert words is not None
    assert not any(c in words.document for c in "<>\u202e?=\r\n")
    assert "Brandt" not in str(words)
