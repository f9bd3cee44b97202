"""The fields of every data set as the tables of docs/bi.md."""

from __future__ import annotations

from collections.abc import Iterable

from db.outward.fields import DataSet

_KINDS = {
    "text": "text",
    "int": "bigint",
    "number": "double precision",
    "decimal": "numeric",
    "date": "date",
    "instant": "timestamptz",
    "flag": "boolean",
    "texts": "text[]",
    "json": "json",
}


def section(data: DataSet) -> str:
    """One data set: its view, what a row is, and its fields with type and meaning."""
    lines = [
        f"## {data.view}",
        "",
        f"{data.meaning} As a file and at the machine door: `{data.name}`.",
        "",
        "| column | type | means |",
        "|---|---|---|",
        *(f"| `{f.name}` | {_KINDS[f.kind]} | {_meaning(f.meaning)} |" for f in data.fields),
    ]
    return "\n".join(lines) + "\n"


def sections(data_sets: Iterable[DataSet]) -> str:
    """All of them, one after the other."""
    return "\n".join(map(section, data_sets))


def _meaning(text: str) -> str:
    return text.replace("|", "\\|")
