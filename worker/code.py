"""The rules, calendars and profiles in force, kept with their versions before the first use."""

from __future__ import annotations

import threading
from datetime import datetime
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from db import clocks, configuration, impact, timers
from db.timers import Timer
from tower.court import Code, new_profiles
from tower.rulebook import VolumeRule
from worker.judging import Judging, timer_kind

_lock = threading.Lock()
_prepared: WeakKeyDictionary[Engine, tuple[Judging, Code]] = WeakKeyDictionary()


def code_for(engine: Engine, config: Judging, now: datetime) -> Code:
    """What judges in this database; made on the first call and again when the files change."""
    with _lock:
        known = _prepared.get(engine)
        if known is not None and known[0] is config:
            return known[1]
        with engine.begin() as conn:
            code = prepare(conn, config, now)
        _prepared[engine] = (config, code)
        return code


def prepare(conn: Connection, config: Judging, now: datetime) -> Code:
    """Keep every version in force for good; have every source looked at, and every unit with an
    open clock that another version of its rule or calendar judged."""
    kept = clocks.kept_profiles(conn)
    known = clocks.kept_rules(conn)
    fresh = new_profiles(config.network, kept)
    code = Code(config.network, config.rulebook, {})
    named = {*config.network.calendars, config.network.company.calendar}
    calendars = [code.calendar(name) for name in sorted(named)]
    clocks.keep_versions(
        conn,
        rules={
            r.version: (r.id, body)
            for r in code.rules
            if (body := code.versions.get(r.version)) is not None
        },
        calendars={
            c.version: (c.name, {"name": c.name, "spec": c.spec.model_dump(mode="json")})
            for c in calendars
        },
        profiles=fresh,
        now=now,
    )
    timers.sooner(conn, [Timer(timers.SOURCE, name, now) for name in config.network.sources])
    versions = [rule.version for rule in code.rules]
    outdated = clocks.outdated_homes(conn, versions, code.calendar_versions)
    waiting = [
        Timer(timers.QUEUE if is_queue else timer_kind(code, home), str(home), now)
        for home, is_queue in outdated
    ]
    if any(isinstance(rule.rule, VolumeRule) for rule in code.rules):
        # Whoever never sent anything is quiet, too.
        waiting += [Timer(timers.PARTNER, str(home), now) for home in config.network.partner_keys]
    if code.planning:
        waiting.append(Timer(timers.LEAD_TIME, "", now))
    if code.impact is not None and code.impact.version not in known:
        waiting += [Timer(timers.UNIT, str(home), now) for home in impact.affected_homes(conn)]
    timers.sooner(conn, waiting)
    names = (configuration.NETWORK, configuration.RULES)
    active = [found for name in names if (found := configuration.active(conn, name)) is not None]
    return Code(
        config.network,
        config.rulebook,
        profiles=clocks.kept_profiles(conn),
        activated_at=max((found.activated_at for found in active), default=now),
        old_rules=clocks.kept_rules(conn),
        old_calendars=clocks.kept_calendars(conn),
    )
