"""Letters about cases: what a group's mail or a daily summary says to one person."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from urllib.parse import quote

from db.mail import CaseSheet, GroupKey, HitRow
from tower import telling
from tower.cases import Case
from tower.categories import Severity
from tower.precision import Precision
from tower.receipts import receipt_text
from tower.telling import OPENING, Reason, Told
from tower.zones import zone
from worker.judging import Judging
from worker.letter import Entry, Figure, Head, Hit, Letter, PartnerLetter, Section
from worker.partner_letters import PartnerMail, partner_letter
from worker.readers import Reader, reader_of

FULL_ENTRIES = 12  # more would be clipped by mail readers at about 100 kB
SHORT_ENTRIES = 30
HITS = 5

_DOCUMENTS = ("po", "po_line", "asn", "affected", "cause")  # subjects that customers may wait for
_HEADERS = {"po_line": "po", "affected": "po", "order_line": "order"}
_LABELS = {"source": "See the feeds", "queue": "See the queues"}  # where no document is
_HEADINGS = {
    Reason.NEW: "New",
    Reason.AGAIN: "New",
    Reason.WORSE: "Worse",
    Reason.ESCALATED: "Escalated to you",
    Reason.REMINDER: "Still waiting for somebody",
}


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into one letter.

    reasons   case -> why it is in the mail now; ``told`` what the recipient heard of it before
    still     cases that stay as they were told
    passing   cases that opened and closed untold (daily summaries only)
    since     case -> when its need to be told was seen
    roles     case -> why this reader hears of it: owner, also, fallback
    doubted   rules whose alerts people mostly find useless (a summary a week)
    """

    sheets: Mapping[int, CaseSheet]
    hits: Mapping[int, Sequence[HitRow]]
    reasons: Mapping[int, Reason]
    still: Sequence[int]
    passing: Sequence[int]
    told: Mapping[int, Told]
    since: Mapping[int, datetime]
    roles: Mapping[int, str]
    doubted: Sequence[Precision] = ()


def compose(
    config: Judging, key: GroupKey, number: int, contents: Contents, now: datetime, *, daily: bool
) -> tuple[Letter | PartnerLetter, str]:
    """The letter, and the key under which it is sent only once."""
    person = reader_of(config.network, key.recipient)
    if person is None:
        raise AssertionError(f"{key.recipient} is nobody: whoever asks for a letter looks first")
    dedup = _digest(key.policy, key.recipient, key.group, str(number))
    domain = config.sender.rsplit("@", 1)[-1]
    day = now.astimezone(zone(person.zone)).date().isoformat()
    head = Head(
        to_name=person.name,
        to_address=person.mail,
        subject="",
        date=now,
        message_id=f"{dedup}@{domain}",
        thread=f"{_digest('thread', key.policy, key.recipient, key.group, day)}@{domain}",
        list_id=key.policy.replace("_", "-"),
        company=config.network.company.name,
        reply_to=_answers_to(config, key) if person.partner is not None else "",
    )
    if person.partner is not None:
        cases = {i: contents.sheets[i].case for i in (*contents.reasons, *contents.still)}
        mail = PartnerMail(cases, contents.reasons, contents.still)
        return partner_letter(head, person, config.network, mail, now), dedup
    writer = _Writer(config, person, contents, now)
    open_ids = [i for i, r in contents.reasons.items() if r in OPENING] + list(contents.still)
    sheets = [contents.sheets[i] for i in open_ids]
    all_sheets = [contents.sheets[i] for i in contents.reasons] or sheets
    subject = (
        _daily_subject(len(open_ids), contents)
        if daily
        else telling.subject(
            contents.reasons.values(),
            len(open_ids),
            (s.case.category for s in all_sheets),
            (_supplier(config, s.case) for s in all_sheets),
            _many({s.case.subject.kind for s in all_sheets}),
        )
    )
    letter = Letter(
        to_name=head.to_name,
        to_address=head.to_address,
        subject=subject,
        date=head.date,
        message_id=head.message_id,
        thread=head.thread,
        list_id=head.list_id,
        company=head.company,
        headline=writer.headline(daily),
        intro=writer.intro(sheets) + _doubts(contents.doubted),
        figures=writer.figures(sheets),
        sections=writer.sections(daily),
        button_label="Open the work list",
        button_url=f"{config.base_url}/exceptions",
        footer=(
            f"You get this mail as {_roles(contents, open_ids)} of these cases "
            f"(policy {key.policy}). Links lead to the tower; no link changes anything."
        ),
    )
    return letter, dedup


