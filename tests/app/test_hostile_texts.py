"""The corpus of hostile texts at every place where something is shown or sent.

One house is told all of them in every field of its messages, in the names of partners and of
files; then its pages, files, mails, papers and calls are looked at for what a browser, a
spreadsheet or a mail program would take for more than text.
"""

from __future__ import annotations

import csv
import email
import email.policy
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import openpyxl
import pypdfium2  # type: ignore[import-untyped]  # it ships no types
import pytest
import streamlit as st
from sqlalchemy import Engine, select

from app.pages import PAGES
from app.parts.words import plain
from db import engine as engines
from db import subscriptions
from db.outward import files, rows
from db.outward.catalogue import DATA_SETS
from db.reads import scorecards
from db.reads.connection import reading
from db.reads.filters import Filter, Period
from db.tables import document
from tests import two_partners
from tests.app.conftest import Sit
from tests.app.seen import words_in
from tests.conftest import Databases
from tests.hostile import EVIL, FORMULAS, HEADERS, SCRIPTS, TEXTS
from tests.two_partners import ALDER, NETWORK, raw_of
from tests.worker.http_sink import HttpSink
from tower.access import EVERYTHING, Scope, scope_of
from tower.network import Network
from tower.rulebook import RuleBook
from worker import scorecard_mails, scorecard_pdf
from worker.judging import Judging
from worker.subscriptions import deliver_due

NAME = f"{SCRIPTS['image']} {SCRIPTS['markdown link']} {HEADERS['encoded word, quoted']}"


