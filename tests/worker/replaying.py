"""A broker with dead letters and a tower that replays them, for tests of replays."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Engine, func, select, text

from db import letters, replay_wishes, replays
from db.ingest import store_retrying
from db.letters import Letter
from db.replays import Item, Replay
from db.tables import dead_letter, raw_message
from tests.collectors.brokers import MANAGEMENT, RabbitHost
from tower.access import EVERYTHING
from tower.event import Event
from tower.network import Network, load_network
from tower.raw import Interpretation, Interpreted, Raw
from tower.replays import REPROCESS, LetterRef
from tower.vocabulary import make_event
from worker import replay_dry_run, replay_effects
from worker import replays as work
from worker.capture import capture

SECRETS = {"PW": "guest"}
QUEUE = "erp.answers"

NETWORK = """
version: 1
company: {{name: Northwind, erp: main, zone: Europe/Berlin, calendar: hq, currency: EUR}}
systems:
  erp: {{name: ERP, kind: erp}}
  gateway: {{name: EDI gateway, kind: edi}}
sources:
  told: {{kind: push, format: cloudevents, system: erp, silent_after: 12h}}
  files: {{kind: push, format: json, system: erp, silent_after: 12h, mapping: answers}}
  broker:
    kind: rabbitmq
    format: queue
    system: gateway
    options:
      url: "{url}"
      user: guest
      password_variable: PW
      vhost: "{vhost}"
      {replay}
calendars:
  hq: {{zone: Europe/Berlin, open: {{mon-fri: ["08:00-17:00"]}}}}
partners:
  {partner}: {{name: Acme, zone: Europe/Berlin}}
mappings:
  answers:
    format: json
    emit:
      - {{event: po.acknowledged, when: {{po: "*"}}, time: at, fields: {{po: po}}}}
people:
  desk: {{name: Desk, mail: desk@example.com}}
