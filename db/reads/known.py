"""A document and its clocks as they were known at an instant, not as they are known now.

Events count from when they reached us, clocks and cases from when they were judged. Documents are
folded anew from the events of that time, by the word of the systems that count today.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Date, DateTime, Numeric, select

from db.reads.stories import Story, as_shown
from db.tables import document, event_object
from tower.access import Scope
from tower.believed import believed, due_of
from tower.documents import LINE_OF, Owners, Record, State, merge, project
from tower.registers import instant, microseconds, short
from tower.signs import Subject
from tower.timeline import Entry

NOT_KEPT = (
    "Customer orders behind it are told as of now only; so is what messages told that were read "
    "again since."
)
"""What an answer as known at an instant does not have, in words."""

Family = tuple[int, str, str, str]
_NAME = ("home_key", "kind", "scope", "number")


def as_known_at(
    conn: Connection, scope: Scope, story: Story, at: datetime, owners: Owners
) -> Story | None:
    """The story as it was known at this instant; None if nobody had spoken of it yet."""
    events = tuple(event for event in story.events if event.received_at <= at)
    headers = [row for row in (story.root, *story.related) if row is not None]
    folded = _documents(conn, headers, at, owners)
    root = None if story.root is None else _header(folded, story.root)
    if root is None and (story.root is not None or not events):
        return None
    related = [found for row in story.related if (found := _header(folded, row)) is not None]
    family = [one for row in headers[:1] if root is not None for one in folded[_family(row)]]
    journal = tuple(row for row in story.journal if row["detected_at"] <= at)
    return replace(
        story,
        root=None if root is None else as_shown(root, scope),
        family=tuple(as_shown(row, scope) for row in family),
        related=tuple(as_shown(row, scope) for row in related),
        events=events,
        clocks=_clocks(story.clocks, journal),
        journal=journal,
        cases=tuple(_case(row, at) for row in story.cases if row["detected_at"] <= at),
        pegs=(),
        impacts=(),
    )


def _family(row: Mapping[str, Any]) -> Family:
    return row["home_key"], row["kind"], row["scope"], row["number"]


def _header(
    folded: Mapping[Family, Sequence[Mapping[str, Any]]], row: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    return folded.get(_family(row), (None,))[0]


def _documents(
    conn: Connection, headers: Iterable[Mapping[str, Any]], at: datetime, owners: Owners
) -> dict[Family, list[Mapping[str, Any]]]:
    """The rows of these families, header first, from what had reached us by then."""
    now = {_family(row): row for row in headers}
    o = event_object.c
    rows = conn.execute(
        select(
            o.home_key, o.event_id, o.kind, o.scope, o.number, o.type, o.system, o.occurred_at,
            o.words,
        ).where(o.home_key.in_({key[0] for key in now}), o.arrived_at <= at)
    )  # fmt: skip
    states: dict[Family, State] = {}
    for home, event, kind, scope, number, type_, system, occurred, words in rows:
        key = (home, kind, scope, number)
        if key not in now:
            continue
        state = states.setdefault(key, {})
        moment = microseconds(occurred)
        for line, facts in words.items():
            of = LINE_OF[kind] if line else kind
            merge(state, Record(short(event), of, line, type_, system, moment, facts))
    empty = dict.fromkeys(column.name for column in document.c)
    return {
        key: [
            {**empty, "home_key": key[0], "partner_id": now[key]["partner_id"], **_typed(row)}
            for row in project(*key[1:], state, owners)
        ]
        for key, state in states.items()
    }


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A projected row as the table would give it back."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        type_ = document.c[name].type
        if value is None:
            found[name] = None
        elif isinstance(type_, DateTime):
            found[name] = instant(value)
        elif isinstance(type_, Date):
            found[name] = date.fromisoformat(value)
        elif isinstance(type_, Numeric):
            found[name] = Decimal(value)
        else:
            found[name] = value
    return found


def _clocks(
    now: Sequence[Mapping[str, Any]], journal: Sequence[Mapping[str, Any]]
) -> tuple[Mapping[str, Any], ...]:
    """Clocks as the journal had them; the arithmetic is that of their last entry."""
    homes: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    entries: list[Entry] = []
    for row in sorted(journal, key=lambda row: row["n"]):
        subject = Subject(row["kind"], row["scope"], row["number"], row["line"])
        why = row["why"]
        homes[row["rule"], subject, row["cycle"]] = row
        entries.append(
            Entry(
                row["rule"], subject, row["cycle"], row["name"], row["effective_at"],
                row["detected_at"], due_of(why), row["rule_hash"], why,
            )
        )  # fmt: skip
    names = list(now[0]) if now else []
    found = []
    for (rule, subject, cycle), one in believed(entries).items():
        last = homes[rule, subject, cycle]
        found.append(
            {
                **dict.fromkeys(names),
                "home_key": last["home_key"],
                "rule": rule,
                **subject._asdict(),
                "cycle": cycle,
                "verdict": one.verdict.value,
                "open": one.open,
                "paused": one.paused,
                "started_at": one.started,
                "due_at": one.due,
                "breached_at": one.breached,
                "ended_at": one.ended,
                "held_by": one.held_by,
                "rule_hash": last["rule_hash"],
                "state": {"receipt": last["why"]},
            }
        )
    return tuple(sorted(found, key=lambda row: (row["started_at"], row["rule"])))


def _case(row: Mapping[str, Any], at: datetime) -> Mapping[str, Any]:
    """A case that was known then. Who had taken it is told by its notes alone."""
    resolved = row["resolved_at"]
    if resolved is not None and resolved > at:
        return {**row, "state": "new", "resolution": None, "resolved_at": None}
    return row


__all__ = ["NOT_KEPT", "as_known_at"]
