"""Streams and consumers of NATS JetStream: what is kept, and how far each consumer is behind.

Asks the JSON API of JetStream over the NATS connection; messages are never touched. A stream and
each of its consumers is one sample: "ORDERS", "ORDERS/erp". JetStream has no dead-letter queue:
a message that was delivered too often only gets an advisory. A stream that keeps these advisories
is shown as the queue of dead letters of the streams it listens for.

Format: docs.nats.io/reference/reference-protocols/nats_api_reference.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from collectors.contract import position_in, secret
from collectors.limits import parse_json
from tower.errors import AccessDenied, ConfigError, PayloadRejected, SourceUnavailable, TowerError
from tower.feeds import NatsOptions
from tower.network import Source
from tower.raw import Batch, Budget, Heartbeat, Mark, QueueSample

VERSION = 1
MOST_PAGES = 1000
ADVISORY = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES"
"""What is said of a message that was delivered as often as its consumer allows."""

Told = Mapping[str, Any]


class NatsStreams:
    """Reader of one JetStream account."""

    def __init__(
        self, name: str, source: Source, options: NatsOptions, secrets: Mapping[str, str]
    ) -> None:
        self._name = name
        self._options = options
        self._broker = options.broker or source.system
        self._login: dict[str, Any] = {}
        if options.token_variable is not None:
            self._login["token"] = secret(options.token_variable, secrets, name)
        if options.user is not None:
            self._login["user"] = options.user
        if options.password_variable is not None:
            self._login["password"] = secret(options.password_variable, secrets, name)
        try:
            import nats  # noqa: F401
        except ImportError:
            raise ConfigError(
                f'Source "{name}": reading NATS needs a library that is not installed. '
                'Install it: pip install "tower[nats]".'
            ) from None

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        """One sample of every stream and consumer that is wanted."""
        position_in(mark, VERSION, self._name)
        streams = asyncio.run(self._ask())
        samples: list[QueueSample] = []
        for stream, consumers in streams:
            samples.append(_stream_sample(self._broker, stream, now))
            samples += [_consumer_sample(self._broker, told, now) for told in consumers]
        yield Batch(
            source=self._name,
            samples=tuple(samples),
            heartbeat=Heartbeat(self._name, complete_to=now, seen_at=now),
            mark=Mark(VERSION, {}),
        )

    def settle(self, batch: Batch) -> None:
        """Nothing was taken from the broker."""

    async def _ask(self) -> list[tuple[Told, list[Told]]]:
        from nats import errors
        from nats.aio.client import Client

        said: list[str] = []

        async def note(error: Exception) -> None:
            said.append(str(error))

        timeout = self._options.timeout.total_seconds()
        logging.getLogger("nats").setLevel(logging.CRITICAL)  # it logs what we raise
        client = Client()
        try:
            # Its own waits and tries would hold up the worker for two minutes.
            connecting = client.connect(
                self._options.url,
                name=f"tower {self._name}",
                connect_timeout=max(1, round(timeout)),
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                error_cb=note,
                **self._login,
            )
            await asyncio.wait_for(connecting, timeout)
            found = []
            for stream in await self._pages(client, "$JS.API.STREAM.LIST", "streams", timeout):
                name = str(_table(stream, "config").get("name", ""))
                if name and self._is_wanted(name):
                    path = f"$JS.API.CONSUMER.LIST.{name}"
                    consumers = await self._pages(client, path, "consumers", timeout)
                    found.append((stream, consumers))
            return found
        except (errors.Error, OSError, TimeoutError) as error:
            raise self._family(error, said) from error
        finally:
            await client.close()

    async def _pages(self, client: Any, subject: str, list_name: str, wait: float) -> list[Told]:
        """All pages of a list of the API."""
        found: list[Told] = []
        for _ in range(MOST_PAGES):
            asked = json.dumps({"offset": len(found)}).encode()
            answer = await client.request(subject, asked, timeout=wait)
            try:
                body = parse_json(answer.data)
            except PayloadRejected as error:
                raise SourceUnavailable(
                    f'Source "{self._name}": JetStream answered without JSON: {error}'
                ) from error
            body = body if isinstance(body, dict) else {}
            self._check(body)
            page = body.get(list_name)
            page = [one for one in page if isinstance(one, dict)] if isinstance(page, list) else []
            found.extend(page)
            total = body.get("total")
            if not page or not isinstance(total, int) or len(found) >= total:
                break
        return found

    def _check(self, body: Told) -> None:
        error = body.get("error")
        if not isinstance(error, dict):
            return
        if error.get("err_code") == 10059:  # a stream that was deleted meanwhile
            return
        raise ConfigError(
            f'Source "{self._name}": JetStream refuses: {error.get("description")}. '
            "Enable JetStream for this account, or correct user and address in its options."
        )

    def _family(self, error: Exception, said: list[str]) -> TowerError:
        from nats import errors

        told = " ".join([str(error), *said]).lower()
        if "authorization" in told or "authentication" in told or "permissions" in told:
            return AccessDenied(
                f'Source "{self._name}": {self._options.url} refuses us. Check user and the '
                "variables that its options name, and that the account may call $JS.API.>."
            )
        if isinstance(error, errors.NoRespondersError):
            return ConfigError(
                f'Source "{self._name}": nobody answers for JetStream at {self._options.url}. '
                "Enable JetStream for this account."
            )
        shown = str(error) or type(error).__name__
        return SourceUnavailable(
            f'Source "{self._name}": {self._options.url} does not answer: {shown[:200]}. '
            "It is tried again."
        )

    def _is_wanted(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, p) for p in self._options.only) and not any(
            fnmatch.fnmatchcase(name, p) for p in self._options.never
        )


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
    if not given or not all(one.startswith(ADVISORY) for one in given):
        return None
    names = {one.removeprefix(ADVISORY).strip(".").partition(".")[0] for one in given}
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
