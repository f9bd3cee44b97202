"""The tables, and where each of them lives when the database grows to many machines.

``Table.info["place"]`` is data, read by one listener that acts only where Citus is installed:

home_key    rows of one business story together (flow, event, document, peg, clock, transition ...)
item_key    rows of one raw message together
source_key, queue_key   bookmarks, queue samples
reference   a copy on every node
local       on the coordinator only

``home_key`` leads every primary and unique key of a flow table and is never updated. Foreign keys
are named and added last. No triggers, no EXCLUDE, no database clock in updates.
"""

from __future__ import annotations

from db.tables.cases import (
    case_note,
    case_set,
    exception_case,
    order_impact,
    rule_trial,
    stock_change,
    stock_level,
)
from db.tables.clocks import (
    active_config,
    calendar_version,
    clock,
    judged_unit,
    measured_unit,
    partner,
    partner_count,
    profile_version,
    rule_version,
    source_spell,
    timer,
    transition,
)
from db.tables.figures import (
    figure_count,
    figure_line,
    figure_mark,
    figure_shift,
    figure_span,
    figure_week,
)
from db.tables.ground import HOME, ITEM, LOCAL, REFERENCE, metadata
from db.tables.messages import (
    checkpoint,
    dead_letter,
    gateway_minute,
    ingest_ledger,
    interpretation,
    origin,
    payload_text,
    queue_sample,
    raw_message,
    sighting,
    text_mark,
)
from db.tables.people import account, api_key, provider_visit, session, sign_in_attempt, throttle
from db.tables.processes import heartbeat, job_run
from db.tables.replays import audit_entry, failure_note, replay, replay_item
from db.tables.stories import (
    control_number,
    document,
    event,
    event_object,
    flow,
    flow_link,
    hand_tie,
    peg,
)
from db.tables.telling import (
    delivery,
    escalation,
    group_member,
    mail_group,
    outbox,
    silence,
    subscription,
    subscription_delivery,
    suppression,
    told,
    undeliverable,
)

__all__ = (
    "HOME",
    "ITEM",
    "LOCAL",
    "REFERENCE",
    "account",
    "active_config",
    "api_key",
    "audit_entry",
    "calendar_version",
    "case_note",
    "case_set",
    "checkpoint",
    "clock",
    "control_number",
    "dead_letter",
    "delivery",
    "document",
    "escalation",
    "event",
    "event_object",
    "exception_case",
    "failure_note",
    "figure_count",
    "figure_line",
    "figure_mark",
    "figure_shift",
    "figure_span",
    "figure_week",
    "flow",
    "flow_link",
    "gateway_minute",
    "group_member",
    "hand_tie",
    "heartbeat",
    "ingest_ledger",
    "interpretation",
    "job_run",
    "judged_unit",
    "mail_group",
    "measured_unit",
    "metadata",
    "order_impact",
    "origin",
    "outbox",
    "partner",
    "partner_count",
    "payload_text",
    "peg",
    "profile_version",
    "provider_visit",
    "queue_sample",
    "raw_message",
    "replay",
    "replay_item",
    "rule_trial",
    "rule_version",
    "session",
    "sighting",
    "sign_in_attempt",
    "silence",
    "source_spell",
    "stock_change",
    "stock_level",
    "subscription",
    "subscription_delivery",
    "suppression",
    "text_mark",
    "throttle",
    "timer",
    "told",
    "transition",
    "undeliverable",
)