def _answers_to(config: Judging, key: GroupKey) -> str:
    """Where a partner's answers go: to the fallback of the policy, who is a person of ours."""
    policy = config.rulebook.notify.get(key.policy)
    person = config.network.people.get(policy.fallback) if policy is not None else None
    return person.mail if person is not None else ""


def _doubts(doubted: Sequence[Precision]) -> str:
    """The rules to look at, worst first; nothing mutes itself."""
    if not doubted:
        return ""
    told = [f"{p.rule} ({p.latest_useful} of {p.latest} useful)" for p in doubted]
    return f" Alerts that mostly help nobody: {', '.join(told)}. See the Rules page."


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def _daily_subject(n_open: int, contents: Contents) -> str:
    settled = sum(r is Reason.CLOSED for r in contents.reasons.values()) + len(contents.passing)
    held = sum(r in OPENING for r in contents.reasons.values())
    words = [f"{n_open} open"]
    words += [f"{held} new"] if held else []
    words += [f"{settled} settled"] if settled else []
    return f"[{', '.join(words)}] Daily summary"


def _roles(contents: Contents, open_ids: Sequence[int]) -> str:
    roles = {contents.roles.get(i, "owner") for i in open_ids}
    if roles == {"also"}:
        return "one who is told besides the owner"
    return "stand-in for the owner" if roles == {"fallback"} else "owner"


def _many(kinds: set[str]) -> str:
    """What a subject line counts when there are too many to name."""
    if kinds == {"source"}:
        return "sources"
    return "queues" if kinds == {"queue"} else "suppliers"


def _supplier(config: Judging, case: Case) -> str:
    if case.subject.kind in ("source", "queue"):
        return case.subject.number
    partner = config.network.partners.get(case.supplier or "")
    return partner.name if partner else case.supplier or ""


