"""Streams and consumers of NATS JetStream: what is kept, and how far each consumer is behind.

Asks the JSON API of JetStream over the NATS connection; nothing is consumed. A stream and each of
its consumers is one sample: "ORDERS", "ORDERS/erp". JetStream has no dead-letter queue: a message
that was delivered too often only gets an advisory. A stream that keeps these advisories is shown as
the queue of dead letters of the streams it listens for, and read where the options name it
(collectors/nats_letters.py).

Format: docs.nats.io/reference/reference-protocols/nats_api_reference.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from collectors.contract import position_in
from collectors.nats_letters import Place, letters
from collectors.nats_link import NatsLink, Questions, Told
from tower.feeds import NatsOptions
from tower.network import Source
from tower.raw import Batch, Budget, Heartbeat, Mark, QueueSample, Raw

VERSION = 1
ADVISORY = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES"
"""What is said of a message that was delivered as often as its consumer allows."""
REFUSED = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED"
"""What is said of a message that its consumer refused for good."""


class NatsStreams:
    """Reader of one JetStream account."""

    def __init__(
        self, name: str, source: Source, options: NatsOptions, secrets: Mapping[str, str]
    ) -> None:
        self._name = name
        self._options = options
        self._broker = options.broker or source.system
        self._link = NatsLink(name, options, secrets)

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        """One sample of every stream and consumer that is wanted, and the dead letters that the
        streams of ``dead_letters`` tell of since the bookmark.
        """
        place = _places(position_in(mark, VERSION, self._name))
        samples: list[QueueSample] = []

        async def look(asked: Questions) -> tuple[list[Raw], dict[str, Place], bool]:
            streams = await asked.pages("$JS.API.STREAM.LIST", "streams")
            for stream in streams:
                name = str(_table(stream, "config").get("name", ""))
                if name and self._is_wanted(name):
                    samples.append(_stream_sample(self._broker, stream, now))
                    consumers = await asked.pages(f"$JS.API.CONSUMER.LIST.{name}", "consumers")
                    samples.extend(_consumer_sample(self._broker, one, now) for one in consumers)
            wanted = self._options.dead_letters
            return await letters(asked, self._name, streams, wanted, place, budget, now)

        raws, read, is_all = self._link.run(look)
        yield Batch(
            source=self._name,
            raws=tuple(raws),
            samples=tuple(samples),
            heartbeat=Heartbeat(self._name, complete_to=now, seen_at=now) if is_all else None,
            mark=Mark(VERSION, {name: [one.created, one.seq] for name, one in read.items()}),
            more=not is_all,
        )

    def settle(self, batch: Batch) -> None:
        """Nothing was taken from the broker."""

    def _is_wanted(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, p) for p in self._options.only) and not any(
            fnmatch.fnmatchcase(name, p) for p in self._options.never
        )


def _places(held: Mapping[str, Any]) -> dict[str, Place]:
    return {name: Place(str(one[0]), int(one[1])) for name, one in held.items()}


def _stream_sample(broker: str, stream: Told, now: datetime) -> QueueSample:
    config, state = _table(stream, "config"), _table(stream, "state")
    # A stream that keeps its messages by limits is as old as its limits: that is no delay.
    is_queue = config.get("retention") in ("workqueue", "interest")
    first = _moment(state.get("first_ts")) if is_queue and state.get("messages") else None
    return QueueSample(
        broker=broker,
        queue=str(config.get("name")),
        at=now,
        total=_count(state.get("messages")),
        consumers=_count(state.get("consumer_count")),
        oldest_age_s=None if first is None else max(0.0, (now - first).total_seconds()),
        dlq_of=_watched(config.get("subjects")),
    )


def _consumer_sample(broker: str, told: Told, now: datetime) -> QueueSample:
    config = _table(told, "config")
    waiting, unacknowledged = _count(told.get("num_pending")), _count(told.get("num_ack_pending"))
    known = [count for count in (waiting, unacknowledged) if count is not None]
    # Whoever pulls is not connected in between, so that only pushing can tell whom it pushes to;
    # push_bound is left out where it is false.
    pushes = bool(config.get("deliver_subject"))
    return QueueSample(
        broker=broker,
        queue=f"{told.get('stream_name')}/{told.get('name')}",
        at=now,
        ready=waiting,
        in_flight=unacknowledged,
        total=sum(known) if len(known) == 2 else None,
        consumers=int(told.get("push_bound") is True) if pushes else None,
    )


def _watched(subjects: Any) -> str | None:
    """The streams whose advisories a stream keeps; None for one that keeps messages."""
    given = [str(one) for one in subjects] if isinstance(subjects, list) else []
    if not given or not all(one.startswith((ADVISORY, REFUSED)) for one in given):
        return None
    rests = (one.removeprefix(ADVISORY).removeprefix(REFUSED) for one in given)
    names = {rest.strip(".").partition(".")[0] for rest in rests}
    shown = sorted("all streams" if name in (">", "*", "") else name for name in names)
    return ", ".join(shown)


def _table(told: Told, name: str) -> Told:
    value = told.get(name)
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _moment(value: Any) -> datetime | None:
    """An instant as JetStream writes it; None for none, which it writes as year 1."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo is not None and found.year > 1970 else None
