"""What is known while one message is read, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from collectors.edifact.draft import Draft, Labels, Note, Spot, element_name
from collectors.edifact.envelope import Group, Interchange, Message
from collectors.edifact.ids import group_id, interchange_id, message_id
from collectors.edifact.tokens import Segment
from tower.codes import UNKNOWN, word
from tower.errors import PayloadRejected
from tower.event import Event, TimeQuality
from tower.network import Network
from tower.raw import DeadLetter, Finding, Raw
from tower.vocabulary import EVENT_TYPES, decimal_text, make_event

_NUMBER = re.compile(r"-?(?:[0-9]{1,18}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})")
_CLOCK = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})?[0-9]{0,2}")
FINDINGS_LIMIT = 1000
"""Of one payload, over those of its envelopes."""

DETAIL = frozenset((b"LIN", b"CPS", b"UNS", b"CNI", b"DOC", b"ERC", b"UCI", b"UCM", b"UCF", b"CNT"))
"""Segments with which the head of a message ends."""

_END = (b"UNS", b"CNT")


@dataclass(slots=True)
class Outcome:
    """What one raw message gave so far."""

    events: list[Event] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    notes: list[list[Note]] = field(default_factory=list)
    met: tuple[tuple[Interchange | None, Group | None, bool], Parties] | None = None
    """Who the parties of the last message are, if its envelope or the feed alone told."""

    def find(self, finding: Finding) -> None:
        found = self.findings
        if len(found) < FINDINGS_LIMIT:
            found.append(finding)
        elif len(found) == FINDINGS_LIMIT:
            more = "there are more; see the bytes"
            found.append(Finding("more_findings", more, finding.offset))


@dataclass(frozen=True, slots=True)
class Parties:
    """Who sent and who is the supplier.

    outbound     we sent it
    partner      key of the other side, None if no profile has it
    stranger     how the other side names itself, for the dead letter; "" without an envelope
    spot         the component (of UNB, UNG or NAD) that names the other side
    """

    outbound: bool
    partner: str | None
    stranger: str = ""
    spot: Spot | None = None


class MessageReading:
    """One message with everything its reader may ask.

    Segments come once, in their order: ``head`` holds those before the first detail, ``groups``
    gives the details, ``summary`` holds what stands behind them.
    """

    def __init__(
        self,
        raw: Raw,
        net: Network,
        system: str,
        outcome: Outcome,
        message: Message,
        segments: Iterator[Segment],
        labels: Labels | None = None,
    ) -> None:
        self.raw = raw
        self.net = net
        self.erp = net.company.erp
        self.message = message
        self.head: list[Segment] = []
        self.summary: list[Segment] = []
        self.items = 0  # LIN seen
        self.parties = Parties(outbound=False, partner=None)
        self.zone: ZoneInfo = net.zone(net.company.zone)
        self._codes: Mapping[str, Mapping[str, str]] = {}
        self._noting = labels is not None
        self._rest = labels.counting(segments) if labels else segments
        self._next: Segment | None = None
        self._latest_year = raw.received_at.year + 20
        self._system = system
        self._outcome = outcome
        self._position = message.position
        for segment in self._rest:
            if segment.fields[0] in DETAIL:
                self._next = segment
                break
            self.head.append(segment)

    def meet(self, parties: Parties) -> None:
        """Who the parties are: it decides the zone of times and the meaning of codes."""
        self.parties = parties
        profile = self.net.partners.get(parties.partner) if parties.partner else None
        self._codes = profile.codes if profile else {}
        ours = parties.outbound or profile is None
        self.zone = self.net.zone(self.net.company.zone if ours or not profile else profile.zone)

    # --- segments -------------------------------------------------------------------------------

    def groups(self, *tags: bytes) -> Iterator[list[Segment]]:
        """Each detail with what belongs to it: a list that begins with one of these tags."""
        stops = frozenset((*tags, *_END, b"LIN", b"UNT"))
        group: list[Segment] = []
        keep = self.summary  # where a segment that begins nothing belongs
        first, self._next = self._next, None
        for segment in chain((first,) if first is not None else (), self._rest):
            tag = segment.fields[0]
            if tag not in stops:
                keep.append(segment)
                continue
            if tag == b"LIN":
                self.items += 1
            if tag in tags:
                if group:
                    yield group
                group = keep = [segment]
            elif tag == b"LIN":
                keep.append(segment)
            else:
                if group:
                    yield group
                group, keep = [], self.summary
                keep.append(segment)
        if group:
            yield group
        self._check_totals()

    def _check_totals(self) -> None:
        """CNT+2 counts the lines; what the head or the lines hold is no total."""
        for segment in self.summary:
            if segment.fields[0] == b"CNT" and segment.text(1, 1) == "2" and self.items:
                said = self.number(segment, 1, 2)
                if said is not None and decimal_text(said) != str(self.items):
                    self.find(
                        "cnt_lines",
                        f"CNT says {said} lines, counted are {self.items}",
                        Spot(segment, 1, 2),
                        expected=str(self.items),
                    )

    def first(self, tag: bytes, what: str) -> Segment:
        """The first segment of the head with this tag; without it the message is a dead letter."""
        for segment in self.head:
            if segment.fields[0] == tag:
                return segment
        raise PayloadRejected(
            f"there is no {tag.decode()} segment ({what})",
            code="missing_key",
            advice="Ask the sender to correct the document and send it again.",
            offset=self.message.unh.offset,
        )

    def key(self, spot: Spot, what: str) -> str:
        """A component without which the message is a dead letter."""
        value = spot.text
        if not value:
            raise PayloadRejected(
                f"{element_name(spot)}, the {what}, is empty",
                code="missing_key",
                advice="Ask the sender to correct the document and send it again.",
                offset=spot.segment.place(spot.element, spot.component)[0],
            )
        return value

    def missing(self, what: str, segment: Segment) -> PayloadRejected:
        return PayloadRejected(
            f"no {what} is named",
            code="missing_key",
            advice="Ask the sender to correct the document and send it again.",
            offset=segment.offset,
        )

    # --- values ---------------------------------------------------------------------------------

    def number(self, segment: Segment, element: int, component: int = 1) -> str | None:
        """Text of a number; None if there is none, or with a finding if it is none.

        Comma and point are both decimal marks (ISO 9735 version 4), whatever UNA says.
        """
        raw = segment.raw(element, component)
        if not raw:
            return None
        # Nearly all of them.
        if len(raw) <= 13 and raw.replace(b".", b"", 1).isdigit():
            return raw.decode()
        text = segment.text(element, component)
        if not text:
            return None
        if "," in text and "." not in text:
            text = text.replace(",", ".", 1)
        if _NUMBER.fullmatch(text):
            return text
        try:
            return decimal_text(text)
        except (ValueError, ArithmeticError):
            self.find(
                "bad_number",
                f'"{text[:40]}" is not a number',
                Spot(segment, element, component),
            )
            return None

    def day(self, dtm: Segment) -> str | None:
        """The day of a DTM in ISO form; None if there is none, or with a finding if it is none.

        Of a period the last day: by then it shall have happened.
        """
        text = dtm.text(1, 2)
        if not text:
            return None
        found = _day(text, dtm.text(1, 3), self._latest_year)
        if found is None:
            self.find("bad_date", f'"{text[:40]}" is not a day', Spot(dtm, 1, 2))
        return found

    def instant(self, dtm: Segment) -> datetime | None:
        """A DTM with time of day, in the sender's zone unless it tells one; None otherwise."""
        return _instant(dtm.text(1, 2), dtm.text(1, 3), self._latest_year, self.zone)

    def word(self, table: Mapping[str, str], name: str, spot: Spot) -> tuple[str, str]:
        """(word, code) of a coded component; a code without a word is a finding."""
        code = spot.text.upper()
        if not code:
            return UNKNOWN, ""
        found = word(table, code, self._codes, name)
        if found == UNKNOWN:
            self.find(
                "unknown_code",
                f'"{code[:20]}" is not in the list {name}; a profile may map it',
                spot,
            )
        return found, code

    # --- names and time -------------------------------------------------------------------------

    def own_ids(self) -> tuple[str, ...]:
        """Message, group and interchange that carry this document, as its sender names them."""
        interchange = self.message.interchange
        if interchange is None:
            return ()  # without parties a reference names nothing
        sender, receiver = interchange.sender, interchange.receiver
        ids = [interchange_id(sender, receiver, interchange.reference)]
        if self.message.group is not None:
            reference = self.message.group.reference
            ids.insert(0, group_id(sender, receiver, interchange.reference, reference))
        own = message_id(sender, receiver, interchange.reference, self.message.reference)
        return (own, *ids)

    def moment(self) -> tuple[datetime, TimeQuality]:
        """When it was transmitted: UNB, else UNG, else the document's date, else its receipt.

        UNB comes first, since it tells of all messages alike and most groups have no time.
        """
        for segment in (
            self.message.interchange.unb if self.message.interchange else None,
            self.message.group.ung if self.message.group else None,
        ):
            if segment is None:
                continue
            clock, day = segment.text(4, 2), segment.text(4, 1)
            found = _sent(day, clock, self._latest_year, self.zone)
            if found is not None:
                return found, TimeQuality.EXACT
            self.find("bad_date", "there is no date and time of sending", Spot(segment, 4))
        told = self._told(self.head, "137")
        return told or (self.raw.received_at.astimezone(UTC), TimeQuality.OBSERVED)

    def happened(self, segments: Iterable[Segment], *codes: str) -> tuple[datetime, TimeQuality]:
        """What a DTM with the best of these qualifiers says, else when it was transmitted."""
        for code in codes:
            told = self._told(segments, code)
            if told is not None:
                return told
        return self.moment()

    def _told(self, segments: Iterable[Segment], code: str) -> tuple[datetime, TimeQuality] | None:
        for dtm in segments:
            if dtm.fields[0] == b"DTM" and dtm.text(1) == code:
                found = self.instant(dtm)
                if found is not None:
                    return found, TimeQuality.EXACT
                day = self.day(dtm)
                if day is not None:
                    start = datetime.combine(date.fromisoformat(day), time(), self.zone)
                    return start.astimezone(UTC), TimeQuality.DATE
        return None

    # --- what comes of it -----------------------------------------------------------------------

    def draft(self) -> Draft:
        return Draft(self, self._noting)

    def supplier(self, draft: Draft) -> None:
        """Field ``supplier``, with the component that names it."""
        parties = self.parties
        if parties.partner is None:
            return
        if parties.spot is None:
            draft.header.default("supplier", parties.partner, "named by the feed")
        else:
            draft.header.word(
                "supplier", parties.partner, parties.spot, "network.yaml partners.ids"
            )

    def emit(
        self,
        type_: str,
        draft: Draft,
        moment: tuple[datetime, TimeQuality],
        *,
        position: str = "",
        carries: tuple[str, ...] = (),
        answers: tuple[str, ...] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        spec = EVENT_TYPES.get(type_)
        data = draft.data(spec.list_name if spec and spec.list_name else "lines")
        if extra:
            data.update(extra)
        event = make_event(
            type_,
            data,
            source=self.raw.source,
            raw_key=self.raw.key,
            position=self._position + position,
            occurred_at=moment[0],
            time_quality=moment[1],
            system=self._system,
            partner=self.parties.partner,
            channel="edi",
            carries=carries,
            answers=answers,
        )
        self._outcome.events.append(event)
        if draft.notes is not None:
            self._outcome.notes.append(draft.notes)

    def find(self, code: str, message: str, spot: Spot, *, expected: str = "") -> None:
        self._outcome.find(
            Finding(
                code,
                f"{element_name(spot)}: {message}",
                spot.segment.place(spot.element, spot.component)[0],
                expected=expected,
                got=spot.text[:80],
                position=self._position,
            )
        )


# --- dates (2379 tells the form; most forms are told by their length as well) ---------------------

_ORDERS = {"2": "dmy", "3": "mdy", "4": "dmY", "101": "ymd"}
_PERIODS = frozenset(("711", "713", "717", "718", "719"))
_WITH_ZONE = frozenset(("205", "303", "304"))
_SPAN = re.compile(r"[0-9]{6,}-[0-9]{6,}")
_NO_DAY = frozenset(("602", "604", "608", "609", "610", "615", "616", "801", "802", "803", "804"))


@lru_cache(maxsize=4096)
def _day(text: str, form: str, latest_year: int) -> str | None:
    """CCYYMMDD... or YYMMDD... in ISO form; other orders by ``form`` (2379).

    Two digits of a year are never later than ``latest_year``.
    """
    if form in _NO_DAY:
        return None  # a month or a week is no day
    if form in _PERIODS or (form not in _WITH_ZONE and _SPAN.fullmatch(text)):
        text = text.rpartition("-")[2] if "-" in text else text[len(text) // 2 :]
    digits = re.match(r"[0-9]+", text)
    if digits is None or not text.isascii():
        return None
    value, order = digits[0], _ORDERS.get(form)
    try:
        if order == "dmY" and len(value) == 8:
            year, month, day = int(value[4:]), int(value[2:4]), int(value[:2])
        elif order in ("dmy", "mdy") and len(value) == 6:
            first, second, year = int(value[:2]), int(value[2:4]), _full(value[4:], latest_year)
            month, day = (second, first) if order == "dmy" else (first, second)
        elif len(value) in (8, 12, 14) and (len(value) != 12 or form != "202"):
            year, month, day = int(value[:4]), int(value[4:6]), int(value[6:8])
        elif len(value) in (6, 10, 12):
            year, month, day = _full(value[:2], latest_year), int(value[2:4]), int(value[4:6])
        else:
            return None
        found = date(year, month, day)
    except ValueError:
        return None
    # Other years are mistyped, or stand for "no date".
    return found.isoformat() if 1900 <= year < 2200 else None


@lru_cache(maxsize=1024)
def _sent(text: str, clock: str, latest_year: int, zone: ZoneInfo) -> datetime | None:
    """Date and time of an envelope, which all its messages repeat."""
    match, day = _CLOCK.fullmatch(clock), _day(text, "", latest_year)
    return _at(day, match, zone) if match is not None and day is not None else None


def _full(two: str, latest_year: int) -> int:
    year = int(two) + 2000
    return year if year <= latest_year else year - 100


_ZONED = re.compile(r"([+-])(\d{2}):?(\d{2})?")


def _instant(text: str, form: str, latest_year: int, zone: ZoneInfo) -> datetime | None:
    day = _day(text, form, latest_year)
    digits = re.match(r"[0-9]+", text)
    if day is None or digits is None or form in _PERIODS:
        return None
    value, rest = digits[0], text[digits.end() :]
    length = 6 if len(value) == 10 or form in ("201", "202") else 8
    clock = _CLOCK.fullmatch(value[length:])
    if clock is None or (form == "102" and value[length:].strip("0") == ""):
        return None
    offset = _ZONED.match(rest)
    if offset is not None and form in _WITH_ZONE:
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        if minutes >= 24 * 60:
            return None
        told = timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
        return _at(day, clock, told)
    if rest.strip() in ("Z", "UTC", "GMT"):
        return _at(day, clock, UTC)
    return _at(day, clock, zone)


def _at(day: str, clock: re.Match[str], zone: Any) -> datetime | None:
    try:
        moment = time(int(clock[1]), int(clock[2]), int(clock[3] or 0))
        return datetime.combine(date.fromisoformat(day), moment, zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
