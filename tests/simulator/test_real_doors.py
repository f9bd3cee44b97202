"""What comes out is what the tower's own interpreters read, without a single dead letter.

The simulator shares no code with them; here the two meet.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

import simulator
from collectors import cloudevents, registry
from simulator.emissions import Emissions
from simulator.world import World, build
from tower.network import load_network
from tower.raw import Interpretation, Raw

AS_OF = datetime(2026, 3, 27, 14, 0, tzinfo=UTC)


def raws_of(emissions: Emissions) -> list[Raw]:
    found: list[Raw] = []
    for drop in emissions.files:
        headers = {"partner": drop.name.split("/")[0]} if drop.door == "supplier_csv" else {}
        key = hashlib.sha256(drop.body).hexdigest()
        found.append(Raw(drop.door, key, drop.body, drop.at, headers=headers, name=drop.name))
    for line in emissions.lines:
        key = json.loads(line.body)["event_id"]
        found.append(Raw(line.door, key, line.body.rstrip(b"\n"), line.at))
    for push in emissions.pushes:
        headers = {name.lower(): value for name, value in push.headers.items()}
        if push.path == "/v1/events":
            found += cloudevents.unpack(push.door, push.body, headers, push.at).raws
        elif push.path.startswith("/v1/documents/"):
            found.append(cloudevents.document(push.door, push.body, headers, push.at))
    for n, record in enumerate(emissions.records):
        body = json.dumps(record.body).encode()
        found.append(Raw(record.door, str(n), body, record.at, headers={"rendered": "json"}))
    return found


@pytest.fixture(scope="module")
def read_by_the_tower() -> list[tuple[Raw, Interpretation]]:
    world: World = build(5, AS_OF, days=40, suppliers=80, pos_per_day=10)
    emissions = world.advance(AS_OF)
    net = load_network(world.network_yaml(Path("demo"), "http://127.0.0.1:1"), "network.yaml")
    return [(raw, registry.interpret(raw, net)) for raw in raws_of(emissions)]


def test_every_message_is_understood(read_by_the_tower: list[tuple[Raw, Interpretation]]) -> None:
    assert len(read_by_the_tower) > 5000
    wrong = [
        (raw.source, raw.name, letter.cause)
        for raw, reading in read_by_the_tower
        for letter in reading.dead_letters
    ]
    odd = [
        (raw.source, raw.name, finding.message)
        for raw, reading in read_by_the_tower
        for finding in reading.findings
    ]
    assert wrong == []
    assert odd == []


def test_every_door_brings_what_it_should(
    read_by_the_tower: list[tuple[Raw, Interpretation]],
) -> None:
    brought = Counter(
        (raw.source, event.type) for raw, reading in read_by_the_tower for event in reading.events
    )
    for door, types in {
        "edi_in": ("po.acknowledged", "po.rejected", "fa.received", "asn.received"),
        "edi_out": ("po.released", "message.sent"),
        "supplier_csv": ("po.acknowledged", "asn.received"),
        "supplier_api": ("po.acknowledged", "asn.received", "invoice.received"),
        "portal": ("po.acknowledged", "asn.received"),
        "erp": ("po.released", "po.answer_applied", "peg.set", "receipt.posted", "po.closed"),
        "platform": ("order.placed", "order.promised", "order.shipped"),
        "stock": ("inventory.reported",),
        "wms_east": ("asn.accepted", "receipt.posted"),
        "wms_west": ("asn.accepted", "receipt.posted"),
        "middleware": ("po.transmitted", "message.delivered", "message.failed"),
    }.items():
        for type_ in types:
            assert brought[door, type_] > 0, (door, type_)


def test_both_warehouses_and_the_erp_tell_the_same_receipts(
    read_by_the_tower: list[tuple[Raw, Interpretation]],
) -> None:
    told: dict[str, set[tuple[str, str, str, str]]] = {"erp": set(), "wms": set()}
    for raw, reading in read_by_the_tower:
        for event in reading.events:
            if event.type == "receipt.posted":
                system = "erp" if raw.source == "erp" else "wms"
                for line in event.data["lines"]:
                    told[system].add(
                        (
                            event.data["warehouse"],
                            event.data["receipt"],
                            line["receipt_line"],
                            line["qty"],
                        )
                    )
    assert told["erp"]
    # The ERP posts up to an hour later: the last few may be missing there.
    assert told["erp"] <= told["wms"]
    assert len(told["wms"] - told["erp"]) < 25


def test_the_simulator_imports_no_room() -> None:
    folder = Path(simulator.__file__).parent
    allowed = set(sys.stdlib_module_names) | {"yaml", "simulator"}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                names = [node.module or ""]
            else:
                continue
            assert {name.split(".")[0] for name in names} <= allowed, path
