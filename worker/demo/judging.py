"""Judging and mailing while history is built: in the same process, or beside it in another.

In the same process each step is judged before the next is told, so that every run gives the same
answer. Beside it the second core is used; what is judged is the same (a clock's journal does not
depend on when a worker looks), only mails may gather a step more.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from db import engine as db_engine
from tower.errors import TowerError
from tower.settings import Settings
from worker import configuration, judge, logs, mailer
from worker.configuration import Configuration

STEPS_BEHIND = 3  # how far judging may lag behind telling
LOOK_S = 0.5

Judge = Callable[[datetime], int]
"""Judges and mails everything that is due at an instant; gives the number of mails sent so far."""


def here(engine: Engine, settings: Settings, config: Configuration, late_after: timedelta) -> Judge:
    """A judge in this process."""
    judging = _judging(settings, config, late_after)
    sent = 0

    def step(now: datetime) -> int:
        nonlocal sent
        sent += _step(engine, settings, judging, now)
        return sent

    return step


@contextlib.contextmanager
def beside(settings: Settings, late_after: timedelta) -> Iterator[Judge]:
    """A judge in a process of its own; all that was asked is judged when the block ends."""
    context = multiprocessing.get_context("spawn")
    steps: Any = context.Queue(maxsize=STEPS_BEHIND)
    sent: Any = context.Value("q", 0)
    process = context.Process(
        target=_work, args=(settings, late_after, steps, sent), name="judging", daemon=True
    )
    process.start()

    def hand_over(now: datetime | None) -> None:
        while True:
            if not process.is_alive():
                raise TowerError(
                    f"Judging the history ended early with code {process.exitcode}. What it said "
                    "stands above; start again with tower demo --fresh."
                )
            with contextlib.suppress(queue.Full):
                steps.put(now, timeout=LOOK_S)
                return

    def step(now: datetime) -> int:
        hand_over(now)
        return int(sent.value)

    try:
        yield step
        hand_over(None)
        process.join()
        if process.exitcode:
            raise TowerError(f"Judging the history ended with code {process.exitcode}.")
    finally:
        process.terminate()
        process.join()


def _work(settings: Settings, late_after: timedelta, steps: Any, sent: Any) -> None:
    # Ctrl-C is for the process that builds history; it ends this one.
    # A terminal tells all of its processes; we end with the one that started us.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    logs.start(30)
    engine = db_engine.connect(settings, hurried=True)
    with engine.connect() as conn:
        config = configuration.in_force(conn)
    if config is None:
        raise TowerError("There is no rule book in force to judge history by.")
    judging = _judging(settings, config, late_after)
    more = True
    while more:
        now = steps.get()
        while now is not None:
            try:
                following = steps.get_nowait()
            except queue.Empty:
                break
            if following is None:
                more = False
                break
            now = following
        if now is None:
            break
        sent.value += _step(engine, settings, judging, now)
    engine.dispose()


def _judging(settings: Settings, config: Configuration, late_after: timedelta) -> judge.Judging:
    return judge.Judging(
        config.network,
        config.rulebook,
        base_url=settings.base_url,
        sender=settings.smtp_from,
        late_after=late_after,
    )


def _step(engine: Engine, settings: Settings, judging: judge.Judging, now: datetime) -> int:
    while judge.tick(engine, judging, now).more:
        pass
    return mailer.send_due(engine, settings, judging, now)
