"""Mails by the calendar: what they say, once per period, and that no supplier reads of another."""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pypdfium2  # type: ignore[import-untyped]  # it ships no types
import pytest
from sqlalchemy import Engine, select

from db import configuration, outbox, timers
from db import engine as engines
from db.mail import GroupKey
from db.reads.figures import figure
from db.reads.filters import Filter, Period
from db.tables import clock, timer
from db.tables import outbox as outbox_table
from db.timers import Timer
from tests.conftest import Databases
from tests.desk import RULES, Desk, network
from tower.access import EVERYTHING
from tower.rulebook import load_rulebook
from worker import reports
from worker.judging import Judging

# A Wednesday; ten o'clock in Berlin. The first open day of April 2026 is that very day.
NOW = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)
BASE = "https://tower.example.com"
BOOK = f"""{RULES}
digests:
  leaders: {{to: ann, at: "07:00", hours: hq}}
  board: {{to: ops, at: "06:30"}}
scorecard:
  mail: {{to: [partner.contact, desk], at: "08:00", hours: hq}}
"""
NET = network(
    acme={"tier": "A", "zone": "Europe/Berlin", "contacts": {"ack": "orders@acme.example"}},
    birch={"contacts": {"ack": "sales@birch.example"}},
    idle={"contacts": {"ack": "sales@idle.example"}},
    mute={},
)
CONFIG = Judging(NET, load_rulebook(BOOK), base_url=BASE, sender="tower@northgate.example")


@pytest.fixture(scope="module")
def engine(databases: Databases) -> Iterator[Engine]:
    """One database for all: each test deletes what it sent."""
    name = databases.make(databases.template)
    made = engines.create(databases.app_url(name))
    with made.begin() as conn:
        fill(Desk(now=NOW, net=NET)).write(conn)
        configuration.activate(conn, configuration.RULES, BOOK, NOW)
    yield made
    made.dispose()
    databases.drop(name)


@pytest.fixture(autouse=True)
def nothing_sent(engine: Engine) -> Iterator[None]:
    yield
    with engine.begin() as conn:
        conn.execute(outbox_table.delete())
        conn.execute(timer.delete())


def fill(desk: Desk) -> Desk:
    """Three months of orders of two suppliers; one is often late, and hurts a customer."""
    for n in range(90):
        for supplier, late in (("acme", n % 4 == 0), ("birch", n % 10 == 0)):
            number, sent = f"{supplier[0].upper()}{4500 + n}", desk.at(days=93 - n, hours=3)
            asked = (sent + timedelta(days=9)).date()
            came = asked + timedelta(days=3 if late else -1)
            desk.po(number, supplier, released=sent)
            desk.clock(number, "met_late" if late else "met", sent + timedelta(hours=9), supplier)
            desk.rows[clock][-1] |= {
                "started_at": sent,
                "ended_at": sent + timedelta(hours=30 if late else 2),
            }
            done = came < NOW.date()
            desk.line(
                number, "10", supplier, released=sent, requested_date=asked,
                first_confirmed_date=asked, acknowledged_at=sent + timedelta(hours=2),
                first_answer="kept" if not late else "date",
                received_qty=Decimal(10) if done else Decimal(0),
                actual_receipt_date=came if done else None,
                qty_by_first=Decimal(0) if late or not done else Decimal(10),
                qty_by_last=Decimal(0) if late or not done else Decimal(10),
                qty_by_requested=Decimal(0) if late or not done else Decimal(10),
            )  # fmt: skip
            desk.asn(f"N{number}", supplier, told=sent + timedelta(days=5),
                     asn_status="invalid" if late else "valid")  # fmt: skip
    case = desk.case("A4584", "acme", opened=desk.at(hours=30), severity="high", priority=9.0)
    desk.impact("SO-7001", "A4584", "acme", case_id=case)
    desk.impact("SO-7002", "A4584", "acme", case_id=case, open_value=Decimal(64000),
                customer_name="River <b>Works</b>")  # fmt: skip
    desk.case("B4580", "birch", opened=desk.at(hours=5), category="ASN_INVALID")
    desk.feed("edi", desk.at(minutes=3))
    return desk


