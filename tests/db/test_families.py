"""Rows of documents as they are written: every column has its place, every text comes back."""

from __future__ import annotations

import struct
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import JSON, BigInteger, Boolean, Date, DateTime, Engine, Integer, Numeric

from db import families, staging
from db.driver import raw_cursor
from db.tables import document
from tower.canonical import decimal_text
from tower.documents import HEADER_OF
from tower.rows import COLUMNS, OF_HEADER, blank
from tower.timelines import stamp


def test_every_column_belongs_to_a_kind() -> None:
    told = {name for names in COLUMNS.values() for name in names}
    written = {"home_key", "rev", "state", "partner_id"}
    assert told | written == {column.name for column in document.c}
    for kind, names in OF_HEADER.items():
        assert set(names) <= set(COLUMNS[kind]) & set(COLUMNS[HEADER_OF[kind]])


@pytest.mark.parametrize("kind", sorted(COLUMNS))
def test_nothing_said_is_null(kind: str) -> None:
    fields = _written(kind, blank(kind, "main", "1"))
    assert {name: value for name, value in fields.items() if value is not None} == {
        "kind": kind, "scope": "main", "number": "1", "line": "", "known": False, "reports": "{}",
    }  # fmt: skip


@given(text=st.text().map(staging.storable), at=st.integers(0, 1 << 50))
def test_what_is_said_comes_back(text: str, at: int) -> None:
    row = blank("po_line", text, "1") | {
        "item": text, "uom": "EA", "last_event_at": at, "closed": True, "price": "2.5",
        "reports": {"wms": {"received_qty": ["1", "x\\"]}, "erp": {}},
    }  # fmt: skip
    fields = _written("po_line", row)
    assert (fields["scope"], fields["item"], fields["uom"]) == (text, text, "EA")
    assert (fields["last_event_at"], fields["closed"]) == (stamp(at), True)
    assert fields["price"] == "2.5"
    assert fields["reports"] == r'{"erp":{},"wms":{"received_qty":["1","x\\"]}}'


def _written(kind: str, row: dict[str, Any]) -> dict[str, Any]:
    """The fields of a binary row as the server takes them."""
    layout = families._LAYOUTS[kind]
    names = layout.columns.split(", ")
    assert layout.begin == struct.pack("!h", len(names))
    rest = layout.shared(row) + layout.own(row)
    values: dict[str, Any] = {}
    for name in names[4:]:
        (length,) = struct.unpack_from("!i", rest)
        value = None if length < 0 else rest[4 : 4 + length]
        rest = rest[4 + max(length, 0) :]
        values[name] = None if value is None else _read(document.c[name].type, value)
    assert not rest
    return values


def _read(type_: Any, value: bytes) -> Any:
    if isinstance(type_, Boolean):
        return {b"\0": False, b"\1": True}[value]
    if isinstance(type_, DateTime):
        return stamp(struct.unpack("!q", value)[0] + staging.Y2000)
    if isinstance(type_, BigInteger):
        return struct.unpack("!q", value)[0]
    if isinstance(type_, Integer):
        return struct.unpack("!i", value)[0]
    if isinstance(type_, Date):
        return date(2000, 1, 1) + timedelta(days=struct.unpack("!i", value)[0])
    if isinstance(type_, Numeric):
        n, weight, sign, scale = struct.unpack_from("!hhHH", value)
        groups = struct.unpack_from(f"!{n}h", value, 8)
        whole = Decimal(0)
        for k, group in enumerate(groups):
            whole += Decimal(group).scaleb(4 * (weight - k))
        number = (-whole if sign else whole).quantize(Decimal(1).scaleb(-scale))
        return format(number, "f")
    assert isinstance(type_, JSON) or type_.python_type is str
    return value.decode()


_AMOUNTS = (
    *("0", "1", "-1", "9999", "10000", "-10000", "100000000", "0.5", "-0.05", "0.0001", "0.00001"),
    *("12.5", "1234567.0001", "99999999999999999999", "0.00000001", "10000.0001", "-120000.12345"),
)


def test_amounts_and_days_are_to_the_server_what_their_texts_say(database: Engine) -> None:
    days = ("0001-01-01", "1999-12-31", "2000-01-01", "2026-03-27", "9999-12-31")
    amounts = {*_AMOUNTS, *(decimal_text(n * 37 / 8) for n in range(-2_000, 200_000, 777))}
    pairs = [(a, days[n % len(days)]) for n, a in enumerate(sorted(amounts))]
    rows = [
        b"".join(
            (staging.fields("a, b, c, d"), staging.decimal(a), staging.octets_of(a),
             staging.day(d), staging.octets_of(d))
        )
        for a, d in pairs
    ]  # fmt: skip
    with database.begin() as conn, raw_cursor(conn) as cursor:
        cursor.execute("CREATE TEMP TABLE told (a numeric, b text, c date, d text)")
        staging.copy_binary(cursor, "told", "a, b, c, d", rows)
        cursor.execute("SELECT a::text, b, c::text, d FROM told")
        assert [(a, c) for a, _, c, _ in cursor.fetchall()] == pairs
        # Calculated with, not only shown.
        cursor.execute("SELECT count(*) FROM told WHERE a <> b::numeric OR a + 1 <> b::numeric + 1")
        assert cursor.fetchall() == [(0,)]


def test_lists_and_the_ends_of_time_are_read_as_they_were_meant(engine: Engine) -> None:
    lists: list[list[int]] = [[], [7], [-(1 << 63), 0, (1 << 63) - 1]]
    with engine.begin() as conn, raw_cursor(conn) as cursor:
        cursor.execute("CREATE TEMP TABLE told (a bigint[], b timestamptz, c timestamptz)")
        ends = staging.LATEST + staging.EARLIEST
        rows = [staging.fields("a, b, c") + staging.bigints(one) + ends for one in lists]
        staging.copy_binary(cursor, "told", "a, b, c", rows)
        cursor.execute("SELECT a, b::text, c::text, a = '{}' FROM told")
        assert cursor.fetchall() == [(one, "infinity", "-infinity", not one) for one in lists]
