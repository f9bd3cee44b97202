"""The recipes of docs/connect for logs, gateways and brokers: what they show fits and is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from collectors import registry
from collectors.access_log import layout_of
from tower.network import Network, load_network

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("opentelemetry", "middleware-logs", "amqp", "api-gateway", "rabbitmq", "nats", "kafka")


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / "connect" / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def network(page: str) -> Network:
    """The example network with the pieces of a page put in."""
    described: dict[str, Any] = yaml.safe_load((ROOT / "network.yaml").read_text(encoding="utf-8"))
    for piece in blocks(page, "yaml"):
        for part, entries in yaml.safe_load(piece).items():
            described.setdefault(part, {}).update(entries)
    return load_network(yaml.safe_dump(described, sort_keys=False), "network.yaml")


@pytest.mark.parametrize("page", PAGES)
def test_every_piece_of_configuration_fits_and_has_its_reader(page: str) -> None:
    net = network(page)
    secrets = dict.fromkeys(("BROKER_PASSWORD", "NATS_PASSWORD", "KAFKA_PASSWORD"), "x")
    pieces = [yaml.safe_load(piece) for piece in blocks(page, "yaml")]
    added = [name for piece in pieces for name in piece.get("sources", {})]
    assert added
    for name in added:
        source = net.sources[name]
        if source.is_pull:
            assert registry.reader_for(name, source, net, secrets)
        assert registry.interpreter_for(source) is not None


def test_the_log_format_that_is_shown_tells_everything() -> None:
    line = (
        '127.0.0.1 - ACME [30/Mar/2026:09:12:00 +0000] "POST /v1/orders/77 HTTP/1.1" 429 52 '
        '"-" "curl/8" rt=0.120 rid=7f3a rl_limit=60 rl_remaining=0'
    )
    net = network("api-gateway")
    call = layout_of(net.sources["gateway"], net).read(line.encode())
    assert (call.value["route"], call.value["outcome"], call.value["partner"]) == (
        "POST /v1/orders/*", "throttled", "ACME",
    )  # fmt: skip
    assert (call.latency_ms, call.limit, call.remaining) == (120.0, 60, 0)
    page = (ROOT / "docs" / "connect" / "api-gateway.md").read_text(encoding="utf-8")
    for pair in ("rt=$request_time", "rid=$request_id", "rl_limit=$sent", "rl_remaining=$sent"):
        assert pair in page
