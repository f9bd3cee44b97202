"""Logs over HTTP: OpenTelemetry export requests at /v1/logs, JSON lines at /v1/log-lines/{source}.

Answers of /v1/logs follow the OTLP specification: 200 once all is stored, with ``partialSuccess``
if records were refused (they are kept as dead letters: an exporter must not send them again); 400
for a request that cannot be read (kept too), 413, 415; 503 with Retry-After while the database is
away. An exporter names its source in the header X-Tower-Source; where only one source brings otlp
it need not.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Annotated, Any

import orjson
from fastapi import Depends, FastAPI, Header, Path, Request
from fastapi.responses import JSONResponse, Response

from api.doors import Doors, Refused, bounded_body
from api.keys import Pusher
from collectors import access_push, cloudevents, otlp
from tower.errors import PayloadRejected
from tower.raw import Raw

MOST_UNPACKED = 20 * 1024 * 1024
BAD_REQUEST, OVERSIZED = 3, 8
"""Codes of google.rpc.Status: INVALID_ARGUMENT, RESOURCE_EXHAUSTED."""


class OtlpRefused(Refused):
    """A refusal that is told in the form of the OTLP specification."""


def register(app: FastAPI) -> None:
    """Add the addresses to the application."""
    app.add_exception_handler(OtlpRefused, _refused)
    app.post("/v1/logs")(push_logs)
    app.post("/v1/log-lines/{source}", status_code=202)(push_lines)


async def unpacked_body(request: Request) -> bytes:
    """The body, unpacked while it streams; refused as soon as it passes the limit."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise OtlpRefused(
            415, f'Content-Encoding "{encoding}" is not read here.', "Use gzip or none."
        )
    stream = request.stream()
    parts = _gunzipped(stream) if encoding == "gzip" else stream
    found: list[bytes] = []
    size = 0
    async for part in parts:
        size += len(part)
        if size > MOST_UNPACKED:
            raise OtlpRefused(
                413,
                f"The request has more than {MOST_UNPACKED:,} bytes unpacked; nothing was kept.",
                "Let the exporter send smaller batches.",
            )
        found.append(part)
    return b"".join(found)


