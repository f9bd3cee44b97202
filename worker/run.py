"""``tower worker``: reads sources, judges clocks, sends mails, keeps house.

Any number of identical workers share the work through the database; none is special and nothing in
its memory matters.
"""

from __future__ import annotations

import logging
import os
import platform
import signal
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version

from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Engine

from collectors import registry
from collectors.contract import Reader
from db import health, rollups, sources
from db import subscriptions as delivered
from db.known_keys import KnownKeys
from tower.errors import ConfigError
from tower.settings import Settings
from worker import (
    channels,
    checkpoints,
    judge,
    mailer,
    payload_words,
    reading,
    replay_checks,
    replay_effects,
    replay_telling,
    replays,
    reports,
    rule_trials,
    self_audit,
    subscriptions,
    ties,
)
from worker.configuration import Configuration, Watched
from worker.lanes import Lanes
from worker.outage import Outage, is_away

log = logging.getLogger(__name__)

READERS = 4  # sources read at once: they wait for networks, not for this machine
LOOK_S = 0.5
TICK_S = 0.1
# While timers ring, the next event is a case a few hundredths of a second sooner; asking the queue
# so often takes a hundredth or two of a core, which a worker at rest leaves to others.
BUSY_TICK_S = 0.02
BUSY_FOR_S = 60.0  # after the last timer that rang
MAIL_S = 1.0
TIES_S = 1.0
WORDS_S = 2.0
TRIALS_S = 1.0
REPLAY_S = 1.0
EFFECT_S = 2.0
REPORT_S = 5.0
FIGURES_S = 60.0
FIGURES_SHARE = 0.1  # of the time goes into counting figures ahead, at most


def utc_now() -> datetime:
    return datetime.now(UTC)