class House:
    """What was made of it."""

    def __init__(self, engine: Engine, now: datetime, sink: HttpSink) -> None:
        self.engine, self.now, self.sink = engine, now, sink
        self.net: Network
        self.book: RuleBook
        with engine.begin() as conn:
            subscriptions.add(
                conn, name="all", url=sink.url, types=("*",), partner=None, by="test", now=now,
                secret_variable="HOOK", networks=("127.0.0.0/8",),
            )  # fmt: skip
        network = NETWORK.replace("name: Alder Forge", f"name: {json.dumps(NAME)}")
        raws = [raw_of(n, source, body, now) for n, (source, body) in enumerate(told(now))]
        self.net, self.book, _ = two_partners.bring(engine, network, raws, now)
        # Mails of many cases wait for the next round.
        two_partners.judge(engine, self.net, self.book, now + timedelta(hours=1))
        secret = {"HOOK": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
        deliver_due(engine, lambda: now, secret, lambda: 0.5)


def told(now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every text in every field that takes one; numbers of documents are texts, too."""
    for n, (name, text) in enumerate(TEXTS.items()):
        at = (now - timedelta(days=5, minutes=n)).isoformat()
        # Each number is another, whatever is made of the text.
        number = f"{text[:150]}#{n}"
        po = {"po": number, "erp": "main", "supplier": ALDER}
        line = {"line": "10", "item": text[:150], "description": text, "qty": "4", "uom": "EA",
                "price": "2", "warehouse": "east",
                "requested_date": (now - timedelta(days=2)).date().isoformat()}  # fmt: skip

        def says(type_: str, data: dict[str, Any], at: str = at, key: str = name) -> Any:
            return "feed_a", {"type": type_, "time": at, "data": data, "key": f"{key}-{type_}"}

        yield says("po.released", {**po, "buyer": text[:150], "currency": "EUR", "lines": [line]})
        yield says("asn.rejected", {"asn": f"{text[:90]}/{n}", "supplier": ALDER, "reason": text,
                                    "rule": text[:100]})  # fmt: skip
        yield says("message.failed", {"text": text, "error_class": text[:150], "code": text[:40],
                                      "queue": text[:100], **po})  # fmt: skip
        yield says("po.acknowledged", {**po, "po": f"{number}-404"})
        yield says("po.acknowledged", {"supplier": ALDER, "po": {text[:20]: text}})  # unreadable


@pytest.fixture(scope="module")
def house(databases: Databases) -> Iterator[House]:
    name = databases.make(databases.template)
    made = engines.create(databases.app_url(name))
    sink = HttpSink()
    sink.open()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOWER_DATABASE_URL", databases.app_url(name))
        st.cache_data.clear()
        st.cache_resource.clear()
        yield House(made, datetime.now(UTC).replace(second=0, microsecond=0), sink)
    st.cache_data.clear()
    st.cache_resource.clear()
    sink.close()
    made.dispose()
    databases.drop(name)


# --- on pages -------------------------------------------------------------------------------------

# What Markdown makes a link, a picture or HTML of, unless a backslash stands before it.
_LIVE = re.compile(
    r"(?<!\\)\]\([^)]*(?:evil\.example|javascript:)|(?<!\\)!\[x|(?<!\\)<(?:script|img|svg|a href)",
    re.IGNORECASE,
)


def unsafe(node: Any) -> list[str]:
    """What of an element a browser would run, load or follow."""
    proto = node.proto
    kind = type(proto).__name__
    found = []
    if kind in ("Html", "IFrame") or getattr(proto, "allow_html", False):
        found.append(f"{kind} draws HTML")
    if kind in ("Markdown", "Heading", "Alert", "Metric", "Toast"):
        found += [word[:200] for word in words_in(proto) if _LIVE.search(word)]
    for name in ("url", "src", "image_url", "page", "href"):
        value = getattr(proto, name, "")
        if isinstance(value, str) and (EVIL in value or value.lower().startswith("javascript:")):
            found.append(f"{kind}.{name} is {value}")
    return found


def every(node: Any) -> Iterator[Any]:
    if hasattr(getattr(node, "proto", None), "ListFields"):
        yield node
    for child in getattr(node, "children", {}).values():
        yield from every(child)


def visits(house: House, scope: Scope) -> Iterator[tuple[Any, dict[str, str]]]:
    """Each page, and those of one thing for each text."""
    with house.engine.connect() as conn:
        d = document.c
        numbers = conn.execute(
            select(d.number).where(d.kind == "po", d.line == "", d.known).order_by(d.number)
        ).scalars().all()  # fmt: skip
    for page in PAGES:
        if scope.may(page.needs):
            yield page, {}
            if page.path == "supplier":
                yield page, {"id": ALDER}
            if page.path in ("trace", "portal"):
                name = "ref" if page.path == "trace" else "order"
                asked = [number for number in numbers if len(number) < 200]
                # All of them cost half a minute: one of each kind that a page treats differently.
                yield from ((page, {name: f"po:main:{number}"}) for number in asked[::5])
            if page.path == "case":
                yield from ((page, {"id": str(n)}) for n in range(1, 40, 6))


@pytest.mark.parametrize("role", ["support", "partner"])
def test_no_page_makes_more_than_text_of_it(house: House, sit: Sit, role: Any) -> None:
    scope = scope_of(role, frozenset({ALDER}) if role == "partner" else None)
    browser = sit(scope)
    shown = 0
    for page, query in visits(house, scope):
        told_ = browser.goes(page, **query)
        found = [one for node in every(browser.at._tree) for one in unsafe(node)]
        assert found == [], (page.path, query)
        assert "\x1b" not in told_ or page.path, "no terminal reads it, but no browser shows it"
        shown += EVIL in told_
    assert shown >= 2, "the texts are on the pages"


def test_text_of_others_is_itself_within_markdown() -> None:
    for name, text in TEXTS.items():
        assert not _LIVE.search(plain(text)), name
        assert "\n" not in plain(text), name


# --- in files -------------------------------------------------------------------------------------


def harmless(cell: str) -> bool:
    return not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) or bool(
        re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", cell)
    )


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_no_cell_of_a_file_is_a_formula(house: House, form: str) -> None:
    period = Period(house.now - timedelta(days=90), house.now + timedelta(hours=1))
    seen = ""
    for what, data in DATA_SETS.items():
        out = io.BytesIO()
        with reading(house.engine, EVERYTHING) as conn:
            found = rows.stream(conn, EVERYTHING, rows.Question(data, period, {}))
            files.write_rows(out, form, what, data.told, found)
        if form == "csv":
            table = list(csv.reader(io.StringIO(out.getvalue().decode("utf-8-sig"))))
            assert {len(row) for row in table} == {len(data.told)}, what
            cells = [cell for row in table for cell in row]
            assert [cell for cell in cells if not harmless(cell)] == [], what
        else:
            book = openpyxl.load_workbook(out)
            every_cell = [c for sheet in book for row in sheet.iter_rows() for c in row]
            assert [c.value for c in every_cell if c.data_type == "f" or c.hyperlink] == [], what
            cells = [str(c.value) for c in every_cell]
        seen += "\n".join(cells)
    for name, text in FORMULAS.items():
        assert text.strip()[-3:] in seen, name


# --- in mails and papers --------------------------------------------------------------------------


class Markup(HTMLParser):
    """Elements and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.events: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [
            v or "" for k, v in attrs if k in ("href", "src", "action", "background")
        ]
        self.events += [k for k, _ in attrs if k.startswith("on")]


def test_no_mail_has_a_header_a_reader_or_an_element_of_it(house: House) -> None:
    mails = two_partners.mails(house.engine)
    assert {mail.recipient for mail in mails} >= {"lead", f"partner:{ALDER}"}
    for mail in mails:
        message = email.message_from_bytes(mail.message, policy=email.policy.default)
        names = Counter(name.lower() for name, _ in message.items())
        assert max(names.values()) == 1, names
        assert not {"bcc", "cc"} & set(names)
        (to,) = message["To"].addresses
        assert to.addr_spec.endswith((".example", "@northgate.example"))
        assert EVIL not in to.addr_spec
        assert EVIL not in str(message["From"]) + str(message["Reply-To"])
        assert not re.search(r"[\r\n\u2028\u0085\x00-\x1f]", str(message["Subject"]))
        assert "=?" not in mail.subject
        html = message.get_body(("html",)).get_content()
        text = message.get_body(("plain",)).get_content()
        drawn = Markup(html)
        assert not drawn.tags & {"script", "svg", "iframe", "object", "form", "para", "textarea"}
        assert drawn.events == []
        outside = [a for a in drawn.addresses if not a.startswith(("https://tower.", "cid:", "#",
                                                                   "mailto:"))]  # fmt: skip
        assert outside == [], mail.subject
        assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]",
                             (text + html).replace("\r\n", "\n"))  # fmt: skip


