"""Mappings of the pretend systems' own formats, as plain data for network.yaml.

They are written in the words of docs/events.md and docs/connect.md, like any customer would write
them.
"""

from __future__ import annotations

from typing import Any

from simulator import csvs
from simulator.cast import ERP

_ANSWER_WORDS = ("accepted", "accepted_with_changes", "backordered", "substituted", "rejected")


def _words(dialect: csvs.CsvDialect) -> dict[str, str]:
    return {dialect.words[word]: word for word in _ANSWER_WORDS}


def supplier_csv(dialect: csvs.CsvDialect) -> dict[str, Any]:
    """Answers and shipments of one kind of supplier software; times are the supplier's own."""
    column = {value: name for name, value in dialect.columns}
    mapping: dict[str, Any] = {
        "format": "csv",
        "encoding": "utf-8-sig" if dialect.encoding == "utf-8" else dialect.encoding,
        "delimiter": dialect.delimiter,
        "decimal": dialect.decimal,
        "date_format": dialect.day,
        "time_format": dialect.time,
        "group_by": [column["record"], column["document"]],
    }
    if not dialect.header:
        mapping |= {"header": False, "columns": [name for name, _ in dialect.columns]}
    answer = {
        "event": "po.acknowledged",
        "when": {column["record"]: dialect.words["answer"]},
        "time": column["time"],
        "fields": {
            "erp": f"={ERP}",
            "po": column["po"],
            "answer": column["answer"],
            "code": column["answer"],
        },
        "lines": {
            "line": column["line"],
            "item": column["item"],
            "answer": column["word"],
            "code": column["word"],
            "qty": column["quantity"],
            "uom": column["unit"],
            "date": column["day"],
            "date_kind": "=delivery",
            "price": column["price"],
        },
        "codes": {"answer": _words(dialect)},
    }
    shipments = [
        {
            "event": event,
            "when": {column["record"]: dialect.words[word]},
            "time": column["time"],
            "fields": {
                "asn": column["document"],
                "shipped_at": column["time"],
                "eta": column["day"],
                "carrier": column["carrier"],
                "bol": column["bol"],
            },
            "lines": {
                "erp": f"={ERP}",
                "po": column["po"],
                "line": column["line"],
                "item": column["item"],
                "qty": column["quantity"],
                "uom": column["unit"],
            },
        }
        for event, word in (("asn.received", "shipment"), ("asn.replaced", "replacement"))
    ]
    return mapping | {"emit": [answer, *shipments]}


def _po(change: str) -> dict[str, Any]:
    """Start of a rule for one kind of change of a purchase order."""
    return {
        "when": {"entity": "purchase_order", "change": change},
        "id": "{entity}:{number}:{version}",
        "time": "changed_at",
        "supplier": "vendor",
    }


_PO_LINES = {
    "line": "line",
    "item": "item",
    "description": "description",
    "category": "item_group",
    "qty": "quantity",
    "uom": "unit",
    "price": "net_price",
    "requested_date": "requested_date",
}
_RECEIPT_LINES = {
    "receipt_line": "n",
    "erp": f"={ERP}",
    "po": "po",
    "line": "po_line",
    "item": "sku",
    "qty": "received",
    "rejected_qty": "damaged",
    "uom": "unit",
}


def _invoice(change: str) -> dict[str, Any]:
    return {
        "when": {"entity": "invoice", "change": change},
        "id": "{entity}:{vendor}:{number}:{version}",
        "time": "changed_at",
        "supplier": "vendor",
    }


