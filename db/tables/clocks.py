"""What is judged: clocks and their journal, what waits, and what judging rests on."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSON

from db.tables.ground import HOME, INSTANT, LOCAL, REFERENCE, key, metadata, subject

clock = Table(
    "clock",
    metadata,
    key("home_key"),
    Column("rule", Text, primary_key=True),
    *subject(),
    Column("cycle", Integer, primary_key=True),
    Column("partner_id", BigInteger),
    Column("verdict", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("started_at", INSTANT),
    Column("due_at", INSTANT),
    Column("breached_at", INSTANT),  # effective instant of the standing breach
    Column("ended_at", INSTANT),
    Column("next_at", INSTANT),  # next instant at which time alone changes it
    Column("held_by", Text),  # evidence source that is silent
    Column("rule_hash", Text, nullable=False),
    Column("calendar_hash", Text),
    Column("profile_hash", Text),
    Column("state", JSON, nullable=False),  # standing facts and receipt (tower/clocks.py)
    info=HOME,
    postgresql_with={"fillfactor": "75"},
)
Index("ix_clock_rule_due_at", clock.c.rule, clock.c.due_at)
Index("ix_clock_held_by", clock.c.held_by, postgresql_where=text("held_by IS NOT NULL"))

transition = Table(
    "transition",
    metadata,
    key("home_key"),
    Column("rule", Text, primary_key=True),
    *subject(),
    Column("n", Integer, primary_key=True),
    Column("cycle", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("effective_at", INSTANT, nullable=False),
    Column("detected_at", INSTANT, nullable=False),  # logical instant
    Column("handled_at", INSTANT, nullable=False),  # the worker's wall clock
    Column("rule_hash", Text, nullable=False),
    Column("why", JSON, nullable=False),
    info=HOME,
)

judged_unit = Table(
    # The last logical instant of a unit: logical time never goes back.
    "judged_unit",
    metadata,
    key("home_key"),
    Column("instant", INSTANT, nullable=False),
    # when the mere passing of days moves what is expected of its lines, or how urgent its cases
    # are; null = never
    Column("impact_at", INSTANT),
    Column("failed_at", INSTANT),  # the last visit crashed then
    Column("reread_at", INSTANT),  # events its clocks took were taken back, and none came since
    info=HOME,
    postgresql_with={"fillfactor": "75"},
)

measured_unit = Table(
    # Something that rules judge by measuring or counting (a queue, a partner), and where judging
    # goes on from.
    "measured_unit",
    metadata,
    key("home_key"),
    *subject(),
    Column("new_from", INSTANT),  # earliest reading since the last visit; null = none is new
    # rule -> version and states of its fold, oldest first (tower/overruns.py)
    Column("footings", JSON, nullable=False, server_default="{}"),
    info=HOME,
    postgresql_with={"fillfactor": "75"},
)

partner_count = Table(
    # Events of a partner by type, five minutes in which they occurred, and minute by whose end we
    # knew them: counted once, in the transaction that keeps the event.
    "partner_count",
    metadata,
    key("home_key"),  # tower.identity.partner_id
    Column("type", Text, primary_key=True),
    Column("at", INSTANT, primary_key=True),
    Column("known_at", INSTANT, primary_key=True),
    Column("n", Integer, nullable=False),
    info=HOME,
    postgresql_with={"fillfactor": "85"},
)

timer = Table(
    # The only queue: units of clocks, mail groups, snoozes, all that waits.
    "timer",
    metadata,
    Column("kind", Text, primary_key=True),  # unit, queue, source, case, mail_group, digest
    Column("key", Text, primary_key=True),
    Column("due", INSTANT, nullable=False),
    Column("generation", BigInteger, nullable=False, server_default="0"),
    Index("ix_timer_due", "due"),
    info=LOCAL,
    postgresql_with={"fillfactor": "70"},
)

source_spell = Table(
    "source_spell",
    metadata,
    Column("source", Text, primary_key=True),
    Column("from_at", INSTANT, primary_key=True),  # complete up to here
    Column("known_at", INSTANT, nullable=False),
    Column("to_at", INSTANT),  # recovered; null = still blind
    Column("cause", Text, nullable=False, server_default=""),
    info=LOCAL,
)

rule_version, calendar_version, profile_version = (
    Table(
        name,
        metadata,
        Column("hash", Text, primary_key=True),
        Column("name", Text, nullable=False),
        Column("body", JSON, nullable=False),
        Column("first_used_at", INSTANT, nullable=False),
        info=REFERENCE,
    )
    for name in ("rule_version", "calendar_version", "profile_version")
)

partner = Table(
    "partner",
    metadata,
    key("partner_id"),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("tier", Text),
    Column("template", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("country", Text),
    Column("zone", Text, nullable=False),
    Column("channel", Text),
    Column("profile", JSON, nullable=False),
    info=REFERENCE,
)

active_config = Table(
    # The bytes in force of network.yaml and sla_rules.yaml; screens read these, never the files.
    "active_config",
    metadata,
    Column("name", Text, primary_key=True),  # network, rules
    Column("hash", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("activated_at", INSTANT, nullable=False),
    Column("problem", Text, nullable=False, server_default=""),  # why a newer file was refused
    info=LOCAL,
)
