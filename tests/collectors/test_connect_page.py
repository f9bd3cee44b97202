"""What docs/connect.md shows works as it is written there."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from collectors import cloudevents, registry
from tower.feeds import OPTIONS
from tower.network import Network, load_network
from tower.raw import Raw

NOW = datetime(2026, 3, 30, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "connect.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def network(*extra: str) -> Network:
    """The example network with pieces of the page put in."""
    described: dict[str, Any] = yaml.safe_load((ROOT / "network.yaml").read_text(encoding="utf-8"))
    for piece in extra:
        for part, entries in yaml.safe_load(piece).items():
            described[part].update(entries)
    return load_network(yaml.safe_dump(described, sort_keys=False), "network.yaml")


def test_every_piece_of_configuration_fits_into_the_example() -> None:
    pieces = blocks("yaml")
    assert len(pieces) == 3
    net = network(*pieces)
    secrets = {"ERP_AUTHORIZATION": "Bearer x", "BROKER_PASSWORD": "x"}
    for name in ("erp_orders", "middleware", "broker"):
        assert registry.reader_for(name, net.sources[name], net, secrets)


def test_the_mapping_it_explains_is_the_one_of_the_example() -> None:
    assert (
        network(blocks("yaml")[0]).mappings["supplier_answers"]
        == (network().mappings["supplier_answers"])
    )


def test_the_file_it_shows_becomes_one_answer_with_two_lines() -> None:
    (body,) = blocks("csv")
    raw = Raw("supplier_files", "k", body.encode(), NOW, headers={"partner": "ORCHARD"})
    (event,) = registry.interpret(raw, network()).events
    assert (event.type, event.partner) == ("po.acknowledged", "ORCHARD")
    assert [line["answer"] for line in event.data["lines"]] == [
        "accepted",
        "accepted_with_changes",
    ]
    assert event.data["lines"][1]["date"] == "2026-04-10"


def test_the_bodies_it_pushes_are_accepted() -> None:
    order, receipt = blocks("json")
    parcel = cloudevents.unpack(
        "events", order.encode(), {"content-type": "application/cloudevents+json"}, NOW
    )
    assert not parcel.broken
    (released,) = registry.interpret(parcel.raws[0], network()).events
    assert (released.type, released.partner) == ("po.released", "ORCHARD")
    raw = cloudevents.document("warehouse", receipt.encode(), {}, NOW)
    (posted,) = registry.interpret(raw, network()).events
    assert posted.type == "receipt.posted"
    assert {ref.number for ref in posted.objects if ref.kind == "po"} == {"4500001234"}
    assert posted.occurred_at == datetime(2026, 3, 30, 13, 12, tzinfo=UTC)


@pytest.mark.parametrize("kind", sorted(OPTIONS))
def test_every_option_of_a_source_is_explained_where_it_is_declared(kind: str) -> None:
    model = OPTIONS[kind]
    ours = [m for m in model.__mro__ if m.__module__.startswith("tower.")]
    explained = "".join(m.__doc__ or "" for m in ours)
    for name in model.model_fields:
        assert re.search(rf"\b{name}\b", explained) or name in ("timeout", "max_bytes", "page_size",
                                                               "networks", "user")  # fmt: skip
