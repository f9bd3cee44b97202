"""OpenTelemetry logs: requests of OTLP/HTTP as JSON or protobuf, read by a mapping of format log.

A request is kept as it came; each of its log records is one record for the mapping, flat:

    event_name, severity_text, body, trace_id, span_id
                     as sent; the name of an event may also stand in the attribute event.name; what
                     is no valid id is missing
    time             timeUnixNano, else observedTimeUnixNano, as ISO 8601 in UTC
    severity         trace, debug, info, warn, error or fatal, by severityNumber; 17 and more is an
                     error
    severity_number  as sent
    record_hash      a name for the record that follows from its content: one that comes again in
                     another request is the same
    <attribute>      of the record, else of its scope, else of its resource, by its own name
                     (messaging.message.id, service.name); also as attributes.x, resource.x, scope.x
    body.<key>       of a body that is a list of keys and values

Format: OpenTelemetry Protocol 1.x (opentelemetry.io/docs/specs/otlp), logs data model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import orjson

from collectors.limits import parse_json
from collectors.mapped import MappedInterpreter
from collectors.mapped_reading import MappedReading
from collectors.records import JsonRecord, Place
from tower.errors import PayloadRejected
from tower.numerals import natural
from tower.raw import Raw

try:
    from google.protobuf.json_format import MessageToDict
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
except ImportError:  # pragma: no cover - an installation without the extra
    HAS_PROTOBUF = False
else:
    HAS_PROTOBUF = True
"""Whether requests in protobuf can be read: the extra ``otlp`` is installed."""

JSON_TYPE = "application/json"
PROTOBUF_TYPE = "application/x-protobuf"

_KINDS = ("stringValue", "boolValue", "intValue", "doubleValue", "arrayValue", "kvlistValue",
          "bytesValue")  # fmt: skip
_SEVERITIES = ("trace", "debug", "info", "warn", "error", "fatal")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-fA-F]{32}\Z")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-fA-F]{16}\Z")
_MOST_INT = 2**63


class OtlpInterpreter(MappedInterpreter):
    """Every log record of a request by its mapping; one that is malformed leaves the others."""

    name = "otlp"
    version = 1

    def _read(self, reading: MappedReading, raw: Raw) -> None:
        nulls = reading.program.nulls
        request = request_of(raw.body, raw.media_type)
        for n, (record, where, around) in enumerate(log_records(request)):
            if isinstance(record, dict):
                reading.record(OtlpRecord(record, where, around, nulls), None, f"record:{n}")
            else:
                error = PayloadRejected(
                    f"{where} is no log record.",
                    code="bad_row",
                    advice="Correct the exporter; the other records were read.",
                )
                reading.refuse(error, f"record:{n}")


def request_of(body: bytes, media_type: str) -> dict[str, Any]:
    """The export request in the form of its JSON encoding.

    Raises PayloadRejected: what parse_json raises, ``invalid_otlp`` or ``unsupported_type``.
    """
    value = _from_protobuf(body) if media_type == PROTOBUF_TYPE else parse_json(body)
    if not isinstance(value, dict):
        raise _invalid("The request is no JSON object.")
    if "resourceLogs" not in value:
        other = next((name for name in ("resourceSpans", "resourceMetrics") if name in value), None)
        if other is not None:
            raise PayloadRejected(
                f"The request holds {other}, no logs.",
                code="unsupported_type",
                advice="Send logs here, traces and metrics to a system that keeps those.",
            )
    for path, entry in _listed(value, "resourceLogs", "$"):
        for _ in _listed(entry, "scopeLogs", path):
            pass
    return value


def log_records(
    request: Mapping[str, Any],
) -> Iterator[tuple[Any, str, tuple[tuple[Any, str], tuple[Any, str]]]]:
    """(record, its path, ((scope, its path), (resource, its path))) of each log record."""
    for resource_path, resource_logs in _listed(request, "resourceLogs", "$"):
        resource = (resource_logs.get("resource"), f"{resource_path}.resource")
        for scope_path, scope_logs in _listed(resource_logs, "scopeLogs", resource_path):
            scope = (scope_logs.get("scope"), f"{scope_path}.scope")
            records = scope_logs.get("logRecords") or []
            if not isinstance(records, list):
                raise _invalid(f"{scope_path}.logRecords is no list.")
            for n, record in enumerate(records):
                yield record, f"{scope_path}.logRecords[{n}]", (scope, resource)


def _listed(value: Mapping[str, Any], name: str, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a list with their paths; nothing where there is none."""
    entries = value.get(name) or []
    if not isinstance(entries, list):
        raise _invalid(f"{path}.{name} is no list.")
    for n, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise _invalid(f"{path}.{name}[{n}] is no object.")
        yield f"{path}.{name}[{n}]", entry


def _invalid(said: str) -> PayloadRejected:
    return PayloadRejected(
        said,
        code="invalid_otlp",
        advice="Send an ExportLogsServiceRequest as the OpenTelemetry protocol describes it.",
    )


