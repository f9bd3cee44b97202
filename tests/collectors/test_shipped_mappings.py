"""Every mapping of a system that comes with the tower, on a record as that system writes it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from collectors import registry
from tests.collectors.worlds import network
from tower.documents import Owners, Record, fold, project
from tower.raw import Interpretation, Raw
from tower.registers import microseconds, short
from tower.shipped_mappings import shipped
from tower.touches import touches

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "xml"
NOW = datetime(2026, 4, 2, 12, 0, tzinfo=UTC)
GONE = {"reason": "deleted", "day": "2026-04-02"}
DAY = "/Date(1774569600000)/"  # 2026-03-27
CHANGED = "/Date(1774605600000+0000)/"


def results(*items: dict[str, Any]) -> dict[str, Any]:
    return {"results": list(items)}


SAP_ITEM = {
    "PurchaseOrderItem": "10", "Material": "B-1", "OrderQuantity": "40", "NetPriceAmount": "2",
    "PurchaseOrderQuantityUnit": "EA", "Plant": "1710", "PurchasingDocumentDeletionCode": "",
    "to_ScheduleLine": results({"ScheduleLineDeliveryDate": "/Date(1775001600000)/"}),
}  # fmt: skip
SAP_PO = {
    "PurchaseOrder": "4500000001", "Supplier": "17300001", "PurchaseOrderDate": DAY,
    "LastChangeDateTime": CHANGED, "PurchasingDocumentDeletionCode": "",
    "ReleaseIsNotCompleted": False, "to_PurchaseOrderItem": results(SAP_ITEM),
}  # fmt: skip
SAP_MOVE = {
    "MaterialDocumentItem": "1", "GoodsMovementType": "101", "Supplier": "17300001",
    "Plant": "1710", "PurchaseOrder": "4500000001", "PurchaseOrderItem": "10", "Material": "B-1",
    "QuantityInEntryUnit": "40", "EntryUnit": "EA",
}  # fmt: skip
SAP_GR = {
    "MaterialDocumentYear": "2026", "MaterialDocument": "5000000001", "PostingDate": DAY,
    "to_MaterialDocumentItem": results(SAP_MOVE),
}  # fmt: skip
SAP_INVOICE = {
    "FiscalYear": "2026", "SupplierInvoice": "51", "PostingDate": DAY, "InvoicingParty": "17300001",
    "SupplierInvoiceIDByInvcgParty": "R-9", "DocumentCurrency": "USD", "InvoiceGrossAmount": "80",
    "SupplierInvoiceIsCreditMemo": "", "PaymentBlockingReason": "R",
    "to_SuplrInvcItemPurOrdRef": results(
        {"SupplierInvoiceItem": "1", "PurchaseOrder": "4500000001", "PurchaseOrderItem": "10",
         "QuantityInPurchaseOrderUnit": "40"}),
}  # fmt: skip
SAP_ORDER = {
    "SalesOrder": "77", "SoldToParty": "C1", "CreationDate": DAY, "LastChangeDateTime": CHANGED,
    "TransactionCurrency": "USD", "OverallSDProcessStatus": "C",
    "to_Item": results(
        {"SalesOrderItem": "10", "Material": "B-1", "RequestedQuantity": "5",
         "to_ScheduleLine": results({"RequestedDeliveryDate": DAY, "ConfirmedDeliveryDate": DAY,
                                     "ConfdOrderQtyByMatlAvailCheck": "5"})}),
}  # fmt: skip
BC_LINE = {"sequence": 10000, "lineObjectNumber": "B-1", "quantity": 4, "directUnitCost": 2}
BC = {
    "number": "106", "vendorNumber": "17300001", "orderDate": "2026-03-27", "currencyCode": "USD",
    "lastModifiedDateTime": "2026-03-27T10:00:00Z",
}  # fmt: skip
ERPNEXT = {
    "name": "N-1", "docstatus": 1, "supplier": "17300001", "modified": "2026-03-27 10:00:00.1",
    "transaction_date": "2026-03-27", "posting_date": "2026-03-27", "posting_time": "10:00:00",
}  # fmt: skip
ITEM = {"idx": 1, "name": "row1", "item_code": "B-1", "qty": 4.0, "rate": 2.0, "uom": "Nos"}
ROW = {
    "po": "1", "line": 10, "vendor": "17300001", "item": "B-1", "qty": "4.000",
    "changed_at": "2026-03-27T10:00:00", "erp": "main",
}  # fmt: skip
WMS = {
    "id": "1", "occurredAt": "2026-03-27T10:00:00Z", "warehouse": "W1", "receipt": "R1",
    "supplier": "17300001",
    "lines": [{"line": 1, "purchaseOrder": "1", "purchaseOrderLine": "10", "quantity": 4,
               "orderLine": "1", "kind": "short"}],
}  # fmt: skip
PLATFORM = {
    "id": "1", "occurredAt": "2026-03-27T10:00:00Z",
    "order": {"number": "SO-1", "customer": {"id": "C1"}, "priority": "rush",
              "lines": [{"line": "1", "sku": "B-1", "quantity": 4, "promiseDate": "2026-04-01"}]},
}  # fmt: skip
INVOICE_ROW = {**ROW, "invoice": "R-9", "received_at": "2026-03-27T10:00:00", "price": "2"}
ORDER_ROW = {
    "order_no": "SO-1", "line": 1, "qty": "4", "placed_at": "2026-03-27T10:00:00",
    "changed_at": "2026-03-28T10:00:00", "promised_at": "2026-03-27T11:00:00",
    "promise_date": "2026-04-01", "shipped_at": "2026-03-28T10:00:00", "shipped_qty": "4",
    "revision": 2, "status": "closed",
}  # fmt: skip
PO_ROW = {**ROW, "released_at": "2026-03-27T10:00:00", "status": "open"}
APPLIED = {**PO_ROW, "applied_at": "2026-03-28T10:00:00", "confirmed_date": "2026-04-01",
           "confirmed_qty": "4", "revision": 1}  # fmt: skip
RECEIPT_ROW = {**ROW, "warehouse": "W1", "receipt": "R1", "receipt_line": 1,
               "posted_at": "2026-03-27T10:00:00"}  # fmt: skip
PEG = {"order_no": "SO-1", "order_line": "1", "po": "1", "line": "10", "qty": "4",
       "changed_at": "2026-03-27T10:00:00"}  # fmt: skip
DEAL: dict[str, Any] = {"id": "9", "stage": "Closed Won", "closedAt": "2026-03-27T10:00:00Z",
        "account": {"id": "C1", "name": "Cara"},
        "products": [{"sku": "B-1", "quantity": 4}]}  # fmt: skip
SHOP = {"id": 1, "name": "#1001", "created_at": "2026-03-27T10:00:00Z",
        "line_items": [{"id": 7, "sku": "B-1", "quantity": 4}]}  # fmt: skip


def rows(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "rows": [row]}


CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("sap_s4_purchase_orders", SAP_PO, ["po.released", "po.unheld"]),
    ("sap_s4_purchase_orders", SAP_PO | {"ReleaseIsNotCompleted": True}, []),
    ("sap_s4_purchase_orders", SAP_PO | {"PurchasingDocumentDeletionCode": "L"}, ["po.cancelled"]),
    ("sap_s4_purchase_orders", SAP_PO | {"PurchasingDocumentDeletionCode": "S"}, ["po.held"]),
    ("sap_s4_purchase_orders", {"PurchaseOrder": "1", "@removed": GONE}, ["po.cancelled"]),
    (
        "sap_s4_supplier_confirmations",
        {"PurchaseOrder": "1", "PurchaseOrderItem": "10", "SequentialNmbrOfSuplrConf": "1",
         "SupplierConfirmationCategory": "AB", "ConfirmedQuantity": "4",
         "DeliveryDate": "2026-04-01", "CreationDate": "2026-03-28"},
        ["po.answer_applied"],
    ),
    ("sap_s4_goods_receipts", SAP_GR, ["receipt.posted"]),
    (
        "sap_s4_goods_receipts",
        SAP_GR | {"to_MaterialDocumentItem": results(
            SAP_MOVE | {"GoodsMovementType": "102", "ReversedMaterialDocument": "4999",
                        "ReversedMaterialDocumentYear": "2026",
                        "ReversedMaterialDocumentItem": "1"})},
        ["receipt.reversed"],
    ),
    ("sap_s4_supplier_invoices", SAP_INVOICE, ["invoice.received", "invoice.blocked"]),
    (
        "sap_s4_supplier_invoices",
        SAP_INVOICE | {"SupplierInvoiceIsCreditMemo": "S", "PaymentBlockingReason": ""},
        ["credit.received"],
    ),
    (
        "sap_s4_sales_orders",
        SAP_ORDER,
        ["order.placed", "order.changed", "order.promised", "order.closed"],
    ),
    ("sap_s4_sales_orders", {"SalesOrder": "77", "@removed": GONE}, ["order.cancelled"]),
    (
        "business_central_purchase_orders",
        BC | {"status": "Open", "fullyReceived": False, "purchaseOrderLines": [BC_LINE]},
        ["po.released"],
    ),
    ("business_central_purchase_orders", BC | {"status": "Draft", "fullyReceived": False}, []),
    ("business_central_purchase_orders", {"number": "106", "@removed": GONE}, ["po.closed"]),
    (
        "business_central_receipts",
        BC | {"postingDate": "2026-03-27", "orderNumber": "106", "purchaseReceiptLines": [BC_LINE]},
        ["receipt.posted"],
    ),
    (
        "business_central_invoices",
        BC | {"invoiceDate": "2026-03-27", "status": "Open", "purchaseInvoiceLines": [BC_LINE]},
        ["invoice.received", "invoice.matched"],
    ),
    (
        "business_central_sales_orders",
        BC | {"customerNumber": "C1",
              "salesOrderLines": [BC_LINE | {"shipmentDate": "2026-04-01"}]},
        ["order.placed", "order.changed", "order.promised"],
    ),
    ("business_central_sales_orders", {"number": "106", "@removed": GONE}, ["order.closed"]),
    (
        "erpnext_purchase_orders",
        ERPNEXT | {"items": [ITEM | {"sales_order": "S", "sales_order_item": "r"}],
                   "order_confirmation_no": "AB-1", "status": "On Hold"},
        ["po.released", "po.answer_applied", "peg.set", "po.held"],
    ),
    (
        "erpnext_purchase_orders",
        ERPNEXT | {"docstatus": 2, "items": [ITEM], "status": "Cancelled"},
        ["po.released", "po.cancelled"],
    ),
    ("erpnext_purchase_orders", ERPNEXT | {"docstatus": 0, "items": [ITEM]}, []),
    ("erpnext_purchase_orders", {"name": "N-1", "@removed": GONE}, ["po.cancelled"]),
    (
        "erpnext_receipts",
        ERPNEXT | {"items": [ITEM | {"purchase_order": "P-1"}]},
        ["receipt.posted"],
    ),
    (
        "erpnext_receipts",
        ERPNEXT | {"docstatus": 2, "items": [ITEM | {"purchase_order": "P-1"}]},
        ["receipt.reversed"],
    ),
    (
        "erpnext_invoices",
        ERPNEXT | {"items": [ITEM | {"purchase_order": "P-1"}], "on_hold": 1, "grand_total": 8},
        ["invoice.received", "invoice.blocked"],
    ),
    (
        "erpnext_sales_orders",
        ERPNEXT | {"customer": "C1", "items": [ITEM | {"delivery_date": "2026-04-01"}],
                   "status": "Completed"},
        ["order.placed", "order.promised", "order.closed"],
    ),
    (
        "erpnext_stock",
        {"name": "b1", "warehouse": "Stores - X", "item_code": "B-1", "actual_qty": 0.0,
         "stock_uom": "Nos", "modified": "2026-03-27 10:00:00.1"},
        ["inventory.reported"],
    ),
    (
        "netsuite_purchase_orders",
        {"id": "7", "tranId": "PO7", "entity": {"id": "17300001"}, "tranDate": "2026-03-27",
         "lastModifiedDate": "2026-03-27T10:00:00Z", "status": {"refName": "Closed"},
         "item": {"items": [{"line": 1, "item": {"refName": "B-1"}, "quantity": 4}]}},
        ["po.released", "po.closed"],
    ),
    ("view_purchase_orders", rows(PO_ROW), ["po.released", "po.unheld"]),
    (
        "view_purchase_orders",
        rows(APPLIED),
        ["po.released", "po.revised", "po.answer_applied", "po.unheld"],
    ),
    ("view_purchase_orders", rows(PO_ROW | {"status": "draft"}), []),
    ("view_purchase_orders", rows(PO_ROW | {"status": "held"}), ["po.released", "po.held"]),
    ("view_purchase_orders", rows(PO_ROW | {"status": "closed"}), ["po.released", "po.closed"]),
    ("view_purchase_orders", {"po": "1", "@removed": GONE}, ["po.cancelled"]),
    ("view_receipts", rows(RECEIPT_ROW), ["receipt.posted"]),
    ("view_receipts", rows(RECEIPT_ROW | {"status": "reversed"}), ["receipt.reversed"]),
    (
        "view_invoices",
        rows(INVOICE_ROW | {"status": "blocked", "check": "price"}),
        ["invoice.received", "invoice.blocked"],
    ),
    ("view_invoices", rows(INVOICE_ROW | {"kind": "credit"}), ["credit.received"]),
    (
        "view_customer_orders",
        rows(ORDER_ROW),
        ["order.placed", "order.changed", "order.promised", "order.shipped", "order.closed"],
    ),
    ("view_customer_orders", {"order_no": "SO-1", "@removed": GONE}, ["order.cancelled"]),
    (
        "view_stock",
        {"warehouse": "W1", "item": "B-1", "on_hand": "0", "unit": "EA",
         "changed_at": "2026-03-27T10:00:00"},
        ["inventory.reported"],
    ),
    ("view_pegs", PEG, ["peg.set"]),
    ("view_pegs", PEG | {"@removed": GONE}, ["peg.removed"]),
    *(
        ("platform_orders", PLATFORM | {"event": name}, [name.replace("created", "placed")])
        for name in ("order.created", "order.changed", "order.promised", "order.allocated",
                     "order.backordered", "order.cancelled")
    ),
    (
        "shop_orders",
        SHOP | {"cancelled_at": "2026-03-28T10:00:00Z", "fulfillments": [
            {"id": 3, "created_at": "2026-03-27T12:00:00Z", "tracking_number": "T",
             "line_items": [{"id": 7, "quantity": 4}]}]},
        ["order.placed", "order.shipped", "order.cancelled"],
    ),
    ("crm_orders", {"deal": DEAL}, ["order.placed"]),
    ("crm_orders", {"deal": DEAL | {"stage": "lost", "orderNumber": "9"}}, ["order.cancelled"]),
    ("wms_events", WMS | {"event": "receipt.posted"}, ["receipt.posted"]),
    ("wms_events", WMS | {"event": "receipt.reversed"}, ["receipt.reversed"]),
    ("wms_events", WMS | {"event": "receipt.discrepancy"}, ["receipt.discrepancy"]),
    ("wms_events", WMS | {"event": "order.released", "order": "SO-1"}, ["order.released"]),
    ("wms_events", WMS | {"event": "order.shipped", "order": "SO-1"}, ["order.shipped"]),
    (
        "wms_events",
        WMS | {"event": "inventory.reported",
               "lines": [{"sku": "B-1", "onHand": 0, "available": 0, "unit": "EA"}]},
        ["inventory.reported"],
    ),
    (
        "wms_events",
        WMS | {"event": "inventory.adjusted", "lines": [{"sku": "B-1", "quantity": -2}]},
        ["inventory.adjusted"],
    ),
    (
        "tms_events",
        WMS | {"code": "delayed", "shipmentNotice": "ASN-1", "eta": "2026-04-01"},
        ["shipment.status"],
    ),
    ("tms_events", WMS | {"code": "delivered", "order": "SO-1"}, ["order.delivered"]),
    (
        "portal_answers",
        {"purchaseOrder": "1", "vendor": "17300001", "answer": "declined", "lines": []},
        ["po.rejected"],
    ),
    (
        "portal_answers",
        {"shipment": "S-1", "vendor": "17300001", "purchaseOrder": "1",
         "lines": [{"line": "10", "quantity": 4}]},
        ["asn.received"],
    ),
]  # fmt: skip
BATCHES = {
    "platform_orders_csv": (
        "order,customer,customer_name,placed_at,line,sku,name,quantity,unit,price,requested,"
        "promised\n"
        "SO-1,C1,Cara,2026-03-27T10:00:00Z,1,B-1,Bolt,4,EA,2,2026-04-01,2026-04-02\n"
        "SO-1,C1,Cara,2026-03-27T10:00:00Z,2,B-2,Nut,4,EA,2,2026-04-01,\n"
        "SO-2,C1,Cara,2026-03-27T10:00:00Z,1,B-1,Bolt,4,EA,2,2026-04-01,2026-04-02\n",
        ["order.placed", "order.promised"] * 2,
    ),
    "wms_receipts_csv": (
        "receipt,warehouse,posted_at,supplier,shipment_notice,line,po,po_line,sku,quantity,damaged,"
        "unit\n"
        "R1,W1,2026-03-27T10:00:00Z,17300001,ASN-1,1,1,10,B-1,4,0,EA\n"
        "R1,W1,2026-03-27T10:00:00Z,17300001,ASN-1,2,1,20,B-2,4,1,EA\n",
        ["receipt.posted"],
    ),
}


def read(mapping: str, body: bytes, **headers: str) -> Interpretation:
    format_ = shipped()[mapping].format
    net = network(
        f"sources:\n  feed: {{kind: push, format: {format_}, system: erp, mapping: {mapping}}}"
    )
    return registry.interpret(Raw("feed", "k", body, NOW, headers=headers), net)


@pytest.mark.parametrize(
    ("mapping", "record", "types"), CASES, ids=[f"{n}-{'+'.join(t)}" for n, _, t in CASES]
)
def test_a_record_becomes_these_events(
    mapping: str, record: dict[str, Any], types: list[str]
) -> None:
    reading = read(mapping, orjson.dumps(record), rendered="json")
    assert [letter.cause for letter in reading.dead_letters] == []
    assert [event.type for event in reading.events] == types
    odd = [f for f in reading.findings if f.code != "no_rule"]
    assert odd == []


@pytest.mark.parametrize("mapping", ["view_stock", "erpnext_stock", "wms_events"])
def test_an_empty_shelf_is_told_as_zero_and_what_nobody_counted_not_at_all(mapping: str) -> None:
    (record,) = [
        r for name, r, types in CASES if name == mapping and types == ["inventory.reported"]
    ]
    (event,) = read(mapping, orjson.dumps(record), rendered="json").events
    assert event.data["lines"][0]["on_hand"] == "0"
    assert [ref.kind for ref in event.objects] == ["warehouse"], "about no order: never unmatched"
    nulled = orjson.loads(orjson.dumps(record))
    for line in (nulled, *nulled.get("lines", ())):
        for name in ("on_hand", "onHand", "actual_qty"):
            if name in line:
                line[name] = None
    (silent,) = read(mapping, orjson.dumps(nulled), rendered="json").events
    assert "on_hand" not in silent.data["lines"][0]


@pytest.mark.parametrize("number", range(8))
def test_a_receipt_taken_back_on_its_day_of_posting_is_gone(number: int) -> None:
    name = str(5000000000 + 2 * number)  # the ids of the events fall in another order with each
    back = SAP_MOVE | {
        "GoodsMovementType": "102", "ReversedMaterialDocumentYear": "2026",
        "ReversedMaterialDocument": name, "ReversedMaterialDocumentItem": "1",
    }  # fmt: skip
    taken = {"MaterialDocument": f"{name}9", "to_MaterialDocumentItem": results(back)}
    told = [SAP_GR | {"MaterialDocument": name}, SAP_GR | taken]
    assert received("sap_s4_goods_receipts", [{"d": results(one)} for one in told]) == "0"


@pytest.mark.parametrize("number", range(8))
def test_a_row_corrected_in_a_view_replaces_what_it_said(number: int) -> None:
    told = [
        RECEIPT_ROW | {"receipt": f"R{number}", "qty": qty, "changed_at": f"2026-03-27T{hour}:00"}
        for qty, hour in (("100", 10), ("10", 11))
    ]
    assert received("view_receipts", [rows(one) for one in told]) == "10"


def received(mapping: str, bodies: list[dict[str, Any]]) -> str | None:
    """What is there of the one order line that these records name."""
    records = [
        Record(short(e.id), t.kind, t.line, e.type, e.system, microseconds(e.occurred_at), t.facts)
        for body in bodies
        for e in read(mapping, orjson.dumps(body)).events
        for t in touches(e)
        if t.kind == "po_line"
    ]
    _, line = project("po", "main", "1", fold(records), Owners({}, {}, {}, frozenset()))
    found: str | None = line["received_qty"]
    return found


HELD: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sap_s4_purchase_orders": (
        SAP_PO | {"PurchasingDocumentDeletionCode": "S"},
        SAP_PO | {"LastChangeDateTime": "/Date(1774692000000+0000)/"},
    ),
    "erpnext_purchase_orders": (
        ERPNEXT | {"items": [ITEM], "status": "On Hold"},
        ERPNEXT | {"items": [ITEM], "status": "To Receive", "modified": "2026-03-28 10:00:00"},
    ),
    "view_purchase_orders": (
        rows(PO_ROW | {"status": "held"}),
        rows(PO_ROW | {"changed_at": "2026-03-28T10:00:00"}),
    ),
}


@pytest.mark.parametrize("mapping", HELD)
def test_an_order_that_rests_no_more_goes_on(mapping: str) -> None:
    held, open_, again = [
        [e for e in read(mapping, orjson.dumps(record), rendered="json").events
         if e.type in ("po.held", "po.unheld")]
        for record in (*HELD[mapping], HELD[mapping][1])
    ]  # fmt: skip
    assert [event.type for event in (*held, *open_)] == ["po.held", "po.unheld"]
    assert held[0].occurred_at < open_[0].occurred_at
    assert open_[0].id == again[0].id, "told once, however often it is read"


CODE_L = {"PurchasingDocumentDeletionCode": "L"}
ENDED = {
    "sap_s4_purchase_orders": (
        SAP_PO | CODE_L,
        SAP_PO | {"LastChangeDateTime": "/Date(1774692000000+0000)/"},
        SAP_PO | CODE_L | {"LastChangeDateTime": "/Date(1774778400000+0000)/"},
    ),
    "erpnext_purchase_orders": (
        ERPNEXT | {"items": [ITEM], "status": "Closed"},
        ERPNEXT | {"items": [ITEM], "status": "To Receive", "modified": "2026-03-28 10:00:00"},
        ERPNEXT | {"items": [ITEM], "status": "Closed", "modified": "2026-03-29 10:00:00"},
    ),
    "view_purchase_orders": (
        rows(PO_ROW | {"status": "cancelled"}),
        rows(PO_ROW | {"changed_at": "2026-03-28T10:00:00"}),
        rows(PO_ROW | {"changed_at": "2026-03-29T10:00:00", "status": "cancelled"}),
    ),
}


@pytest.mark.parametrize("mapping", ENDED)
def test_an_order_that_is_opened_again_is_open_and_may_end_again(mapping: str) -> None:
    ended, opened, again = ENDED[mapping]
    for story, closed in (([opened], False), ([ended], True), ([ended, opened], False),
                          ([ended, opened, again], True)):  # fmt: skip
        for mixed in (story, story[::-1]):
            assert _order(mapping, mixed)["closed"] == closed


def _order(mapping: str, bodies: list[dict[str, Any]]) -> dict[str, Any]:
    """The order that these records name, each event counted once."""
    told = {
        (event.id, touch.kind, touch.line): Record(
            short(event.id), touch.kind, touch.line, event.type, event.system,
            microseconds(event.occurred_at), touch.facts,
        )
        for body in bodies
        for event in read(mapping, orjson.dumps(body), rendered="json").events
        for touch in touches(event)
        if touch.kind in ("po", "po_line")
    }  # fmt: skip
    return project("po", "main", "1", fold(told.values()), Owners({}, {}, {}, frozenset()))[0]


@pytest.mark.parametrize("mapping", BATCHES)
def test_a_batch_becomes_these_events(mapping: str) -> None:
    text, types = BATCHES[mapping]
    reading = read(mapping, text.encode())
    assert [letter.cause for letter in reading.dead_letters] == []
    assert [event.type for event in reading.events] == types


def test_every_mapping_of_a_system_is_shown_here() -> None:
    tried = {name for name, _, _ in CASES} | set(BATCHES)
    ours = ("sap_", "business_", "erpnext_", "netsuite_", "view_", "platform_", "shop_", "crm_",
            "wms_", "tms_", "portal_")  # fmt: skip
    assert {name for name in shipped() if name.startswith(ours)} == tried


CATEGORIES: dict[str, dict[str, Any]] = {
    "sap_s4_purchase_orders": SAP_PO
    | {"to_PurchaseOrderItem": results(SAP_ITEM | {"MaterialGroup": "FAST"})},
    "sap_s4_sales_orders": SAP_ORDER
    | {"to_Item": results(SAP_ORDER["to_Item"]["results"][0] | {"MaterialGroup": "FAST"})},
    "business_central_purchase_orders": BC
    | {"status": "Open",
       "purchaseOrderLines": [BC_LINE | {"item": {"itemCategoryCode": "FAST"}}]},
    "business_central_sales_orders": BC
    | {"salesOrderLines": [BC_LINE | {"item": {"itemCategoryCode": "FAST"}}]},
    "erpnext_purchase_orders": ERPNEXT | {"items": [ITEM | {"item_group": "FAST"}]},
    "erpnext_sales_orders": ERPNEXT
    | {"customer": "C1", "items": [ITEM | {"item_group": "FAST"}]},
    "netsuite_purchase_orders": {
        "id": "7", "tranId": "PO7", "entity": {"id": "17300001"}, "tranDate": "2026-03-27",
        "status": {"refName": "Open"},
        "item": {"items": [{"line": 1, "item": {"refName": "B-1"}, "quantity": 4,
                            "class": {"refName": "FAST"}}]},
    },
    "view_purchase_orders": rows(APPLIED | {"category": "FAST"}),
    "view_customer_orders": rows(ORDER_ROW | {"category": "FAST"}),
    "platform_orders": PLATFORM
    | {"event": "order.created",
       "order": PLATFORM["order"]
       | {"lines": [PLATFORM["order"]["lines"][0] | {"category": "FAST"}]}},
}  # fmt: skip


@pytest.mark.parametrize("mapping", CATEGORIES)
def test_the_category_of_goods_that_a_system_keeps_with_a_line_is_told(mapping: str) -> None:
    reading = read(mapping, orjson.dumps(CATEGORIES[mapping]), rendered="json")
    placed = [e for e in reading.events if e.type in ("po.released", "po.revised",
                                                      "order.placed", "order.changed")]  # fmt: skip
    assert placed
    assert {line["category"] for e in placed for line in e.data["lines"]} == {"FAST"}


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("idoc_orders", "<MATKL>FAST</MATKL><MENGE>"),
        ("cxml_order_request", '<Classification domain="UNSPSC">FAST</Classification>'),
        ("ubl_order", "<cac:CommodityClassification><cbc:ItemClassificationCode>FAST"
                      "</cbc:ItemClassificationCode></cac:CommodityClassification>"),
    ],
)  # fmt: skip
def test_the_category_of_goods_in_a_message_is_told(name: str, field: str) -> None:
    marks = {"idoc_orders": "<MENGE>", "cxml_order_request": "</ItemDetail>",
             "ubl_order": "</cac:Item>"}  # fmt: skip
    mark = marks[name]
    put = field if mark == "<MENGE>" else field + mark
    text = (FIXTURES / f"{name}.xml").read_text(encoding="utf-8")
    reading = read(name.partition("_")[0], text.replace(mark, put).encode())
    lines = reading.events[0].data["lines"]
    assert [line["category"] for line in lines] == ["FAST"] * len(lines)
