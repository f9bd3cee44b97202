"""Telling people: a group's mail, and the daily summary.

A flush happens in one transaction: what is open now is compared with what the recipient last heard,
the letter is rendered once, put into the outbox, and from then on counts as told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta

import orjson
from sqlalchemy import Connection

from db import bounces, mail, outbox, timers
from db.mail import DIGEST_GROUP, GroupKey, Heard, Member
from db.reads import precision
from db.timers import Timer
from tower.access import EVERYTHING
from tower.cases import Case
from tower.court import Code
from tower.telling import OPENING, Item, Reason, Told, digest_due, plan, reason_for
from tower.zones import zone
from worker import channels
from worker.addressing import addressees, hours, wait
from worker.judging import Judging
from worker.letters import Contents, compose
from worker.quiet import Hush
from worker.readers import reader_of
from worker.render import render

_GRAVEST = (*OPENING, Reason.PASSED, Reason.CLOSED)
NOBODY = "nobody to tell"
DEAD_ADDRESS = "mails to this address come back: the fallback is told"
MAX_PER_DAY = "too many mails that day: in the daily summary"


def flush(conn: Connection, config: Judging, code: Code, timer: Timer, now: datetime) -> int:
    """Tell one group what it has to hear; how many mails that made (0 or 1).

    The caller holds the timer; it is dropped here.
    """
    key = GroupKey(*orjson.loads(timer.key))
    timers.drop(conn, [(timer.kind, timer.key)])
    members = mail.members(conn, key)
    policy = config.rulebook.notify.get(key.policy)
    person = reader_of(config.network, key.recipient)
    if policy is None or person is None:
        # The policy or the person is gone from the files.
        mail.suppress(conn, [(m.case_id, key.recipient, now, NOBODY) for m in members])
        mail.remove_members(conn, [(m.key, m.case_id) for m in members])
        return 0
    if policy.fallback != key.recipient and bounces.is_dead(conn, person.mail):
        _to_fallback(conn, config, code, members, policy.fallback, now)
        return 0
    believed = mail.heard_open(conn, key.policy, key.recipient, key.group)
    hush = Hush(conn, config, code, now)
    desk = _Desk(conn, config, hush, key.recipient, members, list(believed.values()))
    local = zone(person.zone)
    midnight = datetime.combine(now.astimezone(local).date(), time(0), local)
    decided = plan(
        desk.items,
        closed_at_once=policy.closed == "at_once",
        sent_today=outbox.sent_since(conn, key.policy, key.recipient, midnight),
        max_per_day=policy.max_per_day if policy.digest is not None else None,
    )
    made = 0
    if decided.send:
        contents = desk.contents(conn, decided.reasons, decided.still, ())
        made = _post(conn, config, key, desk, contents, now, daily=False)
    untold = [(i, key.recipient, now, why) for i, why in decided.dropped.items()]
    held = [(i, key.recipient, now, MAX_PER_DAY) for i in decided.held]
    silenced = [m for m in members if m.case_id in decided.waiting]
    hushed = [(m.case_id, key.recipient, now, decided.waiting[m.case_id]) for m in silenced]
    mail.suppress(conn, [*untold, *held, *hushed])
    _ring_again(conn, desk, silenced)
    staying = {*decided.held, *decided.waiting}
    leaving = [(m.key, m.case_id) for m in members if m.case_id not in staying]
    mail.remove_members(conn, leaving)
    expect_digest(conn, config, code, key.policy, key.recipient, now)
    return made


def _to_fallback(
    conn: Connection,
    config: Judging,
    code: Code,
    members: Sequence[Member],
    fallback: str,
    now: datetime,
) -> None:
    """Mails came back from this address: the fallback is told what waits for it."""
    mail.suppress(conn, [(m.case_id, m.key.recipient, now, DEAD_ADDRESS) for m in members])
    mail.remove_members(conn, [(m.key, m.case_id) for m in members])
    moved = [
        replace(m, key=replace(m.key, recipient=fallback), role="fallback", remind=False)
        for m in members
    ]
    wait(conn, config, code, moved, {}, now)


def expect_digest(
    conn: Connection, config: Judging, code: Code, policy: str, recipient: str, now: datetime
) -> None:
    """Make sure that the next daily summary of this recipient is looked at."""
    rules, person = config.rulebook.notify[policy], reader_of(config.network, recipient)
    if rules.digest is not None and person is not None:
        due = digest_due(now, rules.digest, person.zone, hours(rules, code))
        ringing = orjson.dumps([policy, recipient]).decode()
        timers.sooner(conn, [Timer(timers.DIGEST, ringing, due)])


def summarise(conn: Connection, config: Judging, code: Code, timer: Timer, now: datetime) -> int:
    """Send one recipient the daily summary: settled, held back, still open (0 or 1 mails).

    Nothing to say means no mail, and no further summary until something is told again. The caller
    holds the timer; it is dropped or set anew here.
    """
    policy, recipient = orjson.loads(timer.key)
    timers.drop(conn, [(timer.kind, timer.key)])
    rules = config.rulebook.notify.get(policy)
    person = reader_of(config.network, recipient)
    if rules is None or person is None:
        return 0
    if rules.fallback != recipient and bounces.is_dead(conn, person.mail):
        held = mail.held_members(conn, policy, recipient)
        _to_fallback(conn, config, code, held, rules.fallback, now)
        return 0
    key = GroupKey(policy, recipient, DIGEST_GROUP)
    last = mail.last_sent(conn, [key]).get(key, now - timedelta(days=1))
    held = mail.held_members(conn, policy, recipient)
    believed = mail.heard_open(conn, policy, recipient)
    hush = Hush(conn, config, code, now)
    desk = _Desk(conn, config, hush, recipient, held, list(believed.values()))
    passing = desk.add(conn, mail.closed_untold(conn, recipient, last), policy)
    reasons = {i.case_id: r for i in desk.items if (r := reason_for(i)) is not None}
    still = tuple(
        i.case_id
        for i in desk.items
        if i.case_id not in reasons and i.told is not None and i.told.what == "open"
    )
    made = 0
    if reasons or still or passing:
        contents = desk.contents(conn, reasons, still, passing)
        if _begins_week(last, now, person.zone):
            contents = replace(contents, doubted=precision.doubtful(conn, EVERYTHING))
        made = _post(conn, config, key, desk, contents, now, daily=True)
    silenced = [m for m in held if m.case_id in desk.until]
    _ring_again(conn, desk, silenced)
    mail.remove_members(conn, [(m.key, m.case_id) for m in held if m not in silenced])
    stays = still or any(r not in (Reason.CLOSED, Reason.PASSED) for r in reasons.values())
    if stays:
        expect_digest(conn, config, code, policy, recipient, now)
    return made


def _begins_week(last: datetime, now: datetime, zone_name: str) -> bool:
    """Whether this is a recipient's first summary of a week."""
    local = zone(zone_name)
    return last.astimezone(local).isocalendar()[:2] != now.astimezone(local).isocalendar()[:2]


