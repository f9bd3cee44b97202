"""Business events consumed from a queue of RabbitMQ, or of another AMQP 0-9-1 broker.

A message is acknowledged after its commit, never before: a tower that dies in between gets it
again, knows it by its key and counts it once. Messages are got one by one until the queue is empty,
so that every read knows whether it was complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from collectors.amqp_link import AmqpLink, raw_of
from collectors.contract import Spending, position_in, secret
from tower.feeds import AmqpOptions
from tower.network import Source
from tower.raw import Batch, Budget, Heartbeat, Mark, Raw

VERSION = 1
MEDIA_TYPES = {
    "x12": "application/edi-x12",
    "edifact": "application/edifact",
    "csv": "text/csv",
    "json": "application/json",
    "xml": "application/xml",
    "log": "application/jsonl",
    "cloudevents": "application/cloudevents+json",
}
"""Format -> media type of a message that names none."""


class AmqpQueue:
    """Reader of one queue."""

    def __init__(
        self, name: str, source: Source, options: AmqpOptions, secrets: Mapping[str, str]
    ) -> None:
        self._name = name
        self._queue = options.queue
        self._media_type = MEDIA_TYPES.get(source.format, "application/octet-stream")
        password = (
            secret(options.password_variable, secrets, name)
            if options.password_variable is not None
            else None
        )
        self._link = AmqpLink(
            name, options.url, options.user, password, options.timeout.total_seconds()
        )

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        """One batch. What an earlier read got and nobody settled goes back first."""
        position_in(mark, VERSION, self._name)
        self._link.open()
        spending = Spending(budget)
        raws: list[Raw] = []
        claims: list[str] = []
        # A message that was got is kept, even if it is the one that passes the budget of bytes:
        # giving it back would count as a failed delivery.
        while not (more := spending.is_spent):
            delivery = self._link.get(self._queue)
            if delivery is None:
                break
            raws.append(raw_of(self._name, delivery, self._media_type, now))
            claims.append(f"{self._link.opened}:{delivery.tag}")
            spending.add(len(delivery.body))
        yield Batch(
            source=self._name,
            raws=tuple(raws),
            heartbeat=None if more else Heartbeat(self._name, complete_to=now, seen_at=now),
            mark=Mark(VERSION, {}),
            claims=tuple(claims),
            more=more,
        )

    def settle(self, batch: Batch) -> None:
        """Acknowledge what is stored. Tags of a connection that is gone are not ours any more."""
        tags = [claim.partition(":") for claim in batch.claims]
        current = str(self._link.opened)
        self._link.acknowledge([int(tag) for opened, _, tag in tags if opened == current])
        if not batch.more:
            self._link.close()

    def close(self) -> None:
        """End the connection; what was not settled goes back to the queue."""
        self._link.close()
