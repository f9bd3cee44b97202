"""XML read by a mapping of network.yaml, with SOAP envelopes taken off.

What a SOAP body holds is read as if it had come alone; a Fault in it is told as ``message.failed``
with the sender's code and words, whatever the mapping says.
"""

from __future__ import annotations

from collections.abc import Iterator

from collectors.contract import RENDERED
from collectors.mapped import MappedInterpreter
from collectors.mapped_reading import MappedReading, Note
from collectors.records import Seen
from collectors.xml_records import Spot, XmlRecord, fits, select
from collectors.xml_tree import Node, parse_xml
from tower.errors import PayloadRejected
from tower.raw import Raw
from tower.xml_paths import parse_path

SOAP = frozenset(
    {"http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"}
)
"""Namespaces of SOAP 1.1 and 1.2."""

# Paths of a fault: those of SOAP 1.1 first, then of 1.2.
_FAULT = {
    "code": "faultcode | s:Code/s:Subcode/s:Value | s:Code/s:Value",
    "text": "faultstring | s:Reason/s:Text",
    "hop": "faultactor | s:Node | s:Role",
}
_ADDRESSING = (
    "http://www.w3.org/2005/08/addressing",
    "http://schemas.xmlsoap.org/ws/2004/08/addressing",
)


class XmlInterpreter(MappedInterpreter):
    """One document: the record itself, or the elements at the mapping's path."""

    name = "xml"
    version = 1

    def _read(self, reading: MappedReading, raw: Raw) -> None:
        mapping = reading.program.mapping
        body = parse_xml(raw.body)
        names, nulls = mapping.namespaces, reading.program.nulls
        n = 0
        for document in _documents(body.root):
            if document.node.local == "Fault" and document.node.uri in SOAP:
                names_of_fault = {"s": document.node.uri}
                fault = XmlRecord(document, body, names_of_fault, nulls)
                _tell_fault(reading, fault, f"item:{n}")
                n += 1
                continue
            for spot in _records(document, "" if RENDERED in raw.headers else mapping.records,
                                 names):  # fmt: skip
                reading.record(XmlRecord(spot, body, names, nulls), None, f"item:{n}")
                n += 1


def _documents(root: Node) -> Iterator[Spot]:
    """The document itself, or what its SOAP envelope holds."""
    top = Spot(root, None)
    if root.local != "Envelope" or root.uri not in SOAP:
        yield top
        return
    bodies = [node for node in root.named("Body") if node.uri == root.uri]
    if not bodies or not bodies[0].children:
        raise PayloadRejected(
            "The SOAP envelope has an empty body.",
            code="empty",
            advice="Ask the sender for the content.",
            offset=root.start,
        )
    inside = Spot(bodies[0], top)
    counts: dict[str, int] = {}
    for node in bodies[0].children:
        n = counts[node.local] = counts.get(node.local, 0) + 1
        yield Spot(node, inside, n)


def _records(document: Spot, path: str, namespaces: dict[str, str]) -> Iterator[Spot]:
    """The records of one document; the first step of the path names the document itself."""
    if not path:
        yield document
        return
    first, *rest = parse_path(path.lstrip("/"), namespaces).steps
    found = list(select(document, tuple(rest))) if fits(document.node, first) else []
    if not found:
        raise PayloadRejected(
            f'The document "{document.node.local}" has nothing at "{path}", where its records '
            "should be.",
            code="missing_key",
            advice="Correct the mapping's path of records, or ask the sender.",
            offset=document.node.start,
        )
    yield from found


def _tell_fault(reading: MappedReading, record: XmlRecord, position: str) -> None:
    data: dict[str, object] = {"step": "soap", "error_class": "fault"}
    notes: list[Note] = [(name, Seen(value), "default", "SOAP") for name, value in data.items()]
    for name, paths in _FAULT.items():
        for path in paths.split(" | "):
            value = record.get(path)
            if value is not None:
                data[name] = value
                notes.append((name, Seen(value, record, path), "", ""))
                break
    answered = _addressed(record, "RelatesTo")
    message = answered or _addressed(record, "MessageID")
    if message is not None:
        data["message"] = message.value
        notes.append(("message", message, "", ""))
    reading.tell(
        "message.failed",
        data,
        notes,
        position,
        answers=() if answered is None else (str(answered.value),),
    )


def _addressed(fault: XmlRecord, name: str) -> Seen | None:
    """What WS-Addressing says in the header of the envelope."""
    for uri in _ADDRESSING:
        header = fault.renamed({"a": uri, "s": fault.spot.node.uri})
        path = f"../../s:Header/a:{name}"
        value = header.get(path)
        if value is not None:
            return Seen(value, header, path)
    return None
