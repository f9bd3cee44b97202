"""What two messages say of one document, laid side by side; and whether one is the other's copy.

A field is named by its line, not by its place in a list: order of lines, white space, envelopes and
control numbers are no difference.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from difflib import SequenceMatcher
from typing import Any, Literal

from tower.structure import structure

Change = Literal["same", "reformatted", "changed", "lost", "added"]
CHANGES: tuple[Change, ...] = ("changed", "lost", "added", "reformatted", "same")
MOST_PARTS = 3000

# What only tells of the transport, not of the document.
_ENVELOPE = frozenset(
    {"message", "control", "channel", "step", "hop", "group", "set", "interchange", "erp"}
)
_OF_LINE = ("line", "receipt_line", "order_line")

GROUPS: Mapping[str, str] = {
    "po.released": "order",
    "po.revised": "order",
    "po.transmitted": "order",
    "po.cancelled": "order",
    "po.acknowledged": "answer",
    "po.rejected": "answer",
    "po.change_proposed": "answer",
    "po.change_answered": "answer",
    "po.answer_applied": "answer",
    "fa.received": "receipt of transport",
    "advice.received": "receipt of transport",
    "asn.received": "shipment notice",
    "asn.replaced": "shipment notice",
    "asn.cancelled": "shipment notice",
    "asn.accepted": "shipment notice",
    "asn.rejected": "shipment notice",
    "shipment.status": "shipment notice",
    "receipt.posted": "goods receipt",
    "receipt.reversed": "goods receipt",
    "invoice.received": "invoice",
    "invoice.matched": "invoice",
    "invoice.blocked": "invoice",
}
"""Event type -> the business document it is part of."""

ON_ITS_WAY = "on its way"


def group_of(type_: str) -> str:
    """The business document that an event is part of; events of transport are of none."""
    if type_.startswith("message."):
        return ON_ITS_WAY
    known = GROUPS.get(type_)
    if known is not None:
        return known
    kind = type_.partition(".")[0]
    return {"po": "order", "order": "customer order", "peg": "supply link"}.get(kind, kind)


# Events of these types carry the document itself; the others only speak of it.
CARRIES = frozenset(
    {
        *("po.released", "po.revised", "po.acknowledged", "po.change_proposed"),
        *("po.change_answered", "po.answer_applied", "asn.received", "asn.replaced"),
        *("receipt.posted", "invoice.received"),
    }
)


@dataclass(frozen=True, slots=True)
class Told:
    """One value: as the event has it, and as its bytes have it (None: no place is known)."""

    value: str
    path: str
    raw: str | None = None
    offset: int | None = None
    length: int | None = None
    element: str = ""


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field on both sides; a side is None where it does not have it."""

    field: str
    change: Change
    one: Told | None
    other: Told | None


def fields_of(data: Mapping[str, Any]) -> dict[str, Told]:
    """The fields of one event by names that do not depend on order: "line 10 · qty"."""
    found: dict[str, Told] = {}
    for name, value in data.items():
        if name in _ENVELOPE or value is None:
            continue
        if isinstance(value, (list, tuple)):
            for n, item in enumerate(value):
                at = f"{name}[{n}]"
                if isinstance(item, Mapping):
                    called = _called(item, n)
                    for inner, told in item.items():
                        if inner in (*_OF_LINE, "erp") or told is None:
                            continue
                        found[f"{called} · {inner}"] = Told(_text(told), f"{at}.{inner}")
                else:
                    found[f"{name} {n + 1}"] = Told(_text(item), at)
        else:
            found[name] = Told(_text(value), name)
    return found


def _called(item: Mapping[str, Any], n: int) -> str:
    named = next((str(item[key]) for key in _OF_LINE if item.get(key)), str(n + 1))
    order = f"{item['po']} " if item.get("po") else ""
    return f"line {order}{named}"


def _text(value: Any) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return str(value)


def differences(one: Mapping[str, Told], other: Mapping[str, Told]) -> list[FieldDifference]:
    """All fields of both, those that differ first."""
    found = [
        FieldDifference(name, _change(one.get(name), other.get(name)), one.get(name),
                        other.get(name))
        for name in {**one, **other}
    ]  # fmt: skip
    return sorted(found, key=lambda d: CHANGES.index(d.change))


def _change(one: Told | None, other: Told | None) -> Change:
    if one is None:
        return "added"
    if other is None:
        return "lost"
    if normal(one.value) != normal(other.value):
        return "changed"
    if one.value != other.value or (
        one.raw is not None and other.raw is not None and one.raw.strip() != other.raw.strip()
    ):
        return "reformatted"
    return "same"


_DAYS = ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%m/%d/%Y", "%y%m%d")


def normal(value: str) -> str:
    """A value without its form: 12.50 is 12.5, 20260401 and 01.04.2026 are 2026-04-01."""
    text = " ".join(value.split())
    for form in _DAYS[:1] if not any(c in text for c in "./") and len(text) != 8 else _DAYS[:4]:
        try:
            return datetime.strptime(text, form).date().isoformat()  # noqa: DTZ007 - a day
        except ValueError:
            continue
    try:
        number = Decimal(text.replace(",", ".") if text.count(",") == 1 else text)
    except InvalidOperation:
        return text.casefold()
    if not number.is_finite():
        return text.casefold()
    leading = text.lstrip("+-")
    if leading.startswith("0") and leading[1:2].isdigit():
        return text  # a number with leading zeros names something
    return format(number.normalize(), "f")


def content_hash(group: str, fields: Iterable[Mapping[str, Told]]) -> str:
    """Hash of what a message says of a document, whatever its format, order and envelope."""
    said = sorted({(name, normal(told.value)) for one in fields for name, told in one.items()})
    return hashlib.sha256(json.dumps([group, said], ensure_ascii=False).encode()).hexdigest()