async def _gunzipped(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The content of gzip members, at most 64 KiB at a time, so that no bomb unfolds."""
    unpack = zlib.decompressobj(wbits=31)
    try:
        async for chunk in stream:
            left = chunk
            while left:
                if unpack.eof:
                    unpack = zlib.decompressobj(wbits=31)
                yield unpack.decompress(left, 65536)
                left = unpack.unconsumed_tail or unpack.unused_data
        while not unpack.eof and (more := unpack.decompress(unpack.unconsumed_tail, 65536)):
            yield more
        is_whole = unpack.eof
    except zlib.error:
        is_whole = False
    if not is_whole:
        raise OtlpRefused(
            400,
            "The gzip body is broken or ends before it is complete; nothing was kept.",
            "Send it again whole.",
        )


def push_logs(
    request: Request,
    who: Pusher,
    body: Annotated[bytes, Depends(unpacked_body)],
    x_tower_source: Annotated[str | None, Header()] = None,
) -> Response:
    """OTLP/HTTP: one ExportLogsServiceRequest as JSON or protobuf, also gzipped."""
    doors: Doors = request.app.state.doors
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    _check_type(media_type)
    source = x_tower_source or _only_source(doors)
    try:
        push = doors.push_source(source, "otlp", who=who)
    except Refused as error:
        raise _in_otlp(error) from error
    kept = {"content-type": media_type}
    if agent := request.headers.get("user-agent"):
        kept["user-agent"] = agent[:200]
    raw = Raw(source, sha256(body).hexdigest(), body, doors.clock(), media_type, kept)
    try:
        asked = otlp.request_of(body, media_type)
        records = sum(1 for _ in otlp.log_records(asked))
    except PayloadRejected as error:
        try:
            doors.intake.accept(source, [raw], admit=doors.admission(push, who))
        except Refused as refused:
            raise _in_otlp(refused) from refused
        raise OtlpRefused(400, f"{error} It was kept as a dead letter.", error.advice) from error
    if not records:
        doors.intake.beat(source, doors.clock())
        return _answer(media_type, 0, "")
    try:
        (item,) = doors.intake.accept(source, [raw], admit=doors.admission(push, who)).items
    except Refused as error:
        raise _in_otlp(error) from error
    rejected = min(item.dead_letters, records)
    return _answer(media_type, rejected, f"{item.cause} {item.advice}" if rejected else "")


def push_lines(
    request: Request,
    who: Pusher,
    body: Annotated[bytes, Depends(bounded_body)],
    source: Annotated[str, Path()],
) -> JSONResponse:
    """Lines of a log, each a JSON object, of the source named in the address; lines of the access
    log of a gateway where its format is access_log."""
    doors: Doors = request.app.state.doors
    if (known := doors.network().sources.get(source)) and known.format == "access_log":
        return _push_calls(doors, source, body, who)
    push = doors.push_source(source, "log", who=who)
    raw = cloudevents.document(source, body, request.headers, doors.clock())
    (item,) = doors.intake.accept(source, [raw], admit=doors.admission(push, who)).items
    refused = [{"index": 0, "cause": item.cause, "advice": item.advice}] if item.cause else []
    return JSONResponse(
        {
            "accepted": int(item.outcome == "accepted"),
            "repeated": int(item.outcome == "repeated"),
            "refused": refused,
        },
        status_code=202,
    )


def _push_calls(doors: Doors, source: str, body: bytes, who: Pusher) -> JSONResponse:
    """Calls of a gateway: failed ones and lines that cannot be read are kept, all are counted."""
    push = doors.push_source(source, "access_log", who=who)
    doors.own_source(push, source, who)  # counts tell of every partner that calls
    calls = access_push.read(source, body, doors.network(), doors.clock())
    admit = doors.admission(push, who)
    items = doors.intake.accept(source, calls.raws, admit=admit, samples=calls.minutes).items
    return JSONResponse(
        {
            "accepted": calls.counted,
            "repeated": sum(item.outcome == "repeated" for item in items),
            "refused": [
                {"index": n, "cause": item.cause, "advice": item.advice}
                for n, item in enumerate(items)
                if item.cause
            ],
        },
        status_code=202,
    )


def _check_type(media_type: str) -> None:
    if media_type == otlp.PROTOBUF_TYPE and not otlp.HAS_PROTOBUF:
        raise OtlpRefused(
            415,
            "This installation reads OTLP as JSON only.",
            "Install tower[otlp], or let the exporter send JSON (a collector: encoding: json).",
        )
    if media_type not in (otlp.JSON_TYPE, otlp.PROTOBUF_TYPE):
        raise OtlpRefused(
            415,
            f'Content-Type "{media_type[:60]}" is not OTLP.',
            f"Send {otlp.JSON_TYPE} or {otlp.PROTOBUF_TYPE}.",
        )


def _only_source(doors: Doors) -> str:
    """The one source that brings otlp."""
    sources = doors.network().sources
    names = sorted(n for n, s in sources.items() if s.format == "otlp" and s.kind == "push")
    if len(names) == 1:
        return names[0]
    raise OtlpRefused(
        404,
        "No source brings otlp." if not names else "Several sources bring otlp.",
        "Add one to network.yaml with kind: push and format: otlp."
        if not names
        else f"Name one in the header X-Tower-Source: {', '.join(names)}.",
    )


def _answer(media_type: str, rejected: int, message: str) -> Response:
    """ExportLogsServiceResponse; without ``partialSuccess`` where all was taken."""
    if media_type == otlp.PROTOBUF_TYPE:
        partial = (_number(1, rejected) + _bytes(2, message)) if rejected else b""
        return Response(_bytes(1, partial) if partial else b"", media_type=media_type)
    told: dict[str, Any] = {}
    if rejected:
        # 64-bit numbers are texts in the JSON form of protobuf.
        told["partialSuccess"] = {"rejectedLogRecords": str(rejected), "errorMessage": message}
    return Response(orjson.dumps(told), media_type=otlp.JSON_TYPE)


def _in_otlp(error: Refused) -> OtlpRefused:
    """The same refusal in the form of the OTLP specification."""
    return OtlpRefused(
        error.status, error.error, error.next_step, retry_after_s=error.retry_after_s
    )


def _refused(request: Request, error: Exception) -> Response:
    """A google.rpc.Status in the form of the request, with our two fields beside it in JSON."""
    if not isinstance(error, OtlpRefused):
        raise error
    code = OVERSIZED if error.status == 413 else BAD_REQUEST
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
    if request.headers.get("content-type", "").startswith(otlp.PROTOBUF_TYPE):
        said = _number(1, code) + _bytes(2, f"{error.error} {error.next_step}")
        return Response(said, error.status, headers, otlp.PROTOBUF_TYPE)
    told = {
        "code": code,
        "message": f"{error.error} {error.next_step}",
        "error": error.error,
        "next": error.next_step,
    }
    return JSONResponse(told, status_code=error.status, headers=headers)


def _number(field: int, value: int) -> bytes:
    """A protobuf field that holds a number."""
    return bytes([field << 3]) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    """A protobuf field that holds a text or a message."""
    data = value.encode() if isinstance(value, str) else value
    return bytes([field << 3 | 2]) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
