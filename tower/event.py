"""Events: one canonical fact about the business or about a message on its way.

CloudEvents 1.0 outside, OCEL 2.0 objects inside: one event may touch many objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from tower.identity import ROOT_KINDS, document_home, id_home, item_key


class TimeQuality(StrEnum):
    """How well ``occurred_at`` is known."""

    EXACT = "exact"
    DATE = "date"  # only the day was told; the instant is that day's start in the partner's zone
    OBSERVED = "observed"  # the source gave no time; it is the time we saw it


class ObjectRef(NamedTuple):
    """A business object an event touches.

    kind       po, po_line, asn, receipt, invoice, return, order, order_line, transfer, warehouse,
               partner, source
    scope      whose number it is: ERP name (po, order, their lines, transfer), supplier key (asn,
               invoice, return), warehouse (receipt), empty (warehouse, partner, source)
    number     header number; ``line`` the line number of po_line and order_line, else ""
    qualifier  creates, changes, cancels, answers, ships, receives, invoices, returns, promises,
               pegs, carries
    """

    kind: str
    scope: str
    number: str
    line: str = ""
    qualifier: str = ""

    def __str__(self) -> str:
        text = f"{self.kind}:{self.scope}:{self.number}"
        return f"{text}:{self.line}" if self.line else text


@dataclass(slots=True)
class Event:
    """One fact. ``data`` holds only JSON values; quantities and money are decimal strings ("12.5").

    Never changed once it is made; it is not declared frozen because that makes it three times as
    slow to make, and every message passes here.

    occurred_at     when it happened, by the source's own word, aware UTC
    recorded_at     when the source noted it (CloudEvents ``recordedtime``), None if it did not say
    correlation_id  explicit correlation or trace id given by the source
    carries         ids of messages that carry this document (X12 set, group, interchange)
    answers         ids of messages this event answers or descends from (997 AK1/AK2, In-Reply-To)
    position        where in the raw message it was read ("set:2", "row:14", "item:0")
    system          which system reports it (erp, edi, portal, wms_east, platform...)
    """

    id: UUID
    type: str
    source: str
    raw_key: str
    position: str
    occurred_at: datetime
    objects: tuple[ObjectRef, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    system: str = ""
    partner: str | None = None
    channel: str | None = None
    time_quality: TimeQuality = TimeQuality.EXACT
    recorded_at: datetime | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    carries: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()

    def roots(self) -> tuple[ObjectRef, ...]:
        """The distinct purchase and customer orders it touches, as header references."""
        seen: dict[tuple[str, str, str], ObjectRef] = {}
        for ref in self.objects:
            kind = {"po_line": "po", "order_line": "order"}.get(ref.kind, ref.kind)
            if kind in ROOT_KINDS:
                seen.setdefault(
                    (kind, ref.scope, ref.number), ObjectRef(kind, ref.scope, ref.number)
                )
        return tuple(seen.values())

    def identifiers(self) -> tuple[tuple[str, str], ...]:
        """(basis, id) of every id it names, strongest evidence first."""
        found: list[tuple[str, str]] = []
        if self.correlation_id:
            found.append(("correlation", self.correlation_id))
        found.extend(("answers", i) for i in self.answers)
        found.extend(("carries", i) for i in self.carries)
        if self.causation_id:
            found.append(("causation", self.causation_id))
        return tuple(found)

    def anchor(self) -> tuple[str, str, int]:
        """(kind, text, home_key) of the flow it lives in; a function of this event alone.

        Its one root document; else the strongest id it names; else its own document
        (a consolidated ASN); else the raw message it was read from.
        """
        roots = self.roots()
        if len(roots) == 1:
            root = roots[0]
            return root.kind, str(root), document_home(root.kind, root.scope, root.number)
        if not roots:
            for _, identifier in self.identifiers():
                return "id", identifier, id_home(identifier)
        for ref in self.objects:
            if ref.kind not in ROOT_KINDS and ref.kind not in ("po_line", "order_line"):
                text = str(ObjectRef(ref.kind, ref.scope, ref.number))
                return ref.kind, text, document_home(ref.kind, ref.scope, ref.number)
        return "item", f"{self.source}/{self.raw_key}", item_key(self.source, self.raw_key)
