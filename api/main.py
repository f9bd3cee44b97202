"""The HTTP application: push events, documents and beats in; health and state out.

A 202 means committed: documents are current when it is given. Everything else means that the
sender still has what it sent.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Path, Request
from fastapi.responses import JSONResponse
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from api import figures, hooks, logs, metrics, reading, spoken
from api.answers import accepted
from api.doors import RETRY_AFTER_S, Doors, Refused, bounded_body
from api.keys import Lister, Pusher
from collectors import cloudevents
from db import health, sources
from db.migrate import check
from tower.errors import SchemaOutOfDate
from tower.raw import Raw

log = logging.getLogger(__name__)

SECRET_HEADERS = frozenset(
    {"authorization", "cookie", "proxy-authorization", "x-api-key", "webhook-signature"}
)

Body = Annotated[bytes, Depends(bounded_body)]


def create_app(engine: Engine, *, keys_required: bool = False) -> FastAPI:
    """The application over one database; ``keys_required`` lets nobody push without a key."""
    app = FastAPI(
        title="Tower",
        description="Push events, documents and beats into the control tower; read what it knows.",
        docs_url=None,  # its pages load scripts from outside the house
        redoc_url=None,
    )
    app.state.doors = Doors(engine, keys_required=keys_required)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(OperationalError, _database_away)
    app.add_exception_handler(DBAPIError, _database_away)
    app.add_exception_handler(Exception, _bug)
    app.post("/v1/events", status_code=202)(push_events)
    app.post("/v1/documents/{source}", status_code=202)(push_document)
    app.post("/v1/heartbeats/{source}", status_code=202)(push_beat)
    logs.register(app)
    hooks.register(app)
    spoken.register(app)
    reading.register(app, figures.register)
    metrics.register(app)
    app.get("/v1/sources")(list_sources)
    app.get("/health")(tell_health)
    return app


def push_events(
    request: Request, who: Pusher, body: Body, x_tower_source: Annotated[str, Header()]
) -> JSONResponse:
    """CloudEvents 1.0, structured, batch or binary, of the source named in X-Tower-Source."""
    doors: Doors = request.app.state.doors
    push = doors.push_source(x_tower_source, "cloudevents", who=who)
    at = doors.clock()
    parcel = cloudevents.unpack(x_tower_source, body, dict(request.headers), at)
    outcome = doors.intake.accept(x_tower_source, parcel.raws, admit=doors.admission(push, who))
    if parcel.broken:
        return JSONResponse(
            {"error": parcel.broken, "next": "Mend the envelope and send it again; it was kept."},
            status_code=400,
        )
    return accepted(outcome)


def push_document(
    request: Request, who: Pusher, body: Body, source: Annotated[str, Path()]
) -> JSONResponse:
    """A document in the source's own format: X12, EDIFACT, CSV, JSON, XML, log lines."""
    doors: Doors = request.app.state.doors
    push = doors.push_source(source, "x12", "edifact", "csv", "json", "xml", "log", who=who)
    at = doors.clock()
    raw = document_raw(source, body, request.headers, at)
    return accepted(doors.intake.accept(source, [raw], admit=doors.admission(push, who)))


def document_raw(source: str, body: bytes, headers: Mapping[str, str], at: Any) -> Raw:
    """A pushed document as a raw message; key: the sender's own id, else the hash of the bytes."""
    return cloudevents.document(source, body, headers, at)


def push_beat(request: Request, who: Pusher, source: Annotated[str, Path()]) -> JSONResponse:
    """The sender lives and has nothing to tell."""
    doors: Doors = request.app.state.doors
    push = doors.push_source(source, who=who)
    doors.own_source(push, source, who)
    doors.intake.beat(source, doors.clock())
    return JSONResponse({"accepted": 0, "repeated": 0, "refused": []}, status_code=202)


def list_sources(request: Request, who: Lister) -> list[dict[str, Any]]:
    """Every source with its state and how far it is complete; to a partner its own."""
    doors: Doors = request.app.state.doors
    shown = doors.shown_sources(who)
    with doors.engine.connect() as conn:
        return [
            {
                "source": s.source,
                "state": s.state,
                "complete_to": s.complete_to,
                "newest_at": s.newest_at,
                "failures": s.failures,
                "message": s.message,
            }
            for s in sources.states(conn)
            if shown is None or s.source in shown
        ]


def tell_health(request: Request) -> JSONResponse:
    """200 while the database answers at the right revision, else 503."""
    doors: Doors = request.app.state.doors
    with doors.engine.connect() as conn:
        conn.execute(text("SELECT 1"))
        try:
            check(conn)
        except SchemaOutOfDate as error:
            return JSONResponse({"status": "schema", "error": str(error)}, status_code=503)
        waiting = health.backlog(conn, doors.clock())
    return JSONResponse(
        {
            "status": "ok",
            "timers_due": waiting.timers_due,
            "mails_waiting": waiting.mails_waiting,
            "dead_letters_open": waiting.dead_letters_open,
        }
    )


def _refused(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, Refused):
        raise error
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
    return JSONResponse(
        {"error": error.error, "next": error.next_step}, status_code=error.status, headers=headers
    )


def _database_away(_: Request, error: Exception) -> JSONResponse:
    reference = uuid.uuid4().hex[:8]
    log.error(
        "Database did not answer a push",
        extra={"action": "api.database_away", "reference": reference},
        exc_info=error,
    )
    return JSONResponse(
        {
            "error": "The database does not answer. Nothing of this request was kept.",
            "next": "Send it again later.",
            "reference": reference,
        },
        status_code=503,
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def _bug(_: Request, error: Exception) -> JSONResponse:
    reference = uuid.uuid4().hex[:8]
    log.error(
        "A request failed", extra={"action": "api.failed", "reference": reference}, exc_info=error
    )
    return JSONResponse(
        {
            "error": "The tower failed on this request. Nothing of it was kept.",
            "next": "Send it again later; if it fails again report the reference.",
            "reference": reference,
        },
        status_code=500,
    )