def sent(engine: Engine) -> list[Any]:
    with engine.connect() as conn:
        return list(conn.execute(select(outbox_table).order_by(outbox_table.c.id)))


def letters(engine: Engine) -> dict[str, EmailMessage]:
    return {
        row.recipient: email.message_from_bytes(row.message, policy=default) for row in sent(engine)
    }


def text_of(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def ring(engine: Engine, *names: str, at: datetime = NOW) -> int:
    """Have the reports of these names be due now, as if they had been set for this morning."""
    with engine.begin() as conn:
        timers.set_(
            conn,
            [
                Timer(timers.REPORT, key, at - timedelta(hours=2))
                for key, report in reports.configured(CONFIG).items()
                if report.name in names
            ],
        )
    return reports.make_due(engine, CONFIG, at)


def test_timers_are_set_to_each_readers_own_hour(engine: Engine) -> None:
    with engine.begin() as conn:
        reports.expect(conn, CONFIG, NOW)
        reports.expect(conn, CONFIG, NOW)
        due = dict(conn.execute(select(timer.c.key, timer.c.due)).all())
    # mute has no address; the next day, and the first open day of a month.
    assert due == {
        '["digest/leaders","ann"]': datetime(2026, 4, 2, 7, 0, tzinfo=UTC),
        '["digest/board","ops"]': datetime(2026, 4, 2, 6, 30, tzinfo=UTC),
        '["scorecard","partner:acme"]': datetime(2026, 5, 1, 6, 0, tzinfo=UTC),
        '["scorecard","partner:birch"]': datetime(2026, 4, 1, 8, 0, tzinfo=UTC)
        + timedelta(days=30),
        '["scorecard","partner:idle"]': datetime(2026, 5, 1, 8, 0, tzinfo=UTC),
        '["scorecard","desk"]': datetime(2026, 5, 1, 8, 0, tzinfo=UTC),
    }


def test_a_period_is_told_once_by_any_number_of_workers(engine: Engine) -> None:
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: ring(engine, "digest/leaders"), range(3)))
    assert sum(made) == 1
    assert [row.recipient for row in sent(engine)] == ["ann"]
    # A restart, or somebody who asks for it by hand, does not tell it again.
    assert ring(engine, "digest/leaders") == 0
    with engine.begin() as conn:
        for report in reports.configured(CONFIG).values():
            slot = reports.current(CONFIG, report, NOW)
            assert slot is not None
            if report.name == "digest/leaders":
                assert slot.period == "2026-04-01"
                assert reports.make(conn, CONFIG, report, slot, NOW) == 0
    assert len(sent(engine)) == 1


def test_a_digest_that_waits_is_replaced_by_the_next_and_not_made_anew(engine: Engine) -> None:
    ring(engine, "digest/leaders")
    with engine.begin() as conn:
        assert outbox.supersede(conn, NOW + timedelta(hours=1), NOW + timedelta(hours=2)) == []
    ring(engine, "digest/leaders", at=NOW + timedelta(days=1))
    assert [(row.recipient, row.state) for row in sent(engine)] == [
        ("ann", "superseded"),
        ("ann", "waiting"),
    ]
    with engine.begin() as conn:
        other = GroupKey("digest/board", "ann", "report/digest/board")
        assert outbox.replace_waiting(conn, other, NOW) == 0


