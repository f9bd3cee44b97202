"""Polled services: paging, stamps, caching. Faults and kills are in the kit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from collectors.registry import interpret, reader_for
from tests.collectors.worlds import Service, as_json, network
from tower.errors import AccessDenied, ConfigError, SourceThrottled, SourceUnavailable
from tower.event import TimeQuality
from tower.network import Network
from tower.raw import Batch, Budget, Mark

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
Reply = tuple[int, dict[str, str], bytes]
MAPPING = """
mappings:
  held:
    format: json
    records: items
    emit: [{event: po.held, time: changed, fields: {po: po, supplier: "=ACME"}}]
"""


class Scripted(Service):
    """Answers as a function of path and query says."""

    def __init__(self, reply: Callable[[str, Mapping[str, str], Mapping[str, str]], Reply]) -> None:
        super().__init__()
        self._reply = reply

    def respond(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        return self._reply(path, query, headers)


class Polled:
    """A source that is polled as the worker does."""

    def __init__(self, service: Service, options: str, mapping: str = MAPPING, **more: str) -> None:
        extra = "".join(f", {key}: {value}" for key, value in more.items())
        format_ = "cloudevents" if not mapping else "json"
        named = ", mapping: held" if mapping else ""
        self.net: Network = network(
            f"sources:\n  feed: {{kind: rest, format: {format_}, system: erp{named}{extra}, "
            f"options: {{url: '{service.url}/list?fixed=1', {options}}}}}",
            mapping,
        )
        self.service = service
        self.reader = self.new()
        self.mark: Mark | None = None
        self.now = NOW

    def new(self) -> Any:
        return reader_for("feed", self.net.sources["feed"], self.net, {})

    def read(self, **budget: Any) -> list[Batch]:
        self.now += timedelta(minutes=1)
        batches = []
        for batch in self.reader.read(self.mark, Budget(**budget), self.now):
            self.mark = batch.mark
            self.reader.settle(batch)
            batches.append(batch)
        return batches

    def bodies(self, **budget: Any) -> list[Any]:
        return [orjson.loads(raw.body) for batch in self.read(**budget) for raw in batch.raws]

    def queries(self) -> list[dict[str, str]]:
        found = [
            {k: v[-1] for k, v in parse_qs(urlsplit(path).query).items()}
            for path in self.service.asked
        ]
        self.service.asked.clear()
        return found


@contextmanager
def scripted(
    reply: Callable[[str, Mapping[str, str], Mapping[str, str]], Reply],
) -> Iterator[Scripted]:
    service = Scripted(reply)
    try:
        yield service
    finally:
        service.close()


def page(*numbers: int, changed: str = "2026-03-27T10:00:00Z", **more: Any) -> Reply:
    items = [{"po": str(n), "changed": changed} for n in numbers]
    return 200, {"content-type": "application/json"}, as_json({"items": items, **more})


def test_the_stamp_of_the_source_less_the_overlap_is_asked_from() -> None:
    stamps = iter(["2026-03-27T10:00:00Z", "2026-03-27T11:00:00.5+02:00", "2026-03-27T11:30:00Z"])

    def reply(path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        return page(1, changed=next(stamps))

    with scripted(reply) as service:
        polled = Polled(service, "query: {since: '{since}'}, stamp: changed, overlap: 5m")
        for _ in range(3):
            polled.read()
        assert polled.queries() == [
            {"fixed": "1"},
            {"fixed": "1", "since": "2026-03-27T09:55:00Z"},
            # 11:00 in +02:00 is before what was known: the greatest stamp stays.
            {"fixed": "1", "since": "2026-03-27T09:55:00Z"},
        ]
        assert polled.mark is not None
        assert polled.mark.value["since"] == "2026-03-27T11:30:00Z"


def test_a_stamp_without_zone_is_asked_for_without_zone() -> None:
    with scripted(lambda *_: page(1, changed="2026-03-27T10:00:00")) as service:
        polled = Polled(
            service, "query: {since: '{since}'}, stamp: changed", zone="America/New_York"
        )
        polled.read()
        batch = polled.read()[0]
        assert polled.queries()[1]["since"] == "2026-03-27T09:50:00"
        assert batch.heartbeat is not None
        assert batch.heartbeat.newest == datetime(2026, 3, 27, 14, 0, tzinfo=UTC)


def test_numbers_of_changes_are_stamps_without_overlap() -> None:
    with scripted(lambda *_: page(1, changed="0900", seq=9)) as service:
        polled = Polled(service, "query: {after: '{since}'}, stamp: po, since_initial: '0'")
        polled.read()
        polled.read()
        assert [q["after"] for q in polled.queries()] == ["0", "1"]


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ("paging: page, page_size: 2, query: {p: '{page}', n: '{page_size}'}", "p"),
        ("paging: page, first_page: 0, page_size: 2, query: {p: '{page}'}", "p"),
        ("paging: cursor, next: meta.next, query: {c: '{cursor}'}", "c"),
        ("paging: link, next: '@odata.nextLink'", "at"),
        ("paging: link", "at"),
    ],
)
def test_every_way_of_paging_brings_every_record_once(options: str, query: str) -> None:
    first = 0 if "first_page" in options else 1

    def reply(path: str, asked: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        n = int(asked.get(query, first)) - (first if query == "p" else 1)
        more: dict[str, Any] = {}
        if n < 2:
            more = {"meta": {"next": n + 2}, "@odata.nextLink": f"/list?at={n + 2}"}
        numbers = [n * 2, n * 2 + 1] if n < 2 else [4]
        status, sent, body = page(*numbers, **more)
        if n < 2 and "next:" not in options:
            sent["Link"] = f'</a>; rel="prev", </list?at={n + 2}>; rel="next"'
        return status, sent, body

    with scripted(reply) as service:
        polled = Polled(service, options)
        batches = polled.read()
        found = [orjson.loads(raw.body)["po"] for batch in batches for raw in batch.raws]
        assert found == ["0", "1", "2", "3", "4"]
        assert [batch.heartbeat is not None for batch in batches] == [False, False, True]
        assert batches[-1].heartbeat is not None
        assert batches[-1].heartbeat.complete_to == NOW + timedelta(minutes=1)


def test_a_pass_goes_on_where_the_budget_ended_and_is_complete_to_its_start() -> None:
    def reply(path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        n = int(query.get("c", "0"))
        return page(n, **({"next": n + 1} if n < 4 else {}))

    with scripted(reply) as service:
        polled = Polled(service, "paging: cursor, next: next, query: {c: '{cursor}'}")
        seen: list[str] = []
        beats = []
        for _ in range(5):
            polled.reader = polled.new()
            batches = polled.read(messages=1)
            seen += [orjson.loads(raw.body)["po"] for b in batches for raw in b.raws]
            beats += [b.heartbeat for b in batches if b.heartbeat]
        assert seen == ["0", "1", "2", "3", "4"]
        (beat,) = beats
        assert beat.complete_to == NOW + timedelta(minutes=1)
        assert beat.seen_at == NOW + timedelta(minutes=5)


def test_a_page_that_is_not_known_any_more_begins_the_pass_again() -> None:
    state = {"lost": False}

    def reply(path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        if query.get("c") and state["lost"]:
            state["lost"] = False
            return 410, {}, b"gone"
        n = int(query.get("c", "0"))
        return page(n, **({"next": n + 1} if n < 1 else {}))

    with scripted(reply) as service:
        polled = Polled(service, "paging: cursor, next: next, query: {c: '{cursor}'}")
        polled.read(messages=1)
        state["lost"] = True
        batches = polled.read()
        assert [orjson.loads(raw.body)["po"] for b in batches for raw in b.raws] == ["1"]
        assert batches[-1].heartbeat is not None


def test_a_page_larger_than_the_budget_is_cut_and_read_again_after_a_kill() -> None:
    with scripted(lambda *_: page(*range(7))) as service:
        polled = Polled(service, "timeout: 5s")
        batches = list(polled.reader.read(None, Budget(messages=3), NOW))
        assert [len(batch.raws) for batch in batches] == [3, 3, 1]
        assert [batch.mark for batch in batches[:2]] == [batches[0].mark] * 2
        # The process dies after the first part: nothing but that part is known.
        polled.mark = batches[0].mark
        polled.reader = polled.new()
        polled.reader.settle(batches[0])
        assert [body["po"] for body in polled.bodies(messages=3)] == ["3", "4", "5", "6"]


def test_an_unchanged_list_is_asked_for_by_its_etag_and_beats() -> None:
    tags = []

    def reply(path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        tags.append(headers.get("if-none-match"))
        if tags[-1] == '"v1"':
            return 304, {}, b""
        status, sent, body = page(1)
        return status, {**sent, "ETag": '"v1"'}, body

    with scripted(reply) as service:
        polled = Polled(service, "timeout: 5s")
        assert len(polled.bodies()) == 1
        (batch,) = polled.read()
        assert tags == [None, '"v1"']
        assert batch.raws == ()
        assert batch.heartbeat is not None
        assert batch.heartbeat.complete_to == polled.now


def test_records_that_did_not_change_are_not_brought_again_but_changed_ones_are() -> None:
    state = {"note": "a"}

    def reply(path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        items = [{"po": "1"}, {"po": "2", "note": state["note"]}]
        return 200, {}, as_json({"items": items})

    with scripted(reply) as service:
        polled = Polled(service, "timeout: 5s")
        assert len(polled.bodies()) == 2
        assert polled.bodies() == []
        state["note"] = "b"
        assert polled.bodies() == [{"po": "2", "note": "b"}]
        polled.reader = polled.new()  # after a restart they come again, and are known by their key
        assert len(polled.bodies()) == 2


def test_the_time_between_two_polls_is_kept_where_the_source_gives_no_time() -> None:
    mapping = MAPPING.replace("time: changed, ", "")
    numbers = iter([1, 2])
    with scripted(lambda *_: page(next(numbers))) as service:
        polled = Polled(service, "timeout: 5s", mapping)
        polled.read()
        (raw,) = polled.read()[0].raws
        assert raw.headers["polled-from"] == (NOW + timedelta(minutes=1)).isoformat()
        assert raw.headers["polled-to"] == (NOW + timedelta(minutes=2)).isoformat()
        event = interpret(raw, polled.net).events[0]
        assert event.time_quality is TimeQuality.OBSERVED
        assert event.occurred_at == NOW + timedelta(minutes=2)


def test_a_body_that_is_the_record_itself_is_kept_as_it_came() -> None:
    body = b'{ "po" : "1",  "changed" : "2026-03-27T10:00:00Z" }\n'
    mapping = MAPPING.replace("    records: items\n", "")
    with scripted(lambda *_: (200, {}, body)) as service:
        polled = Polled(service, "timeout: 5s", mapping)
        (raw,) = polled.read()[0].raws
        assert raw.body == body
        assert "rendered" not in raw.headers
        assert len(interpret(raw, polled.net).events) == 1


@pytest.mark.parametrize(
    "body", [b"<html>We are back soon</html>", b'{"items": [', b'{"nothing": 1}', b"", b"[NaN]"]
)
def test_a_body_that_cannot_be_read_is_kept_and_the_source_is_down(body: bytes) -> None:
    with scripted(lambda *_: (200, {"content-type": "text/html"}, body)) as service:
        polled = Polled(service, "timeout: 5s")
        batches = polled.reader.read(polled.mark, Budget(), NOW)
        batch = next(batches)
        with pytest.raises(SourceUnavailable, match="dead letter"):
            next(batches)
        assert batch.heartbeat is None
        assert [raw.body for raw in batch.raws] == [body]
        assert interpret(batch.raws[0], polled.net).dead_letters


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("17", 17.0), ("Fri, 27 Mar 2026 12:05:00 GMT", 240.0), (None, 60.0), ("soon", 60.0)],
)
def test_a_source_that_asks_to_wait_is_given_the_time_it_asks_for(
    header: str | None, seconds: float
) -> None:
    sent = {"Retry-After": header} if header else {}
    with scripted(lambda *_: (429, sent, b"")) as service:
        polled = Polled(service, "timeout: 5s")
        with pytest.raises(SourceThrottled) as caught:
            polled.read()
        assert caught.value.retry_after_s == seconds


def test_a_link_that_leads_elsewhere_is_not_followed() -> None:
    with scripted(lambda *_: page(1, next="http://169.254.169.254/latest")) as service:
        polled = Polled(service, "paging: link, next: next")
        with pytest.raises(AccessDenied, match="not the address in network"):
            polled.read()
        assert len(service.asked) == 1


def test_a_source_that_names_the_same_page_for_ever_is_stopped() -> None:
    with scripted(lambda *_: page(1, next="same")) as service:
        polled = Polled(service, "paging: cursor, next: next, query: {c: '{cursor}'}")
        with pytest.raises(ConfigError, match="again and again"):
            polled.read()
        assert len(service.asked) == 2


def test_a_missing_secret_says_which_variable_to_set() -> None:
    with (
        scripted(lambda *_: page(1)) as service,
        pytest.raises(ConfigError, match="Set ERP_TOKEN, or ERP_TOKEN_FILE"),
    ):
        Polled(service, "auth_variable: ERP_TOKEN")


def test_events_that_are_polled_are_known_by_their_own_id() -> None:
    event = {"specversion": "1.0", "id": "7", "source": "/portal", "type": "po.held",
             "data": {"po": "1", "supplier": "ACME"}}  # fmt: skip
    with scripted(lambda *_: (200, {}, as_json([event]))) as service:
        polled = Polled(service, "timeout: 5s", mapping="")
        (raw,) = polled.read()[0].raws
        assert raw.key == "/portal 7"
        assert interpret(raw, polled.net).events[0].type == "po.held"
