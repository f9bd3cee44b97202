"""Input that nobody on this project wrote, through the whole pipeline into documents."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine, case, func, select

from db import engine as engines
from db import ingest
from db.reads import figures
from db.reads.filters import Filter, Period
from db.tables import (
    clock,
    dead_letter,
    document,
    event,
    ingest_ledger,
    interpretation,
    raw_message,
)
from tests.acceptance.installation import Installation
from tests.acceptance.running import Running
from tests.conftest import Databases
from tower.access import EVERYTHING
from tower.identity import partner_id

pytestmark = pytest.mark.long

# Parties are unknown here, so all papers belong to the partner of the feed.
ANYBODY = """\
version: 1
company: {name: Samples, erp: main, zone: UTC, calendar: hq}
systems: {gateway: {name: Gateway, kind: edi}, sap: {name: ERP, kind: erp}}
sources:
  edi: {kind: push, format: x12, system: gateway, partner: ANYBODY, silent_after: 24h}
partners: {ANYBODY: {name: Anybody, feeds: [edi]}}
calendars: {hq: {zone: UTC, open: {mon-fri: ["08:00-17:00"]}}}
people:
  purchasing_desk: {name: Desk, mail: desk@samples.example}
  purchasing_lead: {name: Lead, mail: lead@samples.example}
  it_integration: {name: Integration, mail: it@samples.example}
owners: {B: purchasing_desk, D: purchasing_desk, S: purchasing_desk, I: it_integration,
         W: purchasing_desk, P: purchasing_desk, C: purchasing_desk, T: it_integration}
"""


@pytest.fixture(scope="module")
def samples(
    databases: Databases, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Installation, Engine]]:
    """Every X12 sample brought in by the command."""
    name = databases.make(databases.template)
    installation = Installation.make(
        tmp_path_factory.mktemp("samples"), ANYBODY, database_url=databases.app_url(name)
    )
    answer = installation.tower(
        "ingest", *(shared_data / one["file"] for one in listed(shared_data)), "--json"
    )
    assert answer.code == 1, answer.err
    engine = engines.create(databases.app_url(name))
    yield installation, engine
    engine.dispose()
    databases.drop(name)


def listed(shared_data: Path) -> list[dict[str, Any]]:
    """The samples as an independent checker sees them."""
    found: list[dict[str, Any]] = json.loads((shared_data / "expected_x12.json").read_text())
    return found


def rows(engine: Engine, table: Any, *conditions: Any) -> list[Any]:
    with engine.connect() as conn:
        return list(conn.execute(select(table).where(*conditions)))


def test_every_sample_is_kept_byte_by_byte(
    samples: tuple[Installation, Engine], shared_data: Path
) -> None:
    _, engine = samples
    bodies = {(shared_data / one["file"]).read_bytes() for one in listed(shared_data)}
    assert {ingest.body_of(raw) for raw in rows(engine, raw_message)} == bodies
    assert len(rows(engine, ingest_ledger)) == len(bodies)


def test_every_set_became_events_or_a_dead_letter_or_is_named_as_not_read(
    samples: tuple[Installation, Engine], shared_data: Path
) -> None:
    _, engine = samples
    told: dict[str, set[str]] = defaultdict(set)
    for row in rows(engine, event):
        told[row.raw_key].add(row.position.partition("/")[0])
    for row in rows(engine, dead_letter):
        told[row.key].add(row.position)
    for row in rows(engine, interpretation):
        told[row.key] |= {f["position"] for f in row.findings if f["code"] == "unsupported"}
    keys = {ingest.body_of(raw): raw.key for raw in rows(engine, raw_message)}
    seen = 0
    for one in listed(shared_data):
        positions = told[keys[(shared_data / one["file"]).read_bytes()]]
        for n in range(1, len(one["sets"]) + 1):
            assert f"set:{n}" in positions, one["file"]
            seen += 1
        assert positions, one["file"]
    assert seen == 99


def test_every_dead_letter_has_cause_position_and_advice(
    samples: tuple[Installation, Engine],
) -> None:
    _, engine = samples
    letters = rows(engine, dead_letter)
    assert letters
    for letter in letters:
        assert letter.code != "crash", letter.cause
        assert len(letter.cause) > 20
        assert len(letter.advice) > 20
        assert letter.byte_offset is not None
        assert letter.position.startswith("set:") or letter.position == ""


def test_the_documents_of_the_samples_can_be_opened_and_judged(
    samples: tuple[Installation, Engine],
) -> None:
    installation, engine = samples
    now = datetime.now(UTC)
    tower = Running.start(engine, installation, now)
    tower.judge(now)
    numbers = rows(engine, document, document.c.kind == "po", document.c.line == "")
    assert len(numbers) > 20
    for one in numbers:
        answer = installation.tower("show", f"po:main:{one.number}", "--json")
        assert answer.code == 0, answer.err
        assert answer.json["story"]["ladder"]
    for words in ("orders", "cases", "overview", "unmatched"):
        assert installation.tower(words).code == 0


# --- the delivery history -------------------------------------------------------------------------

DELIVERIES = "csv_drops/scms-delivery-history/dev_half_odd_ids.csv"

HISTORY = """\
version: 1
company: {name: Supply chain, erp: main, zone: UTC, calendar: hq, currency: USD}
systems: {wms: {name: Deliveries, kind: wms}, sap: {name: ERP, kind: erp}}
sources:
  deliveries: {kind: push, format: csv, system: wms, mapping: deliveries, silent_after: 24h}
