"""Which values are nobody's business by default, and how they are hidden.

A value belongs to a class by the name of its field, element, key or column. What no list knows is
"unclassed", and as sensitive as the rest. Hidden values keep their length in bytes, so that places
in a payload stay true.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tower.structure import MOST_BYTES, MOST_LEAVES, Leaf, structure
from tower.vocabulary import EVENT_TYPES

PRICE, BANK, PERSON, ADDRESS, UNCLASSED = "price", "bank", "person", "address", "unclassed"
CLASSES = (PRICE, BANK, PERSON, ADDRESS, UNCLASSED)
OPEN = ""
"""The class of what everybody may see who may see the message."""

ALL: frozenset[str] = frozenset(CLASSES)
SIGN = b"#"


class Hidden(NamedTuple):
    """A byte range that is hidden, and its class."""

    offset: int
    length: int
    kind: str


# --- by name ------------------------------------------------------------------------------------

_WORDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (BANK, re.compile(r"iban|\bbic\b|swift|bank|account_?n|kontonummer|sort_?code")),
    (
        PERSON,
        re.compile(
            r"e?_?mail|phone|\btel\b|telefon|\bfax\b|contact|person|attention|recorded_by"
            r"|heard_from|first_?name|last_?name|signed_by|author"
        ),
    ),
    (ADDRESS, re.compile(r"street|address|\bcity\b|\bzip\b|postal|postcode|\bstate\b|country")),
    (
        PRICE,
        re.compile(
            r"price|amount|\bvalue\b|cost|charge|discount|\btax|\bnet\b|\bgross\b|total|margin"
            r"|netpr|netwr|wrbtr|betrag|preis"
        ),
    ),
)


def _vocabulary() -> frozenset[str]:
    found: set[str] = set()
    for spec in EVENT_TYPES.values():
        found.update(field.name for field in (*spec.header, *spec.lines))
        found.add(spec.list_name)
    return frozenset(found)


def _money() -> frozenset[str]:
    specs = EVENT_TYPES.values()
    return frozenset(
        field.name
        for spec in specs
        for field in (*spec.header, *spec.lines)
        if field.kind == "money"
    )


_ENVELOPE = frozenset(
    [
        "id",
        "type",
        "source",
        "specversion",
        "time",
        "datacontenttype",
        "subject",
        "partner",
        "system",
        "channel",
        "occurred_at",
        "recorded_at",
        "recordedtime",
        "correlation",
        "correlationid",
        "correlation_id",
        "causation",
        "causationid",
        "traceparent",
        "header",
        "lines",
        "items",
        "orders",
        "number",
        "erpsystem",
        "document",
        "documents",
        "status",
        "event",
        "message_id",
        "messageid",
        "trace_id",
        "traceid",
        "span_id",
        "timestamp",
        "severity",
        "level",
        "answers",
        "carries",
        "timequality",
        "time_quality",
        "dataschema",
        "position",
    ]
)


def class_of_name(name: str) -> str:
    """The class of a field, key or column by its name."""
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("-", "_").replace(" ", "_")
    plain = plain.rpartition(".")[2].partition("[")[0]
    spaced = plain.replace("_", " ")
    if plain in _MONEY:
        return PRICE
    for kind, pattern in _WORDS:
        if pattern.search(plain) or pattern.search(spaced):
            return kind
    return OPEN if plain in _KNOWN else UNCLASSED


_X12_OPEN = frozenset(
    [
        "GS",
        "ST",
        "SE",
        "GE",
        "IEA",
        "BEG",
        "BCH",
        "BAK",
        "BCA",
        "BSN",
        "BIG",
        "BHT",
        "BRA",
        "BGN",
        "DTM",
        "DTP",
        "REF",
        "HL",
        "LIN",
        "SLN",
        "IT1",
        "PO1",
        "POC",
        "ACK",
        "CTT",
        "AK1",
        "AK2",
        "AK3",
        "AK4",
        "AK5",
        "AK9",
        "IK3",
        "IK4",
        "IK5",
        "TA1",
        "OTI",
        "TED",
        "TD1",
        "TD3",
        "TD5",
        "TDS",
        "MAN",
        "PRF",
        "PID",
        "SN1",
        "PO4",
        "MEA",
        "PKG",
        "PAL",
        "CUR",
        "FOB",
        "SCH",
        "QTY",
        "UIT",
        "CLD",
        "RCD",
        "W01",
        "W03",
        "W04",
        "W05",
        "W06",
        "W07",
        "W12",
        "W14",
        "W15",
        "W17",
        "W18",
        "W19",
        "W20",
        "LX",
        "N9",
        "G62",
        "B10",
        "AT7",
        "MS1",
        "MS2",
        "LE",
        "LS",
        "CSH",
        "ITA",
        "TXT",
        "BIA",
        "RDR",
        "BLR",
    ]
)
_X12_CLASSES = {
    "PO104": PRICE,
    "POC06": PRICE,
    "IT104": PRICE,
    "ISA02": UNCLASSED,
    "ISA04": UNCLASSED,
}
_X12_SEGMENTS = {
    **dict.fromkeys(("CTP", "AMT", "TDS", "SAC", "ITD", "TXI", "BPR", "RMR", "ADX", "DLM"), PRICE),
    **dict.fromkeys(("N2", "N3", "N4"), ADDRESS),
    "PER": PERSON,
}
_EDIFACT_OPEN = frozenset(
    [
        "UNA",
        "UNB",
        "UNG",
        "UNH",
        "UNT",
        "UNE",
        "UNZ",
        "BGM",
        "DTM",
        "RFF",
        "LIN",
        "PIA",
        "QTY",
        "IMD",
        "CPS",
        "PAC",
        "PCI",
        "LOC",
        "GIN",
        "STS",
        "ERC",
        "UNS",
        "CNT",
        "TDT",
        "EQD",
        "MEA",
        "CUX",
        "ALI",
        "UCI",
        "UCM",
        "UCS",
        "UCD",
        "GID",
        "QVR",
        "SCC",
        "GIR",
        "HAN",
    ]
)
_EDIFACT_SEGMENTS = {
    **dict.fromkeys(("PRI", "MOA", "ALC", "TAX", "PCD", "PAT"), PRICE),
    **dict.fromkeys(("CTA", "COM"), PERSON),
    "FII": BANK,
}


def _class_of_element(format_: str, leaf: Leaf) -> str:
    tag = leaf.path.split(" ", 2)[1]
    element = leaf.name.partition("-")[0]
    if format_ == "x12":
        if element in _X12_CLASSES:
            return _X12_CLASSES[element]
        if tag == "N1":  # 02 is the party's name
            return ADDRESS if element == "N102" else OPEN
        if tag == "ISA":
            return OPEN
        return _X12_SEGMENTS.get(tag, OPEN if tag in _X12_OPEN else UNCLASSED)
    if tag == "NAD":  # 01 role, 02 the party's number
        return OPEN if element in ("NAD01", "NAD02") else ADDRESS
    return _EDIFACT_SEGMENTS.get(tag, OPEN if tag in _EDIFACT_OPEN else UNCLASSED)


# --- bytes --------------------------------------------------------------------------------------


def hidden_ranges(
    body: bytes,
    reveals: frozenset[str],
    read: Iterable[tuple[str, int, int]] = (),
    named: Mapping[str, str] | None = None,
) -> list[Hidden]:
    """What of a payload is hidden from somebody to whom these classes are revealed.

    ``read``: (field, offset, length) of values that an interpreter read; the name of a field tells
    more than that of its element. ``named``: the same by the path of an element, where an
    interpreter knows no offsets.
    """
    if reveals >= ALL:
        return []
    parts = structure(body)
    fields = sorted((offset, offset + length, name) for name, offset, length in read if length)
    found: list[Hidden] = []
    at = 0
    if not parts.leaves:
        return [] if not body or UNCLASSED in reveals else [Hidden(0, len(body), UNCLASSED)]
    number = 0
    for leaf in sorted(parts.leaves, key=lambda one: one.offset):
        end = leaf.offset + leaf.length
        while number < len(fields) and fields[number][1] <= leaf.offset:
            number += 1
        names = []
        for begin, stop, name in fields[number:]:
            if begin >= end:
                break
            if begin <= leaf.offset and stop >= end:
                names.append(name)
        if named and leaf.path in named:
            names.append(named[leaf.path])
        kind = _class_of(parts.format, leaf, names)
        if kind != OPEN and kind not in reveals:
            found.append(Hidden(leaf.offset, leaf.length, kind))
        at = max(at, end)
    if UNCLASSED not in reveals:
        tail = _unlooked(body, parts.format, at, len(parts.leaves))
        if tail is not None:
            found.append(tail)
    return found


def _class_of(format_: str, leaf: Leaf, names: Sequence[str]) -> str:
    by_place = (
        _class_of_element(format_, leaf)
        if format_ in ("x12", "edifact")
        else class_of_name(leaf.name)
    )
    kinds = {class_of_name(name) for name in names if name != "*"}
    closed = kinds - {OPEN, UNCLASSED}
    if closed:
        return sorted(closed)[0]
    if OPEN in kinds and by_place == UNCLASSED:
        return OPEN
    return by_place


def _unlooked(body: bytes, format_: str, at: int, leaves: int) -> Hidden | None:
    """The end of a payload that was too large, or too broken, to be taken apart."""
    if len(body) > MOST_BYTES or leaves >= MOST_LEAVES:
        return Hidden(at, len(body) - at, UNCLASSED)
    rest = body[at:].partition(b"<")[0]
    if format_ in ("json", "xml", "csv") and re.search(rb"[0-9A-Za-z]{3,}", rest):
        return Hidden(at, len(body) - at, UNCLASSED)
    return None


def masked(body: bytes, hidden: Iterable[Hidden]) -> bytes:
    """The payload with hidden bytes replaced, as long as it was."""
    kept = bytearray(body)
    for one in hidden:
        kept[one.offset : one.offset + one.length] = SIGN * len(
            kept[one.offset : one.offset + one.length]
        )
    return bytes(kept)


def overlaps(hidden: Sequence[Hidden], offset: int, length: int) -> bool:
    """Whether any of these bytes is hidden."""
    end = offset + length
    return any(one.offset < end and offset < one.offset + one.length for one in hidden)


# --- values -------------------------------------------------------------------------------------


def masked_data(data: Any, reveals: frozenset[str], name: str = "") -> Any:
    """Event data with hidden values replaced; keys and lists stay as they are."""
    if reveals >= ALL:
        return data
    if isinstance(data, Mapping):
        return {key: masked_data(value, reveals, str(key)) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [masked_data(value, reveals, name) for value in data]
    kind = class_of_name(name)
    if data is None or kind == OPEN or kind in reveals:
        return data
    return SIGN.decode() * max(1, len(str(data)))


_HEADERS_OPEN = frozenset(
    [
        "content-type",
        "content-length",
        "content-encoding",
        "message-id",
        "in-reply-to",
        "references",
        "date",
        "as2-to",
        "as2-from",
        "disposition",
        "partner",
        "refused",
        "rendered",
        "x-death",
        "x-first-death-queue",
        "x-first-death-reason",
        "x-first-death-exchange",
        "x-replay-id",
        "x-replay-item",
        "x-replay-attempt",
        "x-replay-of",
        "routing_key",
        "exchange",
        "delivery_mode",
        "correlation_id",
        "message_id",
        "type",
        "app_id",
        "timestamp",
        "redelivered",
        "queue",
        "reason",
        "count",
    ]
)


def masked_headers(headers: Mapping[str, str], reveals: frozenset[str]) -> dict[str, str]:
    """Headers of a message; one that no list knows is hidden."""
    return {
        name: value
        if UNCLASSED in reveals or name.lower() in _HEADERS_OPEN
        else SIGN.decode() * max(1, len(str(value)))
        for name, value in headers.items()
    }


_MONEY = _money()
_KNOWN = _vocabulary() | _ENVELOPE | {"line", "po", "qty", "uom", "item", "menge"}
