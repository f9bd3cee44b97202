"""Segments to transaction sets: envelopes are read tolerantly, and what is odd is written down.

A wrong count or number is a finding and the documents are still given. Only what is missing at all
(the end of a set, the rest of a cut file) becomes a dead letter, and its neighbours are read.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property

from collectors.envelope_faults import EnvelopeFaults, start
from collectors.x12.ids import party, stream
from collectors.x12.tokens import (
    Delimiters,
    Segment,
    Tokens,
    content,
    find_isa,
    read_bare,
    read_isa,
)
from tower.numerals import natural
from tower.raw import Control

PLAIN_LIMIT = 256
"""Tags that are remembered: a file of noise has another one in every segment."""

_TAGS = frozenset((b"ST", b"SE", b"GS", b"GE", b"ISA", b"IEA", b"TA1"))
_RESEND = "Ask the sender for the whole file; what came is kept as it is."


@dataclass(frozen=True, eq=False)
class Interchange:
    """One ISA to IEA. ``ordinal`` counts from 1 in the raw message.

    What it says is worked out once, for all sets in it.
    """

    ordinal: int
    isa: Segment
    delimiters: Delimiters

    @cached_property
    def sender(self) -> str:
        return party(self.isa.text(5), self.isa.text(6))

    @cached_property
    def receiver(self) -> str:
        return party(self.isa.text(7), self.isa.text(8))

    @cached_property
    def number(self) -> str:
        return self.isa.text(13)

    @property
    def is_test(self) -> bool:
        return self.isa.text(15) == "T"


@dataclass(frozen=True, eq=False)
class Group:
    """One GS to GE."""

    gs: Segment

    @cached_property
    def functional_id(self) -> str:
        return self.gs.text(1)

    @cached_property
    def number(self) -> str:
        return self.gs.text(6)

    @property
    def version(self) -> str:
        return self.gs.text(8)


@dataclass(slots=True)
class TransactionSet:
    """One ST to SE, both included; ``ordinal`` counts from 1 in the raw message.

    Never changed once it is made; not declared frozen, which makes it slower to make.
    """

    ordinal: int
    segments: tuple[Segment, ...]
    delimiters: Delimiters
    interchange: Interchange | None
    group: Group | None

    @property
    def position(self) -> str:
        return f"set:{self.ordinal}"

    @property
    def type(self) -> str:
        return self.segments[0].text(1)

    @property
    def control(self) -> str:
        return self.segments[0].text(2)

    @property
    def label(self) -> str:
        return f"Set {self.ordinal} ({self.type} {self.control})"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A TA1: the verdict on an interchange that went the other way."""

    ordinal: int
    segments: tuple[Segment]
    delimiters: Delimiters
    interchange: Interchange | None
    group: None = None
    type: str = "TA1"
    control: str = ""

    @property
    def position(self) -> str:
        return f"ta1:{self.ordinal}"

    @property
    def label(self) -> str:
        return f"TA1 {self.ordinal}"


class Where:
    """Where a set or TA1 stands, without its segments: enough to read it once more."""

    __slots__ = ("_delimiters", "_group", "_interchange", "_kind", "_ordinal", "_start")

    def __init__(self, one: TransactionSet | Receipt) -> None:
        self._kind = type(one)
        self._ordinal = one.ordinal
        self._start = one.segments[0].offset
        self._interchange, self._group = one.interchange, one.group
        self._delimiters = one.delimiters

    def again(self, body: bytes) -> TransactionSet | Receipt:
        """The same, read from the same bytes."""
        segments: list[Segment] = []
        for segment in Tokens(body, self._start, self._delimiters):
            segments.append(segment)
            if self._kind is Receipt or segment.fields[0] == b"SE":
                break
        if self._kind is Receipt:
            return Receipt(self._ordinal, (segments[0],), self._delimiters, self._interchange)
        return TransactionSet(
            self._ordinal, tuple(segments), self._delimiters, self._interchange, self._group
        )


