"""The reading half of the machine door: lists by cursor, one order whole, key figures.

Every answer is what the key of the caller may see: its scope goes to every read. Lists are paged by
key, so a page costs the same however far down it lies, and rows that come meanwhile shift nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import GenericAlias
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, create_model
from sqlalchemy import Connection

from api import shapes
from api.doors import RETRY_AFTER_S, Doors, Refused
from api.keys import Reader
from db.outward import rows
from db.outward.documents import CUSTOMER_ORDERS, LINES, PURCHASE_ORDERS, SHIPMENTS
from db.outward.fields import DataSet
from db.outward.happenings import CASES, CLOCKS, EVENTS
from db.reads.connection import reading
from db.reads.filters import Period
from db.reads.rows import Record
from tower.access import Scope
from tower.cloud_events import cloud_event
from tower.errors import AccessDenied, DatabaseAway
from tower.identity import document_home
from tower.keys import Principal
from tower.masking import PRICE

DEFAULT_LENGTH = timedelta(days=90)
STATEMENT_TIMEOUT_S = 20
LISTS = (PURCHASE_ORDERS, CUSTOMER_ORDERS, SHIPMENTS, CASES, EVENTS)

_KEY = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="An API key with the scope read: tower keys add NAME --scope read",
)
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": shapes.Refusal, "description": "the question is wrong"},
    401: {"model": shapes.Refusal, "description": "no key, or one that is not in force"},
    403: {"model": shapes.Refusal, "description": "this key may not see that"},
    429: {"model": shapes.Refusal, "description": "asked too often; Retry-After says when"},
    503: {"model": shapes.Refusal, "description": "the database does not answer"},
}


def register(app: FastAPI, *more: Callable[[APIRouter], None]) -> None:
    """Add the routes, those that ``more`` adds, and the words in which refusals are told."""
    router = APIRouter(prefix="/v1", tags=["read"], dependencies=[Depends(_KEY)],
                       responses=_REFUSALS)  # fmt: skip
    for data in LISTS:
        _add_list(router, data)
    _add_order(router)
    for add in more:
        add(router)
    app.include_router(router)
    app.add_exception_handler(RequestValidationError, _wrong_words)
    app.add_exception_handler(rows.WrongQuestion, _wrong_question)
    app.add_exception_handler(AccessDenied, _not_allowed)
    app.add_exception_handler(DatabaseAway, _away)


# --- lists ----------------------------------------------------------------------------------------


def _add_list(router: APIRouter, data: DataSet) -> None:
    question = shapes.question_model(data)
    row: type[BaseModel] = shapes.CloudEvent if data is EVENTS else shapes.row_model(data)
    show: Callable[[Record], Mapping[str, Any]] = cloud_event if data is EVENTS else _plain

    def tell(request: Request, who: Reader, asked: shapes.Asked) -> Response:
        doors: Doors = request.app.state.doors
        now = doors.clock()
        with asking(doors, sees(who)) as conn:
            wanted = rows.Question(data, _period(asked, now), _narrowed(asked))
            page = rows.page(conn, sees(who), wanted, after=asked.cursor, limit=asked.limit)
        return answer_json(
            {
                "as_of": now,
                "items": [show(one) for one in page.rows],
                "next_cursor": page.following,
            }
        )

    # FastAPI reads what it is asked from the annotation, which is made for each data set.
    tell.__annotations__["asked"] = Annotated[question, Query()]
    tell.__annotations__["request"] = Request
    tell.__annotations__["who"] = Reader
    tell.__annotations__["return"] = Response
    router.add_api_route(
        f"/{data.name}",
        tell,
        methods=["GET"],
        summary=data.name.replace("-", " ").capitalize(),
        description=f"{data.meaning} By {data.at}, the newest first.",
        response_model=shapes.page_model(data, row),
        operation_id=f"list_{data.name.replace('-', '_')}",
    )


def _plain(row: Record) -> Record:
    return row


def _narrowed(asked: shapes.Asked) -> dict[str, str]:
    own = shapes.Asked.model_fields
    told = asked.model_dump(exclude_none=True)
    return {name: value for name, value in told.items() if name not in own}


def _period(asked: shapes.Asked, now: datetime) -> Period:
    return period_of(asked.from_, asked.to, now, DEFAULT_LENGTH)


def period_of(
    begin: datetime | None, until: datetime | None, now: datetime, length: timedelta
) -> Period:
    """The period that was asked for; by default of this length, up to now."""
    end = now if until is None else _zoned("to", until)
    start = end - length if begin is None else _zoned("from", begin)
    if start >= end:
        raise rows.WrongQuestion("from must be before to.")
    return Period(start, end)


def _zoned(name: str, moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise rows.WrongQuestion(f"{name}: a time without zone. Write 2026-03-01T00:00:00Z.")
    return moment.astimezone(UTC)


# --- one order ------------------------------------------------------------------------------------


def _add_order(router: APIRouter) -> None:
    parts: Mapping[str, DataSet] = {"lines": LINES, "clocks": CLOCKS, "cases": CASES}
    fields: dict[str, Any] = {
        "as_of": (datetime, ...),
        "purchase_order": (shapes.row_model(PURCHASE_ORDERS), ...),
        **{name: (GenericAlias(list, shapes.row_model(data)), ...) for name, data in parts.items()},
        "events": (list[shapes.CloudEvent], ...),
    }

    def tell_order(
        request: Request,
        who: Reader,
        number: str,
        erp: Annotated[
            str | None, Query(description="needed only where two systems use the number")
        ] = None,
    ) -> Response:
        doors: Doors = request.app.state.doors
        scope = sees(who)
        with asking(doors, scope) as conn:
            order = _only(conn, scope, number, erp)
            home = document_home("po", order["erp"], order["number"])
            told = {name: rows.of_home(conn, scope, data, home) for name, data in parts.items()}
            events = rows.of_home(conn, scope, EVENTS, home)
        events.sort(key=lambda one: (one["occurred_at"], one["id"]))
        return answer_json(
            {
                "as_of": doors.clock(),
                "purchase_order": order,
                **told,
                "events": [cloud_event(one) for one in events],
            }
        )

    router.add_api_route(
        "/purchase-orders/{number}",
        tell_order,
        methods=["GET"],
        summary="One purchase order",
        description="An order with its lines, clocks, cases and the events that live with it, at "
        f"most {rows.MOST_OF_HOME:,} of each.",
        response_model=create_model("PurchaseOrder", **fields),
        responses={404: {"model": shapes.Refusal, "description": "no such order for this key"}},
        operation_id="show_purchase_order",
    )


def _only(conn: Connection, scope: Scope, number: str, erp: str | None) -> Record:
    named = {"number": number} | ({} if erp is None else {"erp": erp})
    found = rows.one(conn, scope, PURCHASE_ORDERS, **named)
    if not found:
        raise Refused(
            404,
            f'There is no purchase order "{number[:80]}" that this key may see.',
            "List those there are: /v1/purchase-orders.",
        )
    if len(found) > 1:
        raise Refused(
            400,
            f'Several systems have a purchase order "{number[:80]}".',
            f"Add ?erp=, one of: {', '.join(sorted(str(one['erp']) for one in found))}.",
        )
    return found[0]


# --- who sees what --------------------------------------------------------------------------------


def sees(who: Principal) -> Scope:
    """What a key may see. One that is ours may see values, as everybody of the house may on the
    screens; people, addresses and what nobody classed stay masked in the data of events.
    """
    scope = who.scope
    return replace(scope, reveals=scope.reveals | {PRICE}) if scope.sees_all else scope


# --- the rest -------------------------------------------------------------------------------------


@contextmanager
def asking(doors: Doors, scope: Scope) -> Iterator[Connection]:
    """One state of the data for all questions of a request, as the database role of who asks; none
    may take longer than 20 s.
    """
    with reading(doors.engine, scope) as conn:
        conn.exec_driver_sql(f"SET LOCAL statement_timeout TO {STATEMENT_TIMEOUT_S * 1000}")
        yield conn


def answer_json(answer: Any) -> Response:
    """An answer as JSON that nobody on the way keeps."""
    body = orjson.dumps(answer, default=rows.in_json, option=orjson.OPT_PASSTHROUGH_DATETIME)
    return Response(body, media_type="application/json", headers={"cache-control": "no-store"})


async def _wrong_words(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    if request.method != "GET":
        return await request_validation_exception_handler(request, error)
    said = "; ".join(f"{_where(one)}: {_said(one)}" for one in error.errors()[:5])
    return _refusal(400, said, "GET /openapi.json lists what each address can be asked.")


def _where(one: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in one["loc"][1:]) or "the question"


def _said(one: Mapping[str, Any]) -> str:
    return "is not known here" if one["type"] == "extra_forbidden" else str(one["msg"]).lower()


def _wrong_question(_: Request, error: Exception) -> Response:
    return _refusal(400, str(error), "GET /openapi.json lists what each address can be asked.")


def _not_allowed(_: Request, error: Exception) -> Response:
    return _refusal(403, str(error), "Ask with a key that is not bound to a partner.")


def _away(_: Request, error: Exception) -> Response:
    return _refusal(503, str(error), "Ask again later.", {"Retry-After": str(RETRY_AFTER_S)})


def _refusal(
    status: int, error: str, next_: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"error": error, "next": next_}, status_code=status, headers=headers)
