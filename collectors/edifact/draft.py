"""An event in the making and, when somebody asks, the component that each field came from.

A first reading keeps values only. When origins are wanted, the message is read once more from its
bytes and the places are noted: looking is rare, and a large interchange must not be kept in pieces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from collectors.edifact.tokens import Segment
from tower.raw import Origin

if TYPE_CHECKING:
    from collectors.edifact.reading import MessageReading


class Spot(NamedTuple):
    """Where a value stands: segment, element and component by their numbers (1 = first)."""

    segment: Segment
    element: int
    component: int = 1

    @property
    def text(self) -> str:
        return self.segment.text(self.element, self.component)


class Note(NamedTuple):
    """The field ``field`` of a line (-1: of the header) comes from this spot (None: from none)."""

    line: int
    field: str
    spot: Spot | None
    how: str
    rule: str


SUM = "sum"
"""Rule of a value to which several components add."""


class Record:
    """The header of an event, or one of its lines."""

    __slots__ = ("_index", "_notes", "_reading", "rank", "values")

    def __init__(self, reading: MessageReading, notes: list[Note] | None, index: int) -> None:
        self.values: dict[str, Any] = {}
        self.rank = 99  # how good the date is that it has; less is better
        self._reading = reading
        self._notes = notes
        self._index = index

    def note(self, field: str, spot: Spot | None, how: str = "", rule: str = "") -> None:
        """The value of this field, set elsewhere, comes from here."""
        if self._notes is not None:
            self._notes.append(Note(self._index, field, spot, how, rule))

    def text(self, field: str, segment: Segment, element: int, component: int = 1) -> bool:
        """Take a component as it is; nothing happens if it was not sent."""
        value = segment.text(element, component)
        if not value:
            return False
        self.values[field] = value
        if self._notes is not None:
            self.note(field, Spot(segment, element, component))
        return True

    def same(
        self, field: str, value: str, segment: Segment, element: int, component: int = 1
    ) -> None:
        """Take a value that this component gave before; nothing happens if it gave none."""
        if value:
            self.values[field] = value
            if self._notes is not None:
                self.note(field, Spot(segment, element, component))

    def spot(self, field: str, spot: Spot) -> bool:
        return self.text(field, *spot)

    def number(self, field: str, segment: Segment, element: int, component: int = 1) -> bool:
        """Take a quantity or price; one that is no number is a finding and left out."""
        value = self._reading.number(segment, element, component)
        if not value:
            return False
        if "." in value and value[0].isdigit() and len(value) <= 13:
            # In canonical form at once ("12.50" is 12.5): else the whole line is looked at anew.
            value = value.rstrip("0").rstrip(".")
        self.values[field] = value
        if self._notes is not None:
            self.note(field, Spot(segment, element, component))
        return True

    def date(self, field: str, dtm: Segment) -> bool:
        """Take the date of a DTM; one that is none is a finding and left out."""
        value = self._reading.day(dtm)
        if value is None:
            return False
        self.values[field] = value
        if self._notes is not None:
            self.note(field, Spot(dtm, 1, 2))
        return True

    def word(self, field: str, value: Any, spot: Spot, rule: str) -> None:
        """A word that stands for what the component says, by a code list or the network."""
        self.values[field] = value
        if self._notes is not None:
            self.note(field, spot, "looked_up", rule)

    def derived(self, field: str, value: Any, spot: Spot, rule: str) -> None:
        """A value worked out of the component (a price per hundred, a sum)."""
        self.values[field] = value
        if self._notes is not None:
            self.note(field, spot, "converted", rule)

    def default(self, field: str, value: Any, rule: str) -> None:
        """A value that no component gave."""
        self.values[field] = value
        if self._notes is not None:
            self.note(field, None, "default", rule)


class Draft:
    """Header and lines of one event."""

    __slots__ = ("_reading", "header", "lines", "notes")

    def __init__(self, reading: MessageReading, noting: bool) -> None:
        self.notes: list[Note] | None = [] if noting else None
        self.lines: list[Record] = []
        self._reading = reading
        self.header = Record(reading, self.notes, -1)

    def line(self) -> Record:
        record = Record(self._reading, self.notes, len(self.lines))
        self.lines.append(record)
        return record

    def drop(self, record: Record) -> None:
        """Forget the last line."""
        self.lines.remove(record)
        if self.notes is not None:
            index = len(self.lines)
            self.notes[:] = [note for note in self.notes if note.line != index]

    def data(self, list_name: str = "lines") -> dict[str, Any]:
        data = dict(self.header.values)
        if self.lines:
            data[list_name] = [line.values for line in self.lines]
        return data


# --- origins --------------------------------------------------------------------------------------


class Labels:
    """Names of elements as people write them: "message 1 QTY[2] QTY01-2".

    Made while a message is read again: each segment passes through ``counting``.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._seen: dict[bytes, int] = {}
        self._counted: dict[int, str] = {}

    def counting(self, segments: Iterable[Segment]) -> Iterator[Segment]:
        for segment in segments:
            tag = segment.fields[0]
            nth = self._seen[tag] = self._seen.get(tag, 0) + 1
            self._counted[segment.offset] = f"{self._place} {segment.tag}[{nth}]"
            yield segment

    def of(self, spot: Spot) -> str:
        segment = spot.segment
        # Segments of the envelope (UNB, UNG) are none of the message's.
        place = self._counted.get(segment.offset, segment.tag)
        return f"{place} {element_name(spot)}"