class EnvelopeReader(EnvelopeFaults):
    """Iterate once over sets and TA1s of a payload; findings and dead letters fill meanwhile."""

    def __init__(self, body: bytes, name: str) -> None:
        super().__init__()
        self._body = body
        self._name = name
        self.interchanges = 0
        self.groups = 0
        self.sets = 0
        self.controls: list[Control] = []
        self._receipts = 0
        self._interchange: Interchange | None = None
        self._group: Group | None = None
        self._groups_here = 0
        self._sets_here = 0
        self._open: list[Segment] | None = None
        self._stray = False
        self._plain: set[bytes] = set()  # tags seen that are none of an envelope

    def __iter__(self) -> Iterator[TransactionSet | Receipt]:
        body = self._body
        at = self._first()
        while at >= 0:
            isa = body.startswith(b"ISA", at)
            delimiters = read_isa(body, at) if isa else read_bare(body, at)
            if delimiters is None:
                at = self._without_delimiters(at)
                continue
            if not isa:
                self._find("no_envelope", "there is no ISA; parties and dates are unknown", at)
            at = self._following((yield from self._read(at, delimiters)))

    # --- where to begin, where to go on ---------------------------------------------------------

    def _first(self) -> int:
        body = self._body
        at = content(body, 3 if body.startswith(b"\xef\xbb\xbf") else 0)
        if at < 0:
            self._dead(
                "empty",
                f"{self._name} has no content ({len(body)} bytes).",
                "Ask the sender for the file; check the disk of the machine that wrote it.",
                offset=0,
            )
            return -1
        if body.startswith((b"ISA", b"GS", b"ST"), at):
            return at
        isa = find_isa(body, at)
        if isa >= 0:
            text = f"{isa - at} bytes before the first ISA are no X12"
            self._find("junk", text, at, got=start(body, at))
            return isa
        if body[:2] in (b"\xff\xfe", b"\xfe\xff") or b"I\0S\0A\0" in body[:64]:
            code, why = "undecodable", "is written in UTF-16, where X12 is read byte by byte"
        elif b"\xc9\xe2\xc1" in body[:64]:
            code, why = "undecodable", "is written in EBCDIC"
        else:
            code, why = "no_envelope", "begins with neither ISA, GS nor ST"
        self._dead(
            code,
            f"{self._name} {why}; it begins with {start(body, at)}.",
            "Check that this feed brings X12, one byte per character, then ask for a resend.",
            offset=at,
        )
        return -1

    def _without_delimiters(self, at: int) -> int:
        body = self._body
        following = find_isa(body, at + 3)
        end = following if following >= 0 else len(body)
        cut = end == len(body) and end - at < 106
        self._dead(
            "truncated" if cut else "no_delimiters",
            f"{self._name} ends at byte {end} inside its first segment."
            if cut
            else f"{self._name} has no segment terminator that can be found behind byte {at}: "
            f"{start(body, at)}.",
            _RESEND if cut else "Ask the sender which terminator it writes behind ISA16.",
            position=f"offset:{at}" if at > 3 else "",
            offset=end if cut else at,
        )
        return following

    def _following(self, at: int) -> int:
        """Offset of the next ISA behind an interchange, -1 if there is none."""
        body = self._body
        begin = content(body, at)
        if begin < 0 or body.startswith(b"ISA", begin):
            return begin
        isa = find_isa(body, begin)
        size = (isa if isa >= 0 else len(body)) - begin
        self._find("junk", f"{size} bytes behind IEA are no X12", begin, got=start(body, begin))
        return isa

    # --- one interchange, or a file without one -------------------------------------------------

    def _read(
        self, at: int, delimiters: Delimiters
    ) -> Generator[TransactionSet | Receipt, None, int]:
        """The sets from ``at`` on; returns the offset behind the interchange."""
        self._interchange = self._group = self._open = None
        self._groups_here = self._sets_here = 0
        self._stray = False
        body, step = self._body, len(delimiters.terminator)
        tokens, plain = Tokens(body, at, delimiters), self._plain
        for segment in tokens:
            tag = segment.fields[0]
            if tag in plain or self._is_plain(tag):
                if self._open is not None:
                    self._open.append(segment)
                else:
                    self._found_stray(segment)
                continue
            if tag[:3] == b"ISA":
                if segment.offset != at:
                    if self._interchange is not None or self._open is not None:
                        self._cut(segment.offset, "the next ISA begins")
                    return segment.offset
                self._begin_interchange(segment, delimiters)
            elif tag == b"IEA":
                if self._interchange is None:
                    self._close_set_early(segment)
                    self._find("iea_without_isa", "IEA without ISA", segment.offset)
                    continue
                self._end_interchange(segment)
                return segment.end + step
            else:
                yield from self._inside(segment, tag, delimiters)
        yield from self._finish(tokens.tail, delimiters)
        return len(body)

    def _is_plain(self, tag: bytes) -> bool:
        if tag in _TAGS or (tag[:3] == b"ISA" and not tag[3:4].isalnum()):
            return False
        if len(self._plain) < PLAIN_LIMIT:
            self._plain.add(tag)
        return True

    def _inside(
        self, segment: Segment, tag: bytes, delimiters: Delimiters
    ) -> Iterator[TransactionSet | Receipt]:
        self._stray = False
        if tag == b"ST":
            self._close_set_early(segment)
            self._open = [segment]
            self.sets += 1
            self._sets_here += 1
            if self._group is None and self._interchange is not None:
                self._find("set_without_group", "ST without GS", segment.offset)
        elif tag == b"SE":
            if self._open is None:
                self._find("se_without_st", "SE without ST", segment.offset)
                return
            self._open.append(segment)
            whole = TransactionSet(
                self.sets, tuple(self._open), delimiters, self._interchange, self._group
            )
            self._open = None
            self._check_set(whole)
            yield whole
        elif tag == b"GS":
            self._close_set_early(segment)
            if self._group is not None:
                self._find("ge_missing", "GS before the GE of the group before", segment.offset)
            self._group = Group(segment)
            self.groups += 1
            self._groups_here += 1
            self._sets_here = 0
        elif tag == b"GE":
            self._close_set_early(segment)
            self._end_group(segment)
        elif self._open is not None:
            self._open.append(segment)  # a TA1 inside a set is that set's own affair
        else:
            self._receipts += 1
            yield Receipt(self._receipts, (segment,), delimiters, self._interchange)

    def _begin_interchange(self, isa: Segment, delimiters: Delimiters) -> None:
        self.interchanges += 1
        self._interchange = Interchange(self.interchanges, isa, delimiters)
        if not delimiters.fixed_width:
            self._find(
                "isa_not_fixed",
                "the ISA does not have its fixed widths; it was read by separators",
                isa.offset,
                expected="106",
                got=str(isa.end - isa.offset + 1),
            )
        if delimiters.odd_isa16:
            self._find(
                "isa16_odd",
                "ISA16 is not one separator; the terminator was found by what follows",
                isa.offset,
            )

        number = self._interchange.number
        if self._interchange.is_test:
            self._find(
                "test_interchange", "ISA15 = T: the sender calls this a test", isa.place(15)[0]
            )
        elif (counted := natural(number, 9)) is not None:
            here = stream(self._interchange.sender, self._interchange.receiver)
            self.controls.append(Control(here, counted))

    def _end_interchange(self, iea: Segment) -> None:
        self._close_set_early(iea)
        if self._group is not None:
            self._find("ge_missing", "IEA before the GE of its group", iea.offset)
        isa13 = self._interchange.number if self._interchange else ""
        self._count("iea_count", "IEA01", iea, self._groups_here, "groups")
        self._number("iea_number", "IEA02", iea, isa13, "ISA13")
        self._group = None

    def _end_group(self, ge: Segment) -> None:
        if self._group is None:
            self._find("ge_without_gs", "GE without GS", ge.offset)
            return
        self._count("ge_count", "GE01", ge, self._sets_here, "sets")
        self._number("ge_number", "GE02", ge, self._group.number, "GS06")
        self._group = None

    def _check_set(self, whole: TransactionSet) -> None:
        trailer, place = whole.segments[-1], whole.position
        self._count("se_count", "SE01", trailer, len(whole.segments), "segments", place)
        self._number("se_number", "SE02", trailer, whole.control, "ST02", place)

    def _finish(
        self, tail: Segment | None, delimiters: Delimiters
    ) -> Iterator[TransactionSet | Receipt]:
        """The end of the payload: fine without an ISA, a cut inside an interchange."""
        end = len(self._body)
        if tail is not None:
            tag = tail.fields[0]
            # A trailer may have lost the very last terminator; any other segment may be half.
            if tag == b"IEA" and self._interchange is not None and len(tail.fields) > 2:
                self._end_interchange(tail)
                return
            if self._interchange is None and tag in (b"SE", b"GE") and len(tail.fields) > 2:
                yield from self._inside(tail, tag, delimiters)
            elif self._open is None and self._interchange is None:
                self._found_stray(tail)
        if self._interchange is not None or self._open is not None:
            self._cut(end, "the bytes end")
        elif self._group is not None:
            self._find("ge_missing", "the bytes end before the GE of the group", end)

    def _cut(self, offset: int, how: str) -> None:
        """An interchange without IEA: more may be missing than what was open."""
        missing = "SE" if self._open is not None else "IEA"
        inside = (
            f"inside set {self.sets} ({self._open[0].text(1)} {self._open[0].text(2)})"
            if self._open is not None
            else "inside an open interchange"
        )
        ordinal = self.interchanges
        self._dead(
            "truncated",
            f"{self._name}: {how} at byte {offset} {inside} (no {missing}).",
            _RESEND,
            position=f"set:{self.sets}" if self._open is not None else f"interchange:{ordinal}",
            offset=offset,
        )
        self._open = None

    def _close_set_early(self, by: Segment) -> None:
        if self._open is None:
            return
        start = self._open[0]
        self._dead(
            "set_not_closed",
            f"{self._name}: set {self.sets} ({start.text(1)} {start.text(2)}) has no SE before the "
            f"{by.tag} at byte {by.offset}; its end is missing.",
            "Ask the sender to send this document again.",
            position=f"set:{self.sets}",
            offset=by.offset,
        )
        self._open = None

    # --- what was odd ---------------------------------------------------------------------------

    def _found_stray(self, segment: Segment) -> None:
        if not self._stray:
            self._stray = True
            self._find(
                "stray_segment",
                "a segment outside any set was skipped",
                segment.offset,
                got=segment.tag[:20],
            )
