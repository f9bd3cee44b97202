"""Reminders and steps that wait for open cases, one row per case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select

from db import records
from db.tables import escalation
from tower.durations import Span
from tower.escalating import Chain, ChainStep

_COLUMNS = (
    "policy", "repeat", "steps", "next_step", "generation", "started_at", "reminded_at", "stopped",
)  # fmt: skip


def load(conn: Connection, case_ids: Iterable[int]) -> dict[int, Chain]:
    """The chains of these cases; whoever asks holds the cases' rows."""
    ids = sorted(set(case_ids))
    if not ids:
        return {}
    rows = conn.execute(select(escalation).where(escalation.c.case_id.in_(ids)))
    return {row.case_id: _of_row(row) for row in rows}


def save(conn: Connection, chains: Sequence[Chain]) -> None:
    records.put(
        conn,
        escalation,
        [
            {
                "case_id": c.case_id,
                "policy": c.policy,
                "repeat": str(c.repeat) if c.repeat is not None else "",
                "steps": [[str(step.after), step.to] for step in c.steps],
                "next_step": c.next_step,
                "generation": c.generation,
                "started_at": c.started_at,
                "reminded_at": c.reminded_at,
                "stopped": c.stopped,
            }
            for c in sorted(chains, key=lambda c: c.case_id)
        ],
        conflict=("case_id",),
        changed=_COLUMNS,
    )


def _of_row(row: Any) -> Chain:
    return Chain(
        case_id=row.case_id,
        policy=row.policy,
        repeat=Span.parse(row.repeat) if row.repeat else None,
        steps=tuple(ChainStep(Span.parse(after), to) for after, to in row.steps),
        next_step=row.next_step,
        generation=row.generation,
        started_at=row.started_at,
        reminded_at=row.reminded_at,
        stopped=row.stopped,
    )
