"""Queue statistics in the shape of RabbitMQ's management API, as of any instant.

Depths follow the working day of the house with some noise; the dead letter queues hold what the
plan left lying there. Same seed, same instant, same figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from simulator.cast import HQ

VHOST = "/"
NODE = "rabbit@broker-1"


@dataclass(frozen=True, slots=True)
class Queue:
    """``busy`` is the usual depth in the busiest hour; ``rate`` messages per second then."""

    name: str
    busy: int
    rate: float
    consumers: int
    dead_letters_to: str = ""


QUEUES = (
    Queue("order.outbound", 12, 1.4, 4, "order.outbound.dlq"),
    Queue("edi.outbound", 9, 0.8, 2, "edi.outbound.dlq"),
    Queue("ack.inbound", 6, 0.7, 2, "ack.inbound.dlq"),
    Queue("asn.inbound", 7, 0.5, 2, "asn.inbound.dlq"),
    Queue("invoice.inbound", 5, 0.4, 1, "invoice.inbound.dlq"),
    Queue("erp.posting", 18, 1.9, 3, "erp.posting.dlq"),
    Queue("wms.east", 8, 0.6, 2, "wms.east.dlq"),
    Queue("wms.west", 6, 0.5, 2, "wms.west.dlq"),
    Queue("platform.events", 25, 3.2, 6, "platform.events.dlq"),
    Queue("portal.sync", 3, 0.2, 1),
    Queue("order.outbound.dlq", 0, 0.0, 0),
    Queue("edi.outbound.dlq", 0, 0.0, 0),
    Queue("ack.inbound.dlq", 0, 0.0, 0),
    Queue("asn.inbound.dlq", 0, 0.0, 0),
    Queue("invoice.inbound.dlq", 0, 0.0, 0),
    Queue("erp.posting.dlq", 0, 0.0, 0),
    Queue("wms.east.dlq", 0, 0.0, 0),
    Queue("wms.west.dlq", 0, 0.0, 0),
    Queue("platform.events.dlq", 0, 0.0, 0),
)


@dataclass(frozen=True, slots=True)
class Stay:
    """A message that lies in a queue from ``start`` until somebody takes it out (None: still)."""

    queue: str
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """A queue that nobody empties between ``start`` and ``end`` and that then drains."""

    queue: str
    start: datetime
    end: datetime
    per_hour: float


def _load(at: datetime) -> float:
    """Share of the busiest hour, 0.05 at night, about 1 in mid morning."""
    local = at.astimezone(HQ.zone)
    if not HQ.is_open_day(local.date()):
        return 0.05
    hour = local.hour + local.minute / 60
    return max(
        0.05, math.exp(-(((hour - 10.0) / 2.6) ** 2)), 0.8 * math.exp(-(((hour - 14.5) / 2.2) ** 2))
    )


class Broker:
    """Answers of the management API."""

    def __init__(self, seed: int, stays: Sequence[Stay], backlogs: Sequence[Backlog]) -> None:
        self.seed = seed
        self.stays = stays
        self.backlogs = backlogs

    def _noise(self, queue: Queue, at: datetime) -> float:
        # One slow wave and one quick one, so that neighbouring samples resemble each other.
        slow = Random(f"{self.seed}:{queue.name}:{at:%Y%m%d%H}").random()
        quick = Random(f"{self.seed}:{queue.name}:{at:%Y%m%d%H%M}").random()
        return 0.4 + 0.9 * slow + 0.5 * quick

    def _backlog(self, queue: Queue, at: datetime) -> int:
        total = 0.0
        for b in self.backlogs:
            if b.queue == queue.name and at >= b.start:
                held = (min(at, b.end) - b.start) / timedelta(hours=1) * b.per_hour
                drained = max(0.0, (at - b.end) / timedelta(minutes=40)) * held
                total += max(0.0, held - drained)
        return round(total)

    def _lying(self, queue: Queue, at: datetime) -> list[datetime]:
        return [
            s.start
            for s in self.stays
            if s.queue == queue.name and s.start <= at and (s.end is None or s.end > at)
        ]

    def totals(self, queue: Queue, at: datetime) -> dict[str, Any]:
        """One queue without statistics."""
        lying = self._lying(queue, at)
        ready = round(queue.busy * _load(at) * self._noise(queue, at)) if queue.busy else 0
        ready += self._backlog(queue, at) + len(lying)
        in_flight = min(queue.consumers, ready)
        arguments: dict[str, Any] = {"x-queue-type": "quorum"}
        if queue.dead_letters_to:
            arguments |= {
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": queue.dead_letters_to,
                "x-delivery-limit": 5,
            }
        return {
            "name": queue.name,
            "vhost": VHOST,
            "type": "quorum",
            "durable": True,
            "auto_delete": False,
            "exclusive": False,
            "arguments": arguments,
            "node": NODE,
            "state": "running",
            "messages": ready + in_flight,
            "messages_ready": ready,
            "messages_unacknowledged": in_flight,
        }

    def detailed(self, queue: Queue, at: datetime) -> dict[str, Any]:
        """One queue with rates. A queue that nobody ever used has no ``message_stats``."""
        body = self.totals(queue, at)
        rate = round(queue.rate * _load(at) * self._noise(queue, at), 3)
        held = any(b.queue == queue.name and b.start <= at < b.end for b in self.backlogs)
        out = 0.0 if held else rate
        body |= {
            "consumers": queue.consumers,
            "consumer_utilisation": 1.0 if queue.consumers else None,
            "policy": None,
            "effective_policy_definition": {},
            "messages_details": {"rate": round(rate - out, 3)},
            "messages_ready_details": {"rate": round(rate - out, 3)},
            "messages_unacknowledged_details": {"rate": 0.0},
        }
        lying = self._lying(queue, at)
        if lying:
            body["head_message_timestamp"] = int(min(lying).timestamp())
        used = [s for s in self.stays if s.queue == queue.name and s.start <= at]
        if queue.rate or used:
            done = int(at.timestamp() * queue.rate * 0.2) % 10_000_000 + len(used)
            body["message_stats"] = {
                "publish": done,
                "publish_details": {"rate": rate},
                "deliver_get": done,
                "deliver_get_details": {"rate": out},
                "ack": done,
                "ack_details": {"rate": out},
                "redeliver": len(used),
                "redeliver_details": {"rate": 0.0},
            }
        return body

    def queues(self, at: datetime, *, rates: bool) -> list[dict[str, Any]]:
        say = self.detailed if rates else self.totals
        return [say(queue, at) for queue in QUEUES]

    def overview(self, at: datetime) -> dict[str, Any]:
        queues = self.queues(at, rates=False)
        return {
            "management_version": "4.1.3",
            "rabbitmq_version": "4.1.3",
            "product_name": "RabbitMQ",
            "cluster_name": NODE,
            "node": NODE,
            "object_totals": {
                "channels": 24,
                "connections": 11,
                "consumers": sum(queue.consumers for queue in QUEUES),
                "exchanges": 9,
                "queues": len(QUEUES),
            },
            "queue_totals": {
                name: sum(queue[name] for queue in queues)
                for name in ("messages", "messages_ready", "messages_unacknowledged")
            },
        }
