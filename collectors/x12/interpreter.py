"""X12 payloads to canonical events: pure, the same bytes and network give the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from collectors.contract import is_full
from collectors.x12.acks import read_functional, read_receipt
from collectors.x12.advices import read_advice
from collectors.x12.answers import read_answer, read_change_answer
from collectors.x12.draft import Origins
from collectors.x12.envelope import EnvelopeReader, Interchange, Receipt, TransactionSet, Where
from collectors.x12.ids import party
from collectors.x12.invoices import read_invoice
from collectors.x12.orders import read_change, read_order
from collectors.x12.payments import read_payment
from collectors.x12.reading import Outcome, Parties, SetReading
from collectors.x12.receipts import read_receipt as read_receiving
from collectors.x12.returns import read_return
from collectors.x12.shipments import read_shipment
from collectors.x12.stock import read_adjustment, read_inventory
from collectors.x12.transport import read_status
from collectors.x12.warehousing import read_receipt as read_stock_receipt
from collectors.x12.warehousing import read_release, read_shipping, read_transfer
from tower.errors import PayloadRejected
from tower.network import Network, Source
from tower.raw import DeadLetter, Finding, Interpretation, Raw


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a set is read, and which side may send it."""

    read: Callable[[SetReading], None]
    from_us: bool
    from_partner: bool
    needs_partner: bool = True


_KINDS = {
    "850": _Kind(read_order, from_us=True, from_partner=False),
    "860": _Kind(read_change, from_us=True, from_partner=False),
    "855": _Kind(read_answer, from_us=False, from_partner=True),
    "865": _Kind(read_change_answer, from_us=False, from_partner=True),
    "856": _Kind(read_shipment, from_us=False, from_partner=True),
    "861": _Kind(read_receiving, from_us=True, from_partner=False),
    "810": _Kind(read_invoice, from_us=False, from_partner=True),
    "820": _Kind(read_payment, from_us=True, from_partner=False),
    "180": _Kind(read_return, from_us=True, from_partner=True),
    "846": _Kind(read_inventory, from_us=False, from_partner=True),
    "940": _Kind(read_release, from_us=True, from_partner=False),
    "943": _Kind(read_transfer, from_us=True, from_partner=True),
    "944": _Kind(read_stock_receipt, from_us=False, from_partner=True),
    "945": _Kind(read_shipping, from_us=False, from_partner=True),
    "947": _Kind(read_adjustment, from_us=False, from_partner=True),
    "214": _Kind(read_status, from_us=False, from_partner=True),
    "824": _Kind(read_advice, from_us=True, from_partner=True),
    "997": _Kind(read_functional, from_us=True, from_partner=True, needs_partner=False),
    "999": _Kind(read_functional, from_us=True, from_partner=True, needs_partner=False),
    "TA1": _Kind(read_receipt, from_us=True, from_partner=True, needs_partner=False),
}

_OURS = frozenset((*(type_ for type_, kind in _KINDS.items() if not kind.from_partner), "943"))
"""Sets that we send, where neither side is known."""

NOTES_KEPT_BELOW = 1 << 20
"""Bytes of a payload up to which places are remembered; of a larger one sets are read again."""


class X12Interpreter:
    """Reads the sets of docs/x12.md; other sets are findings."""

    name = "x12"
    version = 1

    def interpret(self, raw: Raw, net: Network, source: Source | None = None) -> Interpretation:
        """Every set gives events, a finding ``unsupported``, or a dead letter; never an error.

        ``source`` is the feed the bytes came by, by default the one that ``raw`` names.
        """
        (whole,) = self._readings(raw, net, source, in_parts=False)
        return whole

    def parts(
        self, raw: Raw, net: Network, source: Source | None = None
    ) -> Iterator[Interpretation]:
        """The same part by part: no more than the events of one part are held."""
        return self._readings(raw, net, source, in_parts=True)

    def _readings(
        self, raw: Raw, net: Network, source: Source | None, *, in_parts: bool
    ) -> Iterator[Interpretation]:
        feed = source or net.sources.get(raw.source)
        system = feed.system if feed else ""
        # Whoever brought the bytes may know whose they are: a folder, a credential, the feed.
        named = raw.headers.get("partner") or (feed.partner if feed else None)
        outcome = Outcome()
        envelopes = EnvelopeReader(raw.body, f"Raw message {raw.source}/{raw.key}")
        partners: set[str | None] = set()
        # A part is asked for its origins at once: noting them is less work than reading again.
        noting = in_parts or len(raw.body) <= NOTES_KEPT_BELOW
        begins = 0
        met: tuple[object, ...] = ()
        parties = Parties(outbound=False, partner=None)
        for one in envelopes:
            # The same for all sets of a type in one group.
            type_ = one.type
            if met != (one.interchange, one.group, type_):
                met = (one.interchange, one.group, type_)
                parties = _parties(net, named, one)
                partners.add(parties.partner)
            kind = _KINDS.get(type_)
            if kind is None or not (kind.from_us if parties.outbound else kind.from_partner):
                outcome.find(_unsupported(kind, parties, one))
            elif kind.needs_partner and parties.partner is None:
                outcome.dead_letters.append(_stranger(parties, one))
            else:
                before = len(outcome.events)
                reading = SetReading(raw, net, system, parties, outcome, one, noting=noting)
                _guarded(kind, reading, outcome, one)
                if not noting:
                    again = partial(_again, kind, raw, net, system, parties, Where(one))
                    outcome.origins.later(len(outcome.events) - before, again)
            if in_parts and is_full(len(outcome.events), one.segments[-1].offset - begins):
                begins = one.segments[-1].offset
                yield Interpretation(self.name, self.version, *outcome.take())
        yield Interpretation(
            self.name,
            self.version,
            tuple(outcome.events),
            outcome.origins,
            (*envelopes.findings, *outcome.findings),
            (*envelopes.dead_letters, *outcome.dead_letters),
            partners.pop() if len(partners) == 1 else None,
            tuple(envelopes.controls),
        )


