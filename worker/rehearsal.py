"""Cases and mails in memory: what would be opened, closed and told, were it real.

The decisions are the worker's own: cases are folded by tower.cases, addressed by worker.addressing
and told by tower.telling. Only the keeping differs: nothing is stored, rendered or sent. Sending
always succeeds here, as what was believed matters, not the weather of a mail server.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

from db.mail import DIGEST_GROUP, GroupKey
from tower import cases, silences
from tower.calendars import Calendar
from tower.cases import Brief, Case, Changed, Happening, case_fingerprint, fold, is_past, with_raise
from tower.court import Code
from tower.escalating import Chain, after_change, next_due, ring
from tower.root_causes import grouping_of
from tower.telling import (
    BEFORE_ACTIVATION,
    CLOSED_UNTOLD,
    IN_SUMMARY,
    Item,
    Reason,
    Told,
    digest_due,
    group_due,
    plan,
    reason_for,
    summary_due,
)
from tower.zones import zone
from worker.addressing import addressees, group_key, hours, person_for, raised_again
from worker.chains import counting_hours
from worker.escalation import REMINDED
from worker.judging import Judging
from worker.quiet import NOTHING, Quiet, planned_work
from worker.readers import reader_of
from worker.rehearsed_causes import Causes
from worker.wakeups import due_at

Work = tuple[Brief, Sequence[Happening]]


@dataclass(frozen=True, slots=True)
class Posting:
    """A mail that would go out: when, to whom, why, about which cases.

    still    number of cases told before that are listed as still open
    passing  cases that opened and closed since the last summary
    """

    at: datetime
    key: GroupKey
    reasons: Mapping[int, Reason]
    still: int = 0
    passing: tuple[int, ...] = ()

    @property
    def recipient(self) -> str:
        return self.key.recipient

    @property
    def daily(self) -> bool:
        return self.key.group == DIGEST_GROUP


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody was told of a case, and why."""

    case_id: int
    recipient: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class _Heard:
    key: GroupKey
    said: Told


