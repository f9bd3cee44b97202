"""Where goods are: the status report of a carrier or forwarder (IFTSTA)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from collectors.edifact.articles import reference
from collectors.edifact.parties import by_party
from collectors.edifact.reading import MessageReading
from collectors.edifact.tokens import Segment

_HAPPENED = ("334", "7", "78", "35", "178", "186", "11")  # 2005
_ETA = ("17", "132", "191", "2")
_DESPATCH = ("AAK", "DQ", "AAU")
_BILL = ("BM", "AAM", "CN", "CU")
_SHIPPERS = ("SU", "SE", "CZ", "SF")


def read_status(reading: MessageReading) -> None:
    """One ``shipment.status`` per STS; what stands over it holds for all that follow."""
    common: Sequence[Segment] = reading.head
    told = 0
    for consignment in reading.groups(b"CNI"):
        for n, status in enumerate(_statuses(consignment)):
            told += 1
            _tell(reading, common, consignment, status, f"/sts:{told}" if told > 1 or n else "")
    if not told:
        for status in _statuses([*reading.head, *reading.summary]):
            told += 1
            _tell(reading, common, (), status, f"/sts:{told}" if told > 1 else "")
    if not told:
        raise reading.missing("status (STS)", reading.message.unh)


def _statuses(group: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Each STS with what belongs to it."""
    status: list[Segment] = []
    for segment in group:
        if segment.fields[0] == b"STS":
            if status:
                yield status
            status = [segment]
        elif status:
            status.append(segment)
    if status:
        yield status


def _tell(
    reading: MessageReading,
    head: Sequence[Segment],
    consignment: Sequence[Segment],
    status: Sequence[Segment],
    position: str,
) -> None:
    above = [s for s in consignment if s not in status]
    draft = reading.draft()
    header = draft.header
    shipper = by_party(reading.net, [*above, *head], *_SHIPPERS)
    if reading.parties.partner is not None:
        reading.supplier(draft)
    elif shipper is not None:
        header.word("supplier", shipper[0], shipper[1], "network.yaml partners.ids")
    for field, codes in (("asn", _DESPATCH), ("bol", _BILL)):
        for place in (status, above, head):
            found = reference(place, *codes)
            if found is not None:
                header.spot(field, found)
                break
    if consignment and consignment[0].fields[0] == b"CNI":
        header.text("shipment", consignment[0], 2)
    sts = status[0]
    # 9015 is a category where 4405 follows; some senders write the code as the first element.
    header.text("code", sts, 2 if sts.text(2) else 1)
    moment = reading.happened(status, *_HAPPENED)
    eta = _dated(status, _ETA) or _dated(above, _ETA) or _dated(head, _ETA)
    if eta is not None:
        header.date("eta", eta)
    for segment in status:
        if segment.fields[0] == b"LOC" and segment.text(2):
            header.text("place", segment, 2, 4 if segment.text(2, 4) else 1)
            break
    reading.emit("shipment.status", draft, moment, position=position)


def _dated(group: Sequence[Segment], codes: Sequence[str]) -> Segment | None:
    for code in codes:
        for segment in group:
            if segment.fields[0] == b"DTM" and segment.code(1) == code and segment.text(1, 2):
                return segment
    return None
