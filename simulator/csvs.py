"""CSV as it comes from suppliers (three houses' habits) and from the western warehouse."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """How one kind of supplier software writes its files.

    columns  (name in the file, name of the value here); the order is that of the file
    words    status words as this software says them
    header   whether the first row names the columns
    """

    name: str
    delimiter: str
    encoding: str
    header: bool
    columns: tuple[tuple[str, str], ...]
    words: dict[str, str]
    day: str
    time: str
    decimal: str = "."
    line_end: str = "\n"


US = CsvDialect(
    name="csv_us",
    delimiter=",",
    encoding="utf-8",
    header=True,
    columns=(
        ("record", "record"),
        ("document", "document"),
        ("po_number", "po"),
        ("po_line", "line"),
        ("item", "item"),
        ("order_status", "answer"),
        ("line_status", "word"),
        ("qty", "quantity"),
        ("uom", "unit"),
        ("unit_price", "price"),
        ("delivery_date", "day"),
        ("event_time", "time"),
        ("carrier", "carrier"),
        ("bol", "bol"),
    ),
    words={
        "answer": "ORDER_RESPONSE",
        "shipment": "SHIP_NOTICE",
        "replacement": "SHIP_NOTICE_REPLACED",
        "accepted": "ACCEPTED",
        "accepted_with_changes": "CHANGED",
        "backordered": "BACKORDER",
        "substituted": "SUBSTITUTED",
        "rejected": "REJECTED",
    },
    day="%Y-%m-%d",
    time="%Y-%m-%dT%H:%M:%S",
)
EU = CsvDialect(
    name="csv_eu",
    delimiter=";",
    encoding="cp1252",
    header=True,
    columns=(
        ("Satzart", "record"),
        ("Belegnummer", "document"),
        ("Bestellung", "po"),
        ("Position", "line"),
        ("Artikel", "item"),
        ("Auftragsstatus", "answer"),
        ("Positionsstatus", "word"),
        ("Menge", "quantity"),
        ("Einheit", "unit"),
        ("Preis", "price"),
        ("Liefertermin", "day"),
        ("Zeitpunkt", "time"),
        ("Spediteur", "carrier"),
        ("Frachtbrief", "bol"),
    ),
    words={
        "answer": "AB",
        "shipment": "LS",
        "replacement": "LS-KORR",
        "accepted": "bestätigt",
        "accepted_with_changes": "geändert",
        "backordered": "Rückstand",
        "substituted": "Ersatz",
        "rejected": "abgelehnt",
    },
    day="%d.%m.%Y",
    time="%d.%m.%Y %H:%M:%S",
    decimal=",",
    line_end="\r\n",
)
PIPE = CsvDialect(
    name="csv_pipe",
    delimiter="|",
    encoding="utf-8",
    header=False,
    columns=(
        ("type", "record"),
        ("po", "po"),
        ("line", "line"),
        ("doc", "document"),
        ("time", "time"),
        ("status", "answer"),
        ("linestatus", "word"),
        ("sku", "item"),
        ("qty", "quantity"),
        ("unit", "unit"),
        ("price", "price"),
        ("date", "day"),
        ("scac", "carrier"),
        ("bol", "bol"),
    ),
    words={
        "answer": "R",
        "shipment": "S",
        "replacement": "SX",
        "accepted": "OK",
        "accepted_with_changes": "CHG",
        "backordered": "BO",
        "substituted": "SUB",
        "rejected": "NO",
    },
    day="%Y%m%d",
    time="%Y%m%d%H%M%S",
)
DIALECTS = {dialect.name: dialect for dialect in (US, EU, PIPE)}

WEST_COLUMNS = (
    "type", "document", "local_time", "asn", "vendor", "po", "po_line", "sku", "qty", "damaged",
    "unit", "rule", "message",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an answer or a shipment; ``time`` is the supplier's wall clock."""

    record: str
    document: str
    po: str
    line: str
    item: str
    quantity: int
    unit: str
    time: datetime
    day: date
    answer: str = ""
    word: str = ""
    price: str = ""
    carrier: str = ""
    bol: str = ""


def supplier_file(dialect: CsvDialect, rows: Sequence[Row]) -> bytes:
    """The bytes of a file in this dialect."""
    say: dict[str, Callable[[Row], str]] = {
        "record": lambda row: dialect.words[row.record],
        "answer": lambda row: dialect.words.get(row.answer, ""),
        "word": lambda row: dialect.words.get(row.word, ""),
        "quantity": lambda row: str(row.quantity),
        "price": lambda row: row.price.replace(".", dialect.decimal),
        "day": lambda row: row.day.strftime(dialect.day),
        "time": lambda row: row.time.strftime(dialect.time),
    }

    def cell(row: Row, name: str) -> str:
        if name in say:
            return say[name](row)
        value: str = getattr(row, name)
        return value

    table = [[name for name, _ in dialect.columns]] if dialect.header else []
    table += [[cell(row, name) for _, name in dialect.columns] for row in rows]
    return _written(table, dialect.delimiter, dialect.line_end).encode(dialect.encoding)


def west_file(rows: Sequence[Sequence[str]]) -> bytes:
    """Receipts and ASN verdicts of the western warehouse; WEST_COLUMNS names the cells."""
    return _written([WEST_COLUMNS, *rows], ",", "\n").encode("utf-8")


def _written(table: Sequence[Sequence[str]], delimiter: str, line_end: str) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator=line_end).writerows(table)
    return buffer.getvalue()
