"""The second channel: real webhooks, in the JSON forms of Slack and Teams, through the outbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from db.tables import delivery, outbox
from tests.worker.conftest import NETWORK, House
from tests.worker.http_sink import HttpSink
from tower.chat import ChatMessage, body_of
from tower.network import load_network
from worker.channels import post_due
from worker.mailer import send_due

CHANNELS = """
channels:
  ops: {form: slack, url_variable: OPS_HOOK}
  desk: {form: teams, url_variable: DESK_HOOK}
second_channel: ops
"""
ANNA = "anna: {name: Anna Weber, mail: anna@example.org, zone: Europe/Berlin"


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    made = HttpSink()
    made.open()
    yield made
    made.close()


def house_with(engine: Any, rules: Any, network: str = NETWORK + CHANNELS) -> House:
    house = House(engine, load_network(network, "network.yaml"), rules)
    house.released("4711", "03-30 08:00")
    house.live("03-30 13:00")
    house.now = house.mails()[0].created_at  # type: ignore[attr-defined]
    return house


def post(house: Any, sink: HttpSink, after: timedelta = timedelta(0)) -> int:
    secrets = {"OPS_HOOK": sink.url, "DESK_HOOK": sink.url}
    return post_due(house.engine, house.config, house.now + after, secrets)


def messages(house: House) -> list[Any]:
    return house.rows(select(outbox).where(outbox.c.channel != "mail").order_by(outbox.c.id))


def break_mail(house: Any, post_office: Any) -> None:
    post_office.close()
    for n in range(5):
        send_due(
            house.engine, post_office.settings(), house.config, house.now + timedelta(seconds=6 * n)
        )


def test_while_the_mail_server_is_away_the_second_channel_is_told_once_per_mail(
    engine: Any, shipped_rules: Any, post_office: Any, sink: HttpSink
) -> None:
    house: Any = house_with(engine, shipped_rules)
    assert messages(house) == [], "with mail well the room is left alone"
    break_mail(house, post_office)
    for n in (31, 32, 100):
        after = timedelta(seconds=n)
        send_due(house.engine, post_office.settings(), house.config, house.now + after)
        post(house, sink, after)
    [(method, path, body)] = sink.calls
    assert (method, path) == ("POST", "/hook/secret-part")
    said = json.loads(body)
    assert said["blocks"][0]["text"]["text"].startswith("[1 open, 1 new] PO not answered")
    assert "The mail server cannot be reached. Waiting for Anna Weber" in said["text"]
    assert said["blocks"][2]["text"]["text"] == (
        "medium: PO 4711 not acknowledged by ACME Fasteners Ltd"
    )
    assert said["blocks"][2]["accessory"]["url"] == "http://127.0.0.1:8501/case?id=1"
    [row] = messages(house)
    assert (row.state, row.channel, row.attempts) == ("sent", "ops", 1)
    # The mail itself is sent all the same when its server is back.
    post_office.open()
    after = timedelta(minutes=4)
    assert send_due(house.engine, post_office.settings(), house.config, house.now + after) == 1


def test_a_policy_or_a_person_may_name_a_channel(
    engine: Any, rules_of: Any, shipped_text: str, sink: HttpSink
) -> None:
    words = "    max_per_day: 20             # the rest goes into the summary\n"
    rules = rules_of(shipped_text.replace(words, words + "    channel: desk\n"))
    network = (NETWORK + CHANNELS).replace(ANNA, ANNA + ", channel: ops")
    house = house_with(engine, rules, network)
    assert sorted(m.channel for m in messages(house)) == ["desk", "ops"]
    assert post(house, sink) == 2
    slack, teams = sorted((json.loads(body) for _, _, body in sink.calls), key=len)[::-1]
    if "blocks" not in slack:
        slack, teams = teams, slack
    card = teams["attachments"][0]["content"]
    assert teams["type"] == "message"
    assert card["type"] == "AdaptiveCard"
    assert card["body"][1]["inlines"][0]["text"] == "Mail to Anna Weber"
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert slack["blocks"][0]["type"] == "header"


def test_a_message_is_tried_again_with_the_same_bytes_and_a_wrong_address_is_given_up(
    engine: Any, shipped_rules: Any, post_office: Any, sink: HttpSink
) -> None:
    network = (NETWORK + CHANNELS).replace(ANNA, ANNA + ", channel: ops")
    house: Any = house_with(engine, shipped_rules, network)
    sink.answers = [503, 429, 200]
    assert [post(house, sink, timedelta(minutes=n)) for n in (0, 1, 20)] == [0, 0, 1]
    assert len({body for _, _, body in sink.calls}) == 1
    house.released("4712", "03-30 10:00")
    house.live("03-30 16:00")
    house.now = house.mails()[-1].created_at
    sink.answers = [404]
    assert post(house, sink) == 0
    last = messages(house)[-1]
    assert last.state == "failed"
    assert "secret-part" not in last.error
    said = [row.text for row in house.rows(select(delivery))]
    assert said
    assert not any("secret-part" in text for text in said), "the address is a secret"


def test_an_inner_address_behind_a_name_is_not_called(
    engine: Any, shipped_rules: Any, sink: HttpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when channels no longer call through collectors.outgoing."""
    import socket

    network = (NETWORK + CHANNELS).replace(ANNA, ANNA + ", channel: ops")
    house: Any = house_with(engine, shipped_rules, network)
    found = socket.getaddrinfo("127.0.0.1", sink.port, type=socket.SOCK_STREAM)
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: found if host == "hooks.example" else real(host, *rest, **more),
    )
    url = f"http://hooks.example:{sink.port}/x"
    assert post_due(house.engine, house.config, house.now, {"OPS_HOOK": url}) == 0
    assert sink.calls == []
    assert messages(house)[0].state == "failed"
    assert "inside a private network" in messages(house)[0].error


def test_five_failures_to_connect_leave_one_try_a_minute(
    engine: Any, shipped_rules: Any, sink: HttpSink
) -> None:
    network = (NETWORK + CHANNELS).replace(ANNA, ANNA + ", channel: ops")
    house: Any = house_with(engine, shipped_rules, network)
    sink.close()
    for n in range(12):
        post(house, sink, timedelta(seconds=6 * n))
    assert len(house.rows(select(delivery))) == 5
    sink.open()
    assert post(house, sink, timedelta(seconds=24 + 61)) == 1


@pytest.mark.parametrize("form", ["slack", "teams"])
def test_hostile_words_become_no_link_mention_or_markup(form: str) -> None:
    """Fails when a text is put where the service reads markup in it, or is no longer cleaned."""
    evil = "<!channel> <https://evil.example|click> [x](https://evil.example) @here \u202e\n# big"
    message = ChatMessage(evil, evil, [(evil, "https://tower.example/case?id=1")] * 14, "https://t")
    said = json.loads(body_of(message, form))
    texts: list[str] = []

    def walk(value: Any, key: str = "") -> None:
        if isinstance(value, dict):
            assert value.get("type") not in ("mrkdwn", "TextBlock")
            for name, inner in value.items():
                walk(inner, name)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, key)
        elif key == "text":
            texts.append(value)
        elif key == "url":
            assert value.startswith(("https://tower.example/", "https://t"))

    walk(said)
    assert len(texts) > 10
    assert not any(c in text for text in texts for c in "<>@\u202e\n|")
    assert "and 4 more" in texts
