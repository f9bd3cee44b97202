"""An order by X12 and its answer by JSON, read by the real interpreters, for tests of screens."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from tower.network import Company, Network, Partner, PartnerIds, Source, System, Warehouse
from tower.raw import Raw
from worker import pipeline
from worker.payload_words import write_all

ORDER = (Path(__file__).resolve().parents[1] / "fixtures" / "x12" / "order_850.edi").read_bytes()
NET = Network(
    company=Company(name="Northgate", zone="UTC", isa=["ZZ:BUYER"]),
    systems={
        "edi": System(name="EDI gateway", kind="edi"),
        "erp": System(name="ERP", kind="erp"),
    },
    sources={
        "edi": Source(kind="push", format="x12", system="edi", channel="edi"),
        "erp": Source(kind="push", format="cloudevents", system="erp"),
    },
    partners={"ACME": Partner(name="Acme", ids=PartnerIds(isa=["01:123456789"]))},
    warehouses={"EAST": Warehouse(name="East")},
)


def bring(engine: Engine, now: datetime) -> None:
    """The order came a minute ago, as the file order-77.edi; its words are written down."""
    raw = Raw(
        "edi",
        "order-77",
        ORDER,
        now - timedelta(minutes=1),
        "application/edi-x12",
        name="order-77.edi",
    )
    outcome = pipeline.ingest_raws(engine, NET, [raw], now=now)
    assert outcome.accepted == 1, outcome
    write_all(engine, now + timedelta(seconds=5))
