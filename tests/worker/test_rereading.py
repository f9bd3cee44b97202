"""A message read again under another network: foretold first, then done, and once only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, text

from tests.worker.test_pipeline import NETWORK, NOW, known, net
from tower.network import Network, load_network
from tower.raw import Raw
from worker import pipeline
from worker.rereading import again, plan

LATER = NOW + timedelta(hours=1)
__all__ = ["known", "net"]  # fixtures
BODY = b"po,line,menge\n4500,10,5\n"
CORRECTED = load_network(
    NETWORK.replace("{line: line, qty: qty}", "{line: line, qty: menge}"), "network.yaml"
)


def one(engine: Engine, statement: str) -> object:
    with engine.connect() as conn:
        return conn.execute(text(statement)).scalar()


def test_a_corrected_mapping_is_foretold_and_then_kept_once(known: Engine, net: Network) -> None:
    raw = Raw("csv", "k", BODY, NOW, "text/csv", name="k.csv")
    pipeline.ingest_raws(known, net, [raw], now=NOW)
    asked = [("csv", "k"), ("csv", "nobody")]
    confirmed = "SELECT confirmed_qty FROM document WHERE line = '10'"
    before = one(known, confirmed)
    foretold, gone = plan(known, CORRECTED, asked, LATER)
    assert (foretold.outcome, gone.outcome) == ("changed", "gone")
    assert one(known, confirmed) == before
    assert one(known, "SELECT count(*) FROM interpretation WHERE revision > 1") == 0
    fields = [change for event in foretold.event_differences for change in event.fields]
    assert ("lines[0].qty", None, "5") in [(f.field, f.before, f.after) for f in fields]
    (line,) = [d for d in foretold.document_differences if d.ref == "po_line:main:4500:10"]
    assert "confirmed_qty" in {f.field for f in line.fields}

    done, _ = again(known, CORRECTED, asked, LATER, "kim")
    assert (done.outcome, done.events, done.dead_letters) == ("changed", 1, ())
    assert done.event_differences == foretold.event_differences
    assert one(known, confirmed) == 5
    assert [r.outcome for r in again(known, CORRECTED, asked[:1], LATER, "kim")] == ["unchanged"]
    assert one(known, "SELECT max(revision) FROM interpretation") == 2


def test_what_could_not_be_read_is_read_when_its_source_is_described(
    known: Engine, net: Network
) -> None:
    raw = Raw("csv", "k", BODY.replace(b"menge", b"qty"), datetime(2026, 3, 27, tzinfo=UTC))
    less = net.model_copy(update={"sources": {}})
    pipeline.ingest_raws(known, less, [raw], now=NOW)
    assert one(known, "SELECT state FROM dead_letter") == "open"
    (done,) = again(known, net, [("csv", "k")], LATER, "kim")
    assert (done.events, done.dead_letters) == (1, ())
    assert [letter["code"] for letter in done.former_dead_letters] == ["unknown_source"]
    assert one(known, "SELECT state FROM dead_letter") == "superseded"
