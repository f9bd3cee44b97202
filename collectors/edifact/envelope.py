"""Segments to messages: envelopes are read tolerantly, and what is odd is written down.

A wrong count or reference is a finding and the documents are still given. Only what is missing at
all (the end of a message, the rest of a cut file) becomes a dead letter, and its neighbours are
read. A message is read while its bytes are split: nothing keeps all segments of anything.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property

from collectors.edifact.ids import counted, stream
from collectors.edifact.tokens import (
    BLANK,
    BOM,
    Beginning,
    Segment,
    Tokens,
    content,
    find_interchange,
    read_beginning,
)
from collectors.envelope_faults import EnvelopeFaults, start
from tower.raw import Control

PLAIN_LIMIT = 256
"""Tags that are remembered: a file of noise has another one in every segment."""

_TAGS = frozenset((b"UNA", b"UNB", b"UNZ", b"UNG", b"UNE", b"UNH", b"UNT"))
_RESEND = "Ask the sender for the whole file; what came is kept as it is."


@dataclass(frozen=True, eq=False)
class Interchange:
    """One UNB to UNZ. ``ordinal`` counts from 1 in the raw message.

    What it says is worked out once, for all messages in it.
    """

    ordinal: int
    unb: Segment

    @cached_property
    def sender(self) -> str:
        return self.unb.text(2)

    @cached_property
    def receiver(self) -> str:
        return self.unb.text(3)

    @cached_property
    def reference(self) -> str:
        return self.unb.text(5)

    @property
    def is_test(self) -> bool:
        return self.unb.text(11) == "1"


@dataclass(frozen=True, eq=False)
class Group:
    """One UNG to UNE."""

    ung: Segment

    @cached_property
    def reference(self) -> str:
        return self.ung.text(5)


class Message:
    """One UNH to UNT; ``ordinal`` counts from 1 in the raw message.

    ``segments`` gives UNH, the body and UNT once, while the bytes are split. Only when all of them
    were taken is known whether the message is ``closed``, how many there were and where it ends.
    """

    def __init__(
        self,
        ordinal: int,
        unh: Segment,
        interchange: Interchange | None,
        group: Group | None,
    ) -> None:
        self.ordinal = ordinal
        self.unh = unh
        self.interchange = interchange
        self.group = group
        self.segments: Iterator[Segment] = iter(())
        self.closed = False
        self.counted = 0

    @property
    def position(self) -> str:
        return f"message:{self.ordinal}"

    @property
    def type(self) -> str:
        return self.unh.text(2, 1)

    @property
    def version(self) -> str:
        """Directory and release: "D96A"."""
        return self.unh.text(2, 2) + self.unh.text(2, 3)

    @property
    def reference(self) -> str:
        return self.unh.text(1)

    @property
    def label(self) -> str:
        return f"Message {self.ordinal} ({self.type or 'without a type'} {self.reference})"

    def again(self, body: bytes) -> Iterator[Segment]:
        """The same segments once more, from the bytes."""
        for segment in Tokens(body, self.unh.offset, self.unh.signs):
            yield segment
            if segment.fields[0] == b"UNT":
                return


class EnvelopeReader(EnvelopeFaults):
    """Iterate once over the messages of a payload; findings and dead letters fill meanwhile."""

    def __init__(self, body: bytes, name: str) -> None:
        super().__init__()
        self._body = body
        self._name = name
        self.interchanges = 0
        self.groups = 0
        self.messages = 0
        self.una: list[bytes] = []
        self.controls: list[Control] = []
        self._interchange: Interchange | None = None
        self._group: Group | None = None
        self._groups_here = 0
        self._messages_here = 0
        self._messages_in_group = 0
        self._stray = False
        self._plain: set[bytes] = set()  # tags seen that are none of an envelope
        self._ahead: Segment | None = None  # the segment that cut a message short

    def __iter__(self) -> Iterator[Message]:
        body = self._body
        at = self._first()
        while at >= 0:
            beginning = read_beginning(body, at)
            if beginning is None:
                at = self._without_signs(at)
                continue
            self._begin(beginning, at)
            at = self._following((yield from self._read(beginning)))

    # --- where to begin, where to go on ---------------------------------------------------------

    def _first(self) -> int:
        body = self._body
        at = content(body, len(BOM) if body.startswith(BOM) else 0)
        if at < 0:
            self._dead(
                "empty",
                f"{self._name} has no content ({len(body)} bytes).",
                "Ask the sender for the file; check the disk of the machine that wrote it.",
                offset=0,
            )
            return -1
        if body.startswith((b"UNA", b"UNB", b"UNG", b"UNH"), at):
            return at
        begin = find_interchange(body, at)
        if begin >= 0:
            text = f"{begin - at} bytes before the first interchange are no EDIFACT"
            self._find("junk", text, at, got=start(body, at))
            return begin
        if body[:2] in (b"\xff\xfe", b"\xfe\xff") or b"U\0N\0" in body[:64]:
            code, why = "undecodable", "is written in UTF-16, where EDIFACT is read byte by byte"
        elif b"\xe4\xd5\xc1" in body[:64] or b"\xe4\xd5\xc2" in body[:64]:
            code, why = "undecodable", "is written in EBCDIC"
        else:
            code, why = "no_envelope", "begins with neither UNA, UNB, UNG nor UNH"
        self._dead(
            code,
            f"{self._name} {why}; it begins with {start(body, at)}.",
            "Check that this feed brings EDIFACT, one byte per service character, then ask for a "
            "resend.",
            offset=at,
        )
        return -1

    def _begin(self, beginning: Beginning, at: int) -> None:
        self.una.append(beginning.una)
        if beginning.odd:
            self._find(
                "una_odd",
                "the UNA is not nine bytes long"
                if beginning.una
                else "other service characters than the usual ones are used without a UNA",
                at,
                got=start(self._body, at),
            )
        if not self._body.startswith(b"UNB", beginning.at):
            self._find("no_envelope", "there is no UNB; parties and dates are unknown", at)

    def _without_signs(self, at: int) -> int:
        body = self._body
        following = find_interchange(body, at + 3)
        end = following if following >= 0 else len(body)
        cut = end == len(body) and len(body[at + 9 :].strip(BLANK)) < 3
        self._dead(
            "truncated" if cut else "no_delimiters",
            f"{self._name} ends at byte {end} inside its first segment."
            if cut
            else f"{self._name} does not tell its service characters at byte {at}: "
            f"{start(body, at)}.",
            _RESEND if cut else "Ask the sender to put a UNA in front that names its separators.",
            position=f"offset:{at}" if at > 3 else "",
            offset=end if cut else at,
        )
        return following

    def _following(self, at: int) -> int:
        """Offset of the next interchange behind one, -1 if there is none."""
        body = self._body
        begin = content(body, at)
        if begin < 0 or body.startswith((b"UNA", b"UNB"), begin):
            return begin
        found = find_interchange(body, begin)
        size = (found if found >= 0 else len(body)) - begin
        text = f"{size} bytes behind UNZ are no EDIFACT"
        self._find("junk", text, begin, got=start(body, begin))
        return found

    # --- one interchange, or a file without one -------------------------------------------------

    def _read(self, beginning: Beginning) -> Generator[Message, None, int]:
        """The messages from there on; returns the offset behind the interchange."""
        self._interchange = self._group = self._ahead = None
        self._groups_here = self._messages_here = 0
        self._stray = False
        tokens = Tokens(self._body, beginning.at, beginning.signs)
        segments = iter(tokens)
        while True:
            segment = self._ahead or next(segments, None)
            self._ahead = None
            if segment is None:
                break
            tag = segment.fields[0]
            if tag not in _TAGS and not tag.startswith(b"UNA"):
                self._found_stray(segment)
            elif tag == b"UNH":
                message = self._begin_message(segment, segments, tokens)
                yield message
                for _ in message.segments:
                    pass  # whoever read it may have stopped early
                self._end_message(message)
            elif tag[:3] in (b"UNA", b"UNB"):
                if segment.offset != beginning.at:
                    if self._interchange is not None:
                        self._cut(segment.offset, "the next interchange begins")
                    self._look_at_signs(tokens)
                    return segment.offset
                self._begin_interchange(segment)
            elif tag == b"UNZ":
                if self._interchange is None:
                    self._find("unz_without_unb", "UNZ without UNB", segment.offset)
                    continue
                self._end_interchange(segment)
                self._look_at_signs(tokens)
                return segment.end + 1
            else:
                self._between(segment, tag)
        self._finish(tokens.tail)
        self._look_at_signs(tokens)
        return len(self._body)

    def _begin_message(self, unh: Segment, segments: Iterator[Segment], tokens: Tokens) -> Message:
        self._stray = False
        self.messages += 1
        self._messages_here += 1
        self._messages_in_group += 1
        message = Message(self.messages, unh, self._interchange, self._group)
        message.segments = self._inside(message, segments, tokens)
        return message

    def _inside(
        self, message: Message, segments: Iterator[Segment], tokens: Tokens
    ) -> Iterator[Segment]:
        """UNH to UNT; ends early where another part of the envelope, or nothing, follows."""
        message.counted = 1
        yield message.unh
        counted, plain = 1, self._plain
        for segment in segments:
            tag = segment.fields[0]
            if tag not in plain:
                if tag == b"UNT":
                    message.counted = counted + 1
                    message.closed = True
                    yield segment
                    self._check_message(message, segment)
                    return
                if tag in _TAGS or tag.startswith(b"UNA"):
                    message.counted = counted
                    self._ahead = segment
                    return
                if len(plain) < PLAIN_LIMIT:
                    plain.add(tag)
            counted += 1
            yield segment
        message.counted = counted
        tail = tokens.tail
        # A trailer may have lost the very last terminator; any other segment may be half.
        if tail is not None and tail.fields[0] == b"UNT" and len(tail.fields) > 2:
            tokens.tail = None
            message.counted = counted + 1
            message.closed = True
            yield tail
            self._check_message(message, tail)

    def _end_message(self, message: Message) -> None:
        if message.closed:
            return
        what = f"message {message.ordinal} ({message.type} {message.reference})"
        by = self._ahead
        if by is not None:
            self._dead(
                "message_not_closed",
                f"{self._name}: {what} has no UNT before the {by.tag} at byte {by.offset}; its end "
                "is missing.",
                "Ask the sender to send this document again.",
                position=message.position,
                offset=by.offset,
            )
            return
        end = len(self._body)
        self._dead(
            "truncated",
            f"{self._name}: the bytes end at byte {end} inside {what} (no UNT).",
            _RESEND,
            position=message.position,
            offset=end,
        )
        self._interchange = None  # said once

    def _between(self, segment: Segment, tag: bytes) -> None:
        """UNG, UNE, or a UNT that ends nothing."""
        self._stray = False
        if tag == b"UNG":
            if self._group is not None:
                self._find("une_missing", "UNG before the UNE of the group before", segment.offset)
            self._group = Group(segment)
            self.groups += 1
            self._groups_here += 1
            self._messages_in_group = 0
        elif tag == b"UNE":
            if self._group is None:
                self._find("une_without_ung", "UNE without UNG", segment.offset)
                return
            self._count("une_count", "UNE01", segment, self._messages_in_group, "messages")
            self._number("une_number", "UNE02", segment, self._group.reference, "UNG05")
            self._group = None
        else:
            self._find("unt_without_unh", "UNT without UNH", segment.offset)

    def _begin_interchange(self, unb: Segment) -> None:
        self.interchanges += 1
        self._interchange = Interchange(self.interchanges, unb)
        if self._interchange.is_test:
            self._find(
                "test_interchange", "0035 = 1: the sender calls this a test", unb.place(11)[0]
            )
            return
        number = counted(self._interchange.reference, unb.text(4, 1), unb.text(4, 2))
        if number is not None:
            here = stream(self._interchange.sender, self._interchange.receiver)
            self.controls.append(Control(here, number))

    def _end_interchange(self, unz: Segment) -> None:
        if self._group is not None:
            self._find("une_missing", "UNZ before the UNE of its group", unz.offset)
        reference = self._interchange.reference if self._interchange else ""
        if self._groups_here:
            self._count("unz_count", "UNZ01", unz, self._groups_here, "groups")
        else:
            self._count("unz_count", "UNZ01", unz, self._messages_here, "messages")
        self._number("unz_number", "UNZ02", unz, reference, "UNB05")
        self._group = None

    def _check_message(self, message: Message, unt: Segment) -> None:
        place = message.position
        self._count("unt_count", "UNT01", unt, message.counted, "segments", place)
        self._number("unt_number", "UNT02", unt, message.reference, "UNH01", place)

    def _finish(self, tail: Segment | None) -> None:
        """The end of the payload: fine without a UNB, a cut inside an interchange."""
        if tail is not None:
            tag = tail.fields[0]
            if tag == b"UNZ" and self._interchange is not None and len(tail.fields) > 1:
                self._end_interchange(tail)
                return
            if self._interchange is None and tag == b"UNE" and len(tail.fields) > 2:
                self._between(tail, tag)
            elif self._interchange is None and not self.dead_letters:
                self._cut(len(self._body), "the bytes end")
                return
        if self._interchange is not None:
            self._cut(len(self._body), "the bytes end")
        elif self._group is not None and not self.dead_letters:
            self._find("une_missing", "the bytes end before the UNE", len(self._body))

    def _cut(self, offset: int, how: str) -> None:
        """An interchange without UNZ: more may be missing than what was open."""
        self._dead(
            "truncated",
            f"{self._name}: {how} at byte {offset} inside an open interchange (no UNZ).",
            _RESEND,
            position=f"interchange:{self.interchanges}",
            offset=offset,
        )

    # --- what was odd ---------------------------------------------------------------------------

    def _look_at_signs(self, tokens: Tokens) -> None:
        if tokens.foreign >= 0:
            self._find(
                "not_in_character_set",
                "these bytes are not in the character set that UNB names; they are read as UTF-8, "
                "else as Latin-1",
                tokens.foreign,
                got=start(self._body, tokens.foreign),
            )

    def _found_stray(self, segment: Segment) -> None:
        if not self._stray:
            self._stray = True
            self._find(
                "stray_segment",
                "a segment outside any message was skipped",
                segment.offset,
                got=segment.tag[:20],
            )