owners: {{B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}}
"""

REPLAY = (
    "replay: {queues: [erp.*], per_second: 500, canary: 1, "
    "effects: {erp.answers: po.answer_applied}}"
)


class Dock:
    """One virtual host of the broker, one database, one clock that goes on by a second a look."""

    def __init__(self, host: RabbitHost, engine: Engine, replay: str = REPLAY) -> None:
        self.host = host
        self.engine = engine
        self.net = self.network(replay)
        self.now = datetime.now(UTC) + timedelta(minutes=1)
        host.declare(QUEUE, x_dead_letter_exchange="", x_dead_letter_routing_key="dlq")
        host.declare("dlq")

    def network(self, replay: str, partner: str = "ACME") -> Network:
        return load_network(self.text(replay, partner), "network.yaml")

    def text(self, replay: str, partner: str = "ACME") -> str:
        return NETWORK.format(url=MANAGEMENT, vhost=self.host.vhost, replay=replay, partner=partner)

    def clock(self) -> datetime:
        self.now += timedelta(milliseconds=100)
        return self.now

    # --- what happens outside -----------------------------------------------------------------

    def die(self, numbers: Sequence[int], *, first: bool = True, **headers: Any) -> None:
        """Publish messages (or take them as they lie in the queue) and refuse them."""
        before = self.host.depth("dlq")
        for n in numbers:
            if first:
                self.host.publish(
                    QUEUE, body(n), message_id=f"m-{n}", correlation_id=f"c-{n}",
                    type="po.acknowledged",
                    headers={"X-Exception-Message": "no such item", "tries": 7, **headers},
                )  # fmt: skip
            method, _, _ = self.host.channel.basic_get(QUEUE)
            assert method is not None
            self.host.channel.basic_reject(method.delivery_tag, requeue=False)
        until = time.monotonic() + 20
        while self.host.depth("dlq") < before + len(numbers) and time.monotonic() < until:
            pass

    def die_as(self, type_: str, bodies: Sequence[bytes]) -> list[Letter]:
        """Letters of messages of a type, in the order of their bodies."""
        known = set(self.letters())
        for n, one in enumerate(bodies):
            self.host.publish(QUEUE, one, message_id=f"{type_}-{n}", type=type_, headers={})
            method, _, _ = self.host.channel.basic_get(QUEUE)
            assert method is not None
            self.host.channel.basic_reject(method.delivery_tag, requeue=False)
        until = time.monotonic() + 20
        while self.host.depth("dlq") < len(bodies) and time.monotonic() < until:
            pass
        assert self.capture() == len(bodies)
        return [one for one in self.letters("open") if one not in known]

    def capture(self) -> int:
        return capture(
            self.engine, self.net, "broker", "dlq", most=10_000, keep=False, now=self.clock(),
            secrets=SECRETS,
        ).accepted  # fmt: skip

    def dead(self, count: int) -> list[Letter]:
        """So many captured letters, the first one first."""
        self.die(range(count))
        assert self.capture() == count
        return self.letters("open")

    def arrived(self) -> list[tuple[Any, bytes]]:
        """What lies in the queue again: (properties, bytes); taken out of it."""
        found: list[tuple[Any, bytes]] = []
        while True:
            method, properties, content = self.host.channel.basic_get(QUEUE, auto_ack=True)
            if method is None:
                return found
            found.append((properties, content))

    def applied(self, n: int, at: datetime | None = None) -> None:
        """The ERP tells that the answer to order ``n`` is in."""
        when = at or self.clock()
        event = make_event(
            "po.answer_applied", {"erp": "main", "po": number(n)}, occurred_at=when,
            source="told", raw_key=f"applied-{n}-{uuid4()}", position="0", system="erp",
        )  # fmt: skip
        self.tell(event)

    def tell(self, event: Event) -> None:
        raw = Raw(event.source, event.raw_key, b"{}", self.now)
        item = Interpreted(raw, Interpretation("test", 1, events=(event,)))
        store_retrying(self.engine, [item], net=self.net, now=self.now)

    # --- what people and the worker do ----------------------------------------------------------

    def letters(self, *states: str) -> list[Letter]:
        with self.engine.connect() as conn:
            found = letters.letters(
                conn, EVERYTHING, states=states or letters.STATES, limit=100_000
            )
        return sorted(found, key=lambda one: one.ref)

    def draft(
        self, refs: Sequence[LetterRef], action: str = REPROCESS, who: str = "kim", **more: Any
    ) -> Replay:
        with self.engine.begin() as conn:
            one = replay_wishes.draft(
                conn, self.net, EVERYTHING, action, refs, who, self.clock(), **more
            )
        return self.check(one, who)

    def check(self, one: Replay, who: str = "kim") -> Replay:
        now = self.clock()
        return replay_dry_run.check(self.engine, self.net, one.id, who, now, secrets=SECRETS)

    def confirm(self, one: Replay, count: int | None = None, **more: Any) -> Replay:
        ready = sum(item.verdict == "ready" for item in self.items(one))
        told: dict[str, Any] = {
            "count": ready if count is None else count, "sha256": one.sha256,
            "reason": "consumer mended", "token": uuid4(), "who": "kim", "now": self.clock(),
        } | more  # fmt: skip
        with self.engine.begin() as conn:
            return replays.confirm(conn, one.id, **told)

    def approve(self, one: Replay, who: str = "lee") -> Replay:
        with self.engine.begin() as conn:
            return replays.approve(conn, one.id, who, self.clock())

    def start(self, refs: Sequence[LetterRef], **more: Any) -> Replay:
        return self.confirm(self.draft(refs, **more))

    def advance(self, holder: str = "w1", probe: Callable[[str], None] = lambda _: None) -> bool:
        self.now += timedelta(seconds=1)
        replay_effects.see_effects(self.engine, self.clock())
        return work.advance(
            self.engine, self.net, holder, self.clock(), secrets=SECRETS, clock=self.clock,
            probe=probe,
        )  # fmt: skip

    def items(self, one: Replay) -> list[Item]:
        with self.engine.connect() as conn:
            return replays.items(conn, one.id, limit=100_000)

    def get(self, one: Replay) -> Replay:
        with self.engine.connect() as conn:
            return replays.get(conn, one.id)

    def states(self, one: Replay) -> list[str]:
        return [item.state for item in self.items(one)]


def number(n: int) -> str:
    return f"45000{n:05d}"


def body(n: int) -> bytes:
    return orjson.dumps({"po": number(n), "note": "ü", "lines": [{"line": "10", "qty": n + 1}]})


def refs(found: Any) -> list[Any]:
    return [one.ref for one in found]


def snapshot(engine: Engine) -> dict[str, Any]:
    with engine.connect() as conn:
        return {
            "letters": conn.execute(select(dead_letter).order_by(dead_letter.c.key)).all(),
            "raws": conn.execute(select(func.count()).select_from(raw_message)).scalar_one(),
            "events": conn.execute(text("SELECT count(*) FROM event")).scalar_one(),
            "documents": conn.execute(text("SELECT count(*) FROM document")).scalar_one(),
        }