def _ring_again(conn: Connection, desk: _Desk, silenced: Sequence[Member]) -> None:
    """Have these groups looked at when the silences end that keep their cases untold."""
    timers.sooner(
        conn,
        [Timer(timers.MAIL_GROUP, m.key.timer_key, desk.until[m.case_id]) for m in silenced],
    )


def _post(
    conn: Connection,
    config: Judging,
    key: GroupKey,
    desk: _Desk,
    contents: Contents,
    now: datetime,
    *,
    daily: bool,
) -> int:
    """Freeze a letter in the outbox, and count what it says as told."""
    number = mail.next_number(conn, key, now)
    letter, dedup = compose(config, key, number, contents, now, daily=daily)
    given = contents.reasons.values()
    first = next((reason for reason in _GRAVEST if reason in given), None)
    posted = outbox.put_mail(
        conn,
        outbox.Outbound(
            key=key,
            address=letter.to_address,
            number=number,
            reason="digest" if daily or first is None else first.value,
            subject=letter.subject,
            dedup_key=dedup,
            message_id=letter.message_id,
            message=render(letter, config.sender),
            cases=tuple(sorted({*contents.reasons, *contents.still, *contents.passing})),
            before={i: desk.heard[i] for i in contents.reasons if i in desk.heard},
            created_at=now,
        ),
    )
    if posted is None:
        return 0
    items = {item.case_id: item for item in desk.items}
    said = []
    for case_id, reason in contents.reasons.items():
        item = items[case_id]
        what = "closed" if reason in (Reason.CLOSED, Reason.PASSED) else "open"
        told = Told(what, item.severity, item.role)
        said.append(Heard(desk.groups.get(case_id, key), case_id, told, now, posted))
    mail.set_told(conn, said)
    channels.tell_too(conn, config, key, number, letter.subject, dedup, desk.cases(contents), now)
    return 1


