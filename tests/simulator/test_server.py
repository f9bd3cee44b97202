"""The pretend web services over real HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.server import Server, serve
from simulator.world import World, build

AS_OF = datetime(2026, 3, 27, 14, 0, tzinfo=UTC)
SAMPLE = Path("../shared/data/logs_metrics/telegraf/rabbitmq/testdata/set1/queues.json")


@pytest.fixture(scope="module")
def town() -> World:
    world = build(5, AS_OF, days=30, suppliers=60, pos_per_day=15)
    world.advance(AS_OF)
    return world


@pytest.fixture
def server(town: World) -> Iterator[Server]:
    with serve(town) as running:
        yield running


def ask(address: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    request = urllib.request.Request(address, headers=headers)  # noqa: S310  our own server
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, dict(answer.headers), json.load(answer)
    except urllib.error.HTTPError as error:
        body = error.read()
        return error.code, dict(error.headers), json.loads(body) if body else None


def all_records(address: str, name: str) -> list[Any]:
    found: list[Any] = []
    following: str | None = address
    while following:
        _, _, page = ask(following)
        found += page[name]
        following = page["next"]
    return found


def test_pages_together_give_the_whole_journal_in_order(town: World, server: Server) -> None:
    records = all_records(f"{server.url}/erp/changes?limit=100", "value")
    assert records == [dict(record.body) for record in town.stage.feeds["erp"]]
    stamps = [record["changed_at"] for record in records]
    assert stamps == sorted(stamps)
    keys = [(r["entity"], r["number"], r["version"]) for r in records]
    assert len(keys) == len(set(keys))


def test_only_what_changed_since_is_given(server: Server) -> None:
    since = AS_OF - timedelta(days=2)
    address = f"{server.url}/erp/changes?changed_since={since:%Y-%m-%dT%H:%M:%SZ}&limit=1000"
    records = all_records(address, "value")
    assert records
    assert all(datetime.fromisoformat(r["changed_at"]) >= since for r in records)


def test_it_answers_as_of_a_virtual_now(server: Server) -> None:
    whole = all_records(f"{server.url}/erp/changes?limit=1000", "value")
    server.now = AS_OF - timedelta(days=5)
    part = all_records(f"{server.url}/erp/changes?limit=1000", "value")
    assert 0 < len(part) < len(whole)
    assert part == whole[: len(part)]
    server.now = lambda: AS_OF
    assert all_records(f"{server.url}/erp/changes?limit=1000", "value") == whole


def test_the_portal_says_not_modified_to_a_known_etag(server: Server) -> None:
    status, headers, body = ask(f"{server.url}/portal/activity?limit=50")
    assert status == 200
    assert body["items"]
    status, _, nothing = ask(
        f"{server.url}/portal/activity?limit=50", **{"If-None-Match": headers["ETag"]}
    )
    assert (status, nothing) == (304, None)
    server.now = AS_OF - timedelta(days=20)
    status, _, _ = ask(
        f"{server.url}/portal/activity?limit=50", **{"If-None-Match": headers["ETag"]}
    )
    assert status == 200


def test_planned_outages_are_refusals(town: World, server: Server) -> None:
    (outage,) = [o for o in town.outages if o.door == "erp"]
    server.now = outage.start + timedelta(minutes=1)
    assert ask(f"{server.url}/erp/changes")[0] == 503
    assert ask(f"{server.url}/portal/activity")[0] == 200
    server.now = outage.end
    assert ask(f"{server.url}/erp/changes")[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/erp/changes?limit=x", "/erp/changes?changed_since=yesterday", "/portal/activity?limit=0"],
)
def test_nonsense_is_refused(server: Server, path: str) -> None:
    assert ask(server.url + path)[0] == 400


def test_unknown_addresses_are_not_found(server: Server) -> None:
    assert ask(f"{server.url}/elsewhere")[0] == 404


def test_queue_statistics_have_the_shape_of_the_management_api(server: Server) -> None:
    _, _, plain = ask(f"{server.url}/api/queues")
    _, _, paged = ask(f"{server.url}/api/queues/detailed?page=1&page_size=5")
    assert [q["name"] for q in paged["items"]] == [q["name"] for q in plain[:5]]
    assert (paged["page_count"], paged["total_count"]) == (-(-len(plain) // 5), len(plain))
    for queue in plain:
        total = queue["messages_ready"] + queue["messages_unacknowledged"]
        assert queue["messages"] == total
    if not SAMPLE.exists():
        pytest.skip(f"{SAMPLE} is not here: the shape is not compared with a real answer")
    real = json.loads(SAMPLE.read_text())[0]
    used = next(q for q in plain if "message_stats" in q)
    assert set(used) <= set(real)
    assert set(used["message_stats"]) <= set(real["message_stats"])


def test_totals_alone_come_without_statistics(server: Server) -> None:
    _, _, body = ask(
        f"{server.url}/api/queues?disable_stats=true&enable_queue_totals=true&page=1&page_size=500"
    )
    assert all("message_stats" not in q and "consumers" not in q for q in body["items"])
    assert any(q["messages"] for q in body["items"])


def test_a_queue_that_was_never_used_has_no_statistics(server: Server) -> None:
    _, _, queues = ask(f"{server.url}/api/queues/detailed")
    unused = next(q for q in queues if q["name"] == "wms.west.dlq")
    assert "message_stats" not in unused
    assert unused["messages"] == 0


def test_answers_that_hang_lie_in_the_queue_of_dead_letters(town: World, server: Server) -> None:
    stay = next(s for s in town.stays if s.start < AS_OF)
    for at, expected in ((stay.start - timedelta(seconds=1), 0), (stay.start, 1)):
        server.now = at
        _, _, queues = ask(f"{server.url}/api/queues/detailed")
        depth = next(q["messages_ready"] for q in queues if q["name"] == stay.queue)
        others = sum(s.start <= at and (s.end is None or s.end > at) for s in town.stays) - expected
        assert depth == others + expected


def test_an_outage_piles_up_and_drains(town: World, server: Server) -> None:
    (backlog,) = [b for b in town.backlogs if b.queue == "erp.posting"]
    depths = []
    for at in (backlog.start, backlog.end, backlog.end + timedelta(hours=2)):
        server.now = at
        _, _, queues = ask(f"{server.url}/api/queues/detailed")
        depths.append(next(q["messages_ready"] for q in queues if q["name"] == "erp.posting"))
    assert depths[1] > depths[0] + 40
    assert depths[2] < depths[1] - 20
