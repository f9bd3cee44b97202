"""Subscribers over real HTTP: signed, tried again, given up, and not lost by a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from collectors.webhook_signature import Unsigned, check, signed_headers
from db import configuration, subscriptions
from db.tables import subscription, subscription_delivery
from tests.worker.conftest import House, berlin
from tests.worker.http_sink import HttpSink
from tower.feeds import PushOptions
from tower.subscriptions import RETRIES, NotASubscription, Subscription
from tower.subscriptions import check as check_words
from worker.subscriptions import deliver_due, send_test

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = berlin("03-30 14:00")
INSIDE = ("127.0.0.0/8",)


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    made = HttpSink()
    made.open()
    yield made
    made.close()


def subscribe(
    engine: Engine, url: str, *types: str, name: str = "erp", networks: Sequence[str] = INSIDE,
    partner: str | None = None,
) -> Subscription:  # fmt: skip
    with engine.begin() as conn:
        return subscriptions.add(
            conn, name=name, url=url, types=types, partner=partner, secret_variable="HOOK",
            networks=networks, by="kim", now=NOW,
        )  # fmt: skip


def deliver(engine: Engine, after: timedelta = timedelta(0), secret: str = SECRET) -> int:
    return deliver_due(engine, lambda: NOW + after, {"HOOK": secret}, lambda: 0.5)


def released(house: House, number: str) -> None:
    house.released(number, "03-30 08:00")


def states(engine: Engine) -> list[str]:
    with engine.connect() as conn:
        d = subscription_delivery.c
        return list(conn.execute(select(d.state).order_by(d.id)).scalars())


def told(sink: HttpSink) -> list[Any]:
    return [json.loads(body) for _, _, body in sink.calls]


def signed(head: dict[str, str], body: bytes, *secrets: str) -> None:
    now = datetime.fromtimestamp(int(head["webhook-timestamp"]), UTC)
    check(PushOptions(signature="standard", secret_variable="X"), secrets, head, body, now)


def test_events_and_cases_reach_their_subscriber_signed_once(
    engine: Engine, house: House, sink: HttpSink
) -> None:
    subscribe(engine, sink.url, "po.released", "case.*")
    with engine.begin() as conn:
        configuration.store_partners(conn, house.network)
    house.released("4711", "03-30 08:00")
    house.live("03-30 13:00")
    assert deliver(engine) == len(sink.calls) >= 2
    assert deliver(engine) == 0
    assert set(states(engine)) == {"delivered"}
    event, case = told(sink)[0], told(sink)[1]
    assert (event["specversion"], event["type"], event["subject"]) == (
        "1.0", "po.released", "po:main:4711",
    )  # fmt: skip
    assert event["data"]["po"] == "4711"
    assert event["partner"] == "ACME"
    assert (case["type"], case["data"]["case"]["category"]) == ("case.opened", "ACK_OVERDUE")
    for head, (method, _, body) in zip(sink.heads, sink.calls, strict=True):
        assert method == "POST"
        assert head["webhook-id"] == json.loads(body)["id"]
        assert head["content-type"] == "application/cloudevents+json"
        signed(head, body, SECRET)
        with pytest.raises(Unsigned):
            signed(head, body + b" ", SECRET)
        with pytest.raises(Unsigned):
            signed(head, body, "whsec_" + "A" * 32)


def test_a_signature_is_that_of_the_standard() -> None:
    """The example of the specification of Standard Webhooks."""
    body = b'{"event_type":"ping","data":{"success":true}}'
    at = datetime.fromtimestamp(1731705121, UTC)
    heads = signed_headers(["whsec_plJ3nmyCDGBKInavdOK15jsl"], "msg_loFOjxBNrRLzqYUf", body, at)
    assert heads["webhook-signature"] == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


def test_while_a_secret_changes_both_sign(engine: Engine, sink: HttpSink) -> None:
    one = subscribe(engine, sink.url, "*")
    other = "whsec_" + "B" * 32
    assert send_test(one, NOW, {"HOOK": f"{SECRET} {other}"}).ok
    for secret in (SECRET, other):
        signed(sink.heads[0], sink.calls[0][2], secret)
    assert told(sink)[0]["type"] == "tower.test"


def test_what_fails_is_tried_again_with_the_same_bytes_then_dead_then_by_hand(
    engine: Engine, house: House, sink: HttpSink
) -> None:
    subscribe(engine, sink.url, "po.released")
    released(house, "4711")
    sink.answers = [500] * (len(RETRIES) + 1)
    at = timedelta(0)
    for wait in RETRIES:
        assert deliver(engine, at) == 0
        assert deliver(engine, at + wait / 2) == 0, "not before its time"
        at += wait
    assert states(engine) == ["waiting"]
    assert deliver(engine, at) == 0
    assert states(engine) == ["dead"]
    assert len(sink.calls) == len(RETRIES) + 1
    assert len({body for _, _, body in sink.calls}) == 1
    assert len({head["webhook-id"] for head in sink.heads}) == 1
    assert len({head["webhook-timestamp"] for head in sink.heads}) == len(sink.heads)
    with engine.begin() as conn:
        [standing] = subscriptions.standings(conn, NOW + at)
        assert (standing.dead, standing.waiting, standing.last_error) == (1, 0, "It answered 500.")
        assert subscriptions.retry_dead(conn, "erp", by="kim", now=NOW + at) == 1
    assert deliver(engine, at) == 1
    assert states(engine) == ["delivered"]


def test_a_receiver_that_is_away_is_probed_and_costs_the_others_no_try(
    engine: Engine, house: House, sink: HttpSink
) -> None:
    subscribe(engine, sink.url, "po.released")
    for n in range(5):
        released(house, f"471{n}")
    sink.close()
    for seconds in (0, 6, 17, 38):
        assert deliver(engine, timedelta(seconds=seconds)) == 0
    with engine.connect() as conn:
        attempts = [a for (a,) in conn.execute(select(subscription_delivery.c.attempts))]
        assert sum(attempts) <= 4
        assert "does not answer" in conn.execute(select(subscription.c.problem)).scalar_one()
    sink.open()
    later = timedelta(minutes=6)
    while deliver(engine, later):
        later += timedelta(seconds=1)
    assert set(states(engine)) == {"delivered"}


def test_who_asks_to_wait_is_left_alone_and_who_is_gone_is_told_no_more(
    engine: Engine, house: House, sink: HttpSink
) -> None:
    subscribe(engine, sink.url, "po.released")
    released(house, "4711")
    sink.answers, sink.headers = [429], {"retry-after": "600"}
    assert deliver(engine) == 0
    assert [deliver(engine, timedelta(seconds=s)) for s in (300, 599, 600)] == [0, 0, 1]
    released(house, "4712")
    released(house, "4713")
    sink.answers, sink.headers = [410], {}
    assert deliver(engine, timedelta(hours=1)) == 0
    assert states(engine) == ["delivered", "withdrawn", "withdrawn"]
    released(house, "4714")
    assert len(states(engine)) == 3


def test_a_partner_hears_of_its_own_and_of_cases_without_our_words(
    engine: Engine, house: House, sink: HttpSink
) -> None:
    subscribe(engine, sink.url, "*", partner="ACME")
    house.released("4711", "03-30 08:00")
    house.released("4712", "03-30 08:00", supplier="BOLT")
    house.live("03-30 13:00")
    while deliver(engine):
        pass
    assert {t["type"] for t in told(sink)} == {"po.released", "case.opened"}
    assert not any(b"BOLT" in body or b"4712" in body for _, _, body in sink.calls)
    data = next(t for t in told(sink) if t["type"] == "case.opened")["data"]
    assert set(data) == {"case"}
    assert (data["case"]["owner"], data["case"]["value_at_risk"]) == (None, None)


def test_no_address_inside_is_called_unless_its_network_is_named(
    engine: Engine, sink: HttpSink
) -> None:
    """Fails when a subscription may be turned into a probe of the inner network."""
    for url in (sink.url, sink.url.replace("127.0.0.1", "localhost"),
                sink.url.replace("127.0.0.1", "[::ffff:127.0.0.1]")):  # fmt: skip
        one = subscribe(engine, url, "*", name="x", networks=("10.0.0.0/8",))
        tried = send_test(one, NOW, {"HOOK": SECRET})
        assert (tried.ok, "inside a private network" in tried.words) == (False, True), url
        with engine.begin() as conn:
            subscriptions.remove(conn, "x", by="kim", now=NOW)
    assert sink.calls == []
    sink.answers, sink.headers = [302], {"location": "http://127.0.0.1:1/"}
    one = subscribe(engine, sink.url, "*")
    assert "not followed" in send_test(one, NOW, {"HOOK": SECRET}).words


def test_without_its_secret_nothing_is_sent_and_nothing_lost(
    engine: Engine, house: House, sink: HttpSink
) -> None:
    subscribe(engine, sink.url, "po.released")
    released(house, "4711")
    assert deliver_due(engine, lambda: NOW, {}) == 0
    with engine.connect() as conn:
        assert "HOOK" in subscriptions.in_force(conn)[0].problem
    assert sink.calls == []
    assert deliver(engine, timedelta(minutes=2)) == 1


CHILD = """
import sys
from datetime import datetime, timedelta
from db import engine
from worker.subscriptions import deliver_due
deliver_due(engine.create(sys.argv[1]), lambda: datetime.fromisoformat(sys.argv[2]),
            {"HOOK": sys.argv[3]})
