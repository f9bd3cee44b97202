"""Depths and rates of queues from RabbitMQ's management API. Messages are never touched.

What the broker does not tell is None, never zero: a queue that was never used has no rates, and
the age of its oldest message is known only if its publishers set timestamps.
"""

from __future__ import annotations

import base64
import fnmatch
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from collectors.contract import position_in, secret
from collectors.limits import parse_json
from collectors.outgoing import Outgoing, raise_for
from collectors.rabbitmq_lint import Broker, Remark
from tower.errors import PayloadRejected, SourceUnavailable
from tower.feeds import RabbitOptions
from tower.network import Source
from tower.raw import Batch, Budget, Heartbeat, Mark, QueueSample

VERSION = 1
MOST_PAGES = 200
BINDINGS_AGE_S = 300.0  # bindings change rarely and cost a call per exchange

Queue = Mapping[str, Any]


class RabbitQueues:
    """Reader of one broker."""

    def __init__(
        self, name: str, source: Source, options: RabbitOptions, secrets: Mapping[str, str]
    ) -> None:
        self._name = name
        self._options = options
        self._broker = options.broker or source.system
        self._base = options.url.rstrip("/")
        hidden = {}
        if options.user is not None:
            password = (
                secret(options.password_variable, secrets, name)
                if options.password_variable is not None
                else options.user
            )
            token = base64.b64encode(f"{options.user}:{password}".encode()).decode()
            hidden["authorization"] = f"Basic {token}"
        self._outgoing = Outgoing(
            name,
            options.url,
            timeout_s=options.timeout.total_seconds(),
            max_bytes=options.max_bytes,
            networks=options.networks,
            secret_headers=hidden,
        )
        # Newer brokers have rates at an address of their own; asked once, then remembered.
        self._has_detailed = True
        self._bound: dict[tuple[str, str], tuple[float, list[tuple[str, str]]]] = {}

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        """One sample of every queue that is wanted."""
        position_in(mark, VERSION, self._name)
        with self._outgoing.talking():
            queues = [queue for queue in self._queues(now) if self._is_wanted(queue)]
            origins = self._dead_letter_origins(queues, now)
        samples = tuple(
            _sample(self._broker, queue, now, origins.get(_identity(queue))) for queue in queues
        )
        yield Batch(
            source=self._name,
            samples=samples,
            heartbeat=Heartbeat(self._name, complete_to=now, seen_at=now),
            mark=Mark(VERSION, {}),
        )

    def settle(self, batch: Batch) -> None:
        """Nothing was taken from the broker."""

    # --- set-up -----------------------------------------------------------------------------------

    def lint(self, now: datetime) -> list[Remark]:
        """Weaknesses of the wanted queues; asks the broker and touches nothing."""
        with self._outgoing.talking():
            queues = self._rated(now)
            exchanges, bindings = (self._listed(f"/api/{what}", now)
                                   for what in ("exchanges", "bindings"))  # fmt: skip
            _, overview = self._get("/api/overview", now)
        version = overview.get("rabbitmq_version") if isinstance(overview, dict) else None
        suffixes = self._options.dead_letter_suffix
        broker = Broker(queues, exchanges, bindings, str(version or ""), suffixes)
        return broker.remarks([queue for queue in queues if self._is_wanted(queue)])

    def kind_of(self, queue: str, now: datetime) -> str | None:
        """classic, quorum or stream; None if the broker does not tell or has no such queue."""
        vhost = quote(self._options.vhost or "/", safe="")
        with self._outgoing.talking():
            path = f"/api/queues/{vhost}/{quote(queue, safe='')}"
            status, told = self._get(path, now, may_miss=True)
        kind = told.get("type") if status != 404 and isinstance(told, dict) else None
        return str(kind) if kind else None

    def _listed(self, path: str, now: datetime) -> list[Queue]:
        if self._options.vhost is not None:
            path += "/" + quote(self._options.vhost, safe="")
        _, body = self._get(path, now)
        return [one for one in body if isinstance(one, dict)] if isinstance(body, list) else []

    # --- asking -----------------------------------------------------------------------------------

    def _queues(self, now: datetime) -> list[Queue]:
        """All queues: counts as they are this moment, rates from statistics some seconds old."""
        asked = {"disable_stats": "true", "enable_queue_totals": "true"}
        counted = self._pages("/api/queues", asked, now) or []
        if not self._options.rates:
            return counted
        rated = {_identity(queue): queue for queue in self._rated(now)}
        return [
            {**rated.get(_identity(queue), {}), **{k: v for k, v in queue.items() if v is not None}}
            for queue in counted
        ]

    def _rated(self, now: datetime) -> list[Queue]:
        if self._has_detailed:
            found = self._pages("/api/queues/detailed", {}, now, may_miss=True)
            if found is not None:
                return found
            self._has_detailed = False
        return self._pages("/api/queues", {}, now) or []

    def _pages(
        self, path: str, query: Mapping[str, str], now: datetime, *, may_miss: bool = False
    ) -> list[Queue] | None:
        """All pages of a list; None if the broker does not know the address."""
        if self._options.vhost is not None:
            path += "/" + quote(self._options.vhost, safe="")
        found: list[Queue] = []
        for page in range(1, MOST_PAGES + 1):
            asked = {**query, "page": str(page), "page_size": str(self._options.page_size)}
            status, body = self._get(f"{path}?{urlencode(asked)}", now, may_miss=may_miss)
            if status == 404:
                return None
            items = body.get("items") if isinstance(body, dict) else body
            if not isinstance(items, list):
                raise SourceUnavailable(
                    f'Source "{self._name}": the broker answered without a list of queues. '
                    "Check that the address is that of its management API."
                )
            found.extend(item for item in items if isinstance(item, dict) and item.get("name"))
            count = body.get("page_count") if isinstance(body, dict) else None
            if not isinstance(count, int) or page >= count:
                break
        return found

    def _get(self, path: str, now: datetime, *, may_miss: bool = False) -> tuple[int, Any]:
        answer = self._outgoing.get(self._base + path)
        if answer.status == 404 and may_miss:
            return 404, None
        raise_for(answer, self._name, now)
        try:
            return answer.status, parse_json(answer.body, max_bytes=self._options.max_bytes)
        except PayloadRejected as error:
            raise SourceUnavailable(
                f'Source "{self._name}": the broker answered without JSON: {error}'
            ) from error

    def _is_wanted(self, queue: Queue) -> bool:
        name = str(queue["name"])
        return any(fnmatch.fnmatchcase(name, p) for p in self._options.only) and not any(
            fnmatch.fnmatchcase(name, p) for p in self._options.never
        )

    # --- dead letters -----------------------------------------------------------------------------

    def _dead_letter_origins(
        self, queues: list[Queue], now: datetime
    ) -> dict[tuple[str, str], str]:
        """(virtual host, queue of dead letters) -> the queues whose dead letters it gets."""
        found: dict[tuple[str, str], list[str]] = {}
        for queue in queues:
            vhost = str(queue.get("vhost", "/"))
            for target in self._targets(queue, vhost, now):
                found.setdefault((vhost, target), []).append(_shown(queue))
        names = {_identity(queue): _shown(queue) for queue in queues}
        for vhost, name in names:
            for suffix in self._options.dead_letter_suffix:
                origin = (vhost, name.removesuffix(suffix))
                if name.endswith(suffix) and origin in names and (vhost, name) not in found:
                    found[(vhost, name)] = [names[origin]]
        return {key: ", ".join(sorted(origins)) for key, origins in found.items()}

    def _targets(self, queue: Queue, vhost: str, now: datetime) -> list[str]:
        """Where the dead letters of a queue go, by its arguments, else by its policy."""
        arguments = queue.get("arguments")
        policy = queue.get("effective_policy_definition")
        arguments = arguments if isinstance(arguments, dict) else {}
        policy = policy if isinstance(policy, dict) else {}
        exchange = arguments.get("x-dead-letter-exchange", policy.get("dead-letter-exchange"))
        key = arguments.get("x-dead-letter-routing-key", policy.get("dead-letter-routing-key"))
        if exchange is None:
            return []
        if exchange == "":
            return [str(key)] if key else []
        bound = self._bindings(vhost, str(exchange), now)
        exact = [target for target, bound_key in bound if key is not None and bound_key == key]
        return sorted(set(exact or [target for target, _ in bound]))

    def _bindings(self, vhost: str, exchange: str, now: datetime) -> list[tuple[str, str]]:
        """(queue, routing key) of the queues bound to an exchange."""
        asked_at, known = self._bound.get((vhost, exchange), (-BINDINGS_AGE_S, []))
        if time.monotonic() - asked_at < BINDINGS_AGE_S:
            return known
        path = f"/api/exchanges/{quote(vhost, safe='')}/{quote(exchange, safe='')}/bindings/source"
        status, body = self._get(path, now, may_miss=True)
        found = [
            (str(binding.get("destination")), str(binding.get("routing_key", "")))
            for binding in (body if status != 404 and isinstance(body, list) else [])
            if isinstance(binding, dict) and binding.get("destination_type") == "queue"
        ]
        self._bound[(vhost, exchange)] = (time.monotonic(), found)
        return found


