"""Mappings that come with the tower: a source names one, and nothing has to be written.

A mapping of the same name in network.yaml comes first. ``otlp`` reads OpenTelemetry logs; the
others read JSON lines of a middleware's log. Written from the public descriptions of the formats:

mulesoft   Mule 4 JSON Logger: correlationId, tracePoint, priority, applicationName, content
boomi      Boomi process logs shipped as JSON: executionId, shapeName, status, level
json_log   any service that writes event, level, message_id, correlation_id (ECS names too)
otlp       records of POST /v1/logs; their fields are told in collectors/otlp.py

Those of ERPs, shops, warehouses and carriers are the files of tower/mappings/.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from tower.log_map import LogMap
from tower.mapping import Mapping
from tower.strict_yaml import parse
from tower.vocabulary import EVENT_TYPES

MULESOFT = """
format: log
other_lines: ignore
log_map:
  status: [priority, level, tracePoint]
  words:
    START: received
    BEFORE_TRANSFORM: received
    AFTER_TRANSFORM: transformed
    AFTER_REQUEST: sent
    END: delivered
    EXCEPTION: failed
    ERROR: failed
    FATAL: failed
  time: timestamp
  message: content.messageId | messageId | content.payload.messageId
  correlation: correlationId | event.correlationId
  step: locationInfo.rootContainer | flowName | applicationName
  system: content.system | applicationName
  fields:
    po: content.purchaseOrder | content.po | purchaseOrder
    asn: content.asn
    hop: applicationName
    ms: elapsed
    error_class: content.error.type | error.type | exception.class
    code: content.error.code | error.code
    text: content.error.description | error.description | exception.message | message
    attempt: content.attempt
"""

BOOMI = """
format: log
other_lines: ignore
log_map:
  status: [level, status, eventType]
  words:
    DOCUMENT_RECEIVED: received
    RECEIVED: received
    MAPPED: transformed
    TRANSFORMED: transformed
    SENT: sent
    DELIVERED: delivered
    COMPLETE: delivered
    COMPLETE_WARN: delivered
    RETRY: retried
    RETRIED: retried
    ERROR: failed
    ABORTED: failed
    SEVERE: failed
    DISCARDED: dead_lettered
  time: timestamp | executionTime | date
  message: documentId | trackingId | properties.documentId
  correlation: properties.correlationId | correlationId | executionId
  step: shapeName | processName
  system: properties.system | atomName
  fields:
    po: properties.purchaseOrder | properties.po | trackedFields.purchaseOrder
    asn: trackedFields.asn
    hop: processName
    ms: duration
    attempt: retryCount
    error_class: errorType | shapeName
    code: errorCode
    text: errorMessage | message
"""

JSON_LOG = """
format: log
other_lines: ignore
log_map:
  status: [event, event.action, status, log.level, level, severity]
  words:
    received: received
    transformed: transformed
    mapped: transformed
    sent: sent
    delivered: delivered
    retried: retried
    retry: retried
    failed: failed
    dead_lettered: dead_lettered
    error: failed
    fatal: failed
    critical: failed
  time: "@timestamp | timestamp | time | ts"
  message: message_id | messageId | message.id
  correlation: correlation_id | correlationId | correlation.id | trace.id | trace_id
  id: event.id | eventId | event_id | id
  step: step | flow
  system: service.name | service | system
  fields:
    po: po | purchase_order | purchaseOrder | order
    asn: asn
    hop: service.name | service
    ms: duration_ms | elapsed_ms
    attempt: attempt
    error_class: error.type | error_class
    code: error.code | code
    text: error.message | message | msg | text
"""

OTLP = """
format: log
log_map:
  status: [severity, messaging.operation.type]
  words:
    error: failed
    fatal: failed
    receive: received
    process: received
    transform: transformed
    send: sent
    publish: sent
    settle: delivered
  id: record_hash
  time: time
  message: messaging.message.id
  correlation: messaging.message.conversation_id | correlation_id | correlation.id | trace_id
  step: messaging.operation.name | scope.name
  system: service.name
  fields:
    erp: erp
    po: po | purchase_order
    asn: asn
    supplier: supplier
    hop: service.name
    error_class: error.type | exception.type
    code: error.code | http.response.status_code
    text: exception.message | body
    attempt: attempt
    queue: messaging.destination.name
"""


@cache
def shipped() -> dict[str, Mapping]:
    """Every mapping that comes with the tower, by name."""
    texts = {"mulesoft": MULESOFT, "boomi": BOOMI, "json_log": JSON_LOG}
    found = {name: parse(text, Mapping, f"shipped mapping {name}") for name, text in texts.items()}
    found["otlp"] = _otlp()
    # Those of whole systems are files of their own: they are read, copied and changed by people.
    for file in files("tower").joinpath("mappings").iterdir():
        if file.name.endswith(".yaml"):
            text, name = file.read_text(encoding="utf-8"), file.name.removesuffix(".yaml")
            found[name] = parse(text, Mapping, f"tower/mappings/{file.name}")
    return found


def _otlp() -> Mapping:
    """Records with an event name of the vocabulary tell that event, however severe they are; the
    others what severity and messaging operation say.
    """
    steps = parse(OTLP, Mapping, "shipped mapping otlp").log_map
    if steps is None:
        raise AssertionError("the mapping otlp has a log map")
    types = [name for name in EVENT_TYPES if not name.startswith("source.")]
    unnamed = [f"!{name}" for name in types]
    emits = steps.emits()
    return Mapping.model_validate(
        {
            "format": "log",
            "emit": [
                *(_named(name, steps, emits[0]) for name in types),
                *({**emit, "when": {"event_name": unnamed, **emit["when"]}} for emit in emits),
            ],
        }
    )


def _named(type_: str, steps: LogMap, like: dict[str, Any]) -> dict[str, Any]:
    """The rule of one event name: fields are attributes of the same name or stand in the body,
    lines stand in the body.
    """
    spec = EVENT_TYPES[type_]
    also = {"message": steps.message, "step": steps.step, **steps.fields}
    fields = {}
    for field in spec.header:
        own = f"{field.name} | body.{field.name}"
        more = also.get(field.name) if type_.startswith("message.") else None
        fields[field.name] = f"{own} | {more}" if more else own
    return {
        "event": type_,
        "when": {"event_name": type_},
        **{name: like[name] for name in ("id", "time", "correlation", "system", "carries")},
        "fields": fields,
        "lines_from": f"body.{spec.list_name}" if spec.list_name else None,
        "lines": {field.name: field.name for field in spec.lines},
    }
