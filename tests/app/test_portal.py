"""The page of a partner: two suppliers with orders beside each other, and nothing crosses over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select
from streamlit.testing.v1 import AppTest

from db import configuration, sources
from db.reads import portal
from db.reads.connection import reading
from db.tables import audit_entry, dead_letter, document, event, raw_message
from tests.app.conftest import Open, Seat
from tower.access import Scope, scope_of
from tower.errors import AccessDenied
from tower.identity import partner_id
from tower.network import load_network
from tower.raw import Raw
from worker import pipeline, portal_answers
from worker.portal_answers import AnswerRefused, LineAnswer

ROOT = Path(__file__).resolve().parents[2]
ACME = scope_of("partner", frozenset({"ACME"}))
ORCHARD = scope_of("partner", frozenset({"ORCHARD"}))
OWN, FOREIGN = "po:main:4500001000", "po:main:4500001001"
RELEASED = """{"specversion": "1.0", "id": "%(po)s", "source": "/erp", "type": "po.released",
"time": "%(at)s", "data": {"po": "%(po)s", "supplier": "%(vendor)s", "lines": [
{"line": "10", "item": "B-%(po)s", "qty": 40, "uom": "EA", "price": "2"},
{"line": "20", "item": "C-%(po)s", "qty": 5, "uom": "EA", "price": "1"}]}}"""


@pytest.fixture
def two(database: Engine, now: datetime) -> Engine:
    """Orders of ACME and of ORCHARD with neighbouring numbers; one broken message of each."""
    text = (ROOT / "network.yaml").read_text(encoding="utf-8")
    rules = (ROOT / "sla_rules.yaml").read_text(encoding="utf-8")
    net = load_network(text, "network.yaml")
    with database.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, text, now)
        configuration.activate(conn, configuration.RULES, rules, now)
        configuration.store_partners(conn, net)
        sources.register(conn, net.sources)
    vendors = {"ACME": net.partners["ACME"], "ORCHARD": net.partners["ORCHARD"]}
    raws = []
    for n in range(4):
        key = ("ACME", "ORCHARD")[n % 2]
        body = RELEASED % {
            "po": 4500001000 + n, "at": (now - timedelta(days=3 + n)).isoformat(),
            "vendor": vendors[key].ids.erp_vendor["main"],
        }  # fmt: skip
        kind = "application/cloudevents+json"
        raws.append(Raw("events", f"po {n}", body.encode(), now, kind, {"content-type": kind}))
    done = pipeline.ingest_raws(database, net, raws, now=now)
    assert done.accepted == 4, done
    return database


def told(at: AppTest) -> str:
    """Everything that the page says, tables too."""
    found = [*at.title, *at.subheader, *at.markdown, *at.caption, *at.error, *at.success]
    words = [str(element.value) for element in found]
    words += [table.value.to_string() for table in at.dataframe]
    return "\n".join(words)


def answered(source: Engine, ref: str) -> str | None:
    number = ref.rpartition(":")[2]
    with source.connect() as conn:
        found: str | None = conn.execute(
            select(document.c.answer).where(
                document.c.kind == "po", document.c.number == number, document.c.line == ""
            )
        ).scalar_one()
    return found


def test_a_partner_meets_its_own_orders_at_once_and_nothing_of_others(
    screens: Open, two: Engine, seat: Seat
) -> None:
    seat("pat", ACME)
    at = screens()
    assert not at.exception, at.exception
    said = told(at)
    assert "4500001000" in said
    assert "4500001002" in said
    at = screens("portal", order=OWN)
    assert "B-4500001000" in told(at)
    for address in (FOREIGN, "po:main:4500001003", "po:main:", "4500001001", "x' OR 1=1"):
        at = screens("portal", order=address)
        assert not at.exception, at.exception
        assert "There is no such order of yours." in told(at)
        shown = told(at)
        assert "4500001001" not in shown
        assert "4500001003" not in shown
        assert "ORCHARD" not in shown.upper()
    seat("lena", ORCHARD)
    at = screens("portal")
    assert "4500001001" in told(at)
    assert "4500001000" not in told(at)


def test_an_answer_of_the_form_moves_the_ladder(screens: Open, two: Engine, seat: Seat) -> None:
    seat("pat", ACME)
    at = screens("portal", order=OWN)
    (send,) = [b for b in at.button if b.label == "Confirm as ordered"]
    send.click().run()
    assert not at.exception, at.exception
    assert "Your answer is stored." in told(at)
    assert "Your answer as we know it: accepted." in told(at)
    with two.connect() as conn:
        (kept,) = conn.execute(select(event).where(event.c.source == "portal-form")).all()
        (entry,) = conn.execute(
            select(audit_entry).where(audit_entry.c.action == "po.answered")
        ).all()
        (raw,) = conn.execute(
            select(raw_message).where(raw_message.c.source == "portal-form")
        ).all()
    assert (kept.type, kept.channel) == ("po.acknowledged", "portal")
    assert kept.data["recorded_by"] == "pat"
    assert (entry.actor, entry.subject) == ("pat", OWN)
    assert raw.partner_id == kept.partner_id
    with reading(two, ACME) as conn:
        order = portal.order(conn, ACME, OWN)
    assert order is not None
    assert {r.name: r.state for r in order.ladder}["answer"] == "done"


@pytest.fixture
def take(two: Engine, now: datetime) -> Callable[..., bool]:
    """Answers as the form does, with values that it would never offer."""

    def answer(
        ref: str, word: Any, scope: Scope = ACME, seen: int = 1, after: int = 0, **more: Any
    ) -> bool:
        at = now + timedelta(minutes=after)
        return portal_answers.take(two, scope, "pat", ref, word, at, seen=seen, **more)

    return answer


def test_what_is_forged_is_refused_and_changes_nothing(
    two: Engine, take: Callable[..., bool], now: datetime
) -> None:
    forged: list[tuple[str, str, dict[str, Any], str]] = [
        (FOREIGN, "accept", {}, "no such order of yours"),
        ("po:main:9", "accept", {}, "no such order of yours"),
        (OWN, "reject", {"reason": "  "}, "Say why"),
        (OWN, "change", {}, "No line is changed"),
        (OWN, "change", {"lines": [LineAnswer("99", Decimal(1), None)]}, "no open line 99"),
        (OWN, "change", {"lines": [LineAnswer("10", Decimal("NaN"), None)]}, "no number"),
        (OWN, "change", {"lines": [LineAnswer("10", Decimal(-1), None)]}, "no number"),
        (
            OWN,
            "change",
            {"lines": [LineAnswer("10", Decimal(1), now.date() - timedelta(days=9))]},
            "has passed",
        ),
    ]
    for ref, word, more, said in forged:
        with pytest.raises(AnswerRefused, match=said):
            take(ref, word, **more)
    with pytest.raises(AccessDenied):
        take(OWN, "accept", scope_of("read-only", frozenset({"ACME"})))
    with pytest.raises(AnswerRefused, match="no such order"):
        take(FOREIGN, "accept", scope_of("leader", frozenset({"ACME"})))
    with two.connect() as conn:
        assert conn.execute(select(event).where(event.c.source == "portal-form")).all() == []
    assert answered(two, OWN) in (None, "none")
    assert answered(two, FOREIGN) in (None, "none")


def test_lines_are_changed_once_and_an_order_is_rejected_with_its_reason(
    two: Engine, take: Callable[..., bool], now: datetime
) -> None:
    day = now.date() + timedelta(days=9)
    lines = [LineAnswer("10", Decimal(30), day), LineAnswer("20", Decimal(0), None)]
    assert take(OWN, "change", lines=lines)
    assert not take(OWN, "change", lines=lines, after=1), "a second click is the same answer"
    with reading(two, ACME) as conn:
        order = portal.order(conn, ACME, OWN)
    assert order is not None
    ten, twenty = order.lines
    assert (ten.confirmed_qty, ten.confirmed_date) == (Decimal(30), day)
    assert twenty.answer == "rejected"
    assert take(OWN, "change", lines=lines, seen=order.rev, after=5), (
        "to the order as it is now: anew"
    )
    with reading(two, ACME) as conn:
        order = portal.order(conn, ACME, OWN)
    assert order is not None
    assert take(OWN, "accept", seen=order.rev, after=9)
    with reading(two, ACME) as conn:
        order = portal.order(conn, ACME, OWN)
    assert order is not None
    assert [one.confirmed_qty for one in order.lines] == [40, 5], "as ordered again"
    assert take("po:main:4500001002", "reject", reason="no longer made")
    assert answered(two, "po:main:4500001002") == "rejected"


def test_orders_are_paged_and_a_page_before_the_end_leads_on(two: Engine, now: datetime) -> None:
    with reading(two, ACME) as conn:
        whole = portal.open_orders(conn, ACME, now)
        pages = [portal.open_orders(conn, ACME, now, after=n, limit=1) for n in range(3)]
    assert [row.ref for page in pages for row in page.rows] == [row.ref for row in whole.rows]
    assert {page.total.rows for page in pages} == {2}


def test_a_page_that_lies_behind_the_end_is_empty_and_leads_back(
    screens: Open, two: Engine, seat: Seat
) -> None:
    seat("pat", ACME)
    at = screens("portal", after="200")
    assert not at.exception, at.exception
    assert "First page" in [button.label for button in at.button]
    assert "4500001000" not in told(at)


def test_an_account_that_floods_us_is_told_to_wait_and_another_is_not(
    two: Engine, take: Callable[..., bool], now: datetime
) -> None:
    for _ in range(portal_answers.RATE.burst):
        with pytest.raises(AnswerRefused, match="no such order"):
            take(FOREIGN, "accept")
    with pytest.raises(AnswerRefused, match="many answers at once"):
        take(OWN, "accept")
    assert portal_answers.take(two, ACME, "kim", OWN, "accept", now, seen=1)
    assert take(OWN, "accept", seen=2, after=5)


def test_a_rejected_document_says_why_where_and_what_to_do(
    screens: Open, two: Engine, seat: Seat, now: datetime
) -> None:
    with two.begin() as conn:
        for n, key in enumerate(("ACME", "ORCHARD")):
            conn.execute(
                dead_letter.insert().values(
                    item_key=n, source="edi", key=f"{key}-file", kind="interpret",
                    code="bad_value", cause=f"The date of {key} is no date.",
                    advice=f"Write it as {key} does.", byte_offset=214, position="DTM 2",
                    fingerprint="f", partner=key, received_at=now, state_at=now,
                    partner_id=partner_id(key),
                )
            )  # fmt: skip
    seat("pat", ACME)
    said = told(screens("portal"))
    assert "The date of ACME is no date." in said
    assert "DTM 2, byte 214" in said
    assert "Write it as ACME does." in said
    assert "ORCHARD" not in said


@pytest.mark.parametrize("role", ["leader", "support", "admin", "read-only"])
def test_other_roles_are_neither_offered_the_page_nor_shown_it(
    screens: Open, two: Engine, seat: Seat, role: Any
) -> None:
    seat("kim", scope_of(role, frozenset({"ACME"})))
    at = screens("portal")
    assert "Not for your role" in told(at)
    assert "4500001000" not in told(at)