class Worker:
    """The loops of one worker process.

    ``rounds`` is an engine for judging alone (``db.engine.for_rounds``); without it the other is
    used. ``clock`` is read once per step and passed on; tests and the demo give their own.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        rounds: Engine | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._engine = engine
        self._rounds = rounds or engine
        self._settings = settings
        self._clock = clock
        self._stop = threading.Event()
        self._started_at = clock()
        self.name = f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
        self._watched = Watched(engine, settings.network, settings.rules, on_change=self._configure)
        self._readers: dict[str, Reader] = {}
        self._judging: judge.Judging | None = None
        self._words = payload_words.Writing()
        self._lanes = Lanes(engine, settings.lanes)
        self._counting_from = 0.0  # monotonic
        self._busy_until = 0.0  # monotonic
        self._errors = 0
        self._outage = Outage()
        self._last_tick: judge.TickResult | None = None
        self._audited: dict[str, object] | None = None

    def _configure(self, config: Configuration) -> None:
        readers = {}
        for name, source in config.network.sources.items():
            if source.is_pull:
                try:
                    readers[name] = registry.reader_for(
                        name,
                        source,
                        config.network,
                        base=self._settings.home,
                        known=KnownKeys(self._engine),
                    )
                except ConfigError as error:
                    log.error(
                        "Source cannot be read",
                        extra={
                            "action": "source.misconfigured",
                            "source": name,
                            "cause": str(error),
                        },
                    )
        self._readers = readers
        self._judging = judge.Judging(
            config.network,
            config.rulebook,
            base_url=self._settings.base_url,
            sender=self._settings.smtp_from,
        )
        with self._engine.begin() as conn:
            reports.expect(conn, self._judging, self._clock())
        log.info(
            "Configuration in force",
            extra={"action": "config.activated", "sources": len(config.network.sources)},
        )

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; finishes what it holds, then returns."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        self._watched.refresh(self._clock())
        scheduler = BackgroundScheduler(
            timezone=UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        scheduler.add_job(self._guarded(self._beat), "interval", seconds=5)
        scheduler.add_job(self._guarded(self._reload), "interval", seconds=10)
        scheduler.add_job(self._guarded(self._audit), "interval", seconds=60)
        scheduler.add_job(self._guarded(self._keep_checkpoint), "interval", minutes=5)
        scheduler.add_job(self._guarded(self._recover), "interval", seconds=30)
        scheduler.add_job(self._guarded(self._forget_deliveries), "interval", hours=1)
        scheduler.start()
        self._beat()
        loops = [
            threading.Thread(target=self._loop, args=(step, pause), name=name, daemon=True)
            for name, step, pause in (
                ("judge", self._judge, self._tick_s),
                ("mail", self._mail, MAIL_S),
                ("channels", self._post, MAIL_S),
                ("subscribers", self._tell_subscribers, MAIL_S),
                ("ties", self._tie, TIES_S),
                ("words", self._write_words, WORDS_S),
                ("trials", self._try_rules, TRIALS_S),
                ("replays", self._replay, REPLAY_S),
                ("effects", self._see_effects, EFFECT_S),
                ("reports", self._report, REPORT_S),
                ("figures", self._count_figures, FIGURES_S),
            )
        ]
        for loop in loops:
            loop.start()
        try:
            with self._lanes:
                self._read_loop()
        finally:
            self._stop.set()
            scheduler.shutdown(wait=True)
            for loop in loops:
                loop.join(timeout=30)
            log.info("Worker stopped", extra={"action": "worker.stopped", "worker": self.name})

    def stop(self) -> None:
        self._stop.set()

    def _loop(self, step: Callable[[], bool], pause: float | Callable[[], float]) -> None:
        """Repeat a step; at once while it says there is more, else after ``pause`` seconds."""
        guarded = self._guarded(step)
        while not self._stop.is_set():
            if not guarded():
                self._stop.wait(pause() if callable(pause) else pause)

    def _guarded(self, step: Callable[[], bool | None]) -> Callable[[], bool]:
        """A step whose failure is logged and waited out: a database that is away comes back."""
        found_away = False

        def run() -> bool:
            nonlocal found_away
            try:
                more = bool(step())
            except Exception as error:
                self._errors += 1
                found_away = is_away(error)
                if found_away:
                    self._stop.wait(self._outage.begins(error))
                    return False
                log.exception(
                    "A step failed",
                    extra={"action": "worker.step_failed", "step": step.__name__.lstrip("_")},
                )
                self._stop.wait(min(30.0, 1.0 * 2 ** min(self._errors, 5)))
                return False
            if found_away:
                found_away = False
                self._outage.ends()
            return more

        return run

    def _judge(self) -> bool:
        if self._judging is None:
            return False
        result = judge.tick(self._rounds, self._judging, self._clock())
        self._last_tick = result
        if result.claimed:
            self._busy_until = time.monotonic() + BUSY_FOR_S
        self._errors = 0
        return result.more

    def _tick_s(self) -> float:
        return BUSY_TICK_S if time.monotonic() < self._busy_until else TICK_S

    def _mail(self) -> bool:
        if self._judging is None:
            return False
        return mailer.send_due(self._engine, self._settings, self._judging, self._clock()) > 0

    def _post(self) -> bool:
        if self._judging is None:
            return False
        return channels.post_due(self._engine, self._judging, self._clock()) > 0

    def _tell_subscribers(self) -> bool:
        return subscriptions.deliver_due(self._engine, self._clock) > 0

    def _forget_deliveries(self) -> None:
        with self._engine.begin() as conn:
            delivered.forget(conn, self._clock())

    def _tie(self) -> bool:
        config = self._watched.current
        if config is None:
            return False
        return ties.fulfil_waiting(self._engine, config.network, self._clock()) > 0

    def _replay(self) -> bool:
        config = self._watched.current
        if config is None:
            return False
        replay_checks.check_waiting(
            self._engine,
            config.network,
            self._clock(),
            secrets=os.environ,
            base=self._settings.home,
        )
        return replays.advance(
            self._engine,
            config.network,
            self.name,
            self._clock(),
            secrets=os.environ,
            clock=self._clock,
            base=self._settings.home,
        )

    def _see_effects(self) -> bool:
        replay_effects.see_effects(self._engine, self._clock())
        config = self._watched.current
        if config is None:
            return False
        return replay_telling.tell(self._engine, config.network, self._clock()) > 0

    def _report(self) -> bool:
        if self._judging is None:
            return False
        reports.make_due(self._engine, self._judging, self._clock())
        return False

    def _count_figures(self) -> bool:
        """Count ahead what has changed, then leave the machine to others for a while."""
        begun = time.monotonic()
        if begun >= self._counting_from:
            rollups.count_due(self._engine, self._clock(), stop=self._stop.is_set)
            took = time.monotonic() - begun
            self._counting_from = begun + took / FIGURES_SHARE
        return False

    def _recover(self) -> None:
        config = self._watched.current
        if config is not None:
            replay_effects.recovered(self._engine, config.network, self._clock())

    def _try_rules(self) -> bool:
        return rule_trials.fulfil_waiting(self._engine, self._clock)

    def _write_words(self) -> bool:
        return self._words.step(self._engine, self._clock())

    def _read_loop(self) -> None:
        running: dict[str, Future[reading.ReadResult]] = {}

        def look_at_sources() -> bool:
            return self._look(pool, running)

        look = self._guarded(look_at_sources)
        with ThreadPoolExecutor(READERS, thread_name_prefix="read") as pool:
            while not self._stop.is_set():
                look()
                self._stop.wait(LOOK_S)

    def _look(
        self, pool: ThreadPoolExecutor, running: dict[str, Future[reading.ReadResult]]
    ) -> bool:
        for name in [name for name, future in running.items() if future.done()]:
            running.pop(name).result()
        config = self._watched.current
        free = [name for name in self._readers if name not in running]
        if config is None or not free:
            return False
        with self._engine.connect() as conn:
            due = sources.due(conn, free, self._clock())
        for name in due[: READERS - len(running)]:
            running[name] = pool.submit(
                reading.read_source,
                self._engine,
                config.network,
                name,
                self._readers[name],
                holder=self.name,
                now=self._clock(),
                lanes=self._lanes,
            )
        return False

    def _reload(self) -> None:
        self._watched.refresh(self._clock())

    def _audit(self) -> None:
        """Look at ourselves; while all is good the dead-man switch is called."""
        config = self._watched.current
        self._audited = None
        if config is None:
            return
        url = self._settings.deadman_url
        self._audited = self_audit.audit_and_ping(
            self._engine,
            config.network,
            config.rulebook,
            url.get_secret_value() if url is not None else None,
            self._clock(),
        )

    def _keep_checkpoint(self) -> None:
        """Sign once an hour how far the audit goes."""
        checkpoints.keep(self._engine, self._settings, self._clock())

    def _beat(self) -> None:
        tick = self._last_tick
        with self._engine.begin() as conn:
            health.beat(
                conn,
                process=self.name,
                node=platform.node(),
                role="worker",
                version=version("tower"),
                started_at=self._started_at,
                now=self._clock(),
                detail={
                    "errors": self._errors,
                    "sources": len(self._readers),
                    "last_tick_at": tick.now.isoformat() if tick else None,
                    "audit": self._audited,
                },
            )
