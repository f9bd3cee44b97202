"""Lag of Kafka's consumer groups: how far each is behind on each topic.

Lag of a partition is its end less what the group committed. A group that never committed there has
no lag that anybody knows: that is None, never zero. Messages are never touched and nothing is
committed. One sample per group and topic: "erp/orders".

With ``burrow`` the same comes from LinkedIn's Burrow over HTTP, which also knows groups that are
away (github.com/linkedin/Burrow/wiki/HTTP-Endpoints, v3).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from collectors.contract import position_in, secret
from collectors.limits import parse_json
from collectors.outgoing import Outgoing, raise_for
from tower.errors import AccessDenied, ConfigError, PayloadRejected, SourceUnavailable, TowerError
from tower.feeds import KafkaOptions
from tower.network import Source
from tower.raw import Batch, Budget, Heartbeat, Mark, QueueSample

VERSION = 1

Lags = Mapping[tuple[str, str], list[int | None]]
"""(group, topic) -> lag of each partition, None where the group never committed."""


class KafkaLag:
    """Reader of one cluster."""

    def __init__(
        self, name: str, source: Source, options: KafkaOptions, secrets: Mapping[str, str]
    ) -> None:
        self._name = name
        self._options = options
        self._broker = options.broker or source.system
        self._cluster: Burrow | Cluster
        if options.burrow is not None:
            self._cluster = Burrow(name, options)
        else:
            password = (
                secret(options.password_variable, secrets, name)
                if options.password_variable is not None
                else None
            )
            self._cluster = Cluster(name, options, password)

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        """One sample of every group and topic that is wanted."""
        position_in(mark, VERSION, self._name)
        lags, members = self._cluster.lags(now)
        yield Batch(
            source=self._name,
            samples=tuple(samples_of(self._broker, lags, members, now)),
            heartbeat=Heartbeat(self._name, complete_to=now, seen_at=now),
            mark=Mark(VERSION, {}),
        )

    def settle(self, batch: Batch) -> None:
        """Nothing was taken from the cluster."""


def samples_of(
    broker: str, lags: Lags, members: Mapping[str, int], now: datetime
) -> Iterator[QueueSample]:
    """A sum over partitions of which some are unknown is a lower bound, and marked approximate."""
    for (group, topic), partitions in sorted(lags.items()):
        known = [lag for lag in partitions if lag is not None]
        total = sum(known) if known else None
        yield QueueSample(
            broker=broker,
            queue=f"{group}/{topic}",
            at=now,
            ready=total,
            total=total,
            consumers=members.get(group),
            approximate=bool(known) and len(known) < len(partitions),
        )


def lag_of(end: int | None, committed: int | None) -> int | None:
    """Messages behind; None where either is unknown (Kafka writes that as a negative offset)."""
    if end is None or committed is None or end < 0 or committed < 0:
        return None
    return max(0, end - committed)


class Cluster:
    """The cluster itself, asked through the admin interface of the client library."""

    def __init__(self, name: str, options: KafkaOptions, password: str | None) -> None:
        try:
            import confluent_kafka  # noqa: F401
        except ImportError:
            raise ConfigError(
                f'Source "{name}": reading Kafka needs a library that is not installed. '
                'Install it: pip install "tower[kafka]".'
            ) from None
        self._name = name
        self._options = options
        self._timeout = options.timeout.total_seconds()
        self._said: list[Any] = []
        self._admin: Any = None
        secure = {(False, False): "PLAINTEXT", (True, False): "SSL",
                  (False, True): "SASL_PLAINTEXT", (True, True): "SASL_SSL"}  # fmt: skip
        self._config: dict[str, Any] = {
            "bootstrap.servers": ",".join(options.servers),
            "client.id": f"tower {name}",
            "security.protocol": secure[(options.tls, options.user is not None)],
            "socket.timeout.ms": max(1000, int(self._timeout * 1000)),
            "error_cb": self._said.append,
            "log_level": 0,
        }
        if options.user is not None:
            self._config |= {
                "sasl.mechanism": options.mechanism,
                "sasl.username": options.user,
                "sasl.password": password or "",
            }

    def lags(self, now: datetime) -> tuple[Lags, Mapping[str, int]]:
        """Lag by group and topic, and the number of members by group where that is told."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        self._said.clear()
        try:
            if self._admin is None:
                self._admin = AdminClient(self._config)
            metadata = self._admin.list_topics(timeout=self._timeout)
            wanted = {
                name: sorted(topic.partitions)
                for name, topic in metadata.topics.items()
                if _is_wanted(name, self._options.topics, ("__*",)) and topic.error is None
            }
            groups = self._groups()
            committed = {group: self._committed(group, wanted) for group in groups}
            ends = self._ends({one for found in committed.values() for one in found})
            return self._joined(committed, ends), self._members(groups)
        except KafkaException as error:
            self._admin = None
            raise self._family(error) from error

    def _joined(
        self, committed: Mapping[str, Mapping[tuple[str, int], int]],
        ends: Mapping[tuple[str, int], int],
    ) -> Lags:  # fmt: skip
        lags: dict[tuple[str, str], list[int | None]] = {}
        for group, partitions in committed.items():
            for (topic, partition), offset in sorted(partitions.items()):
                lag = lag_of(ends.get((topic, partition)), offset)
                lags.setdefault((group, topic), []).append(lag)
        return lags

    def _groups(self) -> list[str]:
        """The groups wanted: those named, and those of the cluster that a pattern fits."""
        named = [name for name in self._options.groups if not set(name) & set("*?[")]
        if len(named) == len(self._options.groups):
            return named
        listed = self._admin.list_consumer_groups(request_timeout=self._timeout).result()
        found = {
            group.group_id
            for group in listed.valid
            if _is_wanted(group.group_id, self._options.groups, self._options.never)
        }
        return sorted(found.union(named))

    def _committed(self, group: str, wanted: Mapping[str, list[int]]) -> dict[tuple[str, int], int]:
        """What a group committed on the partitions of each topic it reads; negative = never."""
        from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

        asked = [TopicPartition(topic, n) for topic, parts in wanted.items() for n in parts]
        if not asked:
            return {}
        answer = self._admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, asked)], request_timeout=self._timeout
        )
        offsets = {
            (one.topic, one.partition): one.offset if one.error is None else -1
            for one in answer[group].result().topic_partitions
        }
        # A topic on which it never committed is not its topic, unless somebody named it.
        named = set(self._options.topics)
        read = {topic for (topic, _), offset in offsets.items() if offset >= 0} | named
        return {key: offset for key, offset in offsets.items() if key[0] in read}

    def _ends(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        from confluent_kafka import KafkaException, TopicPartition
        from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(topic, n): latest for topic, n in partitions}
        if not asked:
            return {}
        found: dict[tuple[str, int], int] = {}
        for one, told in self._admin.list_offsets(asked, request_timeout=self._timeout).items():
            try:
                found[(one.topic, one.partition)] = told.result().offset
            except KafkaException:
                continue  # a partition without leader: unknown, while the others are told
        return found

    def _members(self, groups: list[str]) -> dict[str, int]:
        from confluent_kafka import KafkaException

        if not groups:
            return {}
        found: dict[str, int] = {}
        try:
            asked = self._admin.describe_consumer_groups(groups, request_timeout=self._timeout)
            for group, told in asked.items():
                found[group] = len(told.result().members)
        except KafkaException:
            pass  # an older cluster, or no right to it: the number of consumers is not known
        return found

    def _family(self, error: Exception) -> TowerError:
        codes = {one.code() for one in [*self._said, *error.args] if hasattr(one, "code")}
        where = ", ".join(self._options.servers)
        if codes & _refusals():
            return AccessDenied(
                f'Source "{self._name}": {where} refuses us. Check user, mechanism and the '
                "variable that its options name; the account needs DESCRIBE on groups and topics."
            )
        said = str(error.args[0]) if error.args else str(error)
        return SourceUnavailable(
            f'Source "{self._name}": {where} does not answer: {said[:200]}. It is tried again.'
        )


