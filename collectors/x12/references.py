"""Numbers, places and parties that segments of a document name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from collectors.x12.draft import Record
from collectors.x12.reading import SetReading
from collectors.x12.tokens import Segment

Place = tuple[Segment, int]
"""A segment and the number of one of its elements."""

_NUMBERS = (b"REF", b"N9")  # the number of both stands in the second element
_ENDS = frozenset((b"CTT", b"SE"))


def parted(
    segments: Iterable[Segment], *starts: bytes, ends: frozenset[bytes] = _ENDS
) -> tuple[list[Segment], list[list[Segment]]]:
    """What stands before the first segment with one of these tags, and each with what follows."""
    head: list[Segment] = []
    loops: list[list[Segment]] = []
    for segment in segments:
        tag = segment.fields[0]
        if tag in starts:
            loops.append([segment])
        elif tag in ends:
            break
        else:
            (loops[-1] if loops else head).append(segment)
    return head, loops


def named(segments: Iterable[Segment], tag: bytes, qualifier: str) -> Iterator[Segment]:
    """Segments with this tag whose first element is the qualifier."""
    return (s for s in segments if s.fields[0] == tag and s.text(1) == qualifier)


def reference(
    segments: Sequence[Segment], *qualifiers: str, tags: tuple[bytes, ...] = _NUMBERS
) -> Place | None:
    """The number with the first of these qualifiers (X12 128) that is told."""
    for qualifier in qualifiers:
        for segment in segments:
            if segment.fields[0] in tags and segment.text(1) == qualifier and segment.text(2):
                return segment, 2
    return None


def take_warehouse(
    reading: SetReading, header: Record, head: Sequence[Segment], *roles: str
) -> bool:
    """The key or GLN of one of our warehouses, else the place as sent (N1, best role first)."""
    place = next((s for role in roles for s in named(head, b"N1", role)), None)
    if place is None:
        return False
    element = 4 if place.text(4) else 2
    code = place.text(element)
    for key, warehouse in reading.net.warehouses.items():
        if code == key or (code and warehouse.gln == code):
            header.word("warehouse", key, place, element, "network.yaml warehouses")
            return True
    header.text("warehouse", place, element)
    return bool(code)


def take_sender(reading: SetReading, header: Record) -> None:
    """Where no place is told, goods are where the sender is."""
    if reading.parties.partner is not None and not reading.parties.outbound:
        header.default("warehouse", reading.parties.partner, "no place is told: the sender's")


def take_supplier(
    reading: SetReading, header: Record, head: Sequence[Segment], *roles: str
) -> bool:
    """The partner whose vendor number, GLN or DUNS an N1 with one of these roles gives."""
    for role in roles:
        for place in named(head, b"N1", role):
            partner = reading.net.partner_by_any(place.text(4)) if place.text(4) else None
            if partner is not None:
                header.word("supplier", partner, place, 4, "network.yaml partners.ids")
                return True
    return False


def number_line(line: Record, told: Place | None, nth: int, field: str = "line") -> None:
    """The number of a line as told, else its place in the document."""
    if told is not None and told[0].text(told[1]):
        line.text(field, *told)
    else:
        line.default(field, str(nth), "place of the line in the document")