class _Desk:
    """The cases of one recipient's mail, with what the recipient heard of each."""

    def __init__(
        self,
        conn: Connection,
        config: Judging,
        hush: Hush,
        recipient: str,
        members: Sequence[Member],
        believed: Sequence[Heard],
    ) -> None:
        self._config, self._hush, self._recipient = config, hush, recipient
        ids = {m.case_id for m in members} | {h.case_id for h in believed}
        self.heard = mail.heard(conn, recipient, ids)
        self.sheets = mail.sheets(conn, ids)
        self.groups = {m.case_id: m.key for m in members}
        self.groups |= {h.case_id: h.key for h in believed}
        self._roles = {m.case_id: m.role for m in members}
        self._since = {m.case_id: m.since for m in members}
        self._remind = {m.case_id for m in members if m.remind}
        self.items = [self._item(case_id) for case_id in sorted(self.sheets)]

    def _item(self, case_id: int) -> Item:
        case = self.sheets[case_id].case
        heard = self.heard.get(case_id)
        role = heard.said.role if heard else self._roles.get(case_id, "owner")
        owned = role != "owner" or any(
            key.recipient == self._recipient for key, _ in addressees(case, self._config)
        )
        why, until = self._hush.over(case)
        return Item(
            case_id=case_id,
            severity=case.severity,
            open=case.open,
            told=heard.said if heard else None,
            role=role,
            owned=owned,
            quiet=why,
            until=until,
            remind=case_id in self._remind,
        )

    @property
    def until(self) -> dict[int, datetime]:
        """Cases that a silence keeps quiet, with its end."""
        return {i.case_id: i.until for i in self.items if i.open and i.quiet and i.until}

    def add(self, conn: Connection, case_ids: Sequence[int], policy: str) -> tuple[int, ...]:
        """Cases that opened and closed untold under this policy; known ones are left out."""
        more = mail.sheets(conn, set(case_ids) - self.sheets.keys())
        found = {i: s for i, s in more.items() if s.case.policy == policy and not s.case.open}
        self.sheets |= found
        return tuple(sorted(found))

    def cases(self, contents: Contents) -> list[Case]:
        """The cases that a letter says something about, as it lists them."""
        return [self.sheets[i].case for i in (*contents.reasons, *contents.still)]

    def contents(
        self,
        conn: Connection,
        reasons: Mapping[int, Reason],
        still: Sequence[int],
        passing: Sequence[int],
    ) -> Contents:
        return Contents(
            sheets=self.sheets,
            hits=mail.hits(conn, [*reasons, *still]),
            reasons=reasons,
            still=still,
            passing=passing,
            told={i: h.said for i, h in self.heard.items()},
            since=self._since,
            roles={item.case_id: item.role for item in self.items},
        )