def element_name(spot: Spot) -> str:
    """ "QTY01-2"; without the component where the element has only one."""
    name = f"{spot.segment.tag}{spot.element:02d}"
    several = spot.component > 1 or spot.segment.count(spot.element) > 1
    return f"{name}-{spot.component}" if several else name


def origins_of(
    data: Mapping[str, Any], list_name: str, notes: list[Note], labels: Labels, body: bytes
) -> tuple[Origin, ...]:
    """Origins of the fields of one event, whose data (canonical) are given."""
    found: dict[str, list[Origin]] = {}
    lines = data.get(list_name) or []
    for line, field, spot, how, rule in notes:
        path = field if line < 0 else f"{list_name}[{line}].{field}"
        holder = data if line < 0 else lines[line] if line < len(lines) else {}
        value = resolve(holder, field) if "[" in field else holder.get(field)
        if value is None:
            continue  # the canonical form has no place for it
        if spot is None:
            found[path] = [Origin(path, "", None, None, how, rule)]
            continue
        offset, length = spot.segment.place(spot.element, spot.component)
        if not how:
            how = "copied" if _plain(body[offset : offset + length], spot) == value else "converted"
        origin = Origin(path, labels.of(spot), offset, length, how, rule)
        # A better component replaces the one before; only a sum has several.
        found[path] = [*found[path], origin] if rule == SUM and path in found else [origin]
    return tuple(origin for origins in found.values() for origin in origins)


def _plain(part: bytes, spot: Spot) -> str | None:
    """The bytes as text, character by character; None if some of them only protect others."""
    signs = spot.segment.signs
    if any(sign in part for sign in (signs.release or b"\0", b"\n", b"\r", b"\0")):
        return None
    return signs.text(part)


class Sheet:
    """The origins of the events of one message, found by reading it again."""

    def __init__(self, again: Callable[[], list[tuple[Origin, ...]]]) -> None:
        self._again = again
        self._found: list[tuple[Origin, ...]] | None = None

    def of(self, nth: int) -> tuple[Origin, ...]:
        if self._found is None:
            self._found = self._again()
        return self._found[nth]


_STEP = re.compile(r"([a-z_]+)(?:\[(\d+)\])?")


def resolve(data: Mapping[str, Any], path: str) -> Any:
    """The value at "lines[0].parts[1].qty"; None if there is none."""
    value: Any = data
    for name, index in _STEP.findall(path):
        value = value.get(name) if isinstance(value, Mapping) else None
        if index and isinstance(value, list):
            value = value[int(index)] if int(index) < len(value) else None
    return value