def _guarded(
    kind: _Kind, reading: SetReading, outcome: Outcome, one: TransactionSet | Receipt
) -> None:
    """One set, whole or not at all: what is wrong with it must not cost its neighbours."""
    before = len(outcome.events)
    try:
        kind.read(reading)
    except PayloadRejected as error:
        dead = DeadLetter(
            error.code,
            f"{one.label}: {error}.",
            error.advice,
            one.position,
            error.offset if error.offset is not None else reading.segments[0].offset,
            reading.parties.partner,
        )
    except Exception as error:
        dead = DeadLetter(
            "crash",
            f"{one.label}: X12 interpreter version {X12Interpreter.version} failed: {error!r}.",
            "This is a fault of the tower; the bytes are kept and can be interpreted again.",
            one.position,
            reading.segments[0].offset,
            reading.parties.partner,
        )
    else:
        return
    del outcome.events[before:]
    outcome.origins.cut(before)
    outcome.dead_letters.append(dead)


def _again(
    kind: _Kind, raw: Raw, net: Network, system: str, parties: Parties, where: Where
) -> Origins:
    """The origins of the events of one set, which is read once more."""
    outcome = Outcome()
    kind.read(SetReading(raw, net, system, parties, outcome, where.again(raw.body)))
    return outcome.origins


# --- who sent it ----------------------------------------------------------------------------------


def _parties(net: Network, named: str | None, one: TransactionSet | Receipt) -> Parties:
    """Direction and partner: by the ISA, else by the GS, else as the feed names it."""
    by_type = one.type in _OURS
    gs = one.group.gs if one.group is not None else None
    outbound, found = by_type, None
    if one.interchange is not None:
        outbound = _is_outbound(net, one.interchange, by_type)
        found = _by_isa(net, one.interchange, outbound)
        if found.partner is not None:
            return found
    if gs is not None:
        element = 3 if outbound else 2
        code = gs.text(element)
        for key, profile in net.partners.items():
            if code and code in profile.ids.gs:
                return Parties(outbound, key, code, gs, element)
    if named in net.partners:
        return Parties(outbound, named)
    if found is not None:
        return found
    return Parties(outbound, None, gs.text(3 if outbound else 2) if gs is not None else "")


def _is_outbound(net: Network, interchange: Interchange, by_type: bool) -> bool:
    isa = interchange.isa
    if net.is_us(isa.text(5), isa.text(6)):
        return True
    if net.is_us(isa.text(7), isa.text(8)) or net.partner_by_isa(isa.text(5), isa.text(6)):
        return False
    return by_type or net.partner_by_isa(isa.text(7), isa.text(8)) is not None


def _by_isa(net: Network, interchange: Interchange, outbound: bool) -> Parties:
    isa, element = interchange.isa, 8 if outbound else 6
    qualifier, identifier = isa.text(element - 1), isa.text(element)
    return Parties(
        outbound,
        net.partner_by_isa(qualifier, identifier),
        party(qualifier, identifier),
        isa,
        element,
    )


# --- what is not read -----------------------------------------------------------------------------


def _unsupported(kind: _Kind | None, parties: Parties, one: TransactionSet | Receipt) -> Finding:
    why = (
        f"sets of type {one.type or '(empty)'} are not read"
        if kind is None
        else f"{one.type} sets {'from us' if parties.outbound else 'to us'} are not read"
    )
    return Finding(
        "unsupported",
        f"{one.label}: {why}; the bytes are kept",
        one.segments[0].offset,
        got=one.type[:20],
        position=one.position,
    )


def _stranger(parties: Parties, one: TransactionSet | Receipt) -> DeadLetter:
    way = "goes to" if parties.outbound else "comes from"
    if parties.stranger:
        kind = "isa" if one.interchange is not None else "gs"
        cause = f"{one.label} {way} {kind.upper()} id {parties.stranger}, which no partner has."
        advice = (
            f'Add "{parties.stranger}" to ids.{kind} of a partner in network.yaml and interpret '
            "this message again."
        )
    else:
        cause = f"{one.label} has no envelope, so nobody knows its partner."
        advice = (
            "Ask for the document with its ISA, or name the partner of this feed in network.yaml, "
            "and interpret this message again."
        )
    segment, element = parties.segment, parties.element
    offset = segment.place(element)[0] if segment is not None else one.segments[0].offset
    return DeadLetter("unknown_partner", cause, advice, one.position, offset)
