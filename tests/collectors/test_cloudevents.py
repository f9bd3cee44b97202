"""CloudEvents 1.0: valid and invalid envelopes; single, in batches and in headers."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.cloudevents import BATCH, STRUCTURED, document, unpack
from collectors.cloudevents_envelope import from_binary, from_structured
from collectors.registry import interpret
from tests.collectors.conformance import INTERPRETER_CHECKS as CHECKS
from tests.collectors.conformance import START, Tower, World, collector_conformance
from tests.collectors.worlds import network
from tower.errors import PayloadRejected
from tower.event import TimeQuality
from tower.network import Network
from tower.raw import Batch, Budget, Heartbeat, Interpretation, Mark

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
SAMPLES = (
    Path(__file__).resolve().parents[3]
    / "shared/data/logs_metrics/cloudevents-conformance/format/json/valid-events.json"
)
SOURCES = """
sources:
  feed:
    kind: push
    format: cloudevents
    system: erp
    channel: api
    options: {type_prefix: com.example.}
"""


@pytest.fixture(scope="module")
def net() -> Network:
    return network(SOURCES)


def minimal(**changes: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "1", "source": "/erp", "type": "t", **changes}


def released(**changes: Any) -> dict[str, Any]:
    return minimal(
        type="com.example.po.released.v1",
        time="2026-03-27T10:00:00Z",
        data={
            "po": "4500",
            "supplier": "17300001",
            "lines": [{"line": 10, "item": "A", "qty": 2.5, "price": "12.50"}],
        },
        **changes,
    )


def read(net: Network, event: Any, **headers: str) -> Interpretation:
    parcel = unpack("feed", orjson.dumps(event), {"content-type": STRUCTURED, **headers}, NOW)
    return interpret(parcel.raws[0], net)


# --- the envelope ---------------------------------------------------------------------------------


@pytest.mark.skipif(not SAMPLES.exists(), reason="the public samples are not here")
def test_every_valid_event_of_the_public_samples_is_accepted(net: Network) -> None:
    tests = json.loads(SAMPLES.read_bytes())["tests"]
    assert len(tests) == 10
    for test in tests:
        parcel = unpack("feed", orjson.dumps(test["event"]), {"content-type": STRUCTURED}, NOW)
        assert not parcel.broken, test["id"]
        reading = interpret(parcel.raws[0], net)
        assert not reading.dead_letters, test["id"]
        assert [f.code for f in reading.findings] == ["unsupported"], test["id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": None, "time": None, "dataschema": None, "datacontenttype": None},
        {"source": "#fragment"},
        {"source": "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"},
        {"source": "//authority/path?q=1"},
        {"time": "2018-04-05T17:31:00.123456789+01:00"},
        {"time": "2016-12-31T23:59:60Z"},
        {"time": "2018-04-05t17:31:00z"},
        {"datacontenttype": "application/json; charset=utf-8", "data": {}},
        {"datacontenttype": "text/plain", "data": "text"},
        {"data_base64": "TWE="},
        {"data": [1, 2.5, None, {"a": {}}]},
        {"ext": 2147483647},
        {"ext": -2147483648},
        {"ext": True},
        {"ext": ""},
        {"averylongextensionattributename": "x"},
        {"dataschema": "https://example.com/schema#1"},
    ],
)
def test_valid_envelopes_are_accepted(changes: dict[str, Any]) -> None:
    envelope = from_structured(minimal(**changes))
    assert (envelope.id, envelope.source, envelope.type) == ("1", minimal(**changes)["source"], "t")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"specversion": None}, "specversion is missing"),
        ({"specversion": "0.3"}, '"0.3" is not 1.0'),
        ({"specversion": 1.0}, "specversion"),
        ({"id": None}, "id is missing"),
        ({"id": ""}, "id is not a text with"),
        ({"id": 7}, "id is not a text"),
        ({"source": None}, "source is missing"),
        ({"source": ""}, "source is not a text with"),
        ({"source": "two words"}, "source"),
        ({"source": "%zz"}, "source"),
        ({"source": "a#b#c"}, "source"),
        ({"type": None}, "type is missing"),
        ({"type": ""}, "type is not a text with"),
        ({"type": True}, "type is not a text"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2018-04-05"}, "time"),
        ({"time": "2018-04-05T17:31:00"}, "time"),
        ({"time": "2018-13-05T17:31:00Z"}, "time"),
        ({"time": 1700000000}, "time is not a text"),
        ({"time": ""}, "time is not a text with"),
        ({"subject": ""}, "subject is not a text with"),
        ({"subject": 5}, "subject is not a text"),
        ({"dataschema": ""}, "dataschema"),
        ({"dataschema": "relative"}, "dataschema is not an absolute URI"),
        ({"datacontenttype": ""}, "datacontenttype"),
        ({"datacontenttype": "json"}, "is not a media type"),
        ({"datacontenttype": 1}, "datacontenttype"),
        ({"ext": 1.5}, "neither text, whole number nor truth value"),
        ({"ext": 2147483648}, "outside the whole numbers of 32 bits"),
        ({"ext": ["x"]}, "neither text"),
        ({"ext": {"a": "x"}}, "neither text"),
        ({"Ext": "x"}, "other signs than a-z and 0-9"),
        ({"my_ext": "x"}, "other signs than a-z and 0-9"),
        ({"my-ext": "x"}, "other signs than a-z and 0-9"),
        ({"": "x"}, "other signs than a-z and 0-9"),
        ({"ext": "a\nb"}, "control characters"),
        ({"ext": "\ufffe"}, "control characters"),
        ({"id": "x" * 5000}, "5,000 characters"),
        ({"data": 1, "data_base64": "TWE="}, "both there"),
        ({"data_base64": "***"}, "not base64"),
        ({"data_base64": {"a": 1}}, "data_base64 is not a text"),
    ],
)
def test_invalid_envelopes_are_refused_with_the_cause(
    net: Network, changes: dict[str, Any], said: str
) -> None:
    event = {k: v for k, v in minimal(**changes).items() if v is not None}
    with pytest.raises(PayloadRejected) as caught:
        from_structured(event)
    assert caught.value.code == "invalid_envelope"
    assert said in str(caught.value)
    parcel = unpack("feed", orjson.dumps(event), {"content-type": STRUCTURED}, NOW)
    assert said in parcel.broken
    assert parcel.raws[0].body == orjson.dumps(event)  # kept
    reading = interpret(parcel.raws[0], net)
    assert [letter.code for letter in reading.dead_letters] == ["invalid_envelope"]


@pytest.mark.parametrize("value", [[], "x", 1, None, True])
def test_what_is_no_object_is_no_event(value: Any) -> None:
    with pytest.raises(PayloadRejected, match="no JSON object"):
        from_structured(value)


ATTRIBUTES = ("id", "subject", "time", "datacontenttype", "ext", "exttwo", "Bad", "data")
GIVEN = st.one_of(
    st.text(max_size=5),
    st.sampled_from(["2026-03-27T10:00:00.123456+00:00", "a/b", "a\x7f", "x" * 5000, "\ufffe"]),
    st.integers(-(2**33), 2**33),
    st.booleans(),
    st.lists(st.integers(), max_size=1),
)


@given(st.dictionaries(st.sampled_from(ATTRIBUTES), GIVEN))
def test_an_envelope_is_read_alike_at_one_glance_and_attribute_by_attribute(
    changes: dict[str, Any],
) -> None:
    event = minimal(**changes)
    # An attribute without a value counts as absent, and makes every other be looked at by itself.
    slow = {**event, "nothing": None}
    try:
        expected = from_structured(slow)
    except PayloadRejected as error:
        with pytest.raises(PayloadRejected) as caught:
            from_structured(event)
        assert str(caught.value) == str(error)  # noqa: PT017
    else:
        assert from_structured(event) == expected


def test_extensions_are_written_as_texts(net: Network) -> None:
    given = minimal(a=True, b=7, c="", d="x", e=None, f=False)
    assert from_structured(given).extensions == {"a": "true", "b": "7", "d": "x", "f": "false"}
    assert from_structured(minimal(d="x", c="y")).extensions == {"d": "x", "c": "y"}
    assert from_structured(minimal(d="x", c="")).extensions == {"d": "x"}


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("2026-03-27T10:00:00.5Z", datetime(2026, 3, 27, 10, 0, 0, 500_000, UTC)),
        ("2026-03-27T10:00:00.123Z", datetime(2026, 3, 27, 10, 0, 0, 123_000, UTC)),
        ("2026-03-27T10:00:00.123456789Z", datetime(2026, 3, 27, 10, 0, 0, 123_456, UTC)),
        ("2026-03-27t11:00:00+01:00", datetime(2026, 3, 27, 10, 0, tzinfo=UTC)),
        ("2026-03-27T11:00:00.000001+01:00", datetime(2026, 3, 27, 10, 0, 0, 1, UTC)),
        ("2026-03-27T23:59:60Z", datetime(2026, 3, 27, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_times_of_every_precision_are_utc(said: str, moment: datetime) -> None:
    found = from_structured(minimal(time=said)).time
    assert found == moment
    assert found is not None
    assert found.tzinfo is UTC


def test_events_that_need_no_change_share_one_origin(net: Network) -> None:
    data = {"po": "1", "erp": "main", "supplier": "ACME", "lines": [{"line": "10"}]}
    one = read(net, minimal(type="po.released", data=data))
    two = read(net, minimal(type="po.released", id="2", data={**data, "buyer": "kim"}))
    assert one.events[0].data == data
    assert one.origins is two.origins
    assert [(o.field, o.element) for o in one.origins[0]] == [("*", "$.data.*")]
    changed = read(net, minimal(type="po.released", data={**data, "po": 1}))
    assert {o.field: o.how for o in changed.origins[0]} == {"*": "copied"}
    assert changed.events[0].data == data


# --- what an event becomes ------------------------------------------------------------------------


def test_prefix_and_version_are_cut_off_and_the_data_brought_into_form(net: Network) -> None:
    reading = read(
        net,
        released(
            correlationid="flow-1",
            causationid="cause-1",
            carries="set/1 group/1",
            answers="m-1",
            recordedtime="2026-03-27T10:00:05Z",
            channel="portal",
            timequality="date",
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    )
    event = reading.events[0]
    assert event.type == "po.released"
    assert event.data == {
        "po": "4500",
        "erp": "main",
        "supplier": "ACME",
        "lines": [{"line": "10", "item": "A", "qty": "2.5", "price": "12.5"}],
    }
    assert (event.partner, event.system, event.channel) == ("ACME", "erp", "portal")
    assert event.occurred_at == datetime(2026, 3, 27, 10, 0, tzinfo=UTC)
    assert event.recorded_at == datetime(2026, 3, 27, 10, 0, 5, tzinfo=UTC)
    assert event.time_quality is TimeQuality.DATE
    assert (event.correlation_id, event.causation_id) == ("flow-1", "cause-1")
    assert (event.carries, event.answers) == (("set/1", "group/1"), ("m-1",))
    places = {o.field: (o.element, o.how) for o in reading.origins[0]}
    assert "lines[0].item" not in places  # stands where the next says
    assert places["*"] == ("$.data.*", "copied")
    assert places["lines[0].price"] == ("$.data.lines[0].price", "converted")
    assert places["supplier"] == ("$.data.supplier", "looked_up")
    assert places["erp"][1] == "default"


def test_without_a_correlation_id_the_trace_is_evidence(net: Network) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    event = read(net, released(traceparent=f"00-{trace}-b7ad6b7169203331-01")).events[0]
    assert event.correlation_id == trace
    empty = read(net, released(traceparent=f"00-{'0' * 32}-b7ad6b7169203331-01")).events[0]
    assert empty.correlation_id is None


def test_without_a_time_the_time_of_receipt_is_marked_as_observed(net: Network) -> None:
    event = released()
    del event["time"]
    found = read(net, event).events[0]
    assert (found.occurred_at, found.time_quality) == (NOW, TimeQuality.OBSERVED)


def test_the_same_id_of_two_senders_is_two_events(net: Network) -> None:
    one, other = read(net, released()), read(net, released() | {"source": "/platform"})
    assert one.events[0].id != other.events[0].id
    again = interpret(
        unpack("feed", orjson.dumps([released()]), {"content-type": BATCH}, NOW).raws[0], net
    )
    assert again.events[0].id == one.events[0].id


def test_a_held_answer_is_a_message_as_in_every_format(net: Network) -> None:
    answer = minimal(
        type="po.acknowledged", data={"po": "1", "supplier": "ACME", "answer": "on_hold"}
    )
    reading = read(net, answer)
    assert reading.events[0].type == "message.received"
    assert [f.code for f in reading.findings] == ["hold_only"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"data": None}, "bad_value"),
        ({"data": "text"}, "bad_value"),
        ({"data": []}, "bad_value"),
        ({"data": {}}, "missing_key"),
        ({"data": {"po": "1", "supplier": "Ghost"}}, "unknown_partner"),
        ({"data": {"po": "1", "supplier": "ACME"}, "partner": "BOLT"}, "wrong_partner"),
        ({"data": {"po": "1", "supplier": "ACME", "lines": "x"}}, "bad_value"),
        ({"data": {"po": "1", "supplier": "ACME", "lines": ["x"]}}, "bad_value"),
        ({"data": {"po": {"a": 1}, "supplier": "ACME"}}, "bad_value"),
        ({"data": None, "data_base64": base64.b64encode(b"{").decode()}, "truncated"),
        (
            {"data": None, "data_base64": "TWE=", "datacontenttype": "text/plain"},
            "bad_value",
        ),
    ],
)
def test_data_that_cannot_be_used_become_a_dead_letter_and_no_broken_envelope(
    net: Network, changes: dict[str, Any], code: str
) -> None:
    event = released() | changes
    assert not unpack("feed", orjson.dumps(event), {"content-type": STRUCTURED}, NOW).broken
    reading = read(net, event)
    assert [letter.code for letter in reading.dead_letters] == [code]
    assert not reading.events


def test_data_in_base64_are_read(net: Network) -> None:
    event = released()
    event["data_base64"] = base64.b64encode(orjson.dumps(event.pop("data"))).decode()
    assert read(net, event).events[0].data["po"] == "4500"


def test_a_partner_may_only_speak_for_itself() -> None:
    own = network(SOURCES.replace("system: erp", "system: erp\n    partner: BOLT"))
    reading = read(own, released())
    assert [letter.code for letter in reading.dead_letters] == ["wrong_partner"]
    assert reading.dead_letters[0].partner == "BOLT"


# --- pushes ---------------------------------------------------------------------------------------


def test_each_event_of_a_batch_is_a_message_with_its_own_bytes(net: Network) -> None:
    parts = [
        b'{ "specversion":"1.0","id":"1","source":"/a","type":"x", "text":"\xc3\xa4"}',
        b'{"id":"no envelope"}',
        b"17",
    ]
    body = b"\xef\xbb\xbf [ " + b" ,\n ".join(parts) + b"] \n"
    parcel = unpack("feed", body, {"Content-Type": BATCH + "; charset=utf-8"}, NOW)
    assert [raw.body for raw in parcel.raws] == parts
    assert not parcel.broken
    assert parcel.raws[0].key == "/a 1"
    codes = [[x.code for x in interpret(raw, net).dead_letters] for raw in parcel.raws]
    assert codes == [[], ["invalid_envelope"], ["invalid_envelope"]]
    assert unpack("feed", b"[]", {"content-type": BATCH}, NOW).raws == ()


@pytest.mark.parametrize(
    "body",
    [b"[", b"[{}", b"[{},", b"[{},]", b"[{} {}]", b"[{}]x", b"{}", b"", b"[\xff]", b"[" * 100_000],
)
def test_a_broken_batch_is_kept_whole_and_refused(net: Network, body: bytes) -> None:
    parcel = unpack("feed", body, {"content-type": BATCH}, NOW)
    assert parcel.broken
    assert [raw.body for raw in parcel.raws] == [body]
    assert interpret(parcel.raws[0], net).dead_letters


def test_attributes_in_headers_are_read(net: Network) -> None:
    body = orjson.dumps(released()["data"])
    headers = {
        "Ce-Specversion": "1.0",
        "ce-id": "%C3%A4%201",
        "ce-source": "/erp",
        "ce-type": "com.example.po.released",
        "ce-correlationid": '"flow \\"1\\""',
        "Content-Type": "application/json",
        "Authorization": "Bearer hidden",
        "partner": "BOLT",
        "Rendered": "json",
    }
    parcel = unpack("feed", body, headers, NOW)
    assert not parcel.broken
    raw = parcel.raws[0]
    assert raw.key == "/erp ä 1"
    assert raw.body == body
    assert set(raw.headers) == {"content-type", "ce-specversion", "ce-id", "ce-source", "ce-type",
                                "ce-correlationid"}  # fmt: skip
    event = interpret(raw, net).events[0]
    assert (event.correlation_id, event.partner) == ('flow "1"', "ACME")


@pytest.mark.parametrize(
    "headers",
    [
        {"ce-id": "1", "ce-source": "/a", "ce-type": "t"},
        {"ce-specversion": "1.0", "ce-id": "%ff", "ce-source": "/a", "ce-type": "t"},
        {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "t", "ce-a_b": "x"},
    ],
)
def test_bad_headers_are_a_broken_envelope(headers: dict[str, str]) -> None:
    with pytest.raises(PayloadRejected):
        from_binary(headers, b"{}")
    assert unpack("feed", b"{}", headers, NOW).broken


def test_a_document_is_known_by_its_senders_id_or_its_bytes() -> None:
    one = document("feed", b"ISA", {"Content-Type": "application/edi-x12", "Cookie": "c"}, NOW)
    assert (one.media_type, set(one.headers)) == ("application/edi-x12", {"content-type"})
    assert one.key == document("feed", b"ISA", {}, NOW).key
    assert one.key != document("feed", b"IEA", {}, NOW).key
    own = document("feed", b"ISA", {"Webhook-Id": "msg_1", "ce-id": "x"}, NOW)
    assert own.key == "msg_1"
    assert set(own.headers) == {"webhook-id"}
    long = document("feed", b"ISA", {"idempotency-key": "k" * 5000}, NOW)
    assert len(long.key) < 200


@given(st.binary(max_size=300), st.sampled_from([STRUCTURED, BATCH, "", "application/json"]))
def test_no_bytes_make_unpacking_or_reading_raise(body: bytes, kind: str) -> None:
    parcel = unpack("feed", body, {"content-type": kind}, NOW)
    for raw in parcel.raws:
        reading = interpret(raw, network(SOURCES))
        assert all(letter.code != "crash" for letter in reading.dead_letters)


# --- the conformance kit --------------------------------------------------------------------------


SENT = {"content-type": STRUCTURED}


class _Given:
    """Hands over what was pushed, so that the kit can be applied to a source that is not read."""

    def __init__(self, world: PushWorld) -> None:
        self._world = world

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Any:
        raws = tuple(
            raw
            for n in self._world.pushed
            for raw in unpack("feed", self._world.content(n), SENT, now).raws
        )
        yield Batch("feed", raws, heartbeat=Heartbeat("feed", now, now), mark=Mark(1, {}))

    def settle(self, batch: Batch) -> None:
        self._world.pushed.clear()


class PushWorld(World):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.pushed: list[int] = []

    def network(self) -> Network:
        return network(SOURCES)

    def reader(self) -> Any:
        return _Given(self)

    def content(self, n: int) -> bytes:
        return orjson.dumps(released() | {"id": str(n)})

    def put(self, n: int) -> None:
        self.pushed.append(n)


test_events = collector_conformance(PushWorld, *CHECKS)


def test_pushing_the_same_event_again_is_a_repetition(tmp_path: Path) -> None:
    world = PushWorld(tmp_path)
    tower = Tower(world)
    for n in (1, 2, 1):
        world.put(n)
        tower.read()
    assert (len(tower.ledger), tower.sightings) == (2, 1)
    assert tower.now > START