def _identity(queue: Queue) -> tuple[str, str]:
    return str(queue.get("vhost", "/")), str(queue["name"])


def _shown(queue: Queue) -> str:
    """The name on screens; the virtual host stands before it unless it is the usual one."""
    vhost, name = _identity(queue)
    return name if vhost == "/" else f"{vhost}/{name}"


def _sample(broker: str, queue: Queue, now: datetime, dlq_of: str | None) -> QueueSample:
    stats = queue.get("message_stats")
    stats = stats if isinstance(stats, dict) else {}
    head = _number(queue.get("head_message_timestamp"))
    # The timestamp is the publisher's own, whose clock may be ahead of ours.
    age = None if head is None else max(0.0, now.timestamp() - head)
    return QueueSample(
        broker=broker,
        queue=_shown(queue),
        at=now,
        ready=_count(queue.get("messages_ready")),
        in_flight=_count(queue.get("messages_unacknowledged")),
        total=_count(queue.get("messages")),
        consumers=_count(queue.get("consumers")),
        in_rate=_rate(stats, "publish"),
        out_rate=_sum(
            _rate(stats, "ack"), _rate(stats, "deliver_no_ack"), _rate(stats, "get_no_ack")
        ),
        oldest_age_s=age,
        dlq_of=dlq_of,
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number else None


def _rate(stats: Mapping[str, Any], kind: str) -> float | None:
    """Messages per second; None if the broker has none to tell."""
    details = stats.get(f"{kind}_details")
    return _number(details.get("rate")) if isinstance(details, dict) else None


def _sum(*rates: float | None) -> float | None:
    """What leaves in any way; None only if no way is known."""
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None
