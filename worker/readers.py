"""Who reads a mail: a person or desk of ours, or a partner at its own address.

A recipient is a key of ``people`` in network.yaml, or ``partner:KEY``. What a partner is sent
follows from this word alone, however it came to be asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from tower.cases import Case
from tower.network import Network
from tower.partner_words import partner_words

PARTNER = "partner:"


@dataclass(frozen=True, slots=True)
class Reader:
    """Name, address and zone of a recipient.

    partner  key of the partner that reads it; None for our own people
    channel  of network.yaml that is told too; never for partners
    """

    key: str
    name: str
    mail: str
    zone: str
    partner: str | None = None
    channel: str | None = None


def reader_of(network: Network, recipient: str) -> Reader | None:
    """The reader behind a recipient; None if network.yaml does not know it any more."""
    if recipient.startswith(PARTNER):
        key = recipient.removeprefix(PARTNER)
        partner, address = network.partners.get(key), network.partner_contact(key)
        if partner is None or not address:
            return None
        return Reader(recipient, partner.name, address, partner.zone, partner=key)
    person = network.people.get(recipient)
    if person is None:
        return None
    return Reader(recipient, person.name, person.mail, person.zone, channel=person.channel)


def contact_of(network: Network, case: Case) -> str:
    """The recipient that is the contact of a case's partner; "" if it is not told of the case."""
    partner = case.supplier
    if partner is None or partner_words(case) is None or not network.partner_contact(partner):
        return ""
    return f"{PARTNER}{partner}"
