"""The schema that editors use says of network.yaml what the loader says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tower.errors import ConfigError
from tower.feeds import OPTIONS
from tower.network import load_network
from tower.network_schema import SCHEMA_PATH, network_schema, schema_text
from tower.strict_yaml import load

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "network.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = network_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def test_the_schema_in_the_repository_is_that_of_the_models() -> None:
    kept = (ROOT / SCHEMA_PATH).read_text(encoding="utf-8")
    said = "the models have changed: tower network schema > docs/network.schema.json"
    assert kept == schema_text(), said


def test_the_example_tells_editors_where_its_schema_is(validator: Any) -> None:
    assert EXAMPLE.startswith(f"# yaml-language-server: $schema={SCHEMA_PATH}\n")
    data, _ = load(EXAMPLE, "network.yaml")
    assert [e.message for e in validator.iter_errors(data)] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("template: file", "template: fil"),
        ("    tier: A", "    teir: A"),
        ("kind: drop_folder", "kind: drop_foldr"),
        ("format: x12", "format: queue"),
        ("path: inbox/edi ", "pth: inbox/edi "),
        ("ready: stable", "ready: steady"),
        ("  T: it_integration", "  Z: it_integration"),
        ("currency: USD", "currency: dollars"),
        ("expects_fa: true", "expects_fa: sometimes"),
        ("  price: erp", "  po_line: {promised_date: erp}"),
        ("  price: erp", "  price: {nested: {deep: erp}}"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(validator: Any, old: str, new: str) -> None:
    text = EXAMPLE.replace(old, new, 1)
    data, _ = load(text, "network.yaml")
    assert text != EXAMPLE
    with pytest.raises(ConfigError):
        load_network(text, "network.yaml")
    assert list(validator.iter_errors(data))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("      partner_from: folder", "      max_bytes: 20MB\n      partner_from: folder"),
        ("    tier: A", "    limits: {per_minute: 60, max_bytes: 2MB}\n    tier: A"),
        ("  price: erp", "  price: [erp, wms]"),
        ("  price: erp", "  po_line: {price: edi, received_qty: [wms]}"),
        ('when: {po: "*"}', "when: {po: [1, two, true]}"),
        ('date_format: "%m/%d/%Y"', 'date_format: ["%m/%d/%Y", "%Y-%m-%d"]'),
    ],
)
def test_the_schema_takes_what_the_loader_takes(validator: Any, old: str, new: str) -> None:
    assert old in EXAMPLE
    text = EXAMPLE.replace(old, new, 1)
    load_network(text, "network.yaml")
    data, _ = load(text, "network.yaml")
    assert [e.message for e in validator.iter_errors(data)] == []


def test_editors_are_told_what_fields_and_options_mean() -> None:
    schema = network_schema()
    partner = schema["definitions"]["Partner"]["properties"]
    assert "usual_delay_days" in partner
    assert "silence" in partner["usual_delay_days"]["description"]
    for model in OPTIONS.values():
        assert model.__name__ in schema["definitions"]
