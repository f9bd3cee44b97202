"""Root causes in memory: what worker.grouping does in the store, for rehearsals."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from tower.cases import Case, Changed
from tower.root_causes import GROUPING, KIND, Grouping, regroup, shared_name


@dataclass(slots=True)
class Causes:
    """Cases by the name they share, in the order of their instants, with their parents.

    ``cases`` is the casebook itself; what is kept here are numbers.
    """

    cases: dict[int, Case]
    grouping: Grouping = GROUPING
    _lines: dict[str, list[tuple[datetime, int]]] = field(default_factory=dict)
    _placed: dict[int, tuple[str, datetime]] = field(default_factory=dict)
    _parents: dict[str, set[int]] = field(default_factory=dict)
    _under: dict[int, set[int]] = field(default_factory=dict)

    def place(self, case: Case) -> None:
        """Know a case as it is now."""
        number = case.id or 0
        if case.subject.kind == KIND:
            self._parents.setdefault(shared_name(case), set()).add(number)
            return
        if not case.shares:
            return
        place = (case.shares, case.opened_at)
        was = self._placed.get(number)
        if was == place:
            return
        if was is not None:
            self._lines[was[0]].remove((was[1], number))
        insort(self._lines.setdefault(case.shares, []), (case.opened_at, number))
        self._placed[number] = place

    def follow(
        self,
        changes: Sequence[Changed],
        keep: Callable[[Changed], Changed],
        names: Mapping[str, str],
        now: datetime,
    ) -> list[Changed]:
        """The changes as they hang now, with parents that changed and cases that stand alone."""
        touched: dict[str, datetime] = {}
        for change in changes:
            case = change.case
            if case.shares:
                nearby = [case, *(self.cases[n] for n in self._under.get(case.parent_id or 0, ()))]
                at = min(c.opened_at for c in nearby)
                touched[case.shares] = min(at, touched.get(case.shares, at))
        found = {c.case.id or 0: c for c in changes}
        for name, at in sorted(touched.items()):
            run = self._run(name, at)
            if len(run) < self.grouping.at_least and all(c.parent_id is None for c in run):
                continue
            own = {n: self.cases[n] for n in self._parents.get(name, ())}
            grouped = regroup(name, run, own, names, now, self.grouping)
            for group in grouped.groups:
                parent = group.parent
                if parent.notes or parent.tell or parent.case != own.get(parent.case.id or 0):
                    parent = keep(parent)
                    found[parent.case.id or 0] = parent
                for member in group.members:
                    if member.parent_id != parent.case.id:
                        self._hang(member, parent.case.id, found, tell=False)
            for ended in grouped.ended:
                found[ended.case.id or 0] = keep(ended)
            for loose in grouped.loose:
                self._hang(loose, None, found, tell=loose.open)
        return list(found.values())

    def told_above(self, case: Case) -> bool:
        """Whether an open root cause tells of this case."""
        return case.parent_id is not None and self.cases[case.parent_id].open

    def outlived(self, closed: Sequence[Case]) -> dict[int, Case]:
        """Open cases whose parent closed now."""
        return {
            number: self.cases[number]
            for case in closed
            if case.subject.kind == KIND and not case.open and case.resolution != "merged"
            for number in sorted(self._under.get(case.id or 0, ()))
            if self.cases[number].open
        }

    def _run(self, name: str, at: datetime) -> list[Case]:
        """Cases from the last gap before an instant that no group reaches over."""
        line = self._lines[name]
        first = bisect_left(line, (at, 0))
        while 0 < first <= len(line) and (
            first == len(line) or line[first][0] - line[first - 1][0] <= self.grouping.joins
        ):
            first -= 1
        return [self.cases[number] for _, number in line[first:]]

    def _hang(
        self, member: Case, parent: int | None, found: dict[int, Changed], *, tell: bool
    ) -> None:
        number = member.id or 0
        if member.parent_id is not None:
            self._under[member.parent_id].discard(number)
        if parent is not None:
            self._under.setdefault(parent, set()).add(number)
        before = found.get(number, Changed(member, (), False))
        case = replace(before.case, parent_id=parent)
        self.cases[number] = case
        found[number] = Changed(case, before.notes, before.tell or tell)
