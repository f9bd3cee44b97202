"""Fulfils wishes to see what an edited rule book would say (backtest, plan), beside other work."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

import orjson
from sqlalchemy import Engine

from db import configuration, records, rule_trials
from db.rule_trials import Trial
from tower.errors import ConfigError, TowerError
from worker import configuration as files
from worker import rule_plan
from worker.commands.rule_changes import (
    by_recipient,
    by_rule,
    hindsight,
    in_force,
    listed,
)
from worker.hindsight import differences, judge_past, uncovered

log = logging.getLogger(__name__)

MOST_LISTED = 200  # of each list on the page
SAY_S = 1.0  # between two words on how far it is
RULES_NAME = "sla_rules.yaml"  # how mistakes of the edited book are told


class _CalledOff(Exception):
    """Somebody does not want to know any more."""


def fulfil_waiting(engine: Engine, clock: Callable[[], datetime]) -> bool:
    """Work on the next trial; whether there was one."""
    with engine.begin() as conn:
        trial = rule_trials.claim(conn, clock())
    if trial is None:
        return False
    try:
        _fulfil(engine, trial, clock)
    except _CalledOff:
        log.info("Trial called off", extra={"action": "trial.cancelled", "trial": trial.id})
    except (ConfigError, TowerError) as error:
        with engine.begin() as conn:
            rule_trials.fail(conn, trial.id, str(error), clock())
    except Exception:
        log.exception("Trial failed", extra={"action": "trial.failed", "trial": trial.id})
        with engine.begin() as conn:
            rule_trials.fail(
                conn, trial.id, "The trial broke off. The log of the worker has the cause.", clock()
            )
    return True


def _fulfil(engine: Engine, trial: Trial, clock: Callable[[], datetime]) -> None:
    started = time.monotonic()
    said = 0.0

    def told(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said >= SAY_S or done >= total:
            said = time.monotonic()
            with engine.begin() as conn:
                if not rule_trials.progress(conn, trial.id, done, total, clock()):
                    raise _CalledOff

    with engine.connect() as conn:
        active = in_force(conn)
        kept = configuration.active(conn, configuration.NETWORK)
        body = "" if kept is None else kept.body
        other = files.parse(body, trial.body, "network.yaml", RULES_NAME)
        pairs = [
            hindsight(conn, config, trial.begin_at, trial.end_at, "arrival")
            for config in (active, other)
        ]
        documents, events = judge_past(
            conn, [p[1] for p in pairs], [p[0] for p in pairs], trial.end_at, told
        )
        before, after = pairs[0][1], pairs[1][1]
        at_once = rule_plan.present(conn, other, clock(), lambda n: told(documents, documents))
    sent = after.mails()
    answer = {
        "from": trial.begin_at,
        "to": trial.end_at,
        "by": "arrival",
        "documents": documents,
        "events": events,
        "seconds": round(time.monotonic() - started, 3),
        "rules": by_rule(after),
        "rules_before": by_rule(before),
        "changes": rule_plan.rule_changes(active.rulebook, other.rulebook),
        "alerts": len(after.alerts),
        "alerts_before": len(before.alerts),
        "mails": len(sent),
        "mails_before": len(before.mails()),
        "recipients": by_recipient(sent),
        "not_replayed": uncovered(pairs[1][0]),
        "compared": listed(differences(before, after)),
        "plan": {
            "clocks": {
                "open": at_once.open,
                "started": at_once.started,
                "ended": at_once.ended,
                "moved_total": len(at_once.moved),
                "moved": at_once.moved[:MOST_LISTED],
            },
            "opened_total": len(at_once.opened),
            "closed_total": len(at_once.closed),
            "opened": at_once.opened[:MOST_LISTED],
            "closed": at_once.closed[:MOST_LISTED],
            "summaries": at_once.summaries,
        },
    }
    with engine.begin() as conn:
        rule_trials.finish(conn, trial.id, orjson.loads(records.as_json([answer]))[0], clock())