mappings:
  deliveries:
    format: csv
    encoding: utf-8-sig
    errors: replace
    zone: UTC
    date_format: "%d-%b-%y"
    time_format: ["%d-%b-%y", "%m/%d/%y"]
    nulls: ["", "Date Not Captured", "N/A - From RDC", "Pre-PQ Process"]
    emit:
      - event: po.released
        id: "{ID}"
        time: PO Sent to Vendor Date | Scheduled Delivery Date
        supplier: Vendor
        fields: {po: "PO / SO #", currency: "=USD"}
        lines: {line: ID, description: Item Description, qty: Line Item Quantity,
                price: Pack Price, requested_date: Scheduled Delivery Date}
      - event: receipt.posted
        id: "{ID}"
        time: Delivered to Client Date
        supplier: Vendor
        fields: {warehouse: "=client", receipt: "ASN/DN #"}
        lines: {receipt_line: ID, po: "PO / SO #", line: ID, qty: Line Item Quantity}
calendars: {hq: {zone: UTC, open: {mon-fri: ["08:00-17:00"]}}}
warehouses: {client: {name: Client, zone: UTC}}
people:
  purchasing_desk: {name: Desk, mail: desk@samples.example}
  purchasing_lead: {name: Lead, mail: lead@samples.example}
  it_integration: {name: Integration, mail: it@samples.example}
owners: {B: purchasing_desk, D: purchasing_desk, S: purchasing_desk, I: it_integration,
         W: purchasing_desk, P: purchasing_desk, C: purchasing_desk, T: it_integration}
partners:
"""


DELIVERED_ON_TIME = """\
version: 1
rules:
- id: po_line.delivered_on_time
  kind: deadline
  category: PO_DELAYED
  about: po_line
  title: "PO {po.number} line {po_line.line} is overdue"
  clock: {start: po.released, stop: receipt.posted}
  due: {from_document: po_line.requested_date, otherwise: do_not_measure}
  calendar: hq
  levels: {breach: {severity: medium}}
