"""What else people do to a case: leave it waiting, give it back, judge its alert, merge it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from tower.cases import VERDICTS, Case, Changed, Note, NotPossible, minute, must_be_open, resolve


def wait(case: Case, who: str, now: datetime, on: str, until: datetime) -> Changed:
    """Somebody else must act first. It is raised again then; meanwhile it is told as ever."""
    must_be_open(case, "left waiting")
    if not on.strip():
        raise NotPossible("Say on whom the case waits.")
    if until <= now:
        raise NotPossible(f"{minute(until)} is past. Choose a time to come.")
    waiting = replace(
        case,
        state="waiting",
        snoozed_until=until,
        taken_until=None,
        first_taken_at=case.first_taken_at or now,
        why={**case.why, "waits_on": on.strip()[:200]},
    )
    text = f"on {on.strip()[:200]} until {minute(until)}"
    return Changed(waiting, (Note(now, who, "waiting", text),), False)


def release(case: Case, who: str, now: datetime) -> Changed:
    """Nobody looks after it any more: taken, waiting or snoozed, it is as new."""
    must_be_open(case, "given back")
    if case.state == "new":
        raise NotPossible("Nobody holds this case.")
    freed = replace(case, state="new", taken_until=None, snoozed_until=None)
    return Changed(freed, (Note(now, who, "released", f"no longer {case.state}"),), True)


def judge(case: Case, who: str, now: datetime, verdict: str, reason: str) -> Changed:
    """Say whether the alert was useful or a false alarm, and why.

    A false alarm that is still open is closed by it. The last word of a case counts.
    """
    if verdict not in VERDICTS:
        raise NotPossible(f'"{verdict}" is no verdict; write {" or ".join(VERDICTS)}.')
    said = reason.strip()[:1000]
    if not said:
        raise NotPossible("Say in a few words why.")
    judged = replace(case, verdict=verdict, judged_at=now)
    words = verdict.replace("_", " ")
    note = Note(now, who, "judged", f"{words}: {said}")
    if verdict == "false_alarm" and case.open:
        closed = resolve(judged, who, now, "false_alarm", said)
        return replace(closed, notes=(note, *closed.notes))
    return Changed(judged, (note,), False)


def merge(case: Case, who: str, now: datetime, into: Case) -> Changed:
    """Close it as a part of another case, which goes on."""
    must_be_open(case, "merged")
    if into.id is None or into.id == case.id:
        raise NotPossible("A case cannot be merged into itself.")
    if not into.open:
        raise NotPossible(f"Case {into.id} is resolved. Merge into one that is open.")
    merged = replace(
        case,
        state="resolved",
        resolution="merged",
        resolved_at=now,
        taken_until=None,
        snoozed_until=None,
        parent_id=into.id,
        why={**case.why, "merged_into": into.id},
    )
    return Changed(merged, (Note(now, who, "resolved", f"merged into case {into.id}"),), True)