"""


def test_a_kill_loses_nothing_and_a_repeat_is_known_by_its_id(
    database_url: str, engine: Engine, house: House, sink: HttpSink
) -> None:
    subscribe(engine, sink.url, "po.released")
    numbers = [f"47{n:02d}" for n in range(30)]
    for number in numbers:
        released(house, number)
    sink.slow_s = 0.02
    for kill in range(2):
        at = (NOW + timedelta(minutes=5 * kill)).isoformat()
        child = subprocess.Popen([sys.executable, "-c", CHILD, database_url, at, SECRET])
        before, end = len(sink.calls), time.monotonic() + 30
        while len(sink.calls) < before + 4 and time.monotonic() < end:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
    sink.slow_s = 0.0
    later = timedelta(minutes=20)
    while deliver(engine, later):
        pass
    assert set(states(engine)) == {"delivered"}
    bodies: dict[str, set[bytes]] = {}
    for head, (_, _, body) in zip(sink.heads, sink.calls, strict=True):
        bodies.setdefault(head["webhook-id"], set()).add(body)
    assert len(bodies) == len(numbers)
    assert {len(same) for same in bodies.values()} == {1}
    assert sorted(json.loads(b.pop())["data"]["po"] for b in bodies.values()) == numbers


def test_what_was_delivered_long_ago_is_forgotten(
    engine: Engine, house: House, sink: HttpSink
) -> None:
    subscribe(engine, sink.url, "po.released")
    released(house, "4711")
    deliver(engine)
    with engine.begin() as conn:
        assert subscriptions.forget(conn, NOW + timedelta(days=29)) == 0
        assert subscriptions.forget(conn, NOW + timedelta(days=31)) == 1
    released(house, "4712")
    sink.answers = [500] * (len(RETRIES) + 1)
    at = timedelta(0)
    for wait in (timedelta(0), *RETRIES):
        at += wait
        deliver(engine, at)
    assert states(engine) == ["dead"]
    with engine.begin() as conn:
        assert subscriptions.forget(conn, NOW + timedelta(days=89)) == 0
        assert subscriptions.forget(conn, NOW + at + timedelta(days=91)) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "Two words"}, "a-z"),
        ({"url": "ftp://x"}, "https://"),
        ({"url": "https://user:pw@x.example"}, "https://"),
        ({"url": "http://x.example/hook"}, "Only https"),
        ({"types": ("po.relesed",)}, "po.relesed"),
        ({"types": ()}, "at least one"),
        ({"secret_variable": "whsec_abc"}, "environment variable"),
        ({"networks": ("ten",)}, "10.20.0.0/16"),
    ],
)
def test_wrong_words_make_no_subscription(change: dict[str, Any], said: str) -> None:
    words = {"name": "erp", "url": "https://x.example/hook", "types": ("po.*", "case.opened"),
             "secret_variable": "HOOK", "networks": ()}  # fmt: skip
    check_words(**words)  # type: ignore[arg-type]
    with pytest.raises(NotASubscription, match=said):
        check_words(**words | change)
