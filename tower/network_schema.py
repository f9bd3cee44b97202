"""The JSON Schema that editors use to complete and check `network.yaml`; draft 7 throughout.

It is made from the models that judge the file. After a change of those, write it anew:
``tower network schema > docs/network.schema.json``.
"""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

from pydantic import BaseModel

from tower import calendars, feeds, mapping, network, outlets
from tower.feeds import OPTIONS
from tower.network import Network
from tower.network_checks import FORMATS_OF, OWNER_LETTERS
from tower.owners import kinds_with_fields
from tower.rule_schema import draft_7

SCHEMA_PATH = "docs/network.schema.json"


def network_schema() -> dict[str, Any]:
    """The schema of a network, from the models that judge it.

    The options of a source depend on its kind; so do the formats it may bring.
    """
    body = Network.model_json_schema(ref_template="#/definitions/{model}")
    definitions: dict[str, Any] = body.pop("$defs", {})
    for model in OPTIONS.values():
        own = model.model_json_schema(ref_template="#/definitions/{model}")
        definitions.update(own.pop("$defs", {}))
        definitions[model.__name__] = own
    for module in (network, feeds, mapping, calendars, outlets):
        for name, model in inspect.getmembers(module, _is_model):
            if name in definitions:
                _describe(definitions[name], model)
    definitions["Source"]["allOf"] = [
        {
            "if": {"properties": {"kind": {"enum": [kind]}}, "required": ["kind"]},
            "then": {
                "properties": {
                    "options": {"$ref": f"#/definitions/{model.__name__}"},
                    "format": {"enum": list(FORMATS_OF[kind])},
                }
            },
        }
        for kind, model in OPTIONS.items()
    ]
    _describe(body, Network)
    body["properties"]["owners"] |= {
        "properties": {letter: {"type": "string", "description": whom}
                       for letter, whom in OWNER_LETTERS.items()},
        "required": list(OWNER_LETTERS),
        "additionalProperties": False,
    }  # fmt: skip
    truth = body["properties"]["source_of_truth"]
    systems, per_field = truth["additionalProperties"]["anyOf"]
    fields = kinds_with_fields()
    known = sorted(frozenset().union(*fields.values()))
    truth["properties"] = dict.fromkeys(known, systems) | {
        kind: {
            **per_field,
            "properties": dict.fromkeys(sorted(names), systems),
            "additionalProperties": False,
        }
        for kind, names in fields.items()
    }
    _take_words(definitions)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Network of the control tower",
        **draft_7(body),
        "definitions": {name: draft_7(definitions[name]) for name in sorted(definitions)},
    }


def schema_text() -> str:
    """The file as it is kept in the repository."""
    return json.dumps(network_schema(), indent=2, ensure_ascii=False) + "\n"


def _take_words(definitions: dict[str, Any]) -> None:
    """What validators take beside the type of a field: bare numbers and flags as the text that a
    sender writes, one form of dates where a list may stand.
    """
    word = {"type": ["string", "integer", "boolean"]}
    emit = definitions["Emit"]["properties"]
    for name in ("when", "lines_when"):
        emit[name]["additionalProperties"] = {"anyOf": [word, {"type": "array", "items": word}]}
    for name in ("fields", "lines"):
        emit[name]["additionalProperties"] = word
    emit["codes"]["additionalProperties"]["additionalProperties"] = word
    for name in ("date_format", "time_format"):
        form = definitions["Mapping"]["properties"][name]
        form["type"] = ["array", "string", "null"]


def _is_model(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, BaseModel)


_TOLD = re.compile(r"^([a-z_]+(?:, [a-z_]+)*) {2,}(\S.*(?:\n {2,}\S.*)*)", re.MULTILINE)


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Give each field what the model's docstring tells of it, for editors to show.

    A docstring tells of fields as ``name  what it is``, further lines indented.
    """
    told = inspect.cleandoc(model.__doc__ or "")
    schema["description"] = told.partition("\n\n")[0]
    for names, text in _TOLD.findall(told):
        for name in names.split(", "):
            field = schema.get("properties", {}).get(name)
            if field is not None:
                field["description"] = text