"""


@pytest.fixture(scope="module")
def deliveries(
    databases: Databases, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Installation, Engine, list[dict[str, str]]]]:
    """Every delivery brought in by the command, and the rows of the file."""
    file = shared_data / DELIVERIES
    rows = list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig", "replace"))))
    partners = {
        f"V{n:03}": {"name": name, "ids": {"erp_vendor": {"main": name}}}
        for n, name in enumerate(sorted({row["Vendor"].strip() for row in rows}))
    }
    name = databases.make(databases.template)
    installation = Installation.make(
        tmp_path_factory.mktemp("deliveries"),
        HISTORY + textwrap.indent(yaml.safe_dump(partners), "  "),
        database_url=databases.app_url(name),
    )
    answer = installation.tower("ingest", file, "--source", "deliveries", "--json")
    assert answer.code == 0, answer
    assert (answer.json["events"], answer.json["dead_letters"]) == (2 * 5188, 0)
    engine = engines.create(databases.app_url(name))
    yield installation, engine, rows
    engine.dispose()
    databases.drop(name)


def test_ten_years_of_real_deliveries_give_the_on_time_share_of_their_readme(
    deliveries: tuple[Installation, Engine, list[dict[str, str]]],
) -> None:
    _, engine, told = deliveries
    d = document.c
    with engine.connect() as conn:
        n, on_time = conn.execute(
            select(
                func.count(),
                func.count(case((d.actual_receipt_date <= d.requested_date, 1))),
            ).where(d.kind == "po_line", d.actual_receipt_date.is_not(None))
        ).one()
        period = Period(datetime(2006, 1, 1, tzinfo=UTC), datetime(2016, 1, 1, tzinfo=UTC))
        figure = figures.figure(conn, EVERYTHING, "otif", Filter(period), period.end)
        by_vendor = figures.figures_by(
            conn, EVERYTHING, "otif", "supplier", Filter(period), period.end
        )
        value = figures.figure(conn, EVERYTHING, "fill_value", Filter(period), period.end)
    assert n == 5188
    assert round(100 * on_time / n, 2) == 88.57
    # The key figure of the overview says the same: all of them were delivered in full.
    assert (figure.n, figure.numerator) == (5188, on_time)
    plain: dict[str, Counter[bool]] = defaultdict(Counter)
    whole = in_time = 0.0
    for row in told:
        came, wanted = day(row["Delivered to Client Date"]), day(row["Scheduled Delivery Date"])
        assert came is not None
        assert wanted is not None
        plain[row["Vendor"].strip()][came <= wanted] += 1
        worth = float(row["Line Item Quantity"]) * float(row["Pack Price"])
        whole += worth
        in_time += worth * (came <= wanted)
    assert {t.name: (t.figure.numerator, t.figure.n) for t in by_vendor} == {
        vendor: (counted[True], counted.total()) for vendor, counted in plain.items()
    }
    assert float(value.value or 0) == pytest.approx(in_time / whole)


def day(text: str) -> date | None:
    for form in ("%d-%b-%y", "%m/%d/%y"):
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, form).date()  # noqa: DTZ007  dates without a zone
    return None


def on_time_by_vendor(rows: list[dict[str, str]]) -> dict[str, Counter[str]]:
    """The same question in ten lines that know nothing of rules, clocks or calendars."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        sent, wanted = day(row["PO Sent to Vendor Date"]), day(row["Scheduled Delivery Date"])
        came = day(row["Delivered to Client Date"])
        assert wanted is not None
        assert came is not None
        if sent is not None and sent > wanted:
            continue  # ordered for a day that had passed: nothing to keep
        found[row["Vendor"].strip()]["met" if came <= wanted else "met_late"] += 1
    return found


def test_a_deadline_rule_tells_of_each_vendor_what_ten_lines_tell(
    deliveries: tuple[Installation, Engine, list[dict[str, str]]],
) -> None:
    installation, engine, deliveries_told = deliveries
    installation.rules.write_text(DELIVERED_ON_TIME)
    now = datetime.now(UTC)
    tower = Running.start(engine, installation, now)
    assert [rule.id for rule in tower.config.rulebook.rules] == ["po_line.delivered_on_time"]
    tower.judge(now)
    names = {partner_id(key): p.name for key, p in tower.config.network.partners.items()}
    judged: dict[str, Counter[str]] = defaultdict(Counter)
    excluded = 0
    for one in rows(engine, clock, clock.c.kind == "po_line"):
        assert not one.open
        if one.verdict == "not_measured":
            excluded += 1
            assert "leaves no time" in one.state["receipt"]["ignored"]
        else:
            judged[names[one.partner_id]][one.verdict] += 1
    told = on_time_by_vendor(deliveries_told)
    assert judged == told
    assert len(judged) > 50
    assert (sum(map(Counter.total, judged.values())), excluded) == (5187, 1)
