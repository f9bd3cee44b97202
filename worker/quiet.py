"""Why nobody is to hear of a case now: snoozed, silenced, planned work, a bigger case that says it.

All of it touches sending only: clocks run and cases live on. Whoever was told that a case is open
hears of its end, however quiet it is.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from db import cases as kept
from db import silences
from tower.cases import Case
from tower.court import Code
from tower.signs import Subject
from worker.judging import Judging

Quiet = tuple[str, datetime | None]
"""Why nobody is told, and when that ends by itself; ("", None) if nothing keeps it quiet."""

NOTHING: Quiet = ("", None)


class Hush:
    """What keeps cases quiet at one instant; what holds for many is read once."""

    def __init__(self, conn: Connection, config: Judging, code: Code, now: datetime) -> None:
        self._conn, self._config, self._code, self._now = conn, config, code, now
        self._silences = silences.active(conn, now)
        self._bigger: dict[tuple[str, str | None, Subject | None], int | None] = {}

    def over(self, case: Case) -> Quiet:
        """Why nobody is to hear of this case now."""
        if case.state == "snoozed":
            return "snoozed", None
        for silence in self._silences:
            if silence.covers(case, self._now):
                return silence.words, silence.until
        planned = planned_work(self._config, self._code, case, self._now)
        return planned if planned != NOTHING else self._inhibited(case)

    def _inhibited(self, case: Case) -> Quiet:
        rule = self._config.rulebook.rule(case.rule)
        for inhibition in rule.inhibited_by if rule is not None and case.open else ():
            about = case.subject if "subject" in inhibition.same else None
            if about is None and case.supplier is None:
                continue
            asked = (inhibition.rule, None if about is not None else case.supplier, about)
            if asked not in self._bigger:
                found = kept.open_cases(self._conn, asked[0], supplier=asked[1], subject=asked[2])
                self._bigger[asked] = found[0].id if found else None
            bigger = self._bigger[asked]
            if bigger is not None and bigger != case.id:
                return f"inhibited by case {bigger}", None
        return NOTHING


def planned_work(config: Judging, code: Code, case: Case, now: datetime) -> Quiet:
    """The silence of a source is no news while network.yaml says that it is worked on.

    It is judged all the same: what it would have brought did not come, so clocks that rest on it
    must wait.
    """
    if case.subject.kind != "source":
        return NOTHING
    source = config.network.sources.get(case.subject.number)
    if source is None or source.maintenance is None:
        return NOTHING
    closing = code.calendar(source.maintenance).closing(now)
    if closing is None:
        return NOTHING
    return f"planned work until {closing:%Y-%m-%d %H:%M} UTC ({source.maintenance})", closing
