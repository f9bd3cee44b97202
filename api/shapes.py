"""What readers at the machine door ask and get, as models from which OpenAPI is made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from types import GenericAlias
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model
from pydantic import Field as Described

from db.outward.fields import DataSet, Field
from db.outward.happenings import EVENTS
from tower.cloud_events import cloud_event

MOST_ROWS = 1000

_KINDS: Mapping[str, Any] = {
    "text": str, "int": int, "number": float, "decimal": str, "date": date, "instant": datetime,
    "flag": bool, "texts": list[str], "json": dict[str, Any],
}  # fmt: skip


class Refusal(BaseModel):
    """Why a request was refused, and what to do."""

    error: str
    next: str


class Asked(BaseModel):
    """What every list can be asked. A word that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_: datetime | None = Described(
        None,
        alias="from",
        description="first instant, with zone; default: 90 days before the end",
        examples=["2026-03-01T00:00:00Z"],
    )
    to: datetime | None = Described(
        None, description="first instant after the end, with zone; default: now"
    )
    limit: int = Described(100, ge=1, le=MOST_ROWS, description="rows of one page")
    cursor: str | None = Described(
        None, max_length=2000, description="next_cursor of the page before; nothing else fits"
    )


def name_of(data: DataSet) -> str:
    """ "purchase-orders" -> "PurchaseOrders"."""
    return "".join(word.capitalize() for word in data.name.split("-"))


def row_model(data: DataSet) -> type[BaseModel]:
    """One row of a data set."""
    fields: dict[str, Any] = {f.name: (_KINDS[f.kind] | None, _described(f)) for f in data.told}
    return create_model(f"{name_of(data)}Row", __doc__=data.meaning, **fields)


def question_model(data: DataSet) -> type[Asked]:
    """What the list of a data set can be asked."""
    fields: dict[str, Any] = {}
    for name in data.narrow:
        field = data.field(name)
        fields[name] = (str | None, Described(None, max_length=500, description=field.meaning))
    return create_model(f"{name_of(data)}Question", __base__=Asked, **fields)


def page_model(data: DataSet, row: type[BaseModel]) -> type[BaseModel]:
    """One page of rows."""
    fields: dict[str, Any] = {
        "as_of": (datetime, Described(description="when it was asked")),
        "items": (GenericAlias(list, row), Described(description="the rows")),
        "next_cursor": (
            str | None,
            Described(description="cursor of the next page, null on the last"),
        ),
    }
    meaning = f"{data.meaning} By {data.at}, the newest first."
    return create_model(f"{name_of(data)}Page", __doc__=meaning, **fields)


class CloudEvent(BaseModel):
    """An event as CloudEvents 1.0; what nobody said is left out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                cloud_event({f.name: f.example for f in EVENTS.told} | {"position": "set:1"})
            ]
        }
    )

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: str
    data: dict[str, Any]


def _described(field: Field) -> Any:
    examples = None if field.example is None else [field.example]
    hidden = "; null for keys that are bound to a partner" if field.ours or field.priced else ""
    return Described(description=field.meaning + hidden, examples=examples)
