"""Mails that come by the calendar: made when due, once per period, whatever restarts.

Each reader of each report has one timer. Whoever claims it makes the mail and sets the next instant
in the same transaction; the key of the mail is made of report, reader and period, so that the
outbox takes a period once even if somebody asks for it by hand. What waits for a mail server is
replaced by the next one of its kind: nobody wants the digests of last week.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import orjson
from sqlalchemy import Connection, Engine

from db import bounces, outbox, planner, timers
from db.mail import GroupKey
from db.outbox import Outbound
from db.timers import REPORT, Timer
from tower.calendars import Calendar, CalendarSpec
from tower.lint import PARTNER_CONTACT
from tower.reports import Digest, ScorecardMail, Slot, Timetable, due_now, month_of
from worker.judging import Judging
from worker.letter import DigestLetter, Head, ScorecardLetter
from worker.readers import PARTNER, Reader, reader_of
from worker.render import render

log = logging.getLogger(__name__)

SCORECARD = "scorecard"
DIGEST = "digest/"  # before the name of one
AGAIN = timedelta(minutes=15)  # after one that could not be made


@dataclass(frozen=True, slots=True)
class Report:
    """A report for one reader: its name is scorecard, or digest/NAME."""

    name: str
    recipient: str
    spec: Digest | ScorecardMail

    @property
    def timer_key(self) -> str:
        return orjson.dumps([self.name, self.recipient]).decode()

    @property
    def group(self) -> GroupKey:
        return GroupKey(self.name, self.recipient, f"report/{self.name}")


def configured(config: Judging) -> dict[str, Report]:
    """Every report that the rule book asks for, by the key of its timer."""
    found = []
    for name, spec in config.rulebook.digests.items():
        found += [Report(f"{DIGEST}{name}", person, spec) for person in spec.to]
    mail = config.rulebook.scorecard.mail
    if mail is not None:
        for reader in mail.to:
            if reader == PARTNER_CONTACT:
                found += [Report(SCORECARD, f"{PARTNER}{key}", mail) for key in _told(config, mail)]
            else:
                found.append(Report(SCORECARD, reader, mail))
    return {report.timer_key: report for report in found}


def _told(config: Judging, mail: ScorecardMail) -> Iterator[str]:
    """Suppliers that are sent their own card: those meant that are live and have an address."""
    for key, partner in config.network.partners.items():
        meant = key in mail.suppliers if mail.suppliers else True
        if meant and partner.stage == "live" and config.network.partner_contact(key):
            yield key


def expect(conn: Connection, config: Judging, now: datetime) -> None:
    """Set the timers of all reports that are asked for; those of others ring once more and end."""
    waiting = []
    for key, report in configured(config).items():
        following = _following(config, report, now)
        if following is not None:
            waiting.append(Timer(REPORT, key, following.at))
    timers.sooner(conn, waiting)


def make_due(engine: Engine, config: Judging, now: datetime) -> int:
    """Make every report that is due; how many mails that made. Others may do so at once."""
    made = 0
    while True:
        with engine.begin() as conn:
            planner.by_key(conn)
            claimed = timers.claim(conn, [REPORT], now, 1)
            planner.any_way(conn)
            if not claimed:
                return made
            try:
                with conn.begin_nested():
                    made += _ring(conn, config, claimed[0], now)
            except Exception:
                # One report that cannot be made must not keep the others waiting.
                log.exception(
                    "A report failed", extra={"action": "report.failed", "report": claimed[0].key}
                )
                timers.set_(conn, [Timer(REPORT, claimed[0].key, now + AGAIN)])


def _ring(conn: Connection, config: Judging, timer: Timer, now: datetime) -> int:
    report = configured(config).get(timer.key)
    following = _following(config, report, now) if report is not None else None
    if report is None or following is None:
        timers.drop(conn, [(timer.kind, timer.key)])
        return 0
    timers.set_(conn, [Timer(REPORT, timer.key, following.at)])
    timetable = _timetable(config, report)
    slot = due_now(timetable, timer.due, now) if timetable is not None else None
    return 0 if slot is None else make(conn, config, report, slot, now)


def make(conn: Connection, config: Judging, report: Report, slot: Slot, now: datetime) -> int:
    """Put the mail of one period into the outbox; 0 if it was made before, if its reader has no
    working address, or if there is nothing to tell."""
    reader = reader_of(config.network, report.recipient)
    if reader is None:
        return 0
    if bounces.is_dead(conn, reader.mail):
        log.error(
            "A report has no reader: mails to the address come back",
            extra={"action": "report.dead_address", "recipient": report.recipient},
        )
        return 0
    key = dedup_key(report, slot.period)
    if outbox.known(conn, key):
        return 0
    letter = write(conn, config, report, reader, slot.period, now)
    if letter is None:
        return 0
    outbox.replace_waiting(conn, report.group, now)
    posted = outbox.put_mail(
        conn,
        Outbound(
            key=report.group,
            address=reader.mail,
            number=1,
            reason=outbox.REPORT,
            subject=letter.subject,
            dedup_key=key,
            message_id=letter.message_id,
            message=render(letter, config.sender),
            cases=(),
            before={},
            created_at=now,
        ),
    )
    return int(posted is not None)


def write(
    conn: Connection, config: Judging, report: Report, reader: Reader, period: str, now: datetime
) -> DigestLetter | ScorecardLetter | None:
    """The letter of a period; None if there is nothing to tell."""
    # Loaded when the first one is due: a PDF library costs memory that other workers can use.
    from worker import digests, scorecard_mails

    envelope = head(config, report, reader, period, now)
    if isinstance(report.spec, Digest):
        return digests.digest(conn, config, report.spec, envelope, reader.zone, now).letter
    begin, end = month_of(period, config.network.company.zone)
    return scorecard_mails.letter(
        conn, config, report.spec, envelope, reader, period, (begin, end), now
    )


def dedup_key(report: Report, period: str) -> str:
    """What the outbox takes once."""
    return _hash("report", report.name, report.recipient, period)


def current(config: Judging, report: Report, now: datetime) -> Slot | None:
    """The period that is told if the report is asked for now: the last one due."""
    timetable = _timetable(config, report)
    return None if timetable is None else timetable.latest(now)


def head(config: Judging, report: Report, reader: Reader, period: str, now: datetime) -> Head:
    """The envelope of a period: its ids follow from report, reader and period alone."""
    domain = config.sender.rsplit("@", 1)[-1]
    return Head(
        to_name=reader.name,
        to_address=reader.mail,
        subject="",
        date=now,
        message_id=f"{dedup_key(report, period)}@{domain}",
        # Readers find all digests, or all cards of one supplier, in one thread.
        thread=f"{_hash('thread', report.name, report.recipient)}@{domain}",
        list_id=report.name.replace("/", "-").replace("_", "-"),
        company=config.network.company.name,
        reply_to=_answers_to(config) if reader.partner is not None else "",
    )


def _answers_to(config: Judging) -> str:
    """A supplier's answer to its card goes to our supplier desk."""
    desk = config.network.people.get(config.network.owners.get("D", ""))
    return desk.mail if desk is not None else ""


def _timetable(config: Judging, report: Report) -> Timetable | None:
    reader = reader_of(config.network, report.recipient)
    if reader is None:
        return None
    spec = report.spec
    found = config.network.calendars.get(spec.hours)
    hours = None if found is None else _calendar(spec.hours, found.model_dump_json())
    if isinstance(spec, Digest):
        return Timetable(spec.every, spec.on, spec.at, reader.zone, hours)
    return Timetable("month", "mon", spec.at, reader.zone, hours)


def _following(config: Judging, report: Report, now: datetime) -> Slot | None:
    timetable = _timetable(config, report)
    return None if timetable is None else timetable.following(now)


@lru_cache(maxsize=8)
def _calendar(name: str, body: str) -> Calendar:
    """Compiling takes a tenth of a second, and every timer asks for the same one."""
    return Calendar(name, CalendarSpec.model_validate_json(body))


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()
