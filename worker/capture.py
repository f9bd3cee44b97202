"""Capturing dead letters on request: take them from a broker's queue into the tower.

Messages are acknowledged after their commit. A capture that dies in between leaves them in the
queue; the next one knows them by their key and counts them once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from collectors.amqp_link import AmqpLink
from collectors.broker_login import broker_login
from collectors.dead_letters import captured
from collectors.rabbitmq import RabbitQueues
from tower.errors import ConfigError
from tower.feeds import RabbitOptions
from tower.network import Network
from tower.raw import Raw
from worker import pipeline

BATCH = 200
BATCH_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Captured:
    """What a capture did: stored anew, known before, unreadable parts; ``left`` says whether the
    messages are still in their queue.
    """

    queue: str
    accepted: int
    repeated: int
    refused: int
    left: bool


def capture(
    engine: Engine,
    net: Network,
    name: str,
    queue: str,
    *,
    most: int,
    keep: bool,
    now: datetime,
    secrets: Mapping[str, str],
    probe: Callable[[str], None] = lambda _: None,
) -> Captured:
    """Capture up to ``most`` messages of a queue of the rabbitmq source ``name``.

    ``keep`` gives them back to the queue. A quorum queue counts that as a failed delivery, and past
    its limit drops or moves the message; so it is refused there. Raises ConfigError,
    AccessDenied or SourceUnavailable.
    """
    options = _options(net, name)
    if keep:
        _may_be_given_back(net, name, options, queue, now, secrets)
    link = _link(name, options, secrets)
    accepted = repeated = refused = 0
    try:
        link.open()
        while accepted + repeated + refused < most:
            tags: list[int] = []
            raws: list[Raw] = []
            size = 0
            room = min(BATCH, most - accepted - repeated - refused)
            while len(raws) < room and size < BATCH_BYTES:
                delivery = link.get(queue)
                if delivery is None:
                    break
                raws.append(captured(name, queue, delivery, now))
                tags.append(delivery.tag)
                size += len(delivery.body)
            if not raws:
                break
            probe("read")
            outcome = pipeline.ingest_raws(engine, net, raws, now=now)
            accepted += outcome.accepted
            repeated += outcome.repeated
            refused += len(outcome.refused)
            probe("stored")
            if not keep:
                link.acknowledge(tags)
            probe("acknowledged")
    finally:
        link.close()  # what was not acknowledged goes back
    return Captured(queue, accepted, repeated, refused, keep)


def _options(net: Network, name: str) -> RabbitOptions:
    source = net.sources.get(name)
    options = None if source is None else source.feed
    if not isinstance(options, RabbitOptions):
        brokers = sorted(n for n, s in net.sources.items() if s.kind == "rabbitmq")
        raise ConfigError(
            f'"{name}" is no source of kind rabbitmq; known are '
            f"{', '.join(brokers) or 'none: describe one in network.yaml'}."
        )
    return options


def _link(name: str, options: RabbitOptions, secrets: Mapping[str, str]) -> AmqpLink:
    login = broker_login(name, options, secrets)
    return AmqpLink(name, login.url, login.user, login.password, options.timeout.total_seconds())


def _may_be_given_back(
    net: Network,
    name: str,
    options: RabbitOptions,
    queue: str,
    now: datetime,
    secrets: Mapping[str, str],
) -> None:
    kind = RabbitQueues(name, net.sources[name], options, secrets).kind_of(queue, now)
    if kind not in (None, "classic"):
        raise ConfigError(
            f'"{queue}" is a {kind} queue: giving messages back counts there as a failed delivery, '
            "and past its limit they are dropped. Capture without --keep: the tower keeps them."
        )
