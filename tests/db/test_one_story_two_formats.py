"""One story told in X12, and the same told in EDIFACT, ends in the same documents.

Order, functional acknowledgement, answer, shipment notice, receipt and invoice, from bytes to rows.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, text

from collectors import registry
from db.ingest import store
from db.rebuild import verify
from tower.network import Company, Network, Partner, PartnerIds, Source, System, Warehouse
from tower.raw import Interpreted, Raw

NOW = datetime(2026, 4, 10, tzinfo=UTC)
US, ACME = "4098765000010", "4012345000009"
EAST = "4098765000027"
NET = Network(
    company=Company(name="Northgate", zone="UTC", isa=["ZZ:BUYER"], unb=[f"{US}:14"]),
    systems={"edi": System(name="EDI gateway", kind="edi")},
    sources={
        "edi": Source(kind="push", format="x12", system="edi", channel="edi"),
    },
    partners={
        "ACME": Partner(
            name="Acme", expects_fa=True, ids=PartnerIds(isa=["01:123456789"], unb=[f"{ACME}:14"])
        )
    },
    warehouses={EAST: Warehouse(name="East")},
)
AS_EDIFACT = NET.model_copy(
    update={"sources": {"edi": NET.sources["edi"].model_copy(update={"format": "edifact"})}}
)


def x12_of(kind: str, group: str, content: str, when: str, *, ours: bool) -> bytes:
    """One set in an interchange; ``when`` is CCYYMMDD:HHMM in UTC."""
    day, clock = when.split(":")
    sides = [("ZZ", "BUYER"), ("01", "123456789")]
    (q1, sender), (q2, receiver) = sides if ours else reversed(sides)
    count = content.count("~") + 2
    return (
        f"ISA*00*{'':10}*00*{'':10}*{q1}*{sender:15}*{q2}*{receiver:15}*{day[2:]}*{clock}*U*00401"
        f"*000000007*0*P*:~GS*{group}*A*B*{day}*{clock}*7*X*004010~ST*{kind}*0001~{content}"
        f"SE*{count}*0001~GE*1*7~IEA*1*000000007~"
    ).encode()


def edifact_of(kind: str, content: str, when: str, *, ours: bool) -> bytes:
    sender, receiver = (US, ACME) if ours else (ACME, US)
    count = content.count("'") + 2
    return (
        f"UNB+UNOC:3+{sender}:14+{receiver}:14+{when[2:]}+7'UNH+1+{kind}:D:96A:UN'{content}"
        f"UNT+{count}+1'UNZ+1+7'"
    ).encode()


ORDER = "20260302:0900"
X12 = {
    "order": x12_of(
        "850",
        "PO",
        "BEG*00*SA*4500001234**20260302~CUR*BY*USD~PER*BD*Kim~DTM*010*20260328~"
        f"N1*ST*East*UL*{EAST}~"
        "PO1*10*40*EA*12.50**IN*B-100~DTM*002*20260401~"
        "PO1*20*15*EA*0.80**IN*B-200~DTM*002*20260403~CTT*2~",
        ORDER,
        ours=True,
    ),
    "verdict": x12_of(
        "997",
        "FA",
        "AK1*PO*7~AK9*A*1*1*1~",
        "20260302:0930",
        ours=False,
    ),
    "answer": x12_of(
        "855",
        "PR",
        "BAK*00*AC*4500001234*20260302~"
        "PO1*10*40*EA*12.50**IN*B-100~ACK*IA*40*EA*067*20260401~"
        "PO1*20*15*EA*0.80**IN*B-200~ACK*IA*10*EA*067*20260403~ACK*IB*5*EA*067*20260410~CTT*2~",
        "20260302:1430",
        ours=False,
    ),
    "shipment": x12_of(
        "856",
        "SH",
        "BSN*00*ASN-9001*20260327*1500~HL*1**S~TD5*B*2*FRTS~REF*BM*BOL-55~"
        f"DTM*011*20260327*1430~DTM*017*20260401~N1*ST*East*UL*{EAST}~"
        "HL*2*1*O~PRF*4500001234~HL*3*2*P~MAN*GM*340123450000000021~"
        "HL*4*3*I~LIN*10*IN*B-100~SN1**40*EA~HL*5*3*I~LIN*20*IN*B-200~SN1**10*EA~CTT*5~",
        "20260327:1500",
        ours=False,
    ),
    "receipt": x12_of(
        "861",
        "RC",
        "BRA*R-7001*20260401*00*1*0800~REF*SI*ASN-9001~DTM*050*20260401*0800~"
        f"N1*ST*East*UL*{EAST}~"
        "RCD*1*38*EA~LIN**IN*B-100~RCD*2*10*EA~LIN**IN*B-200~CTT*2~",
        "20260401:0800",
        ours=True,
    ),
    "invoice": x12_of(
        "810",
        "IN",
        "BIG*20260403*INV-1**4500001234~CUR*SE*USD~"
        "IT1*10*40*EA*12.50**IN*B-100~IT1*20*10*EA*0.80**IN*B-200~TDS*50800~CTT*2~",
        "20260403:1200",
        ours=False,
    ),
}
EDIFACT = {
    "order": edifact_of(
        "ORDERS",
        "BGM+220+4500001234+9'DTM+137:20260302:102'DTM+10:20260328:102'NAD+BY+4098765000010::9'"
        f"CTA+OC+:Kim'NAD+ST+{EAST}::9'CUX+2:USD:9'"
        "LIN+10++B-100:IN'QTY+21:40:EA'PRI+AAA:12.50'DTM+2:20260401:102'"
        "LIN+20++B-200:IN'QTY+21:15:EA'PRI+AAA:0.80'DTM+2:20260403:102'UNS+S'CNT+2:2'",
        ORDER,
        ours=True,
    ),
    "verdict": edifact_of(
        "CONTRL",
        f"UCI+7+{US}:14+{ACME}:14+7'",
        "20260302:0930",
        ours=False,
    ),
    "answer": edifact_of(
        "ORDRSP",
        "BGM+231+AB-1+4'DTM+137:20260302:102'RFF+ON:4500001234'"
        "LIN+10+5+B-100:IN'QTY+21:40:EA'PRI+AAA:12.50'DTM+67:20260401:102'"
        "LIN+20+3+B-200:IN'QTY+194:10:EA'QTY+83:5:EA'PRI+AAA:0.80'DTM+67:20260403:102'"
        "DTM+67:20260410:102'UNS+S'",
        "20260302:1430",
        ours=False,
    ),
    "shipment": edifact_of(
        "DESADV",
        "BGM+351+ASN-9001+9'DTM+11:202603271430:203'DTM+17:20260401:102'RFF+ON:4500001234'"
        f"RFF+BM:BOL-55'NAD+ST+{EAST}::9'TDT+20++30+31+FRTS:172'CPS+1'PAC+1++CT'PCI+33E'"
        "GIN+BJ+340123450000000021'LIN+1++B-100:IN'QTY+12:40:EA'RFF+ON:4500001234:10'"
        "LIN+2++B-200:IN'QTY+12:10:EA'RFF+ON:4500001234:20'",
        "20260327:1500",
        ours=False,
    ),
    "receipt": edifact_of(
        "RECADV",
        "BGM+632+R-7001+9'DTM+50:202604010800:203'RFF+DQ:ASN-9001'"
        f"NAD+ST+{EAST}::9'CPS+1'LIN+1++B-100:IN'QTY+48:38:EA'LIN+2++B-200:IN'QTY+48:10:EA'",
        "20260401:0800",
        ours=True,
    ),
    "invoice": edifact_of(
        "INVOIC",
        "BGM+380+INV-1+9'RFF+ON:4500001234'CUX+2:USD:4'"
        "LIN+10++B-100:IN'QTY+47:40:EA'PRI+AAA:12.50'"
        "LIN+20++B-200:IN'QTY+47:10:EA'PRI+AAA:0.80'UNS+S'MOA+77:508.00'",
        "20260403:1200",
        ours=False,
    ),
}
WITHOUT_RECEIPT = [chapter for chapter in X12 if chapter != "receipt"]


def told(conn: Connection, chapters: list[str], bodies: dict[str, bytes], net: Network) -> Any:
    """All documents after these chapters; nothing may be odd about them."""
    inner = conn.begin_nested()
    names: dict[str, str] = {}
    for n, chapter in enumerate(chapters):
        raw = Raw("edi", chapter, bodies[chapter], datetime(2026, 4, 4, n, tzinfo=UTC))
        reading = registry.interpret(raw, net)
        assert (reading.dead_letters, reading.findings) == ((), ()), chapter
        assert reading.events, chapter
        # An event's id follows from where it was read; what it is called here does not.
        names |= {e.id.hex[:16]: f"{chapter} {e.type}" for e in reading.events}
        store(conn, [Interpreted(raw, reading)], net=net, now=NOW)
    assert verify(conn) == []
    rows = conn.execute(
        text("SELECT * FROM document ORDER BY kind, scope, number, line")
    ).mappings()
    found = [{**row, "state": named(row["state"], names)} for row in rows]
    inner.rollback()
    return found


def named(state: Any, names: dict[str, str]) -> Any:
    """The state of a document with the names of events in place of their ids."""
    plain = json.dumps(state)
    for identifier, name in names.items():
        plain = plain.replace(identifier, name)
    return json.loads(plain)


def check(conn: Connection, chapters: list[str]) -> list[dict[str, Any]]:
    by_x12 = told(conn, chapters, X12, NET)
    by_edifact = told(conn, chapters, EDIFACT, AS_EDIFACT)
    for one, other in zip(by_x12, by_edifact, strict=True):
        assert {k: (v, other[k]) for k, v in one.items() if v != other[k]} == {}, one["number"]
    return by_edifact


def test_from_order_to_invoice(connection: Connection) -> None:
    rows = check(connection, WITHOUT_RECEIPT)
    assert [(row["kind"], row["number"], row["line"]) for row in rows] == [
        ("asn", "ASN-9001", ""),
        ("invoice", "INV-1", ""),
        ("po", "4500001234", ""),
        ("po_line", "4500001234", "10"),
        ("po_line", "4500001234", "20"),
    ]
    order = next(row for row in rows if row["kind"] == "po")
    assert (order["fa_status"], order["answer"]) == ("accepted", "accepted_with_changes")


def test_with_a_receipt_that_names_only_the_despatch_note(connection: Connection) -> None:
    rows = check(connection, list(X12))
    receipt = next(row for row in rows if row["kind"] == "receipt")
    assert receipt["number"] == "R-7001"
    shipment = next(row for row in rows if row["kind"] == "asn")
    assert shipment["status"] in ("part_received", "received")


@pytest.mark.parametrize("chapter", list(X12))
def test_each_chapter_alone(connection: Connection, chapter: str) -> None:
    check(connection, [chapter])


def test_the_receipt_reaches_the_shipment_it_names(connection: Connection) -> None:
    rows = told(connection, list(EDIFACT), EDIFACT, AS_EDIFACT)
    shipment = next(row for row in rows if row["kind"] == "asn")
    assert shipment["status"] in ("part_received", "received")
    assert {row["number"] for row in rows if row["kind"] == "receipt"} == {"R-7001"}
