"""An event in the making: its fields, and for each of them the element it came from.

Places are only noted while a set is read. ``Origins`` turns the notes into byte ranges when
somebody asks, which is rare; reading is not. Of a large payload not even notes are made: the
set is read once more from its bytes, so that segments never outlive the reading of their set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from collectors.x12.tokens import Segment, text_of
from tower.raw import Origin

if TYPE_CHECKING:
    from collectors.x12.reading import SetReading

Note = tuple[int, str, Segment | None, int, int, str, str]
"""Index of the line (-1: header), field, segment (None: none), element, component (0: the whole
element), how ("": to be seen), rule."""

POINT = 46

SUM = "sum"
"""Rule of a value to which several elements add."""


class Record:
    """The header of an event, or one of its lines."""

    __slots__ = ("_index", "_notes", "_reading", "rank", "values")

    def __init__(self, reading: SetReading, notes: list[Note] | None, index: int) -> None:
        self.values: dict[str, Any] = {}
        self.rank = 99  # how good the date is that it has; less is better
        self._reading = reading
        self._notes = notes
        self._index = index

    def note(
        self,
        field: str,
        segment: Segment,
        element: int,
        how: str = "",
        rule: str = "",
        component: int = 0,
    ) -> None:
        """The value of this field, set elsewhere, comes from here."""
        if self._notes is not None:
            self._notes.append((self._index, field, segment, element, component, how, rule))

    def text(self, field: str, segment: Segment, element: int) -> bool:
        """Take an element as it is; nothing happens if it was not sent."""
        fields = segment.fields
        if element >= len(fields):
            return False
        raw = fields[element]
        # What Segment.text does; every field of every line passes here.
        value = raw.decode() if raw.isalnum() else text_of(raw)
        if not value:
            return False
        self.values[field] = value
        if self._notes is not None:
            self._notes.append((self._index, field, segment, element, 0, "", ""))
        return True

    def number(self, field: str, segment: Segment, element: int) -> None:
        """Take a quantity or price; one that is no number is a finding and left out."""
        fields = segment.fields
        raw = fields[element] if element < len(fields) else b""
        if raw.isdigit() and len(raw) <= 18:
            value: str | None = raw.decode()
        elif len(raw) <= 13 and raw.replace(b".", b"", 1).isdigit() and raw[0] != POINT:
            # In canonical form at once ("12.50" is 12.5): else the whole line is looked at anew.
            value = raw.decode().rstrip("0").rstrip(".")
        else:
            value = self._reading.number(segment, element)
        if value:
            self.values[field] = value
            if self._notes is not None:
                self._notes.append((self._index, field, segment, element, 0, "", ""))

    def date(self, field: str, segment: Segment, element: int) -> bool:
        """Take a date; one that is none is a finding and left out."""
        value = self._reading.day(segment, element)
        if value is None:
            return False
        self.values[field] = value
        if self._notes is not None:
            self._notes.append((self._index, field, segment, element, 0, "", ""))
        return True

    def same(self, field: str, value: str, segment: Segment, element: int) -> None:
        """Take a value that this element gave before; nothing happens if it gave none."""
        if value:
            self.values[field] = value
            if self._notes is not None:
                self._notes.append((self._index, field, segment, element, 0, "", ""))

    def word(self, field: str, value: Any, segment: Segment, element: int, rule: str) -> None:
        """A word that stands for what the element says, by a code list or the network."""
        self.values[field] = value
        if self._notes is not None:
            self._notes.append((self._index, field, segment, element, 0, "looked_up", rule))

    def derived(self, field: str, value: Any, segment: Segment, element: int, rule: str) -> None:
        """A value worked out of the element (two implied decimals, a sum)."""
        self.values[field] = value
        if self._notes is not None:
            self._notes.append((self._index, field, segment, element, 0, "converted", rule))

    def default(self, field: str, value: Any, rule: str) -> None:
        """A value that no element gave."""
        self.values[field] = value
        if self._notes is not None:
            self._notes.append((self._index, field, None, 0, 0, "default", rule))

    def hand_to(self, other: Record, prefix: str) -> None:
        """Give the notes to a record that holds these values, there under ``prefix``."""
        if self._notes is None or other._notes is None:
            return
        for note in self._notes:
            other._notes.append((other._index, prefix + note[1], *note[2:]))

    def repeat(self, prefix: str, fields: tuple[str, ...]) -> None:
        """The fields are also told by the elements of those under ``prefix``."""
        if self._notes is None:
            return
        wanted = {prefix + field: field for field in fields}
        for note in tuple(self._notes):
            if note[0] == self._index and note[1] in wanted:
                self._notes.append((note[0], wanted[note[1]], *note[2:]))


class Draft:
    """Header and lines of one event."""

    __slots__ = ("_reading", "header", "lines", "notes")

    def __init__(self, reading: SetReading, noting: bool) -> None:
        self.notes: list[Note] | None = [] if noting else None
        self.lines: list[Record] = []
        self._reading = reading
        self.header = Record(reading, self.notes, -1)

    def line(self) -> Record:
        record = Record(self._reading, self.notes, len(self.lines))
        self.lines.append(record)
        return record

    def data(self, list_name: str = "lines") -> dict[str, Any]:
        data = dict(self.header.values)
        if self.lines:
            data[list_name] = [line.values for line in self.lines]
        return data


class Origins(Mapping[int, tuple[Origin, ...]]):
    """Index of an event to the origins of its fields, worked out when looked at."""

    def __init__(self) -> None:
        self._sheets: list[_Sheet | _Again] = []
        self._read_last: tuple[Callable[[], Origins], Origins] | None = None

    def add(
        self, data: Mapping[str, Any], notes: list[Note], labels: Labels, list_name: str
    ) -> None:
        """For the next event, whose data (canonical) are given."""
        self._sheets.append((data, notes, labels, list_name))

    def later(self, count: int, again: Callable[[], Origins]) -> None:
        """For the next events, as many as their set gave; ``again`` reads it and finds them."""
        self._sheets += [(again, nth) for nth in range(count)]

    def cut(self, length: int) -> None:
        """Forget the events from this index on."""
        del self._sheets[length:]

    def __len__(self) -> int:
        return len(self._sheets)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._sheets)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self) == dict(other)

    def __getitem__(self, index: int) -> tuple[Origin, ...]:
        if not 0 <= index < len(self._sheets):
            raise KeyError(index)
        sheet = self._sheets[index]
        if len(sheet) == 2:
            return self._again(*sheet)
        data, notes, labels, list_name = sheet
        found: dict[str, list[Origin]] = {}
        lines = data.get(list_name) or [{}] * (1 + max((note[0] for note in notes), default=0))
        for line, field, segment, element, component, how, rule in notes:
            path = field if line < 0 else f"{list_name}[{line}].{field}"
            holder = data if line < 0 else lines[line]
            value = resolve(holder, field) if "[" in field else holder.get(field)
            if value is None:
                continue  # the canonical form has no place for it
            if segment is None:
                found[path] = [Origin(path, "", None, None, how, rule)]
                continue
            if component:
                piece = segment.pieces(element, labels.component)[component - 1]
                (offset, length), text = piece.place, piece.text
            else:
                (offset, length), text = segment.place(element), segment.text(element)
            if not how:
                how = "copied" if text == value else "converted"
            origin = Origin(path, labels.of(segment, element, component), offset, length, how, rule)
            # A better element replaces the one before; only a sum has several.
            found[path] = [*found[path], origin] if rule == SUM and path in found else [origin]
        return tuple(origin for origins in found.values() for origin in origins)

    def _again(self, again: Callable[[], Origins], nth: int) -> tuple[Origin, ...]:
        """Events of one set are asked for one after the other: the last set is kept."""
        last = self._read_last
        if last is None or last[0] is not again:
            last = self._read_last = (again, again())
        return last[1][nth]


_Sheet = tuple[Mapping[str, Any], list[Note], "Labels", str]
_Again = tuple[Callable[[], Origins], int]


class Labels:
    """Names of elements as an X12 person writes them: "set 1 PO1[2] PO102"."""

    def __init__(
        self, place: str, segments: tuple[Segment, ...], component: bytes | None = None
    ) -> None:
        self.component = component
        self._place = place
        self._segments = segments
        self._counted: dict[int, str] = {}

    def of(self, segment: Segment, element: int, component: int = 0) -> str:
        if not self._counted:
            seen: dict[str, int] = {}
            for one in self._segments:
                tag = one.tag
                seen[tag] = seen.get(tag, 0) + 1
                self._counted[one.offset] = f"{self._place} {tag}[{seen[tag]}]"
        tag = segment.tag
        # Segments of the envelope (ISA, GS) are none of the set's.
        place = self._counted.get(segment.offset, tag)
        name = f"{place} {tag}{element:02d}"
        return f"{name}-{component}" if component else name


_STEP = re.compile(r"([a-z_]+)(?:\[(\d+)\])?")


def resolve(data: Mapping[str, Any], path: str) -> Any:
    """The value at "lines[0].parts[1].qty"; None if there is none."""
    value: Any = data
    for name, index in _STEP.findall(path):
        value = value.get(name) if isinstance(value, Mapping) else None
        if index and isinstance(value, list):
            value = value[int(index)] if int(index) < len(value) else None
    return value
