"""EDIFACT payloads to canonical events: pure, the same bytes and network give the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from collectors.contract import is_full
from collectors.edifact.acks import read_advice, read_syntax
from collectors.edifact.answers import read_answer
from collectors.edifact.draft import Labels, Sheet, origins_of
from collectors.edifact.envelope import EnvelopeReader, Message
from collectors.edifact.invoices import read_invoice, read_remittance
from collectors.edifact.orders import read_change, read_order
from collectors.edifact.parties import parties_of
from collectors.edifact.reading import MessageReading, Outcome, Parties
from collectors.edifact.receipts import read_receipt
from collectors.edifact.shipments import read_shipment
from collectors.edifact.transport import read_status
from collectors.origins import LazyOrigins
from tower.errors import PayloadRejected
from tower.network import Network, Source
from tower.raw import DeadLetter, Finding, Interpretation, Origin, Raw
from tower.vocabulary import EVENT_TYPES


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a message is read, and which side may send it."""

    read: Callable[[MessageReading], None]
    from_us: bool
    from_partner: bool
    needs_partner: bool = True
    usually_ours: bool = False


_KINDS = {
    "ORDERS": _Kind(read_order, from_us=True, from_partner=False, usually_ours=True),
    "ORDCHG": _Kind(read_change, from_us=True, from_partner=False, usually_ours=True),
    "ORDRSP": _Kind(read_answer, from_us=False, from_partner=True),
    "DESADV": _Kind(read_shipment, from_us=False, from_partner=True),
    # A warehouse or a carrier is no partner: their messages name the supplier inside, if at all.
    "RECADV": _Kind(
        read_receipt, from_us=True, from_partner=True, needs_partner=False, usually_ours=True
    ),
    "IFTSTA": _Kind(read_status, from_us=False, from_partner=True, needs_partner=False),
    "INVOIC": _Kind(read_invoice, from_us=False, from_partner=True),
    "REMADV": _Kind(read_remittance, from_us=True, from_partner=False, usually_ours=True),
    "CONTRL": _Kind(read_syntax, from_us=True, from_partner=True, needs_partner=False),
    "APERAK": _Kind(read_advice, from_us=True, from_partner=True, needs_partner=False),
}