def _from_protobuf(body: bytes) -> dict[str, Any]:
    if not HAS_PROTOBUF:
        raise PayloadRejected(
            "The request is in protobuf, which this installation cannot read.",
            code="unsupported_type",
            advice="Install tower[otlp] and interpret again, or let the exporter send JSON.",
        )
    try:
        message = logs_service_pb2.ExportLogsServiceRequest.FromString(body)
        value: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    except (DecodeError, ValueError, RecursionError) as error:
        raise PayloadRejected(
            "The request is no ExportLogsServiceRequest in protobuf.",
            code="undecodable",
            advice="Check the exporter: Content-Type and body must agree.",
        ) from error
    # In JSON these two are hexadecimal, not base64 as other bytes.
    for resource_index, resource_logs in enumerate(message.resource_logs):
        for scope_index, scope_logs in enumerate(resource_logs.scope_logs):
            for n, record in enumerate(scope_logs.log_records):
                shown = value["resourceLogs"][resource_index]["scopeLogs"][scope_index][
                    "logRecords"
                ][n]
                for name, given in (("traceId", record.trace_id), ("spanId", record.span_id)):
                    if given:
                        shown[name] = given.hex()
    return value


# --- one record -----------------------------------------------------------------------------------


class OtlpRecord(JsonRecord):
    """A log record as the flat record that the head of this module describes."""

    __slots__ = ("_around", "_sent")

    def __init__(
        self,
        sent: Mapping[str, Any],
        where: str,
        around: tuple[tuple[Any, str], tuple[Any, str]],
        nulls: frozenset[str],
    ) -> None:
        self._sent = sent
        self._around = around
        (scope, _), (resource, _) = around
        super().__init__(_flat(sent, scope, resource), where, nulls)

    def place(self, path: str) -> Place:
        node, element = self._node(path)
        if node is not None:
            return _place(node, element)
        name, _, _ = path.partition(".")
        sent = _SENT_AS.get(name)
        if sent is None:
            return Place(self._where, is_literal=False)
        if name == "time" and not _nanos(self._sent.get(sent)):
            sent = "observedTimeUnixNano"
        is_literal = str(self._sent.get(sent)) == str(self.value.get(name))
        return Place(f"{self._where}.{sent}", is_literal=is_literal)

    def item(self, path: str, n: int, value: Any) -> JsonRecord:
        """The n-th object of a list inside an attribute or the body."""
        node, element = self._node(path)
        values = _inside(node, "arrayValue")
        if values is None or n >= len(values):
            return super().item(path, n, value)
        return _Item(value, values[n], f"{element}.arrayValue.values[{n}]", self._nulls)

    def _node(self, path: str) -> tuple[Any, str]:
        """The value (an AnyValue) at a path, and its place; (None, "") if it is none."""
        head, _, rest = path.partition(".")
        if head == "body":
            return _descend(self._sent.get("body"), f"{self._where}.body", rest)
        if head in _SENT_AS and not (head == "event_name" and "eventName" not in self._sent):
            return None, ""
        record = (self._sent, self._where)
        scope, resource = self._around
        named = {"attributes": record, "scope": scope, "resource": resource}.get(head)
        looked = [(named, rest)] if named is not None and rest else []
        name = "event.name" if path == "event_name" else path
        looked += [(owner, name) for owner in (record, scope, resource)]
        for (owner, where), wanted in looked:
            for n, (key, value) in enumerate(_attributes(owner)):
                if key is not None and (wanted == key or wanted.startswith(f"{key}.")):
                    found = _descend(
                        value, f"{where}.attributes[{n}].value", wanted[len(key) + 1 :]
                    )
                    if found[0] is not None:
                        return found
        return None, ""


class _Item(JsonRecord):
    """An object inside a list of an attribute or the body."""

    __slots__ = ("_node",)

    def __init__(self, value: Any, node: Any, where: str, nulls: frozenset[str]) -> None:
        super().__init__(value, where, nulls)
        self._node = node

    def place(self, path: str) -> Place:
        node, element = _descend(self._node, self._where, path)
        return Place(self._where, is_literal=False) if node is None else _place(node, element)


_SENT_AS = {
    "time": "timeUnixNano",
    "severity": "severityNumber",
    "severity_number": "severityNumber",
    "severity_text": "severityText",
    "event_name": "eventName",
    "trace_id": "traceId",
    "span_id": "spanId",
    "record_hash": "",
}


