"""Root causes at work: after cases changed, those that share a cause hang under one parent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from db import cases as kept
from db import root_causes as rows
from db import trips
from tower.cases import Case, Changed, is_past
from tower.court import Code
from tower.cycles import text_of
from tower.root_causes import KIND, grouping_of, regroup, shared_name
from tower.timeline import REJUDGED

Sharing = Sequence[Any]
"""Rows of the cases that share a name with some."""


class Beside(Protocol):
    """What is asked in the same trip in which cases are stored."""

    def ask(self, changes: Sequence[Changed]) -> Sequence[trips.Asked]:
        """The questions, when it is known what will be stored."""
        ...

    def take(self, answers: Sequence[list[Any]]) -> None:
        """Their answers."""
        ...


def store(
    conn: Connection,
    code: Code,
    changes: Sequence[Changed],
    weighed: Mapping[tuple[str, int], kept.Weighed],
    beside: Beside | None = None,
) -> tuple[list[Changed], Sharing | None]:
    """Store cases (``db.cases.write``), and ask in the same trip for those that share a cause with
    them; None where that must be asked afterwards."""
    shared = [c.case for c in changes if c.case.shares]
    asked = []
    if shared and not any(case.parent_id for case in shared):
        touched = _touched(shared)
        rows.lock(conn, touched)
        asked.append(rows.asking(touched, grouping_of(code.book).joins))
    alone = len(asked)
    if beside is not None:
        asked.extend(beside.ask(changes))
    stored, answers = kept.write_and_ask(conn, changes, asked, weighed)
    if beside is not None:
        beside.take(answers[alone:])
    return stored, answers[0] if alone else None


def follow(
    conn: Connection,
    code: Code,
    changes: Sequence[Changed],
    now: datetime,
    sharing: Sharing | None = None,
) -> list[Changed]:
    """Regroup what shares a cause with these changes: parents that changed, cases that stand alone
    again, and the given cases as they now are. The changes must be stored before; ``sharing`` is
    what was asked then.
    """
    if sharing is None:
        changed = [c.case for c in changes if c.case.shares and c.case.id is not None]
        if not changed:
            return list(changes)
        touched = _touched(changed)
        rows.lock(conn, touched)
        # A case whose instant moved may leave the group it was in.
        for name, at in rows.first_of(conn, (c.parent_id for c in changed if c.parent_id)).items():
            touched[name] = min(touched.get(name, at), at)
        sharing = trips.ask_one(conn, *rows.asking(touched, grouping_of(code.book).joins))
    grouping = grouping_of(code.book)
    wanted = {
        name: cases
        for name, cases in rows.by_name(sharing).items()
        if len(cases) >= grouping.at_least or any(c.parent_id for c in cases)
    }
    if not wanted:
        return list(changes)
    numbers = {c.parent_id for cases in wanted.values() for c in cases if c.parent_id is not None}
    known_parents = rows.parents(conn, wanted, numbers)
    names = {key: partner.name for key, partner in code.network.partners.items()}
    ids = {c.case.id for c in changes}
    bygone = {c.case.id for c in changes if is_past(c)}
    under: dict[int, int | None] = {}
    extra: list[Changed] = []
    summed: set[int] = set()
    for name, cases in sorted(wanted.items()):
        own = {n: p for n, p in known_parents.items() if shared_name(p) == name}
        found = regroup(name, cases, own, names, now, grouping)
        for group in found.groups:
            before = own.get(group.parent.case.id or 0)
            parent = group.parent
            news = {c.id for c in group.members} & ids
            if parent.notes and news <= bygone:
                # All that happened to it is the work of another rule book: no news either.
                why = {**parent.case.why, REJUDGED: text_of(now)}
                parent = replace(parent, case=replace(parent.case, why=why))
            if parent.notes or parent.tell or parent.case != before:
                [parent] = kept.write(conn, [parent])
                extra.append(parent)
            number = parent.case.id or 0
            summed.add(number)
            for case in group.members:
                if case.id is not None and case.parent_id != number:
                    under[case.id] = number
                    if case.id not in ids:
                        # It waited to be told by itself; now its parent does that.
                        extra.append(Changed(replace(case, parent_id=number), (), False))
        extra.extend(kept.write(conn, found.ended))
        under |= {c.id: None for c in found.loose if c.id}
        extra.extend(Changed(replace(c, parent_id=None), (), True) for c in found.loose if c.open)
    rows.hang(conn, under)
    rows.sum_up(conn, summed, code.network.company.currency)
    return [*_hung(changes, under), *extra]


def _touched(cases: Iterable[Case]) -> dict[str, datetime]:
    """The earliest instant of each name that these cases share."""
    found: dict[str, datetime] = {}
    for case in cases:
        found[case.shares] = min(found.get(case.shares, case.opened_at), case.opened_at)
    return found


def sum_up(conn: Connection, code: Code, cases: Iterable[Case]) -> None:
    """Bring the figures of the parents of these cases up to date."""
    numbers = {c.parent_id for c in cases if c.parent_id is not None}
    rows.sum_up(conn, numbers, code.network.company.currency)


def _hung(changes: Iterable[Changed], under: dict[int, int | None]) -> list[Changed]:
    found = []
    for change in changes:
        number = change.case.id
        if number is not None and number in under:
            change = replace(change, case=replace(change.case, parent_id=under[number]))
        found.append(change)
    return found


def outlived(conn: Connection, closed: Iterable[Case]) -> dict[int, Case]:
    """Open cases whose parent closed now: from here on they speak for themselves."""
    numbers = [
        c.id
        for c in closed
        if c.subject.kind == KIND and not c.open and c.resolution != "merged" and c.id is not None
    ]
    return {c.id: c for c in rows.children(conn, numbers) if c.id is not None}