class Burrow:
    """Lags as Burrow tells them."""

    def __init__(self, name: str, options: KafkaOptions) -> None:
        if options.burrow is None:
            raise AssertionError("a Burrow needs its address")
        self._name = name
        self._options = options
        self._base = f"{options.burrow.rstrip('/')}/v3/kafka/{quote(options.cluster, safe='')}"
        self._outgoing = Outgoing(
            name,
            options.burrow,
            timeout_s=options.timeout.total_seconds(),
            max_bytes=20_000_000,
            networks=options.networks,
            secret_headers={},
        )

    def lags(self, now: datetime) -> tuple[Lags, Mapping[str, int]]:
        """Lag by group and topic; how many members a group has Burrow does not tell."""
        lags: dict[tuple[str, str], list[int | None]] = {}
        with self._outgoing.talking():
            told = self._get("/consumer", now).get("consumers")
            groups = [str(one) for one in told] if isinstance(told, list) else []
            for group in groups:
                if _is_wanted(group, self._options.groups, self._options.never):
                    answer = self._get(f"/consumer/{quote(group, safe='')}/lag", now)
                    for topic, partitions in burrow_lags(answer).items():
                        if _is_wanted(topic, self._options.topics, ("__*",)):
                            lags[(group, topic)] = partitions
        return lags, {}

    def _get(self, path: str, now: datetime) -> Mapping[str, Any]:
        answer = self._outgoing.get(self._base + path)
        raise_for(answer, self._name, now)
        try:
            body = parse_json(answer.body)
        except PayloadRejected as error:
            raise SourceUnavailable(
                f'Source "{self._name}": Burrow answered without JSON: {error}'
            ) from error
        return body if isinstance(body, dict) else {}


def burrow_lags(answer: Mapping[str, Any]) -> dict[str, list[int | None]]:
    """Lag of each partition by topic, from the answer to ``/lag``."""
    status = answer.get("status")
    partitions = status.get("partitions") if isinstance(status, dict) else None
    found: dict[str, list[int | None]] = {}
    for one in partitions if isinstance(partitions, list) else ():
        if not isinstance(one, dict):
            continue
        lag = one.get("current_lag")
        if lag is None and isinstance(one.get("end"), dict):
            lag = one["end"].get("lag")
        is_known = isinstance(lag, int) and not isinstance(lag, bool) and lag >= 0
        found.setdefault(str(one.get("topic")), []).append(lag if is_known else None)
    return found


def _is_wanted(name: str, only: Iterable[str], never: Iterable[str]) -> bool:
    if name in only:
        return True
    return any(fnmatch.fnmatchcase(name, p) for p in only) and not any(
        fnmatch.fnmatchcase(name, p) for p in never
    )


def _refusals() -> set[int]:
    from confluent_kafka import KafkaError

    return {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
