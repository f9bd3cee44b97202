"""Access logs: what a line tells, and counts that no repetition, kill or lost bookmark changes."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collectors import access_counts, access_reader
from collectors.access_log import Layout, layout_of
from collectors.registry import interpret, reader_for
from tests.collectors.conformance import PLENTY, Tower, collector_conformance
from tests.collectors.worlds import LogWorld, network
from tower.errors import ConfigError, PayloadRejected
from tower.gateway import LATENCY_BOUNDS_MS, GatewayMinute, bucket, quantile, route_of
from tower.network import Network
from tower.raw import Budget, Raw

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
KONG: dict[str, Any] = {
    "started_at": 1774605612345,
    "route": {"name": "orders"},
    "request": {"method": "POST", "uri": "/v1/orders?x=1", "id": "k-1", "headers": {}},
    "response": {
        "status": 503,
        "headers": {"x-ratelimit-limit-minute": "60", "x-ratelimit-remaining-minute": "3"},
    },
    "latencies": {"request": 120, "kong": 3, "proxy": 117},
    "consumer": {"username": "ACME"},
}
NGINX = {
    "time_iso8601": "2026-03-27T10:00:12+00:00",
    "request_method": "GET",
    "request_uri": "/v1/orders/4500001234",
    "status": "200",
    "request_time": "0.007",
    "remote_user": "",
    "request_id": "n-1",
}
COMBINED = (
    '203.0.113.7 - 17300001 [27/Mar/2026:11:00:12 +0100] "PUT /v1/orders/4500001234/ack HTTP/1.1" '
    '422 52 "-" "curl/8 \\"x\\"" rt=0.250 rid=c-1 rl_limit=60 rl_remaining=0'
)


def net_with(layout: str, options: str = "", path: str = "x.log") -> Network:
    return network(
        "sources:\n  feed: {kind: access_log, format: access_log, system: erp, options: "
        f"{{path: '{path}', layout: {layout}{options}}}}}"
    )


def layout(name: str, options: str = "") -> Layout:
    net = net_with(name, options)
    return layout_of(net.sources["feed"], net)


def call(name: str, line: Any, options: str = "") -> Mapping[str, Any]:
    body = line if isinstance(line, str) else json.dumps(line)
    found: Mapping[str, Any] = layout(name, options).read(body.encode()).value
    return found


def test_each_layout_tells_the_same_fields() -> None:
    kong, nginx, combined = call("kong", KONG), call("json", NGINX), call("combined", COMBINED)
    assert [each["route"] for each in (kong, nginx, combined)] == [
        "orders", "GET /v1/orders/{id}", "PUT /v1/orders/{id}/ack",
    ]  # fmt: skip
    assert [each["status"] for each in (kong, nginx, combined)] == ["503", "200", "422"]
    assert [each["latency_ms"] for each in (kong, nginx, combined)] == [120.0, 7.0, 250.0]
    assert [each["partner"] for each in (kong, nginx, combined)] == ["ACME", None, "ACME"]
    assert [each["request_id"] for each in (kong, nginx, combined)] == ["k-1", "n-1", "c-1"]
    assert [each["outcome"] for each in (kong, nginx, combined)] == ["failed", "ok", "failed"]
    assert {each["time"][:16] for each in (kong, nginx, combined)} == {"2026-03-27T10:00"}
    assert (kong["limit"], kong["remaining"]) == (60, 3)
    assert (combined["limit"], combined["remaining"]) == (60, 0)
    assert (nginx["limit"], nginx["remaining"]) == (None, None)


def test_the_common_format_tells_neither_latency_nor_agent() -> None:
    found = call("combined", '::1 - - [27/Mar/2026:10:00:00 +0000] "GET / HTTP/1.0" 200 -')
    assert (found["route"], found["latency_ms"], found["request_id"]) == ("GET /", None, None)


def test_unknown_is_not_zero() -> None:
    assert call("json", {**NGINX, "request_time": "-"})["latency_ms"] is None
    assert call("json", {**NGINX, "request_time": "0.1, 0.2"})["latency_ms"] is None
    assert call("json", {**NGINX, "request_time": 0})["latency_ms"] == 0.0
    assert call("json", {**NGINX, "ratelimit_limit": "60, 60;w=60"})["limit"] == 60
    assert call("json", {**NGINX, "ratelimit_remaining": "none"})["remaining"] is None
    unanswered = call("json", {**NGINX, "status": "000"})
    assert (unanswered["status"], unanswered["outcome"]) == (None, "failed")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("combined", "GET / 200"),
        ("combined", ""),
        ("json", "[]"),
        ("json", '{"status": 200, "url": "/"}'),
        ("json", '{"status": 999, "time": "2026-03-27T10:00:00Z"}'),
        ("json", '{"status": 200, "time": "yesterday"}'),
        ("json", '{"status": {}, "time": "2026-03-27T10:00:00Z"}'),
    ],
)
def test_a_line_that_tells_no_call_is_refused(name: str, line: str) -> None:
    with pytest.raises(PayloadRejected) as caught:
        layout(name).read(line.encode())
    assert caught.value.advice


def test_what_counts_as_failed_is_configured_and_429_is_throttled() -> None:
    assert call("json", {**NGINX, "status": 429})["outcome"] == "throttled"
    assert call("json", {**NGINX, "status": 404})["outcome"] == "ok"
    assert call("json", {**NGINX, "status": 404}, ", failed: ['4xx']")["outcome"] == "failed"
    assert call("json", {**NGINX, "status": 429}, ", failed: ['5xx']")["outcome"] == "ok"
    with pytest.raises(ConfigError):
        net_with("json", ", failed: ['bad']")


def test_a_failed_call_is_a_failed_message_of_its_partner_and_order() -> None:
    net = net_with("combined", ", fields: {po: rl_limit}")
    reading = interpret(Raw("feed", "k", COMBINED.encode(), NOW), net)
    (event,) = reading.events
    assert (event.type, event.partner, event.carries) == ("message.failed", "ACME", ("c-1",))
    assert event.data == {
        "erp": "main", "po": "60", "supplier": "ACME", "message": "c-1",
        "step": "PUT /v1/orders/{id}/ack", "error_class": "http_4xx", "code": "422",
        "text": "PUT /v1/orders/4500001234/ack was answered 422",
    }  # fmt: skip
    assert event.occurred_at == datetime(2026, 3, 27, 10, 0, 12, tzinfo=UTC)
    origins = {origin.field: origin for origin in reading.origins[0]}
    code = origins["code"]
    assert code.offset is not None
    assert code.length == 3
    assert COMBINED[code.offset :][:3] == "422"


@pytest.mark.parametrize(
    ("url", "route"),
    [
        ("/v1/orders", "GET /v1/orders"),
        ("/v2.1/orders/4500001234/lines/10?a=1#b", "GET /v2.1/orders/{id}/lines/{id}"),
        ("/p/7f3a9c1e-1111-2222-3333-444455556666", "GET /p/{id}"),
        ("/catalog/fasteners", "GET /catalog/fasteners"),
        ("/files/a.csv", "GET /files/a.csv"),
        ("", "GET /"),
        ("/special/anything/at/all", "GET /special/*"),
    ],
)
def test_routes_stay_few(url: str, route: str) -> None:
    assert route_of("get", url, ["/special/*"]) == route


def test_quantiles_are_upper_bounds_and_unknown_without_calls() -> None:
    histogram = [0] * (len(LATENCY_BOUNDS_MS) + 1)
    assert quantile(histogram, 0.5) is None
    for latency in (3, 5, 6, 40, 700):
        histogram[bucket(latency)] += 1
    assert (quantile(histogram, 0.5), quantile(histogram, 0.95)) == (10.0, 1000.0)
    histogram[bucket(99_999)] += 100
    assert quantile(histogram, 0.95) is None


# --- reading ----------------------------------------------------------------------------------


class AccessWorld(LogWorld):
    """A gateway that writes combined lines; every call fails."""

    key = ""

    def network(self) -> Network:
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        return net_with("combined", path=f"{self.folder}/logs/m*.jsonl")

    def content(self, n: int) -> bytes:
        return COMBINED.replace("c-1", f"c-{n}").replace("422", "503").encode()

    def repeat(self, n: int) -> None:
        (self.folder / "logs" / f"m-copy{n}.jsonl").write_bytes(self.path.read_bytes())


class KongWorld(AccessWorld):
    """A gateway that writes JSON."""

    def network(self) -> Network:
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        return net_with("kong", path=f"{self.folder}/logs/m*.jsonl")

    def content(self, n: int) -> bytes:
        return json.dumps({**KONG, "request": {**KONG["request"], "id": f"k-{n}"}}).encode()


test_access_log_in_combined_format = collector_conformance(AccessWorld)
test_access_log_of_kong = collector_conformance(KongWorld)


def lines_of(chance: random.Random, count: int) -> list[bytes]:
    found = []
    for n in range(count):
        status = chance.choice([200, 200, 201, 404, 429, 500])
        told = {
            **NGINX,
            "request_id": f"r{n}",
            "status": status,
            "request_uri": chance.choice(["/a", "/b", f"/c/{n}00000"]),
            "time_iso8601": (NOW + timedelta(seconds=7 * n)).isoformat(),
            "ratelimit_limit": 60,
            "ratelimit_remaining": chance.randrange(60),
        }
        found.append(b"no call" if chance.random() < 0.05 else json.dumps(told).encode())
    return found


def totals(samples: list[GatewayMinute]) -> dict[Any, Any]:
    """What the database keeps: of each part the count that got furthest."""
    furthest: dict[Any, int] = {}
    for one in samples:
        furthest[one.part] = max(furthest.get(one.part, 0), one.upto)
    kept = {
        (one.part, one.minute, one.route, one.partner): one
        for one in samples
        if one.upto == furthest[one.part]
    }
    found: dict[Any, Any] = {}
    for (_, minute, route, partner), one in kept.items():
        key = (minute, route, partner)
        before = found.get(key, ((0,) * 5, 0, (0,) * 12, 60))
        found[key] = (
            tuple(a + b for a, b in zip(before[0], one.classes, strict=True)),
            before[1] + one.throttled,
            tuple(a + b for a, b in zip(before[2], one.latency, strict=True)),
            min(before[3], one.remaining if one.remaining is not None else 60),
        )
    return found


@pytest.mark.parametrize("seed", range(6))
def test_kills_small_budgets_and_a_lost_bookmark_change_no_sum(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(access_reader, "BLOCK", chance.choice([500, 1000, 4096]))
    lines = lines_of(chance, 120)

    class Gateway(KongWorld):
        def network(self) -> Network:
            (self.folder / "logs").mkdir(parents=True, exist_ok=True)
            return net_with("json", path=f"{self.folder}/logs/m*.jsonl")

    whole = Gateway(tmp_path / "whole")
    whole.path.write_bytes(b"\n".join(lines) + b"\n")
    tower = Tower(whole)
    tower.drain()
    expected = totals([s for b in tower.batches for s in b.samples])  # type: ignore[misc]
    bad = sum(line == b"no call" for line in lines)
    assert sum(sum(counted[0]) for counted in expected.values()) == len(lines) - bad
    assert len(expected) > 10

    world = Gateway(tmp_path / "pieces")
    torn = Tower(world)
    at = 0
    while at < len(lines):
        step = chance.randrange(1, 15)
        for line in lines[at : at + step]:
            world._append(line + b"\n")
        at += step
        small = Budget(messages=chance.randrange(1, 5), bytes=chance.randrange(300, 3000))
        torn.read(small, die=chance.choice(["", "", "before commit", "before settle"]))
        if chance.random() < 0.1:
            torn._mark = None  # a bookmark that was removed
    torn.read(Budget(messages=3, bytes=5000))
    while torn.batches[-1].more:
        torn.read(Budget(messages=3, bytes=5000))
    seen = [s for b in torn.batches for s in b.samples]
    chance.shuffle(seen)
    assert totals(seen) == expected  # type: ignore[arg-type]
    assert torn.bodies() == tower.bodies()


def test_more_routes_than_anybody_has_are_counted_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_counts, "MOST_ROUTES", 3)
    log = tmp_path / "a.log"
    told = [{**NGINX, "request_uri": f"/route{chr(97 + n)}"} for n in range(8)]
    log.write_bytes(b"".join(json.dumps(one).encode() + b"\n" for one in told))
    net = net_with("json", path=str(log))
    (batch,) = reader_for("feed", net.sources["feed"], net, {}).read(None, PLENTY, NOW)
    counted = {s.route: s.calls for s in batch.samples if isinstance(s, GatewayMinute)}
    assert counted == {
        "GET /routea": 1, "GET /routeb": 1, "GET /routec": 1, access_counts.OTHER: 5,
    }  # fmt: skip


def test_a_log_of_calls_that_went_well_keeps_the_budget_too(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    line = json.dumps(NGINX).encode() + b"\n"
    log.write_bytes(line * 50)
    net = net_with("json", path=str(log))
    small = Budget(messages=100, bytes=10 * len(line))
    (batch,) = reader_for("feed", net.sources["feed"], net, {}).read(None, small, NOW)
    assert batch.more
    assert batch.heartbeat is None
    assert 5 < sum(s.calls for s in batch.samples if isinstance(s, GatewayMinute)) <= 11
