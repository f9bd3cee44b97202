"""Rows as Parquet: typed columns, instants in UTC, quantities and money exact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from db.outward.fields import Field
from tower.errors import ConfigError
from tower.spreadsheets import plain

GROUP = 20_000  # rows held at once
DIGITS, PLACES = 38, 9

_STEP = Decimal(1).scaleb(-PLACES)
_TYPES = {
    "text": pa.string(),
    "int": pa.int64(),
    "number": pa.float64(),
    "decimal": pa.decimal128(DIGITS, PLACES),
    "date": pa.date32(),
    "instant": pa.timestamp("us", tz="UTC"),
    "flag": pa.bool_(),
    "texts": pa.list_(pa.string()),
    "json": pa.string(),
}


def write(target: BinaryIO, fields: Sequence[Field], rows: Iterable[Sequence[Any]]) -> int:
    """Write a file, its columns described as the fields are; how many rows.

    Raises ConfigError for a number that 29 digits before the point and 9 after it cannot hold.
    """
    schema = pa.schema(
        [pa.field(f.name, _TYPES[f.kind], metadata={"meaning": f.meaning}) for f in fields]
    )
    count = 0
    source = iter(rows)
    with pq.ParquetWriter(target, schema, compression="zstd") as out:
        while group := list(islice(source, GROUP)):
            columns = zip(*group, strict=True)
            arrays = [
                pa.array([_value(f, v) for v in column], _TYPES[f.kind])
                for f, column in zip(fields, columns, strict=True)
            ]
            out.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(group)
    return count


def _value(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if field.kind == "json":
        return plain(value)
    if field.kind != "decimal":
        return value
    with localcontext(prec=DIGITS + PLACES) as context:
        number = context.create_decimal(value).quantize(_STEP)
    if number.adjusted() >= DIGITS - PLACES:
        raise ConfigError(
            f"{field.name}: {value} is too large for a Parquet decimal. Export it as CSV."
        )
    return number