class Rehearsal:
    """A worker's casebook and mailroom without a database.

    ``raise_by`` tells by how many severities a case's rule makes it worse; impact is not walked
    here. ``hushes`` are the silences that people put down. Instants must not go back. ``cases``
    holds every case by number, ``postings`` every mail.
    """

    def __init__(
        self,
        config: Judging,
        code: Code,
        raise_by: Callable[[Case], int] = lambda _: 0,
        hushes: Sequence[silences.Silence] = (),
    ) -> None:
        self.cases: dict[int, Case] = {}
        self.postings: list[Posting] = []
        self.silences: list[Silence] = []
        self._config, self._code, self._raise_by = config, code, raise_by
        self._hushes = hushes
        self._newest = 0
        self._latest: dict[str, int] = {}
        self._remind: set[tuple[str, int]] = set()
        self._members: dict[GroupKey, dict[int, str]] = {}
        self._heard: dict[tuple[str, int], _Heard] = {}
        self._hearers: dict[int, set[str]] = {}
        self._believing: dict[tuple[str, str], set[int]] = {}
        self._in_group: dict[GroupKey, set[int]] = {}
        # Believed cases that changed since: the others have nothing new to say.
        self._stale: dict[tuple[str, str], set[int]] = {}
        self._untold: dict[str, list[tuple[datetime, int]]] = {}
        self._sent: dict[tuple[str, str], list[datetime]] = {}
        self._open_now: dict[str, dict[int, None]] = {}
        self._last_sent: dict[GroupKey, datetime] = {}
        self._groups: dict[GroupKey, datetime] = {}
        self._digests: dict[tuple[str, str], datetime] = {}
        self._wakes: dict[int, datetime] = {}
        self._causes = Causes(self.cases, grouping_of(code.book))
        self._names = {key: partner.name for key, partner in code.network.partners.items()}
        self._chains: dict[int, Chain] = {}
        self._rings: dict[int, datetime] = {}

    @property
    def next(self) -> datetime | None:
        """When something is told next, or a case wakes, if nothing else happens."""
        waiting = (
            *self._groups.values(),
            *self._digests.values(),
            *self._wakes.values(),
            *self._rings.values(),
        )
        return min(waiting, default=None)

    def happen(self, work: Sequence[Work], now: datetime) -> list[Changed]:
        """Fold news of clocks into cases at ``now`` and mark who must hear of it."""
        changes: dict[int, Changed] = {}
        for brief, happenings in work:
            mark = case_fingerprint(brief.category, brief.rule, brief.subject)
            known = self.cases.get(self._latest.get(mark, 0))
            for changed in fold(known, happenings, brief):
                kept = self._keep(changed)
                changes[kept.case.id or 0] = kept
        for number, before in list(changes.items()):
            lifted = with_raise(before.case, self._raise_by(before.case), now, "its rule raises it")
            if lifted is not None:
                kept = self._keep(
                    Changed(lifted.case, before.notes + lifted.notes, before.tell or lifted.tell)
                )
                changes[number] = kept
        self._mark(list(changes.values()), now)
        return list(changes.values())

    def act(self, changed: Changed, now: datetime) -> None:
        """What a person did to a case, or what closes it from outside."""
        self._mark([self._keep(changed)], now)

    def until(self, end: datetime) -> None:
        """Tell what is due up to ``end``, each at its own instant."""
        while (now := self.next) is not None and now <= end:
            for number in sorted(n for n, at in self._wakes.items() if at <= now):
                self._wake(number, now)
            for number in sorted(n for n, at in self._rings.items() if at <= now):
                self._climb(number, now)
            for key in sorted(k for k, at in self._groups.items() if at <= now):
                self._flush(key, now)
            for policy, recipient in sorted(k for k, at in self._digests.items() if at <= now):
                self._summarise(policy, recipient, now)

    def latest(self, rule: str) -> Case | None:
        """The newest case of a rule."""
        mine = [case for case in self.cases.values() if case.rule == rule]
        return mine[-1] if mine else None

    # --- cases ------------------------------------------------------------------------------------

    def _keep(self, changed: Changed) -> Changed:
        case = changed.case
        if case.id is None:
            known = self.cases.get(self._latest.get(case.fingerprint, 0))
            same = known is not None and known.cycle == case.cycle
            case = replace(case, id=known.id if known and same else self._newest + 1)
        number = case.id or 0
        self._newest = max(self._newest, number)
        self.cases[number] = case
        self._latest[case.fingerprint] = number
        self._causes.place(case)
        of_rule = self._open_now.setdefault(case.rule, {})
        if case.open:
            of_rule.setdefault(number)
        else:
            of_rule.pop(number, None)
        wakes = due_at(case, self._code)
        if wakes is None:
            self._wakes.pop(number, None)
        else:
            self._wakes[number] = wakes
        return Changed(case, changed.notes, changed.tell)

    def _wake(self, number: int, now: datetime) -> None:
        del self._wakes[number]
        case = self.cases[number]
        woken = cases.wake(case, now, still_true=bool(case.levels))
        if woken is not None:
            self.act(woken, now)

    # --- reminders and steps ----------------------------------------------------------------------

    def _follow(self, changes: Sequence[Changed], now: datetime) -> None:
        """Start what waits for these cases, as worker.chains does."""
        for changed in changes:
            case = changed.case
            policy = self._config.rulebook.notify.get(case.policy)
            if policy is None or not changed.tell or case.id is None:
                continue
            kinds = [note.kind for note in changed.notes]
            chain = after_change(case, kinds, policy, now, self._chains.get(case.id))
            if chain is not None:
                self._chain(chain, counting_hours(self._config, self._code, policy))

    def _chain(self, chain: Chain, hours: Calendar) -> None:
        self._chains[chain.case_id] = chain
        due = next_due(chain, hours)
        if due is None:
            self._rings.pop(chain.case_id, None)
        else:
            self._rings[chain.case_id] = due

    def _climb(self, number: int, now: datetime) -> None:
        """Let a chain ring, as worker.escalation does."""
        case, chain = self.cases[number], self._chains[number]
        policy = self._config.rulebook.notify[chain.policy]
        hours = counting_hours(self._config, self._code, policy)
        rung = ring(chain, case, now, hours)
        self._chain(rung.chain, hours)
        knowing = {
            recipient: heard
            for recipient in self._hearers.get(number, ())
            if (heard := self._heard[recipient, number]).said.what == "open"
        }
        again = {h.key: h.said.role for h in knowing.values() if h.said.role in REMINDED}
        for key, role in sorted(again.items()) if rung.remind else ():
            self._wait(key, number, role, case, now, remind=True)
        for asked in rung.tell:
            person = person_for(asked, case, self._config, policy)
            known = knowing.get(person)
            if known is not None:
                self._wait(known.key, number, known.said.role, case, now, remind=True)
            elif person:
                key = group_key(chain.policy, policy, person, case)
                self._wait(key, number, "step", case, now)

    # --- who must hear ----------------------------------------------------------------------------

    def _mark(self, news: Sequence[Changed], now: datetime) -> None:
        changes = self._causes.follow(news, self._keep, self._names, now)
        under = {c.case.id for c in changes if c.case.open and self._causes.told_above(c.case)}
        self._leave_to_causes(under)
        bygone = {c.case.id for c in changes if is_past(c)}
        raised = raised_again(changes)
        telling = {c.case.id or 0: c.case for c in changes if c.tell}
        telling |= self._outliving(telling.values())
        outlived = self._causes.outlived(list(telling.values()))
        telling |= outlived
        alone = [c for c in changes if c.case.id not in bygone and c.case.id not in under]
        alone.extend(Changed(case, (), True) for case in outlived.values())
        self._follow(alone, now)
        found: dict[tuple[GroupKey, int], str] = {}
        known: set[tuple[str, int]] = set()
        for number in telling:
            for recipient in self._hearers.get(number, ()):
                heard = self._heard[recipient, number]
                if heard.said.what == "open":
                    known.add((recipient, number))
                    found[heard.key, number] = heard.said.role
                    self._stale.setdefault((heard.key.policy, recipient), set()).add(number)
        before = self._config.quiet_before
        for number, case in telling.items():
            for key, role in addressees(case, self._config) if case.open else ():
                if (key.recipient, number) in known or number in under:
                    continue
                if before is not None and case.opened_at < before:
                    self._quiet(number, key.recipient, now, BEFORE_ACTIVATION)
                else:
                    found.setdefault((key, number), role)
        for (key, number), role in sorted(found.items()):
            if number in bygone:
                self._quiet(number, key.recipient, now, IN_SUMMARY)
                self._in_summary(key, number, role, now)
            else:
                again = number in raised and (key.recipient, number) in known
                self._wait(key, number, role, telling[number], now, remind=again)

    def _leave_to_causes(self, under: Set[int | None]) -> None:
        """Nobody waits any more to be told of these cases by themselves."""
        for number in under:
            self._chains.pop(number or 0, None)
            self._rings.pop(number or 0, None)
        for key, members in self._members.items() if under else ():
            for number in under & members.keys():
                if (key.recipient, number or 0) not in self._heard:
                    del members[number or 0]

    def _wait(
        self,
        key: GroupKey,
        number: int,
        role: str,
        case: Case,
        now: datetime,
        *,
        remind: bool = False,
    ) -> None:
        policy = self._config.rulebook.notify.get(key.policy)
        if policy is None:
            return
        due = group_due(
            now,
            wait=policy.wait.length,
            every=policy.every.length,
            last_sent=self._last_sent.get(key),
            critical=case.open and case.severity == "critical",
            hours=hours(policy, self._code),
        )
        self._groups[key] = min(due, self._groups.get(key, due))
        if remind:
            self._remind.add((key.recipient, number))
        self._members.setdefault(key, {}).setdefault(number, role)

    def _in_summary(self, key: GroupKey, number: int, role: str, now: datetime) -> None:
        policy = self._config.rulebook.notify.get(key.policy)
        if policy is not None:
            due = summary_due(now, hours(policy, self._code))
            whom = (key.policy, key.recipient)
            self._digests[whom] = min(due, self._digests.get(whom, due))
            self._members.setdefault(key, {}).setdefault(number, role)

    def know(self, case: Case, heard: Mapping[str, tuple[GroupKey, Told]]) -> None:
        """A case as it stands in the store, with what each recipient last heard of it."""
        self._keep(Changed(case, (), False))
        for recipient, (key, told) in heard.items():
            self._hear(recipient, case.id or 0, key, told)

    def _outliving(self, changed: Iterable[Case]) -> dict[int, Case]:
        """Open cases that were kept quiet by one that closed now."""
        found: dict[int, Case] = {}
        for closed in changed:
            for rule in self._config.rulebook.rules if not closed.open else ():
                for inhibition in rule.inhibited_by:
                    if inhibition.rule == closed.rule:
                        about = "subject" in inhibition.same
                        found |= {
                            case.id or 0: case for case in self._open(rule.id, closed, about=about)
                        }
        return found

    def _open(self, rule: str, like: Case, *, about: bool) -> list[Case]:
        found = (self.cases[number] for number in self._open_now.get(rule, ()))
        return [
            case
            for case in found
            if (case.subject == like.subject if about else case.supplier == like.supplier)
        ]

    # --- telling ----------------------------------------------------------------------------------

    def _flush(self, key: GroupKey, now: datetime) -> None:
        del self._groups[key]
        waiting = self._members.get(key, {})
        policy = self._config.rulebook.notify[key.policy]
        whom = (key.policy, key.recipient)
        changed = self._roles(whom, self._stale.get(whom, ()), key)
        items = self._items(key.recipient, {**changed, **waiting}, now)
        local = zone(self._zone(key.recipient))
        midnight = datetime.combine(now.astimezone(local).date(), time(0), local)
        sent = self._sent.get(whom, [])
        decided = plan(
            items,
            closed_at_once=policy.closed == "at_once",
            sent_today=len(sent) - bisect_left(sent, midnight),
            max_per_day=policy.max_per_day if policy.digest is not None else None,
        )
        if decided.send:
            believed = self._in_group.get(key, set())
            still = len(believed) - sum(number in believed for number in decided.reasons)
            self._post(key, Posting(now, key, decided.reasons, still), items)
        for number, why in decided.dropped.items():
            self._quiet(number, key.recipient, now, why)
        staying = {*decided.held, *decided.waiting}
        self._members[key] = {n: r for n, r in waiting.items() if n in staying}
        self._remind -= {(key.recipient, n) for n in waiting if n not in staying}
        for item in items:
            if item.until is not None and item.case_id in self._members[key]:
                self._quiet(item.case_id, key.recipient, now, item.quiet)
                self._groups[key] = min(item.until, self._groups.get(key, item.until))
        self._expect_digest(key.policy, key.recipient, now)

    def _summarise(self, policy: str, recipient: str, now: datetime) -> None:
        del self._digests[policy, recipient]
        key = GroupKey(policy, recipient, DIGEST_GROUP)
        last = self._last_sent.get(key, now - timedelta(days=1))
        held = {
            number: role
            for group, members in self._members.items()
            if (group.policy, group.recipient) == (policy, recipient) and group not in self._groups
            for number, role in members.items()
        }
        whom = (policy, recipient)
        believed = self._believing.get(whom, set())
        changed = self._roles(whom, self._stale.get(whom, ()))
        items = self._items(recipient, {**changed, **held}, now)
        passing = tuple(
            sorted(
                {
                    number
                    for at, number in self._untold.get(recipient, ())
                    if at > last
                    and number not in believed
                    and number not in held
                    and self.cases[number].policy == policy
                    and not self.cases[number].open
                }
            )
        )
        reasons = {i.case_id: r for i in items if (r := reason_for(i)) is not None}
        still = len(believed) - sum(number in believed for number in reasons)
        if reasons or still or passing:
            self._post(key, Posting(now, key, reasons, still, passing), items)
        self._remind -= {(recipient, number) for number in held}
        for group in self._members:
            mine = (group.policy, group.recipient) == (policy, recipient)
            if mine and group not in self._groups:
                self._members[group] = {}
        if still or any(r not in (Reason.CLOSED, Reason.PASSED) for r in reasons.values()):
            self._expect_digest(policy, recipient, now)

    def _post(self, key: GroupKey, posting: Posting, items: Sequence[Item]) -> None:
        self.postings.append(posting)
        self._last_sent[key] = posting.at
        if not posting.daily:
            self._sent.setdefault((key.policy, key.recipient), []).append(posting.at)
        by_case = {item.case_id: item for item in items}
        groups = {
            number: group
            for group, members in self._members.items()
            if group.recipient == key.recipient
            for number in members
        }
        for number, reason in posting.reasons.items():
            item, before = by_case[number], self._heard.get((key.recipient, number))
            what = "closed" if reason in (Reason.CLOSED, Reason.PASSED) else "open"
            where = before.key if before is not None else groups.get(number, key)
            told = Told(what, item.severity, item.role)
            self._hear(key.recipient, number, where, told)

    def _hear(self, recipient: str, number: int, where: GroupKey, told: Told) -> None:
        self._heard[recipient, number] = _Heard(where, told)
        self._hearers.setdefault(number, set()).add(recipient)
        self._stale.get((where.policy, recipient), set()).discard(number)
        for believing in (
            self._believing.setdefault((where.policy, recipient), set()),
            self._in_group.setdefault(where, set()),
        ):
            if told.what == "open":
                believing.add(number)
            else:
                believing.discard(number)

    def _expect_digest(self, policy: str, recipient: str, now: datetime) -> None:
        rules = self._config.rulebook.notify[policy]
        if rules.digest is not None:
            local = self._zone(recipient)
            due = digest_due(now, rules.digest, local, hours(rules, self._code))
            known = self._digests.get((policy, recipient), due)
            self._digests[policy, recipient] = min(due, known)

    def _zone(self, recipient: str) -> str:
        reader = reader_of(self._config.network, recipient)
        return reader.zone if reader is not None else self._config.network.company.zone

    def _roles(
        self, whom: tuple[str, str], numbers: Iterable[int], key: GroupKey | None = None
    ) -> dict[int, str]:
        """Why a recipient heard of these cases, of one group or of all of a policy."""
        found = {}
        for number in numbers:
            heard = self._heard[whom[1], number]
            if key is None or heard.key == key:
                found[number] = heard.said.role
        return found

    def _items(self, recipient: str, roles: Mapping[int, str], now: datetime) -> list[Item]:
        found = []
        for number in sorted(roles):
            case, heard = self.cases[number], self._heard.get((recipient, number))
            role = heard.said.role if heard is not None else roles[number]
            owned = role != "owner" or any(
                key.recipient == recipient for key, _ in addressees(case, self._config)
            )
            why, until = self._why_quiet(case, now)
            found.append(
                Item(
                    case_id=number,
                    severity=case.severity,
                    open=case.open,
                    told=None if heard is None else heard.said,
                    role=role,
                    owned=owned,
                    quiet=why,
                    until=until,
                    remind=(recipient, number) in self._remind,
                )
            )
        return found

    def _why_quiet(self, case: Case, now: datetime) -> Quiet:
        """As worker.quiet does."""
        if case.state == "snoozed":
            return "snoozed", None
        for hush in self._hushes:
            if hush.created_at <= now and hush.covers(case, now):
                return hush.words, hush.until
        planned = planned_work(self._config, self._code, case, now)
        if planned != NOTHING:
            return planned
        rule = self._config.rulebook.rule(case.rule)
        for inhibition in rule.inhibited_by if rule is not None and case.open else ():
            about = "subject" in inhibition.same
            if not about and case.supplier is None:
                continue
            bigger = self._open(inhibition.rule, case, about=about)
            if bigger and bigger[0].id != case.id:
                return f"inhibited by case {bigger[0].id}", None
        return NOTHING

    def _quiet(self, number: int, recipient: str, at: datetime, reason: str) -> None:
        self.silences.append(Silence(number, recipient, at, reason))
        if reason == CLOSED_UNTOLD:
            self._untold.setdefault(recipient, []).append((at, number))
