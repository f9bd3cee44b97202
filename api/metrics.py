"""``GET /metrics``: how the tower itself is, in the text form of Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from api.doors import Doors, Refused
from api.keys import Lister
from db.reads.vitals import Vitals, vitals
from tower.categories import Severity

TIMEOUT_S = 10


def register(app: FastAPI) -> None:
    """Add the route."""
    app.get("/metrics", tags=["health"], response_class=Response)(tell_metrics)


def tell_metrics(request: Request, who: Lister) -> Response:
    """Gauges about the tower itself; nothing about partners, orders or people."""
    if who is not None and who.partner is not None:
        raise Refused(
            403,
            "Metrics are not shown to keys that are bound to a partner.",
            "Ask with a key of the house: tower keys add monitoring --scope read.",
        )
    doors: Doors = request.app.state.doors
    begun = time.perf_counter()
    with doors.engine.connect() as conn:
        conn.exec_driver_sql(f"SET LOCAL statement_timeout TO {TIMEOUT_S * 1000}")
        found = vitals(conn, doors.clock())
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(found, time.perf_counter() - begun))
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), media_type=media_type)


class _Told(Collector):
    """One look at the tower as metrics."""

    def __init__(self, found: Vitals, took_s: float) -> None:
        self._found = found
        self._took_s = took_s

    def collect(self) -> Iterator[Metric]:
        found, b = self._found, self._found.backlog
        yield _by("tower_build_info", "version of the program", "version", {version("tower"): 1})
        yield _one("tower_scrape_seconds", "how long it took to answer", self._took_s)
        yield _one("tower_database_bytes", "size of the database on disk", found.size)
        yield _one("tower_timers_due", "timers that are due and wait", b.timers_due)
        yield self._age("tower_timer_oldest_seconds", "age of the oldest of them", b.oldest_timer)
        yield _one("tower_mails_waiting", "mails and messages that wait", b.mails_waiting)
        yield _one("tower_mails_failed", "mails and messages given up", b.mails_failed)
        yield self._age("tower_mail_oldest_seconds", "age of the oldest waiting", b.oldest_mail)
        yield _one("tower_dead_letters_open", "open dead letters", b.dead_letters_open)
        yield _one("tower_flows_unmatched", "what reached no known document", b.flows_unmatched)
        severities = {str(one): found.cases.get(str(one), 0) for one in Severity}
        yield _by("tower_cases_open", "open exception cases", "severity", severities)
        yield _by("tower_processes_alive", "processes of the last 30 s", "role", found.processes)
        yield from self._sources()
        yield from self._subscriptions()

    def _sources(self) -> Iterator[Metric]:
        found = self._found.sources
        yield _by("tower_source_up", "1 while a source is read well", "source",
                  {one.source: int(one.state == "up") for one in found})  # fmt: skip
        yield _by("tower_source_failures", "failed reads in a row", "source",
                  {one.source: one.failures for one in found})  # fmt: skip
        yield _by(
            "tower_source_complete_age_seconds",
            "how long ago a source was complete; missing before its first good read",
            "source",
            {
                one.source: self._seconds(one.complete_to)
                for one in found
                if one.complete_to is not None
            },
        )

    def _subscriptions(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "tower_subscription_deliveries",
            "deliveries that wait, and those given up",
            labels=["subscription", "state"],
        )
        for one in self._found.subscriptions:
            family.add_metric([one.subscription.name, "waiting"], one.waiting)
            family.add_metric([one.subscription.name, "dead"], one.dead)
        yield family
        yield _by(
            "tower_subscription_oldest_seconds",
            "age of the oldest waiting delivery",
            "subscription",
            {
                one.subscription.name: self._seconds(one.oldest_waiting)
                for one in self._found.subscriptions
                if one.oldest_waiting is not None
            },
        )

    def _age(self, name: str, meaning: str, since: datetime | None) -> Metric:
        """Seconds since an instant; 0 where nothing waits."""
        return _one(name, meaning, 0 if since is None else self._seconds(since))

    def _seconds(self, since: datetime) -> float:
        return max(0.0, (self._found.now - since).total_seconds())


def _one(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _by(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=[label])
    pairs: Iterable[tuple[str, float]] = sorted(values.items())
    for key, value in pairs:
        family.add_metric([key], value)
    return family
