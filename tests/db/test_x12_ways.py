"""Every X12 set in the database, and receipts of transport at the order they are about."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Connection, text

from collectors import registry
from db.ingest import store
from db.rebuild import verify
from tower.network import Company, Network, Partner, PartnerIds, Source, System, Warehouse
from tower.raw import Interpreted, Raw

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NOW = datetime(2026, 5, 10, tzinfo=UTC)
NET = Network(
    company=Company(name="Northgate", zone="UTC", isa=["ZZ:BUYER"]),
    systems={"edi": System(name="EDI gateway", kind="edi")},
    sources={
        "edi": Source(kind="push", format="x12", system="edi", channel="edi"),
        "mdn": Source(kind="push", format="mdn", system="edi", channel="edi"),
        "log": Source(kind="push", format="log", system="edi", mapping="edi_gateway"),
    },
    partners={"ACME": Partner(name="Acme", ids=PartnerIds(isa=["01:123456789"]))},
    warehouses={"EAST": Warehouse(name="East")},
)
ORDER = (FIXTURES / "x12" / "order_850.edi").read_bytes()
MDN = (FIXTURES / "as2" / "processed.mdn").read_bytes()


def put(connection: Connection, source: str, key: str, body: bytes, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = Raw(source, key, body, NOW, headers=named)
    items = [Interpreted(raw, registry.interpret(raw, NET))]
    store(connection, items, net=NET, now=NOW)


def at_orders(connection: Connection, type_: str) -> set[str]:
    """Purchase orders that an event of this type reached by its ids."""
    rows = connection.execute(
        text(
            "SELECT d.number FROM event_object o JOIN document d ON d.home_key = o.home_key "
            "AND d.kind = 'po' AND d.line = '' WHERE o.type = :type AND o.linked"
        ),
        {"type": type_},
    )
    return set(rows.scalars())


def test_every_set_is_stored_and_its_documents_can_be_made_anew(connection: Connection) -> None:
    for path in sorted((FIXTURES / "x12").glob("*.edi")):
        put(connection, "edi", path.name, path.read_bytes())
    types = set(connection.execute(text("SELECT DISTINCT type FROM event")).scalars())
    assert types >= {
        "inventory.reported",
        "transfer.shipped",
        "order.released",
        "order.shipped",
        "receipt.posted",
        "receipt.discrepancy",
        "return.requested",
        "return.authorised",
        "return.shipped",
        "payment.advised",
        "advice.received",
        "asn.rejected",
        "shipment.status",
    }
    assert verify(connection) == []


@pytest.mark.parametrize("receipt_first", [False, True])
def test_a_receipt_reaches_the_orders_of_an_interchange_pushed_with_its_message_id(
    connection: Connection, receipt_first: bool
) -> None:
    told = [
        ("edi", "order", ORDER, {"message_id": "<out-31@northgate.example>"}),
        ("mdn", "receipt", MDN, {}),
    ]
    for source, key, body, headers in reversed(told) if receipt_first else told:
        put(connection, source, key, body, **headers)
    assert at_orders(connection, "message.delivered") == {
        event.data["po"] for event in registry.interpret(Raw("edi", "k", ORDER, NOW), NET).events
    }


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_receipt_reaches_the_orders_by_the_log_of_the_gateway(
    connection: Connection, order: tuple[int, ...]
) -> None:
    line = {
        "event": "sent",
        "time": "2026-03-02T15:00:00Z",
        "isa_sender": "ZZ:BUYER",
        "isa_receiver": "01:123456789",
        "isa13": ORDER.split(b"*")[13].decode(),
        "message_id": "<out-31@northgate.example>",
    }
    first, _, rest = ORDER.partition(b"ST*850*0002")  # an interchange of one order
    alone = first + rest[rest.index(b"GE*") :]
    told = [("edi", alone), ("log", orjson.dumps(line)), ("mdn", MDN)]
    for nth in order:
        put(connection, told[nth][0], f"m{nth}", told[nth][1])
    reached = at_orders(connection, "message.delivered")
    assert reached
    assert reached == at_orders(connection, "message.sent")