class EdifactInterpreter:
    """Reads the messages of ``_KINDS``; others are findings."""

    name = "edifact"
    version = 1

    def interpret(self, raw: Raw, net: Network, source: Source | None = None) -> Interpretation:
        """Every message gives events, a finding ``unsupported``, or a dead letter; never an error.

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
        sheets: list[Callable[[], tuple[Origin, ...]]] = []
        envelopes = EnvelopeReader(raw.body, f"Raw message {raw.source}/{raw.key}")
        partners: set[str | None] = set()
        begins = 0
        for message in envelopes:
            before = len(outcome.events)
            partners.add(_read(raw, net, system, named, outcome, message))
            if len(outcome.events) > before:
                sheet = Sheet(partial(_origins, raw, net, system, named, message))
                sheets += [partial(sheet.of, n) for n in range(len(outcome.events) - before)]
            if in_parts and is_full(len(outcome.events), message.unh.offset - begins):
                begins = message.unh.offset
                yield Interpretation(
                    self.name, self.version, tuple(outcome.events), LazyOrigins(sheets)
                )
                outcome.events, sheets = [], []
        yield Interpretation(
            self.name,
            self.version,
            tuple(outcome.events),
            LazyOrigins(sheets),
            (*envelopes.findings, *outcome.findings),
            (*envelopes.dead_letters, *outcome.dead_letters),
            partners.pop() if len(partners) == 1 else None,
            tuple(envelopes.controls),
        )


def _read(
    raw: Raw, net: Network, system: str, named: str | None, outcome: Outcome, message: Message
) -> str | None:
    """One message, whole or not at all: what is wrong with it must not cost its neighbours.

    Returns its partner.
    """
    kind = _KINDS.get(message.type)
    events, findings = len(outcome.events), len(outcome.findings)
    partner: str | None = None
    dead: DeadLetter | None = None
    try:
        reading = MessageReading(raw, net, system, outcome, message, message.segments)
        usually_ours = kind is not None and kind.usually_ours
        under = (message.interchange, message.group, usually_ours)
        if outcome.met is not None and outcome.met[0] == under:
            parties = outcome.met[1]
        else:
            parties = parties_of(net, named, message, reading.head, usually_ours=usually_ours)
            inside = parties.spot is not None and parties.spot.segment in reading.head
            outcome.met = None if inside or parties.partner is None else (under, parties)
        partner = parties.partner
        reading.meet(parties)
        if kind is None or not (kind.from_us if parties.outbound else kind.from_partner):
            outcome.find(_unsupported(kind, parties, message))
        elif kind.needs_partner and partner is None:
            dead = _stranger(parties, message)
        else:
            kind.read(reading)
    except PayloadRejected as error:
        dead = DeadLetter(
            error.code,
            f"{message.label}: {error}.",
            error.advice,
            message.position,
            error.offset if error.offset is not None else message.unh.offset,
            partner,
        )
    except Exception as error:
        dead = DeadLetter(
            "crash",
            f"{message.label}: EDIFACT interpreter version {EdifactInterpreter.version} failed: "
            f"{error!r}.",
            "This is a fault of the tower; the bytes are kept and can be interpreted again.",
            message.position,
            message.unh.offset,
            partner,
        )
    for _ in message.segments:
        pass
    if dead is not None or not message.closed:
        del outcome.events[events:]
    if not message.closed:
        # Its end is missing: the dead letter of its envelope says so.
        del outcome.findings[findings:]
    elif dead is not None:
        outcome.dead_letters.append(dead)
    return partner


def _origins(
    raw: Raw, net: Network, system: str, named: str | None, message: Message
) -> list[tuple[Origin, ...]]:
    """The origins of the events of a message, which is read once more."""
    outcome = Outcome()
    labels = Labels(message.position.replace(":", " "))
    again = message.again(raw.body)
    reading = MessageReading(raw, net, system, outcome, message, again, labels)
    kind = _KINDS[message.type]
    reading.meet(parties_of(net, named, message, reading.head, usually_ours=kind.usually_ours))
    kind.read(reading)
    return [
        origins_of(event.data, EVENT_TYPES[event.type].list_name, notes, labels, raw.body)
        for event, notes in zip(outcome.events, outcome.notes, strict=True)
    ]


# --- what is not read -----------------------------------------------------------------------------


def _unsupported(kind: _Kind | None, parties: Parties, message: Message) -> Finding:
    type_ = message.type
    why = (
        f"messages of type {type_[:20] or '(empty)'} are not read"
        if kind is None
        else f"{type_} messages {'from us' if parties.outbound else 'to us'} are not read"
    )
    return Finding(
        "unsupported",
        f"{message.label}: {why}; the bytes are kept",
        message.unh.offset,
        got=type_[:20],
        position=message.position,
    )


def _stranger(parties: Parties, message: Message) -> DeadLetter:
    way = "goes to" if parties.outbound else "comes from"
    if parties.stranger:
        cause = f"{message.label} {way} {parties.stranger[:80]}, which no partner has."
        advice = (
            f'Add "{parties.stranger[:80]}" to ids.unb of a partner in network.yaml and interpret '
            "this message again."
        )
    else:
        cause = f"{message.label} has no envelope, so nobody knows its partner."
        advice = (
            "Ask for the document with its UNB, or name the partner of this feed in network.yaml, "
            "and interpret this message again."
        )
    spot = parties.spot
    offset = spot.segment.place(spot.element, spot.component)[0] if spot else message.unh.offset
    return DeadLetter("unknown_partner", cause, advice, message.position, offset)
