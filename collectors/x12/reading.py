"""What is known while one transaction set is read, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from collectors.as2 import as2_ids
from collectors.x12.draft import Draft, Labels, Origins
from collectors.x12.envelope import Group, Receipt, TransactionSet
from collectors.x12.ids import group_id, interchange_id, set_id
from collectors.x12.tokens import Segment
from tower.codes import UNKNOWN, word
from tower.errors import PayloadRejected
from tower.event import Event, TimeQuality
from tower.network import Network
from tower.raw import DeadLetter, Finding, Raw
from tower.vocabulary import EVENT_TYPES, decimal_text, make_event

_NUMBER = re.compile(rb"-?(?:[0-9]{1,18}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})")
_TIME = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})?[0-9]{0,2}")

# Which of several numbers of an article is meant: the buyer's own first, then the global, then the
# supplier's, so that an order, its answer and its shipment name the same article alike.
_ITEM_QUALIFIERS = (  # X12 235
    *(b"IN", b"BP", b"SK", b"PI", b"CB", b"PN"),
    *(b"UP", b"UK", b"UA", b"UI", b"UD", b"EN", b"EO"),
    *(b"VP", b"VN", b"VC", b"VA", b"MG", b"MF"),
)
_ITEM_RANK = {qualifier: rank for rank, qualifier in enumerate(_ITEM_QUALIFIERS)}


FINDINGS_LIMIT = 1000
"""Of one payload, over those of its envelopes."""


@dataclass(slots=True)
class Outcome:
    """What one raw message gave so far."""

    events: list[Event] = field(default_factory=list)
    origins: Origins = field(default_factory=Origins)
    findings: list[Finding] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    transmitted: tuple[Group, ZoneInfo, tuple[datetime, TimeQuality]] | None = None
    """When the last group was sent, for the sets that follow in it."""

    def find(self, finding: Finding) -> None:
        found = self.findings
        if len(found) < FINDINGS_LIMIT:
            found.append(finding)
        elif len(found) == FINDINGS_LIMIT:
            more = "there are more; see the bytes"
            found.append(Finding("more_findings", more, finding.offset))

    def take(self) -> tuple[tuple[Event, ...], Origins]:
        """Events and origins so far, which are forgotten here."""
        taken = (tuple(self.events), self.origins)
        self.events, self.origins = [], Origins()
        return taken


@dataclass(frozen=True, slots=True)
class Parties:
    """Who sent and who is the supplier.

    outbound     we sent it
    partner      key of the other side, None if no profile has it
    stranger     how the other side names itself, for the dead letter; "" without an envelope
    element      number of the ISA (or GS) element that names the other side
    """

    outbound: bool
    partner: str | None
    stranger: str = ""
    segment: Segment | None = None
    element: int = 0


class SetReading:
    """One transaction set (or TA1) with everything its reader may ask."""

    def __init__(
        self,
        raw: Raw,
        net: Network,
        system: str,
        parties: Parties,
        outcome: Outcome,
        one: TransactionSet | Receipt,
        *,
        noting: bool = True,
    ) -> None:
        self.raw = raw
        self.net = net
        self.erp = net.company.erp
        self.parties = parties
        self.segments: tuple[Segment, ...] = one.segments
        self.interchange = one.interchange
        self.group = one.group
        self.control = one.control
        delimiters = one.interchange.delimiters if one.interchange else None
        self.component = delimiters.component if delimiters else None
        self._latest_year = raw.received_at.year + 20
        self._system = system
        self._outcome = outcome
        self._position = one.position
        self._noting = noting
        self._labels: Labels | None = None
        profile = net.partners.get(parties.partner) if parties.partner else None
        self._codes: Mapping[str, Mapping[str, str]] = profile.codes if profile else {}
        zone = net.company.zone if parties.outbound or profile is None else profile.zone
        self.zone: ZoneInfo = net.zone(zone)

    # --- elements -------------------------------------------------------------------------------

    def first(self, tag: bytes, what: str) -> Segment:
        """The first segment with this tag; without it the set is a dead letter."""
        for segment in self.segments:
            if segment.fields[0] == tag:
                return segment
        raise PayloadRejected(
            f"there is no {tag.decode()} segment ({what})",
            code="missing_key",
            advice="Ask the sender to correct the document and send it again.",
            offset=self.segments[0].offset,
        )

    def key(self, segment: Segment, element: int, what: str) -> str:
        """An element without which the set is a dead letter."""
        value = segment.text(element)
        if not value:
            raise PayloadRejected(
                f"{segment.tag}{element:02d}, the {what}, is empty",
                code="missing_key",
                advice="Ask the sender to correct the document and send it again.",
                offset=segment.place(element)[0],
            )
        return value

    def number(self, segment: Segment, element: int) -> str | None:
        """Text of a number; None if there is none, or with a finding if it is none."""
        fields = segment.fields
        if element >= len(fields) or not fields[element]:
            return None
        if _NUMBER.fullmatch(fields[element]):
            return fields[element].decode()
        text = segment.text(element)
        if not text:
            return None
        try:
            return decimal_text(text)
        except (ValueError, ArithmeticError):
            self.find("bad_number", f'"{text[:40]}" is not a number', segment, element)
            return None

    def day(self, segment: Segment, element: int) -> str | None:
        """A date in ISO form; None if there is none, or with a finding if it is none."""
        fields = segment.fields
        if element >= len(fields) or not fields[element]:
            return None
        found = _day(fields[element], self._latest_year)
        if found is None and segment.text(element):
            text = segment.text(element)
            self.find("bad_date", f'"{text[:40]}" is not a date', segment, element)
        return found

    def instant(
        self, segment: Segment, day: int, clock: int, utc_hours: int | None = None
    ) -> datetime | None:
        """Date and time elements as an instant, in the sender's zone unless an offset is given.

        None if either is no such thing.
        """
        found = _day(segment.code(day), self._latest_year)
        if found is None:
            return None
        zone = self.zone if utc_hours is None else timezone(timedelta(hours=utc_hours))
        return _at(found, segment.text(clock), zone)

    def word(
        self, table: Mapping[str, str], name: str, segment: Segment, element: int
    ) -> tuple[str, str]:
        """(word, code) of a coded element; a code without a word is a finding."""
        code = segment.text(element).upper()
        if not code:
            return UNKNOWN, ""
        found = word(table, code, self._codes, name)
        if found == UNKNOWN:
            self.find(
                "unknown_code",
                f'"{code[:20]}" is not in the list {name}; a profile may map it',
                segment,
                element,
            )
        return found, code

    def item(self, segment: Segment, start: int) -> int:
        """Element number of the article number among qualifier and number pairs; 0 if none."""
        fields = segment.fields
        for place in _by_rank(tuple(fields[start:-1:2])):
            if fields[start + place]:
                return start + place
        return 0

    def item_among(self, segment: Segment, places: tuple[int, ...]) -> int:
        """The same where qualifiers stand at these elements, among others that are none."""
        fields = segment.fields
        there = [place for place in places if place + 1 < len(fields) and fields[place + 1]]
        for nth in _by_rank(tuple([fields[place] for place in there])):
            return there[(nth - 1) // 2] + 1
        return 0

    def paired(self, segment: Segment, start: int, qualifier: bytes) -> int:
        """Element number of the value that follows this qualifier; 0 if it is not there."""
        fields = segment.fields
        for place in range(start, len(fields) - 1, 2):
            if fields[place] == qualifier and fields[place + 1]:
                return place + 1
        return 0

    # --- names and time -------------------------------------------------------------------------

    def own_ids(self) -> tuple[str, ...]:
        """Set, group and interchange that carry this document, as its sender names them, and the
        AS2 message, if whoever brought the bytes knows it.
        """
        message_id = self.raw.headers.get("message-id")
        sent_as = as2_ids(message_id)[:1] if message_id else ()
        if self.interchange is None:
            return sent_as  # without parties a control number names nothing
        sender, receiver = self.interchange.sender, self.interchange.receiver
        whole = interchange_id(sender, receiver, self.interchange.number)
        if self.group is None:
            return (whole, *sent_as)
        functional_id, number = self.group.functional_id, self.group.number
        return (
            set_id(sender, receiver, functional_id, number, self.control),
            group_id(sender, receiver, functional_id, number),
            whole,
            *sent_as,
        )

    def moment(
        self, document: Segment | None = None, element: int = 0
    ) -> tuple[datetime, TimeQuality]:
        """When it was transmitted: GS, else ISA, else the document's date, else its receipt."""
        if self.group is not None:
            known = self._outcome.transmitted
            if known is not None and known[0] is self.group and known[1] is self.zone:
                return known[2]
            gs = self.group.gs
            found = self.instant(gs, 4, 5)
            if found is not None:
                told = (found, TimeQuality.EXACT)
                self._outcome.transmitted = (self.group, self.zone, told)
                return told
            self.find("bad_date", "GS04 and GS05 are no date and time", gs, 4)
        if self.interchange is not None:
            isa = self.interchange.isa
            found = self.instant(isa, 9, 10)
            if found is not None:
                return found, TimeQuality.EXACT
        day = self.day(document, element) if document is not None else None
        if day is not None:
            start = datetime.combine(date.fromisoformat(day), time(), self.zone)
            return start.astimezone(UTC), TimeQuality.DATE
        return self.raw.received_at.astimezone(UTC), TimeQuality.OBSERVED

    def _named(self) -> Labels:
        """The names of its elements."""
        if self._labels is None:
            place = self._position.replace(":", " ")
            self._labels = Labels(place, self.segments, self.component)
        return self._labels

    # --- what comes of it -----------------------------------------------------------------------

    def draft(self) -> Draft:
        return Draft(self, self._noting)

    def supplier(self, draft: Draft) -> None:
        """Field ``supplier``, with the element of the envelope that names it."""
        parties = self.parties
        if parties.partner is None:
            return
        if parties.segment is None:
            draft.header.default("supplier", parties.partner, "named by the feed")
        else:
            draft.header.word(
                "supplier",
                parties.partner,
                parties.segment,
                parties.element,
                "network.yaml partners.ids",
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
        list_name = EVENT_TYPES[type_].list_name
        data = draft.data(list_name)
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
            self._outcome.origins.add(event.data, draft.notes, self._named(), list_name)

    def find(
        self, code: str, message: str, segment: Segment, element: int = 0, *, got: str = ""
    ) -> None:
        where = self._named().of(segment, element) if element else segment.tag
        self._outcome.find(
            Finding(
                code,
                f"{where}: {message}",
                segment.place(element)[0] if element else segment.offset,
                got=got or (segment.text(element)[:80] if element else ""),
                position=self._position,
            )
        )


@lru_cache(maxsize=1024)
def _by_rank(qualifiers: tuple[bytes, ...]) -> tuple[int, ...]:
    """Where the numbers behind these qualifiers stand (1, 3, 5...), the best one first.

    All segments of a sender have the same few lists of qualifiers.
    """
    places = [
        (_ITEM_RANK.get(qualifier, 99), 2 * n + 1)
        for n, qualifier in enumerate(qualifiers)
        # A qualifier has two characters: in a segment that slipped, nothing is taken for one.
        if len(qualifier) == 2 and qualifier not in (b"PO", b"PL")
    ]
    return tuple(place for _, place in sorted(places))


@lru_cache(maxsize=4096)
def _at(day: str, clock: str, zone: tzinfo) -> datetime | None:
    """HHMM, HHMMSS or HHMMSSDD of an ISO day in ``zone`` as an instant; None if it is no time."""
    match = _TIME.fullmatch(clock)
    if match is None:
        return None
    try:
        moment = time(int(match[1]), int(match[2]), int(match[3] or 0))
        return datetime.combine(date.fromisoformat(day), moment, zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=4096)
def _day(raw: bytes, latest_year: int) -> str | None:
    """CCYYMMDD or YYMMDD in ISO form; two digits of a year are never later than ``latest_year``."""
    text = raw.strip()
    if not text.isdigit() or len(text) not in (6, 8):
        return None
    year = int(text[:-4])
    if len(text) == 6:
        year += 2000 if year + 2000 <= latest_year else 1900
    try:
        found = date(year, int(text[-4:-2]), int(text[-2:]))
    except ValueError:
        return None
    # Other years are mistyped, or stand for "no date".
    return found.isoformat() if 1900 <= year < 2200 else None