def _flat(sent: Mapping[str, Any], scope: Any, resource: Any) -> dict[str, Any]:
    own, of_scope, of_resource = (_plain_attributes(owner) for owner in (sent, scope, resource))
    number = sent.get("severityNumber")
    number = number if isinstance(number, int) and 1 <= number <= 24 else None
    named = scope if isinstance(scope, dict) else {}
    value = {
        **of_resource,
        **of_scope,
        **own,
        "attributes": own,
        "scope": {**of_scope, "name": named.get("name"), "version": named.get("version")},
        "resource": of_resource,
        "event_name": _text(sent.get("eventName")) or own.get("event.name"),
        "time": _moment(sent),
        "severity": None if number is None else _SEVERITIES[(number - 1) // 4],
        "severity_number": number,
        "severity_text": _text(sent.get("severityText")),
        "body": _plain(sent.get("body")),
        "trace_id": _hex(sent.get("traceId"), _TRACE_ID),
        "span_id": _hex(sent.get("spanId"), _SPAN_ID),
    }
    if number is None and value["severity_text"]:
        value["severity"] = value["severity_text"].strip().lower()
    value["record_hash"] = _hash(sent, value)
    return value


def _hash(sent: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    nanos = [_nanos(sent.get(name)) for name in ("timeUnixNano", "observedTimeUnixNano")]
    told = [value[name] for name in ("event_name", "severity_number", "severity_text", "body",
                                     "trace_id", "span_id", "attributes", "resource")]  # fmt: skip
    text = orjson.dumps([nanos, told], option=orjson.OPT_SORT_KEYS)
    return blake2b(text, digest_size=16).hexdigest()


def _moment(sent: Mapping[str, Any]) -> str | None:
    for name in ("timeUnixNano", "observedTimeUnixNano"):
        nanos = _nanos(sent.get(name))
        if nanos:
            return (_EPOCH + timedelta(microseconds=nanos // 1000)).isoformat()
    return None


def _nanos(value: Any) -> int:
    """Nanoseconds since 1970 of a 64-bit number that is sent as text or number; 0 = none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 < value < 2**64 else 0


def _hex(value: Any, form: re.Pattern[str]) -> str | None:
    return value.lower() if isinstance(value, str) and form.match(value) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


# --- values ---------------------------------------------------------------------------------------


def _attributes(owner: Any) -> Iterator[tuple[str | None, Any]]:
    """(key, value) of every entry, (None, None) for one that is malformed."""
    entries = owner.get("attributes") if isinstance(owner, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        key = entry.get("key") if isinstance(entry, dict) else None
        yield (key, entry.get("value")) if isinstance(key, str) else (None, None)


def _plain_attributes(owner: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in _attributes(owner):
        if key is not None:
            found.setdefault(key, _plain(value))
    return found


def _plain(node: Any) -> Any:
    """The JSON value that an AnyValue means; None for one that means none."""
    kind = _kind(node)
    if kind is None:
        return None
    value = node[kind]
    if kind == "arrayValue":
        return [_plain(item) for item in _inside(node, kind) or ()]
    if kind == "kvlistValue":
        found: dict[str, Any] = {}
        for entry in _inside(node, kind) or ():
            if isinstance(entry, dict) and isinstance(entry.get("key"), str):
                found.setdefault(entry["key"], _plain(entry.get("value")))
        return found
    if kind == "intValue":
        return _integer(value)
    if kind == "boolValue":
        return value if isinstance(value, bool) else None
    if kind == "doubleValue":
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return value if is_number or isinstance(value, str) else None
    return value if isinstance(value, str) else None


def _integer(value: Any) -> int | str | None:
    """A 64-bit integer, sent as text or number; one that is none stays a text."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    text = str(value)
    is_number = text.removeprefix("-").isdigit() and text.isascii() and len(text) <= 20
    return int(text) if is_number and -_MOST_INT <= int(text) < _MOST_INT else text


def _kind(node: Any) -> str | None:
    if not isinstance(node, dict):
        return None
    return next((kind for kind in _KINDS if kind in node), None)


def _inside(node: Any, kind: str) -> list[Any] | None:
    """The values of a list or of a list of keys and values."""
    inner = node.get(kind) if isinstance(node, dict) else None
    values = inner.get("values") if isinstance(inner, dict) else None
    return values if isinstance(values, list) else None


def _descend(node: Any, element: str, path: str) -> tuple[Any, str]:
    """The AnyValue at a path inside another, and where it stands; (None, "") if there is none."""
    while path:
        kind = _kind(node)
        values = _inside(node, kind) if kind in ("arrayValue", "kvlistValue") else None
        if values is None:
            return None, ""
        head, _, rest = path.partition(".")
        if kind == "arrayValue":
            place = natural(head)
            if place is None or place >= len(values):
                return None, ""
            node, element, path = values[place], f"{element}.arrayValue.values[{head}]", rest
            continue
        for n, entry in enumerate(values):
            key = entry.get("key") if isinstance(entry, dict) else None
            if isinstance(key, str) and (path == key or path.startswith(f"{key}.")):
                node, path = entry.get("value"), path[len(key) + 1 :]
                element = f"{element}.kvlistValue.values[{n}].value"
                break
        else:
            return None, ""
    return (None, "") if node is None else (node, element)


def _place(node: Any, element: str) -> Place:
    kind = _kind(node)
    if kind is None:
        return Place(element, is_literal=False)
    return Place(f"{element}.{kind}", is_literal=kind not in ("arrayValue", "kvlistValue"))
