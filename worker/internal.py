"""Cases that the tower opens about itself: no clock stands behind them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from tower.cases import ANY_CYCLE, Brief, Changed, Happening, Level, owner_of
from tower.categories import CATEGORIES, Severity
from tower.signs import Subject
from worker import casework
from worker.addressing import mark
from worker.code import code_for
from worker.judging import Judging

POLICY = "technical"  # of the rule book; any policy stands in where it has no such
BROKEN = "broken"  # the one level of these cases


def mail_failed(
    conn: Connection, config: Judging, recipient: str, address: str, words: str, now: datetime
) -> None:
    """A mail server refuses an address for good."""
    brief = _brief(
        config,
        "tower.mail_failed",
        "MAIL_FAILED",
        Subject("address", "", recipient),
        title=f"Mails to {recipient} are refused",
        advice="Correct the address in network.yaml; what was not told goes to the fallback.",
        severity=Severity.HIGH,
    )
    _happened(conn, config, brief, BROKEN, now, {"address": address, "answer": words})


def unit_failed(
    conn: Connection, config: Judging, home: int, subject: str, error: str, now: datetime
) -> None:
    """Judging a unit crashed; it is tried again in an hour, others go on."""
    brief = _brief(
        config,
        "tower.unit_failed",
        "TOWER_UNHEALTHY",
        Subject("unit", "", str(home)),
        title=f"Judging {subject} fails",
        advice="The log has the trace; the unit is tried again every hour.",
        severity=Severity.HIGH,
    )
    _happened(conn, config, brief, BROKEN, now, {"cause": error})


def unit_recovered(conn: Connection, config: Judging, home: int, now: datetime) -> None:
    """A unit that crashed before is judged again: its case heals."""
    brief = _brief(
        config,
        "tower.unit_failed",
        "TOWER_UNHEALTHY",
        Subject("unit", "", str(home)),
        title="",
        advice="",
        severity=Severity.HIGH,
    )
    _happened(conn, config, brief, "end:met", now, {})


def numbers_missing(
    conn: Connection,
    config: Judging,
    stream: str,
    missing: str,
    newest: int | None,
    now: datetime,
) -> list[Changed]:
    """Interchanges of a stream never came, ``newest`` being the last of them; None: all are here.

    A person who explained a gap is not asked again until a later number is missing.
    """
    title = f"Interchanges {missing} of {stream.rpartition(':interchange:')[2]} never came"
    brief = _brief(
        config,
        "tower.numbers_missing",
        "SOURCE_GAP",
        Subject("stream", "", stream),
        title=title[:300],
        advice="Ask the sender, or look into the gateway's archive; a file that comes late closes "
        "the gap. If the sender counts for several receivers at once, settle this by hand.",
        severity=Severity.HIGH,
        cause="gateway",
    )
    if newest is None:
        return _happened(conn, config, brief, "end:met", now, {})
    return _happened(conn, config, brief, BROKEN, now, {"missing": missing}, cycle=newest)


def _brief(
    config: Judging,
    rule: str,
    category: str,
    subject: Subject,
    *,
    title: str,
    advice: str,
    severity: Severity,
    cause: str = "tower",
) -> Brief:
    notify = config.rulebook.notify
    name = POLICY if POLICY in notify else next(iter(notify), "")
    policy = notify.get(name)
    letter = CATEGORIES[category].owner
    return Brief(
        subject=subject,
        home_key=None,
        rule=rule,
        category=category,
        levels={BROKEN: Level(BROKEN, severity.value, name)},
        title=title,
        advice=advice,
        owner=owner_of(letter, config.network, None, policy.fallback if policy else None),
        letter=letter,
        cause=cause,
    )


def _happened(
    conn: Connection,
    config: Judging,
    brief: Brief,
    name: str,
    now: datetime,
    why: dict[str, str],
    *,
    cycle: int | None = None,
) -> list[Changed]:
    code = code_for(conn.engine, config, now)
    # Each breakdown is a cycle of its own, so that one put right by hand counts when it comes back.
    if cycle is None:
        cycle = int(now.timestamp()) if name == BROKEN else ANY_CYCLE
    news = Happening(name=name, cycle=cycle, effective=now, detected=now, why=why)
    worked = casework.apply(conn, code, [(brief, [news])], (), now)
    mark(conn, config, code, worked.changes, now)
    return worked.changes
