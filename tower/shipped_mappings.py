"""Mappings that come with the tower: a source names one, and nothing has to be written.

A mapping of the same name in network.yaml comes first. They are the files of tower/mappings/,
written from the public descriptions of the formats; ``otlp``, for the records of POST /v1/logs
(collectors/otlp.py tells their fields), is made here, as it knows every type of the vocabulary.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from tower.log_map import LogMap
from tower.mapping import Mapping
from tower.strict_yaml import parse
from tower.vocabulary import EVENT_TYPES

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
    found = {"otlp": _otlp()}
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