# --- hops ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hop:
    """One message at one step on its way.

    group        the business document it is part of
    chain        hops of a chain follow each other: those of a document, or of one transport
    bytes_hash   sha-256 of the bytes as received
    content_hash of the canonical content, None where it only speaks of the document
    ids          numbers and ids it names
    """

    source: str
    key: str
    system: str
    step: str
    group: str
    at: datetime
    received_at: datetime
    format: str
    bytes_hash: str
    content_hash: str | None
    ids: frozenset[str]
    type: str
    event_id: str
    chain: str = ""


Proof = Literal["proved", "claimed", "gap"]


@dataclass(frozen=True, slots=True)
class Link:
    """From one hop to the next of the same document, and on what that rests."""

    one: int
    other: int
    proof: Proof
    basis: str


def links(hops: Sequence[Hop]) -> list[Link]:
    """Each hop with the one before it in its chain: proved by hash, claimed by an id, or a gap."""
    found = []
    last: dict[str, int] = {}
    for n, hop in enumerate(hops):
        chain = hop.chain or hop.group
        before = last.get(chain)
        if before is not None:
            found.append(_link(hops, before, n))
        last[chain] = n
    return found


def _link(hops: Sequence[Hop], one: int, other: int) -> Link:
    a, b = hops[one], hops[other]
    if a.bytes_hash and a.bytes_hash == b.bytes_hash:
        return Link(one, other, "proved", "the same bytes")
    if a.content_hash is not None and a.content_hash == b.content_hash:
        return Link(one, other, "proved", "the same content")
    shared = sorted(a.ids & b.ids, key=lambda i: (len(i), i))
    if shared:
        changed = a.content_hash is not None and b.content_hash is not None
        note = "; the content differs" if changed else ""
        return Link(one, other, "claimed", f"both name {shared[0]}{note}")
    return Link(one, other, "gap", "nothing in common")


# --- parts ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PartRow:
    """A segment, row or line on both sides; ``change`` "" where they are the same.

    A side is (number from 1, offset, text), or None.
    """

    change: Change
    one: tuple[int, int, str] | None
    other: tuple[int, int, str] | None


def parts_compared(one: bytes, other: bytes) -> list[PartRow]:
    """Two payloads segment by segment, in order."""
    left, right = _parts(one), _parts(other)
    matcher = SequenceMatcher(None, [p[2] for p in left], [p[2] for p in right], autojunk=False)
    rows: list[PartRow] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            pairs = zip(left[i1:i2], right[j1:j2], strict=True)
            rows += [PartRow("same", a, b) for a, b in pairs]
            continue
        both = min(i2 - i1, j2 - j1)
        pairs = zip(left[i1 : i1 + both], right[j1 : j1 + both], strict=True)
        rows += [PartRow("changed", a, b) for a, b in pairs]
        rows += [PartRow("lost", a, None) for a in left[i1 + both : i2]]
        rows += [PartRow("added", None, b) for b in right[j1 + both : j2]]
    return rows


def _parts(body: bytes) -> list[tuple[int, int, str]]:
    return [
        (n, offset, body[offset : offset + length].decode("utf-8", "replace"))
        for n, (_, offset, length) in enumerate(structure(body).parts[:MOST_PARTS], start=1)
    ]


def first_difference(one: bytes, other: bytes) -> int | None:
    """Offset of the first byte that differs; None if they are equal."""
    if one == other:
        return None
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))


# --- ordered, answered, held by the ERP ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ThreeWay:
    """One field of one order line as it was ordered, answered, and stands in the ERP."""

    line: str
    field: str
    ordered: str | None
    answered: str | None
    erp: str | None
    agrees: bool


_FIELDS = (
    ("quantity", "ordered_qty", "confirmed_qty"),
    ("date", "requested_date", "confirmed_date"),
    ("price", "price", "confirmed_price"),
)


def three_way(lines: Iterable[Mapping[str, Any]], erp_systems: Iterable[str]) -> list[ThreeWay]:
    """Rows for each line; ``lines`` are rows of documents with their ``reports``."""
    erps = frozenset(erp_systems)
    found = []
    for row in lines:
        reports: Mapping[str, Mapping[str, Any]] = row["reports"] or {}
        for field, ordered_name, answered_name in _FIELDS:
            ordered = _plain(row.get(ordered_name))
            answered = _reported(reports, answered_name, erps, among=False)
            if answered is None and field != "price":
                own = "confirmed_qty" if field == "quantity" else "last_confirmed_date"
                has_answer = row.get("acknowledged_at") is not None
                answered = _plain(row.get(own)) if has_answer else None
            erp = _reported(reports, answered_name, erps, among=True)
            held = erp if erp is not None else _reported(reports, ordered_name, erps, among=True)
            told = {normal(v) for v in (ordered, answered, held) if v is not None}
            if ordered is not None or answered is not None or held is not None:
                found.append(ThreeWay(row["line"], field, ordered, answered, held, len(told) <= 1))
    return found


def _reported(
    reports: Mapping[str, Mapping[str, Any]], field: str, erps: frozenset[str], *, among: bool
) -> str | None:
    """The newest value that systems among the ERPs, or beside them, told of a field."""
    told = [
        (str(said[1]) if len(said) > 1 else "", str(said[0]))
        for system, fields in reports.items()
        if (system in erps) is among
        for name, said in fields.items()
        if name == field
    ]
    return max(told)[1] if told else None


def _plain(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return value.isoformat() if isinstance(value, date) else str(value)