def test_a_digest_says_the_figures_of_the_tower_and_fetches_nothing(engine: Engine) -> None:
    ring(engine, "digest/leaders")
    message = letters(engine)["ann"]
    text, html = text_of(message, "plain"), text_of(message, "html")
    flat = " ".join(text.split())
    with engine.connect() as conn:
        week = Filter(Period.last(7, NOW))
        for name in ("ack_on_time", "asn_on_time", "otif"):
            one = figure(conn, EVERYTHING, name, week, NOW)
            said = "no data" if one.value is None else f"{100 * float(one.value):.1f} %"
            assert f"{one.definition.name}: {said}" in flat
            assert one.definition.name in html
            assert said in html
    assert "Customer orders at risk: 2" in flat
    assert "EUR 65,000 at risk" in flat
    assert "ACK_OVERDUE of A4584" in flat
    assert "[2 to decide, 2 orders at risk] Daily digest, Wed 1 Apr" in str(message["subject"])
    # One picture, inside the mail; every link leads to the screens.
    pictures = re.findall(r'<img[^>]+src="([^"]+)"', html)
    ids = [part["content-id"].strip("<>") for part in message.walk() if part["content-id"]]
    assert pictures == [f"cid:{one}" for one in ids]
    assert len(ids) == 1
    assert all(link.startswith(f"{BASE}/") for link in re.findall(r'href="(http[^"]+)"', html))
    assert "url(" not in html
    assert message["auto-submitted"] == "auto-generated"
    assert max(map(len, text.splitlines())) <= 100
    # Made again from the same facts it is the same mail, byte for byte.
    first = sent(engine)[0].message
    with engine.begin() as conn:
        conn.execute(outbox_table.delete())
    ring(engine, "digest/leaders")
    assert sent(engine)[0].message == first


def test_a_supplier_reads_its_own_card_and_nothing_of_ours(engine: Engine) -> None:
    # idle had no orders: nothing is told to it.
    assert ring(engine, "scorecard") == 3
    told = letters(engine)
    assert set(told) == {"partner:acme", "partner:birch", "desk"}
    acme, desk = told["partner:acme"], told["desk"]
    assert acme["to"] == "Acme Ltd <orders@acme.example>"
    assert acme["reply-to"] == "desk@example.com"
    assert "your scorecard of March 2026" in str(acme["subject"])
    said = text_of(acme, "plain") + text_of(acme, "html") + _pages(acme)
    for foreign in ("Birch", "SO-700", "River", "64,000", "65,000", "exception", BASE):
        assert foreign not in said
    assert "Acme Ltd" in _pages(acme)
    assert "PO A4588" in _pages(acme)  # answered too late on 28 March
    assert "Commitments kept" in said
    ours = text_of(desk, "plain") + _pages(desk)
    assert "Acme Ltd" in ours
    assert "Birch Ltd" in ours
    assert f"{BASE}/supplier?id=acme" in ours
    assert "EUR 65,000" in ours
    assert "Idle" not in ours


def _pages(message: EmailMessage) -> str:
    """The text of the PDF beside a mail."""
    files = list(message.iter_attachments())
    assert [part.get_content_type() for part in files] == ["application/pdf"]
    document = pypdfium2.PdfDocument(files[0].get_content())
    text = "".join(page.get_textpage().get_text_bounded() for page in document)
    document.close()
    return text


def test_a_report_that_fails_is_put_off_and_keeps_none_waiting(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = reports.write

    def broken(conn: Any, config: Any, report: reports.Report, *rest: Any) -> Any:
        if report.recipient == "ann":
            raise RuntimeError("no")
        return written(conn, config, report, *rest)

    monkeypatch.setattr(reports, "write", broken)
    assert ring(engine, "digest/leaders", "digest/board") == 1
    assert [row.recipient for row in sent(engine)] == ["ops"]
    monkeypatch.undo()
    assert reports.make_due(engine, CONFIG, NOW + reports.AGAIN) == 1
    assert [row.recipient for row in sent(engine)] == ["ops", "ann"]


def test_nobody_is_told_what_is_not_asked_for_any_more(engine: Engine) -> None:
    quiet = Judging(NET, load_rulebook(RULES), base_url=BASE)
    with engine.begin() as conn:
        reports.expect(conn, CONFIG, NOW)
    assert reports.make_due(engine, quiet, NOW + timedelta(days=40)) == 0
    with engine.connect() as conn:
        assert conn.execute(select(timer)).all() == []