def erp() -> dict[str, Any]:
    """The ERP's journal of changes: one record per version of a document."""
    header = {"erp": f"={ERP}", "po": "number"}
    checked = {"invoice": "number", "check": "check", "difference": "difference"}
    return {
        "format": "json",
        "records": "value",
        "key": "{entity}:{number}:{version}",
        "emit": [
            {"event": "po.released"}
            | _po("released")
            | {
                "time": "released_at",
                "recorded": "changed_at",
                "fields": header
                | {
                    "buyer": "buyer",
                    "type": "order_type",
                    "currency": "currency",
                    "warehouse": "warehouse",
                },
                "lines_from": "lines",
                "lines": _PO_LINES,
            },
            {"event": "po.revised"}
            | _po("changed")
            | {
                "fields": header | {"revision": "revision"},
                "lines_from": "lines",
                "lines": _PO_LINES,
            },
            {"event": "po.answer_applied"}
            | _po("answer_applied")
            | {
                "fields": header | {"answer": "answer"},
                "lines_from": "lines",
                "lines": {
                    "line": "line",
                    "qty": "quantity",
                    "uom": "unit",
                    "date": "delivery_date",
                    "price": "net_price",
                },
            },
            {"event": "po.cancelled"}
            | _po("cancelled")
            | {"fields": header | {"reason": "reason"}},
            {"event": "po.closed"} | _po("closed") | {"fields": header | {"reason": "reason"}},
            {
                "event": "peg.set",
                "when": {"entity": "peg", "change": "set"},
                "id": "{entity}:{number}:{version}",
                "time": "changed_at",
                "lines_from": "pegs",
                "lines": {
                    "erp": f"={ERP}",
                    "order": "order",
                    "order_line": "order_line",
                    "po": "po",
                    "line": "po_line",
                    "qty": "quantity",
                },
            },
            {
                "event": "receipt.posted",
                "when": {"entity": "goods_receipt", "change": "posted"},
                "id": "{entity}:{number}:{version}",
                "time": "posted_at",
                "recorded": "changed_at",
                "supplier": "vendor",
                "fields": {"warehouse": "warehouse", "receipt": "number", "asn": "asn"},
                "lines_from": "lines",
                "lines": _RECEIPT_LINES,
            },
            {"event": "invoice.received"}
            | _invoice("received")
            | {
                "fields": {"invoice": "number", "currency": "currency", "total": "total"},
                "lines_from": "lines",
                "lines": {
                    "invoice_line": "line",
                    "erp": f"={ERP}",
                    "po": "po",
                    "line": "line",
                    "item": "item",
                    "qty": "quantity",
                    "uom": "unit",
                    "price": "net_price",
                },
            },
            {"event": "invoice.matched"} | _invoice("matched") | {"fields": checked},
            {"event": "invoice.blocked"} | _invoice("blocked") | {"fields": checked},
        ],
    }


def portal() -> dict[str, Any]:
    """Answers and shipments that suppliers type into the portal."""
    shipment = {
        "id": "{id}",
        "time": "submitted_at",
        "supplier": "vendor",
        "fields": {
            "asn": "shipment",
            "shipped_at": "submitted_at",
            "eta": "eta",
            "carrier": "carrier",
            "bol": "bol",
            "warehouse": "warehouse",
        },
        "lines_from": "lines",
        "lines": {
            "erp": f"={ERP}",
            "po": "po",
            "line": "line",
            "item": "item",
            "qty": "qty",
            "uom": "unit",
        },
    }
    return {
        "format": "json",
        "records": "items",
        "key": "{id}",
        "emit": [
            {
                "event": "po.acknowledged",
                "when": {"kind": "order_answer"},
                "id": "{id}",
                "time": "submitted_at",
                "supplier": "vendor",
                "fields": {
                    "erp": f"={ERP}",
                    "po": "po",
                    "answer": "decision",
                    "code": "decision",
                    "reason": "comment",
                },
                "lines_from": "lines",
                "lines": {
                    "line": "line",
                    "item": "item",
                    "answer": "status",
                    "code": "status",
                    "qty": "qty",
                    "uom": "unit",
                    "date": "delivery_date",
                    "date_kind": "=delivery",
                    "price": "price",
                },
                "codes": {
                    "answer": {
                        "confirmed": "accepted",
                        "confirmed_with_changes": "accepted_with_changes",
                        "refused": "rejected",
                    },
                    "lines.answer": {word: word for word in _ANSWER_WORDS},
                },
            },
            {"event": "asn.received", "when": {"kind": "shipment", "action": "announced"}}
            | shipment,
            {"event": "asn.replaced", "when": {"kind": "shipment", "action": "replaced"}}
            | shipment,
        ],
    }


def _verdict(fields: dict[str, str]) -> dict[str, Any]:
    return {"supplier": "vendor", "fields": {"asn": "asn", "erp": f"={ERP}", "po": "po"} | fields}


