"""The JSON Schema that editors use to complete and check `sla_rules.yaml`; draft 7 throughout.

It is made from the models that judge the file. After a change of those, write it anew:
``python -m tower.rule_schema > docs/sla_rules.schema.json``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from tower.conditions import JSON_SCHEMAS
from tower.rulebook import RuleBook
from tower.vocabulary import EVENT_TYPES

SCHEMA_PATH = "docs/sla_rules.schema.json"
_NAMED = {"condition": "Condition", "event": "Event"}  # formats that stand for definitions


def rule_schema() -> dict[str, Any]:
    """The schema of a rule book, from the models that judge it."""
    body = RuleBook.model_json_schema(ref_template="#/definitions/{model}")
    event = {"enum": sorted(EVENT_TYPES), "description": "type of an event"}
    definitions = {**body.pop("$defs", {}), **JSON_SCHEMAS, "Event": event}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Rule book of the control tower",
        **draft_7(body),
        "definitions": {name: draft_7(definitions[name]) for name in sorted(definitions)},
    }


def schema_text() -> str:
    """The file as it is kept in the repository."""
    return json.dumps(rule_schema(), indent=2, ensure_ascii=False) + "\n"


def draft_7(node: Any) -> Any:
    """Without words draft 7 does not know; it also ignores what stands beside a reference."""
    if isinstance(node, list):
        return [draft_7(item) for item in node]
    if not isinstance(node, dict):
        return node
    form = node.get("format")  # a mapping where a property has that name
    named = _NAMED.get(form) if isinstance(form, str) else None
    if named is not None:
        return {"$ref": f"#/definitions/{named}"}
    # Titles repeat the names of fields; a property that is called title stays.
    kept = {
        key: _each(value) if key == "properties" else draft_7(value)
        for key, value in node.items()
        if key != "discriminator"
        and not (key == "title" and isinstance(value, str))
        and not (key == "default" and (not value or isinstance(value, dict)))
    }
    if "const" in kept:
        kept["enum"] = [kept.pop("const")]
    if "$ref" in kept and len(kept) > 1:
        kept["allOf"] = [{"$ref": kept.pop("$ref")}]
    if "description" in kept:
        kept["description"] = " ".join(str(kept["description"]).split())
    return kept


def _each(properties: Any) -> Any:
    """Fields keep their names, whatever these mean in a schema."""
    return {name: draft_7(node) for name, node in properties.items()}


if __name__ == "__main__":
    sys.stdout.write(schema_text())
