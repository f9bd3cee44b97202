"""Key figures at the machine door: those of the overview, or any other by party and time.

A key that is bound to a partner is told how that partner answers, announces and delivers, counted
over its own documents; what is about us, our customers or other partners it is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from pydantic import Field as Described

from api import shapes
from api.doors import Doors, Refused
from api.keys import Reader
from api.reading import answer_json, asking, period_of, sees
from db.outward.rows import WrongQuestion
from db.reads import figures
from db.reads.filters import Filter
from db.reads.kpis import CARDS
from tower.kpi_catalogue import (
    DEFINITIONS,
    WEIGHTS,
    UnknownChoice,
    check_dimension,
    chosen,
    told_to,
)
from tower.kpi_definition import Definition
from tower.kpis import Figure

DEFAULT_LENGTH = timedelta(days=30)


class Asked(BaseModel):
    """What figures can be asked. A word that is not known is refused."""

    model_config = shapes.Asked.model_config

    from_: datetime | None = Described(
        None, alias="from", description="default: 30 days before the end"
    )
    to: datetime | None = Described(None, description="default: now")
    supplier: str | None = Described(None, description="partner of network.yaml")
    buyer: str | None = None
    warehouse: str | None = None
    category: str | None = Described(None, description="of goods, as the ERP names it")
    topic: str | None = Described(
        None, description="category of an exception or of a cause, or document and hop"
    )


class AskedOne(Asked):
    """What one figure can be asked."""

    by: str | None = Described(
        None, description="supplier, buyer, warehouse, category, topic, week or month"
    )
    switch: list[str] = Described(
        default_factory=list, description="a choice of the definition", examples=["date=requested"]
    )


class FigureOut(BaseModel):
    """A figure; null is no data, never zero. Shares are 0 to 1, money is a decimal text."""

    value: float | str | None = Described(description="null below the minimum sample")
    unit: str
    currency: str | None
    target: float | None
    missed: bool | None
    n: int = Described(description="sample")
    numerator: int | None
    interval: list[float] | None = Described(description="95 % Wilson interval of a share")
    previous: float | str | None = Described(description="the same, one period before")
    series: list[float | None] = Described(description="course over the period, oldest first")
    coverage: float | None = Described(description="share of what was due that could be judged")
    outside: dict[str, int] = Described(description="what was counted beside")
    reason: str = Described(description="why there is no data")


class DefinitionOut(BaseModel):
    """What a figure means."""

    id: str
    name: str
    formula: str
    outside: str
    unit: str
    version: int
    least: int
    by: list[str]
    switches: dict[str, list[str]]


class KpiOut(BaseModel):
    """A figure with what it means."""

    definition: DefinitionOut
    figure: FigureOut


class KpisOut(BaseModel):
    """The figures of the overview, and the names of all there are."""

    as_of: datetime
    items: list[KpiOut]
    catalogue: list[str]


class RowOut(BaseModel):
    """The figure of one party, week or month."""

    key: str
    name: str
    figure: FigureOut


class OneKpiOut(KpiOut):
    """One figure, and by party or time where that was asked."""

    as_of: datetime
    rows: list[RowOut]


def register(router: APIRouter) -> None:
    """Add the routes."""
    router.add_api_route(
        "/kpis", tell_cards, methods=["GET"], response_model=KpisOut,
        summary="Key figures of the overview", operation_id="list_kpis",
    )  # fmt: skip
    router.add_api_route(
        "/kpis/{kpi}", tell_one, methods=["GET"], response_model=OneKpiOut,
        summary="One key figure", operation_id="show_kpi",
        responses={404: {"model": shapes.Refusal, "description": "no such figure"}},
    )  # fmt: skip


def tell_cards(request: Request, who: Reader, asked: Annotated[Asked, Query()]) -> Response:
    """The figures that leaders see first, over a period."""
    doors: Doors = request.app.state.doors
    now, scope = doors.clock(), sees(who)
    narrowed = _narrowed(asked, now)
    known = told_to(scope)
    with asking(doors, scope) as conn:
        names = CARDS if scope.sees_all else (figures.SCORE, *WEIGHTS)
        found = [figures.figure(conn, scope, name, narrowed, now) for name in names]
    return answer_json(
        {
            "as_of": now,
            "items": [_kpi(one) for one in found],
            "catalogue": sorted(known),
        }
    )


def tell_one(
    request: Request, who: Reader, kpi: str, asked: Annotated[AskedOne, Query()]
) -> Response:
    """Any figure of the catalogue, by party, warehouse, category of goods, topic, week or month."""
    doors: Doors = request.app.state.doors
    now, scope = doors.clock(), sees(who)
    of, known = DEFINITIONS.get(kpi), told_to(scope)
    if of is None:
        raise Refused(
            404, f'There is no figure "{kpi[:60]}".', f"Known: {', '.join(sorted(known))}."
        )
    if kpi not in known:
        raise Refused(
            403,
            f'"{kpi}" is about us, and not shown to keys that are bound to a partner.',
            f"Ask for one of these: {', '.join(sorted(known))}.",
        )
    words = _checked(lambda: chosen(of, _switches(asked.switch)))
    if asked.by is not None:
        by = asked.by
        _checked(lambda: check_dimension(of, by))
    narrowed = _narrowed(asked, now)
    with asking(doors, scope) as conn:
        whole = figures.figure(conn, scope, kpi, narrowed, now, words)
        told = (
            figures.figures_by(conn, scope, kpi, asked.by, narrowed, now, words)
            if asked.by is not None
            else []
        )
    rows = [{"key": one.key, "name": one.name, "figure": _figure(one.figure)} for one in told]
    return answer_json({"as_of": now, **_kpi(whole), "rows": rows})


def _narrowed(asked: Asked, now: datetime) -> Filter:
    period = period_of(asked.from_, asked.to, now, DEFAULT_LENGTH)
    return Filter(period, asked.supplier, asked.buyer, asked.warehouse, asked.category, asked.topic)


def _switches(given: list[str]) -> dict[str, str]:
    found = {}
    for one in given:
        name, sign, word = one.partition("=")
        if not sign:
            raise WrongQuestion(f'switch: "{one[:60]}" is no choice; write date=requested.')
        found[name] = word
    return found


def _checked(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except UnknownChoice as error:
        raise WrongQuestion(str(error)) from error


def _kpi(figure: Figure) -> Mapping[str, Any]:
    return {"definition": _definition(figure.definition), "figure": _figure(figure)}


def _definition(of: Definition) -> Mapping[str, Any]:
    return {
        "id": of.id, "name": of.name, "formula": of.formula, "outside": of.outside,
        "unit": of.unit, "version": of.version, "least": of.least, "by": of.dimensions,
        "switches": dict(of.switches),
    }  # fmt: skip


def _figure(one: Figure) -> Mapping[str, Any]:
    return {
        "value": one.value, "unit": one.definition.unit, "currency": one.currency,
        "target": one.definition.target, "missed": one.missed, "n": one.n,
        "numerator": one.numerator, "interval": one.interval, "previous": one.previous,
        "series": one.series, "coverage": one.coverage, "outside": dict(one.outside),
        "reason": one.reason,
    }  # fmt: skip