def wms_east() -> dict[str, Any]:
    """Documents that the eastern warehouse posts, one per body."""
    refused = {"rule": "rule", "reason": "message"}
    about = {"id": "{doc_id}", "time": "checked_at"}
    return {
        "format": "json",
        "emit": [
            {"event": "asn.accepted", "when": {"doc": "asn_verdict", "verdict": "accepted"}}
            | about
            | _verdict({}),
            {"event": "asn.rejected", "when": {"doc": "asn_verdict", "verdict": "rejected"}}
            | about
            | _verdict(refused),
            {
                "event": "receipt.posted",
                "when": {"doc": "receipt"},
                "id": "{doc_id}",
                "time": "posted_at",
                "supplier": "vendor",
                "fields": {"warehouse": "warehouse", "receipt": "receipt", "asn": "asn"},
                "lines_from": "lines",
                "lines": _RECEIPT_LINES,
            },
        ],
    }


def wms_west() -> dict[str, Any]:
    """Files of the western warehouse: receipts and verdicts share one layout."""
    return {
        "format": "csv",
        "time_format": "%Y-%m-%d %H:%M:%S",
        "zone": "America/Los_Angeles",
        "group_by": ["type", "document"],
        "emit": [
            {
                "event": "asn.accepted",
                "when": {"type": "ASN_ACCEPTED"},
                "id": "{document}",
                "time": "local_time",
            }
            | _verdict({}),
            {
                "event": "asn.rejected",
                "when": {"type": "ASN_REJECTED"},
                "id": "{document}",
                "time": "local_time",
            }
            | _verdict({"rule": "rule", "reason": "message"}),
            {
                "event": "receipt.posted",
                "when": {"type": "RECEIPT"},
                "id": "{document}",
                "time": "local_time",
                "supplier": "vendor",
                "fields": {"warehouse": "=west", "receipt": "document", "asn": "asn"},
                "lines": {
                    "receipt_line": "#",
                    "erp": f"={ERP}",
                    "po": "po",
                    "line": "po_line",
                    "item": "sku",
                    "qty": "qty",
                    "rejected_qty": "damaged",
                    "uom": "unit",
                },
            },
        ],
    }


def middleware() -> dict[str, Any]:
    """Log lines of the integration middleware."""
    common: dict[str, Any] = {
        "id": "{event_id}",
        "time": "ts",
        "correlation": "{correlation_id}",
        "carries": ["{message_id}"],
        "supplier": "partner",
    }
    about = {
        "erp": f"={ERP}",
        "po": "po",
        "asn": "asn",
        "message": "message_id",
        "step": "step",
        "hop": "hop",
        "text": "text",
    }
    timed = about | {"ms": "ms"}
    tried = about | {"attempt": "attempt"}
    failed = tried | {"error_class": "error", "code": "code", "queue": "queue"}
    steps: list[tuple[str, list[str] | str, dict[str, str]]] = [
        ("message.received", ["order.received", "inbound.received"], about),
        ("message.transformed", ["order.mapped", "inbound.mapped"], timed),
        ("message.sent", "erp.posted", timed),
        ("message.delivered", "transport.receipt", about | {"receipt": "receipt"}),
        ("message.failed", "delivery.failed", failed),
        ("message.retried", "delivery.retried", tried),
        ("message.dead_lettered", "message.dead", failed),
    ]
    transmitted = {
        "event": "po.transmitted",
        "when": {"step": "order.transmitted"},
        "fields": {
            "erp": f"={ERP}",
            "po": "po",
            "message": "message_id",
            "channel": "channel",
            "control": "control",
        },
    }
    return {
        "format": "log",
        "key": "{event_id}",
        "emit": [
            transmitted | common,
            *(
                {"event": event, "when": {"step": step}, "fields": fields} | common
                for event, step, fields in steps
            ),
        ],
    }


def all_mappings() -> dict[str, dict[str, Any]]:
    return {dialect.name: supplier_csv(dialect) for dialect in csvs.DIALECTS.values()} | {
        "erp": erp(),
        "portal": portal(),
        "wms_east": wms_east(),
        "wms_west": wms_west(),
        "middleware": middleware(),
    }
