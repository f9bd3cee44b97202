"""Large messages given part by part: together what the whole gives, and no part is held."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from collectors import contract, registry
from tests.benchmarks.bench_edifact import orders as edifact_orders
from tests.benchmarks.bench_x12 import orders as x12_orders
from tests.worker.test_large_messages import BODIES, NETWORK
from tower.network import Network, load_network
from tower.raw import Interpretation, Raw

NOW = datetime(2026, 4, 20, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def net() -> Network:
    return load_network(NETWORK, "network.yaml")


def raw_of(source: str, body: bytes) -> Raw:
    return Raw(source, "large", body, NOW)


def parts_of(raw: Raw, net: Network) -> Iterator[Interpretation]:
    found = registry.parts(raw, net)
    assert found is not None
    return found


@pytest.mark.parametrize("most", [1, 2, 1000])
@pytest.mark.parametrize("source", BODIES)
def test_parts_together_are_the_whole(
    net: Network, source: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "LARGE", 1)
    monkeypatch.setattr(contract, "PART_EVENTS", most)
    raw = raw_of(source, BODIES[source]())
    whole = registry.interpret(raw, net)
    parts = [*parts_of(raw, net)]
    assert len(parts) > 2 or most == 1000
    assert [event for part in parts for event in part.events] == [*whole.events]
    told = [part.origins.get(n, ()) for part in parts for n in range(len(part.events))]
    assert told == [whole.origins.get(n, ()) for n in range(len(whole.events))]
    last = parts[-1]
    for name in ("interpreter", "version", "findings", "dead_letters", "partner", "controls"):
        assert getattr(last, name) == getattr(whole, name), name
    for part in parts[:-1]:
        assert (part.findings, part.dead_letters, part.controls) == ((), (), ())


def test_small_messages_and_gaps_are_read_whole(net: Network) -> None:
    assert registry.parts(raw_of("x12", b"ISA"), net) is None
    large = b" " * registry.LARGE
    assert registry.parts(raw_of("nobody", large), net) is None
    assert registry.parts(raw_of("x12", large), net) is not None


def rows(count: int) -> bytes:
    lines = [f"45{n:08},{n % 9},5" for n in range(count * 10)]
    return "\n".join(["po,line,qty", *lines]).encode()


def lines(count: int) -> bytes:
    told = [{"id": f"e{n}", "po": f"45{n:08}", "by": "ACME"} for n in range(count * 4)]
    return b"\n".join([json.dumps(one).encode() for one in told])


SIZES: dict[str, Callable[[int], bytes]] = {
    "x12": x12_orders,
    "edifact": edifact_orders,
    "rows": rows,
    "lines": lines,
}


@pytest.mark.long
@pytest.mark.parametrize("source", SIZES)
def test_memory_does_not_grow_with_the_message(
    net: Network, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "LARGE", 1)
    monkeypatch.setattr(contract, "PART_EVENTS", 40)
    peaks, told = [], []
    for size in (100, 400):
        raw = raw_of(source, SIZES[source](size))
        gc.collect()
        tracemalloc.start()
        events = 0
        for part in parts_of(raw, net):
            events += len(part.events)
            assert len(part.events) <= 40
            for n in range(len(part.events)):
                assert part.origins[n]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        told.append(events)
    # An event that is held takes several thousand bytes; an id that a record gave itself is
    # remembered in some two hundred.
    assert (peaks[1] - peaks[0]) / (told[1] - told[0]) < 1000
