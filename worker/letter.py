"""What a mail says, before it is rendered: frozen values, words ready to be read.

Text and HTML are made from the same letter, so that they cannot say different things.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Hit:
    """One affected customer order line, in words."""

    order: str
    customer: str
    promised: str
    expected: str
    value: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One case in a mail.

    reason     why now, a sentence; "" where it is merely listed
    since      when it became late or wrong, in the reader's zone and UTC; ``age`` how long ago
    receipt    how the due instant was found, one sentence
    hurts      "2 customer orders, 3 lines, EUR 12,300", or that nobody is affected
    state      "new", "taken by ...", "settled: answered, late" ...
    """

    title: str
    severity: str
    reason: str
    since: str
    age: str
    rule: str
    receipt: str
    hurts: str
    hits: tuple[Hit, ...]
    more_hits: str
    advice: str
    owner: str
    state: str
    case_url: str
    trace_label: str
    trace_url: str


@dataclass(frozen=True, slots=True)
class Section:
    """Entries under a heading; ``full`` with all they have to say, else one line each.

    more   "and 14 more", with the address where they are; both empty when all are shown
    """

    heading: str
    entries: tuple[Entry, ...]
    full: bool
    more: str = ""
    more_url: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number at the top of a mail; ``alarming`` shows it in the colour of severity."""

    value: str
    label: str
    alarming: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What every mail has. ``date`` and ``message_id`` are frozen with it.

    thread    id of the root that all mails of one group and day refer to
    list_id   stable name of the kind of mail, for filters of the reader
    reply_to  address that answers go to; "" = the sender
    """

    to_name: str
    to_address: str
    subject: str
    date: datetime
    message_id: str
    thread: str
    list_id: str
    company: str
    reply_to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter(Head):
    """A mail to one of our people."""

    headline: str
    intro: str
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]
    button_label: str
    button_url: str
    footer: str


@dataclass(frozen=True, slots=True)
class PartnerEntry:
    """One document of a partner: what is the matter, since when, what we ask for."""

    document: str
    what: str
    since: str
    ask: str


@dataclass(frozen=True, slots=True)
class PartnerSection:
    """Documents under a heading; ``more`` "and 14 more", empty when all are shown."""

    heading: str
    entries: tuple[PartnerEntry, ...]
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerLetter(Head):
    """A mail to a partner: there is no field for a customer, a value or a link."""

    headline: str
    intro: str
    sections: tuple[PartnerSection, ...]
    footer: str