class _Writer:
    """Words for one reader."""

    def __init__(self, config: Judging, person: Reader, contents: Contents, now: datetime) -> None:
        self._config, self._person, self._contents, self._now = config, person, contents, now

    # --- the top ----------------------------------------------------------------------------------

    def headline(self, daily: bool) -> str:
        if daily:
            return "Your daily summary"
        given = list(self._contents.reasons.values())
        counts = telling.reason_counts(given)
        categories = {self._contents.sheets[i].case.category for i in self._contents.reasons}
        what = (
            telling.headline(categories.pop())
            if len(categories) == 1
            else f"{len(categories)} kinds of exceptions"
        )
        return f"{', '.join(counts)}: {what}"

    def intro(self, sheets: Sequence[CaseSheet]) -> str:
        if not sheets:
            return "Nothing is open any more."
        orders = self._orders()
        suppliers = {s.case.supplier for s in sheets if s.case.supplier}
        whose = ""
        if len(suppliers) == 1:
            whose = f" of {_supplier(self._config, sheets[0].case)}"
        elif suppliers:
            whose = f" of {len(suppliers)} suppliers"
        verb = "is" if len(sheets) == 1 else "are"
        text = f"{telling.count(len(sheets), 'case')}{whose} {verb} open"
        if orders:
            value = self._value(sheets)
            text += f"; {telling.count(orders, 'customer order')} affected"
            text += f", {value} at risk" if value else ""
        elif any(s.case.subject.kind in _DOCUMENTS for s in sheets):
            text += "; no customer order is affected so far"
        return text + "."

    def figures(self, sheets: Sequence[CaseSheet]) -> tuple[Figure, ...]:
        bad = any(s.case.severity in ("high", "critical") for s in sheets)
        found = [Figure(str(len(sheets)), "open cases", bad)]
        held = sum(s.case.held_subjects for s in sheets)
        if held:
            found.append(Figure(str(held), "clocks waiting"))
        if any(s.case.subject.kind in _DOCUMENTS for s in sheets):
            found.append(Figure(str(self._orders()), "customer orders hit"))
            found.append(Figure(self._value(sheets) or "none", "value at risk"))
        return tuple(found)

    def _orders(self) -> int:
        reach = self._contents
        open_ids = [i for i, r in reach.reasons.items() if r in OPENING] + list(reach.still)
        return len({hit.order for i in open_ids for hit in reach.hits.get(i, ())})

    def _value(self, sheets: Sequence[CaseSheet]) -> str:
        """Open value of the distinct affected lines, per currency."""
        lines: dict[tuple[str, str], HitRow] = {}
        for sheet in sheets:
            for hit in self._contents.hits.get(sheet.case.id or 0, ()):
                lines[(hit.order, hit.line)] = hit
        sums: dict[str, Decimal] = {}
        for hit in lines.values():
            if hit.open_value is not None:
                currency = hit.currency or ""
                sums[currency] = sums.get(currency, Decimal(0)) + hit.open_value
        return " + ".join(telling.money(v, c) for c, v in sorted(sums.items()))

    # --- the sections -----------------------------------------------------------------------------

    def sections(self, daily: bool) -> tuple[Section, ...]:
        by_reason = self._contents.reasons
        opening = self._ordered(i for i, r in by_reason.items() if r in OPENING)
        settled = self._ordered(i for i, r in by_reason.items() if r is Reason.CLOSED)
        passed = self._ordered(i for i, r in by_reason.items() if r is Reason.PASSED)
        still = self._ordered(self._contents.still)
        found: list[Section] = []
        if opening:
            named = list(dict.fromkeys(_HEADINGS[r] for r in OPENING if r in by_reason.values()))
            words = named[0] if len(named) == 1 else " and ".join((named[0], *map(_low, named[1:])))
            found.append(self._section(words if not daily else "New, held back", opening, True))
        for words, ids in (
            ("Passed on", passed),
            ("Still open", still),
            ("Settled", settled),
            ("Opened and settled meanwhile", list(self._contents.passing)),
        ):
            if ids:
                found.append(self._section(words, ids, False))
        return tuple(found)

    def _ordered(self, ids: Iterable[int]) -> list[int]:
        """By consequence: severity, value at risk, then age."""

        def weight(case_id: int) -> tuple[int, Decimal, datetime]:
            sheet = self._contents.sheets[case_id]
            rank = Severity(sheet.case.severity).rank
            return (-rank, -(sheet.value_at_risk or Decimal(0)), sheet.case.opened_at)

        return sorted(ids, key=weight)

    def _section(self, heading: str, ids: Sequence[int], full: bool) -> Section:
        limit = FULL_ENTRIES if full else SHORT_ENTRIES
        left = len(ids) - limit
        return Section(
            heading=heading,
            entries=tuple(self._entry(i) for i in ids[:limit]),
            full=full,
            more=f"and {left} more" if left > 0 else "",
            more_url=f"{self._config.base_url}/exceptions" if left > 0 else "",
        )

    def _entry(self, case_id: int) -> Entry:
        sheet = self._contents.sheets[case_id]
        case = sheet.case
        hits = list(self._contents.hits.get(case_id, ()))
        more = len(hits) - HITS
        version = case.why.get("rule_version")
        base = self._config.base_url
        return Entry(
            title=case.title,
            severity=case.severity,
            reason=self._reason(case_id, sheet),
            since=telling.moment(case.opened_at, self._person.zone),
            age=f"{telling.length(self._now - case.opened_at)} ago",
            rule=f"{case.rule}, version {version}" if version else case.rule,
            receipt=receipt_text(case.why),
            hurts=self._hurts(sheet),
            hits=tuple(self._hit(hit) for hit in hits[:HITS]),
            more_hits=f"and {telling.count(more, 'more line')}" if more > 0 else "",
            advice=case.advice,
            owner=self._name(case.owner),
            state=_state(sheet),
            case_url=f"{base}/case?id={case_id}",
            trace_label=_LABELS.get(case.subject.kind, "Trace the document"),
            trace_url=self._trace(case),
        )

    def _reason(self, case_id: int, sheet: CaseSheet) -> str:
        case, told = sheet.case, self._contents.told.get(case_id)
        match self._contents.reasons.get(case_id):
            case Reason.NEW:
                return self._news(case_id, case) + self._late(case_id, case)
            case Reason.AGAIN:
                return "open again, after it was settled" + self._late(case_id, case)
            case Reason.WORSE:
                before = told.severity if told else "less"
                return f"worse: {before} before, {case.severity} now"
            case Reason.ESCALATED:
                return f"escalated to you: nobody took it; it is with {self._name(case.owner)}"
            case Reason.REMINDER:
                age = telling.length(self._now - case.opened_at)
                return f"a reminder: open for {age}, and nobody has taken it"
            case Reason.PASSED:
                return f"passed to {self._name(case.owner)}"
        return ""

    def _news(self, case_id: int, case: Case) -> str:
        role = self._contents.roles.get(case_id, "owner")
        if role == "also":
            return f"escalated to you, still open with {self._name(case.owner)}"
        if role == "fallback":
            return f"new; a mail to {self._name(case.owner)} was refused"
        return "new"

    def _late(self, case_id: int, case: Case) -> str:
        """That the tower itself was late, which the reader must not take for the partner's."""
        seen, reached = self._contents.since.get(case_id), case.why.get("reached_at")
        known = datetime.fromisoformat(reached) if reached else case.detected_at
        if seen is None or seen - known <= self._config.late_after:
            return ""
        behind = telling.length(seen - known)
        return f"; found {behind} late, as the tower was not judging then"

    def _name(self, key: str) -> str:
        person = self._config.network.people.get(key)
        return person.name if person else key or "nobody"

    def _hurts(self, sheet: CaseSheet) -> str:
        if sheet.case.subject.kind == "source":
            n = sheet.case.held_subjects
            held = f"{telling.count(n, 'clock')} cannot be judged until it speaks again"
            return held if n else "nothing waits for it so far"
        if sheet.case.subject.kind == "queue":
            return "what waits in it reaches nobody for now"
        if sheet.case.subject.kind == "partner":
            return "what passes between them and us may not have arrived"
        if sheet.case.subject.kind == "supplier":
            return "we hear of none of the orders that are open with them"
        if sheet.case.subject.kind not in _DOCUMENTS:
            return "the tower itself"
        if not sheet.orders:
            said = "no customer order so far"
            if sheet.document_value is not None:
                said += f"; ordered value {telling.money(sheet.document_value, _currency(sheet))}"
            return said
        words = [telling.count(sheet.orders, "customer order"), telling.count(sheet.lines, "line")]
        words.append(telling.money(sheet.value_at_risk, sheet.currency))
        return ", ".join(words)

    def _hit(self, hit: HitRow) -> Hit:
        expected = "not at all" if hit.projected_date is None else _day(hit.projected_date)
        if hit.projected_date is not None and hit.basis == "assumed":
            expected += " (assumed)"
        return Hit(
            order=f"{hit.order} / {hit.line}",
            customer=hit.customer,
            promised=_day(hit.promise_date),
            expected=expected,
            value=telling.money(hit.open_value, hit.currency),
        )

    def _trace(self, case: Case) -> str:
        subject = case.subject
        if subject.kind == "source":
            return f"{self._config.base_url}/health"
        if subject.kind == "queue":
            return f"{self._config.base_url}/queues"
        kind = _HEADERS.get(subject.kind, subject.kind)
        if kind not in ("po", "order", "asn"):
            return ""
        ref = f"{kind}:{subject.scope}:{subject.number}"
        return f"{self._config.base_url}/trace?ref={quote(ref, safe=':')}"


def _currency(sheet: CaseSheet) -> str | None:
    return sheet.currency if sheet.value_at_risk is None else None


def _low(words: str) -> str:
    return words[:1].lower() + words[1:]


def _day(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


def _state(sheet: CaseSheet) -> str:
    case = sheet.case
    if case.state == "resolved":
        words = case.why.get("healed") if case.resolution == "healed" else sheet.last_words
        return f"settled: {words or case.resolution}"
    if case.state == "taken":
        return f"taken by {case.why['taken_by']}" if case.why.get("taken_by") else "taken"
    if case.state == "snoozed" and case.snoozed_until is not None:
        return f"snoozed until {case.snoozed_until:%d %b %H:%M} UTC"
    return case.state
