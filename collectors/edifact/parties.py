"""Who sent a message and whose it is: by UNB, else UNG, else the feed, else the parties inside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from collectors.edifact.draft import Spot
from collectors.edifact.envelope import Message
from collectors.edifact.reading import Parties
from collectors.edifact.tokens import Segment
from tower.network import Network


def parties_of(
    net: Network,
    named: str | None,
    message: Message,
    head: Iterable[Segment],
    *,
    usually_ours: bool,
) -> Parties:
    """Direction and partner.

    ``named`` is whom the feed, folder or credential names; ``usually_ours`` says which side sends
    such messages where neither side is known.
    """
    outbound, stranger = usually_ours, None
    if message.interchange is not None:
        unb = message.interchange.unb
        outbound = _is_outbound(net, unb, usually_ours)
        other = Spot(unb, 3 if outbound else 2)
        partner = _partner(net, other)
        if partner is not None:
            return Parties(outbound, partner, _shown(other), other)
        stranger = Parties(outbound, None, _shown(other), other)
    if message.group is not None:
        other = Spot(message.group.ung, 3 if outbound else 2)
        partner = _partner(net, other)
        if partner is not None:
            return Parties(outbound, partner, _shown(other), other)
    if named in net.partners:
        return Parties(outbound, named)
    inside = by_party(net, head, "SU", "SE")
    if inside is not None:
        return Parties(outbound, inside[0], inside[1].text, inside[1])
    return stranger or Parties(outbound, None)


def _is_outbound(net: Network, unb: Segment, usually_ours: bool) -> bool:
    sender, receiver = Spot(unb, 2), Spot(unb, 3)
    if _is_us(net, sender):
        return True
    if _is_us(net, receiver) or _partner(net, sender) is not None:
        return False
    return usually_ours or _partner(net, receiver) is not None


def by_party(net: Network, segments: Iterable[Segment], *roles: str) -> tuple[str, Spot] | None:
    """The partner whose GLN, DUNS or vendor number a NAD with one of these roles gives."""
    for segment in segments:
        if segment.fields[0] == b"NAD" and segment.text(1) in roles and segment.text(2):
            partner = net.partner_by_any(segment.text(2))
            if partner is not None:
                return partner, Spot(segment, 2)
    return None


def _forms(party: Spot) -> Iterator[str]:
    """An S002 or S003 as ids.unb may write it: "4012345000009:14", or without qualifier."""
    identifier, qualifier = party.text, party.segment.text(party.element, 2)
    if identifier and qualifier:
        yield f"{identifier}:{qualifier}"
    if identifier:
        yield identifier


def _shown(party: Spot) -> str:
    return next(_forms(party), "")


def _is_us(net: Network, party: Spot) -> bool:
    return any(form in net.company.unb for form in _forms(party))


def _partner(net: Network, party: Spot) -> str | None:
    identifier = party.text
    if not identifier:
        return None
    return net.partner_by_unb(identifier, party.segment.text(party.element, 2))