def test_no_paper_has_a_link_or_markup_of_it(house: House) -> None:
    config = Judging(house.net, house.book, base_url="https://tower.example", sender="t@x.example")
    narrowed = Filter(Period(house.now - timedelta(days=30), house.now))
    with reading(house.engine, EVERYTHING) as conn:
        card = scorecards.scorecard(conn, EVERYTHING, ALDER, narrowed, house.now)
        assert card is not None
        sheet = scorecard_mails.sheet(
            conn, config, EVERYTHING, card, "now", "UTC", house.now, ours=True
        )
    raw = scorecard_pdf.pdf([sheet])
    for active in (b"/URI", b"/JavaScript", b"/JS", b"/Launch", b"/EmbeddedFile"):
        assert active not in raw
    pages = pypdfium2.PdfDocument(raw)
    said = " ".join(page.get_textpage().get_text_range() for page in pages)
    assert "onerror" in said.replace("\r\n", ""), "told as text"


# --- to other machines ----------------------------------------------------------------------------


def test_no_call_has_a_header_or_a_structure_of_it(house: House) -> None:
    assert len(house.sink.calls) >= len(TEXTS)
    said = set()
    usual = {
        "host", "accept", "accept-encoding", "connection", "user-agent", "content-length",
        "content-type", "webhook-id", "webhook-timestamp", "webhook-signature",
    }  # fmt: skip
    for head, (method, path, body) in zip(house.sink.heads, house.sink.calls, strict=True):
        assert set(head) <= usual, head
        assert (method, path) == ("POST", "/hook/secret-part")
        found = json.loads(body)
        assert found["specversion"] == "1.0"
        said.add(str(found.get("data")))
    every_word = "\n".join(said)
    for name in ("script", "formula", "template"):
        assert TEXTS[name][:20] in every_word, f"{name}: the other side gets the text as it is"
