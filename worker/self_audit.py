"""The tower audits itself each minute, and calls the dead-man switch while all is good.

A check that fails stops the calls: whoever listens for them raises the alarm by ways of its own,
for the tower's own mails may be what is broken.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from collectors.outgoing import Outgoing, raise_for
from db import self_audit as asks
from tower.court import Code
from tower.errors import TowerError
from tower.network import Network
from tower.rulebook import RuleBook, SourceRule

log = logging.getLogger(__name__)

TIMERS_LATE = timedelta(minutes=2)
TOLD_WITHIN = timedelta(minutes=5)
MAIL_WITHIN = timedelta(minutes=15)
SOURCE_WITHIN = timedelta(minutes=2)
TIMEOUT_S = 10.0
_ANYWHERE = ("0.0.0.0/0", "::/0")  # the operator's own setting, not a partner's


@dataclass(frozen=True, slots=True)
class Check:
    """One promise of the tower: whether it is kept, and examples if not."""

    name: str
    ok: bool
    words: str
    examples: tuple[str, ...] = ()


def checks(conn: Connection, network: Network, book: RuleBook, now: datetime) -> list[Check]:
    """Every check at an instant, in order of name."""
    return sorted(_checks(conn, network, book, now), key=lambda check: check.name)


def _checks(conn: Connection, network: Network, book: RuleBook, now: datetime) -> Iterator[Check]:
    yield _check(
        "timers",
        "something should have been looked at two minutes ago: does a worker run and keep up?",
        [f"{kind} {key}, due {due:%Y-%m-%d %H:%M} UTC"
         for kind, key, due in asks.late_timers(conn, now - TIMERS_LATE)],
    )  # fmt: skip
    untold = [f"case {number}" for number in asks.untold_cases(conn, now - TOLD_WITHIN)]
    stranded = [f"group {g.policy}, {g.recipient}" for g in asks.stranded_groups(conn)]
    yield _check(
        "told",
        "nobody was told of an open case, and no reason is written down: look at its policy and "
        "owner",
        [*untold, *stranded],
    )
    yield _check(
        "outbox",
        "mails or messages wait for more than 15 minutes: tower mails shows why",
        [f"{channel} {number}, since {since:%Y-%m-%d %H:%M} UTC"
         for number, channel, since in asks.old_messages(conn, now - MAIL_WITHIN)],
    )  # fmt: skip
    judged = any(isinstance(rule, SourceRule) for rule in book.rules)
    silent = _silent(conn, network, book, now) if judged else []
    yield _check("sources", "a source is silent and no case says so", silent)


def _silent(conn: Connection, network: Network, book: RuleBook, now: datetime) -> list[str]:
    """Sources that have been silent beyond their rhythm for longer than a case takes. One that may
    be silent for years, for nobody has to speak by it, is blind and not silent."""
    code = Code(network, book, {})
    return [
        source
        for source, since, known in asks.unaccused_sources(conn, network.sources)
        if max(known, since + code.silent_after(source, since)) < now - SOURCE_WITHIN
    ][: asks.EXAMPLES]


def _check(name: str, words: str, examples: list[str]) -> Check:
    return Check(name, not examples, words if examples else "", tuple(examples))


def ping(url: str, now: datetime) -> str:
    """Call the dead-man switch; "" if it heard us, else what went wrong, without the address."""
    try:
        calls = Outgoing(
            "dead-man switch", url, timeout_s=TIMEOUT_S, max_bytes=64 * 1024, networks=_ANYWHERE
        )
        with calls.talking():
            raise_for(calls.get(url), "dead-man switch", now)
    except TowerError as error:
        log.warning(
            "The dead-man switch was not reached",
            extra={"action": "deadman.unreached", "cause": type(error).__name__},
        )
        return f"not reached ({type(error).__name__})"
    return ""


def audit_and_ping(
    engine: Engine, network: Network, book: RuleBook, url: str | None, now: datetime
) -> dict[str, object]:
    """Audit, call if all is good, and what the heartbeat says of both."""
    with engine.connect() as conn:
        found = checks(conn, network, book, now)
    failing = [check for check in found if not check.ok]
    for check in failing:
        log.error(
            "The tower breaks a promise",
            extra={"action": "audit.failed", "check": check.name, "examples": check.examples},
        )
    pinged = None if failing or url is None else ping(url, now)
    return {
        "at": now.isoformat(),
        "failing": {check.name: check.words for check in failing},
        "pinged": pinged == "",
        "ping_error": pinged or "",
    }
