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


# --- mails by the calendar ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture inside a mail. ``alt`` says in words what it shows."""

    png: bytes
    alt: str
    width: int = 592


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file beside a mail."""

    name: str
    body: bytes
    kind: str = "application/pdf"


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure of a digest, in words.

    value    "94.2 %", or "no data"
    change   "+1.3 points", "4 fewer", "as before"; "" where there is nothing to compare with
    note     sample, target, or why there is no data
    missed   its target is missed: the only thing that is shown in red
    better   whether the change is for the better; None = none, or it cannot be said
    """

    name: str
    value: str
    change: str
    note: str
    url: str
    missed: bool = False
    better: bool | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A root cause that somebody has to decide about."""

    title: str
    severity: str
    hurts: str
    since: str
    owner: str
    next_step: str
    url: str


@dataclass(frozen=True, slots=True)
class Link:
    """Where more of it is."""

    label: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestLetter(Head):
    """A digest for leaders: figures with their change, a picture, what needs a decision.

    compared  what the changes are against
    more      "and 7 more" decisions, with the address where they are; both empty when all are shown
    """

    headline: str
    intro: str
    compared: str
    readings: tuple[Reading, ...]
    picture: Picture | None
    caption: str
    decisions: tuple[Decision, ...]
    more: str
    more_url: str
    changes: tuple[str, ...]
    links: tuple[Link, ...]
    button_label: str
    button_url: str
    footer: str


@dataclass(frozen=True, slots=True)
class CardRow:
    """One line of a scorecard mail: a figure of one supplier, or one supplier of many."""

    name: str
    value: str
    change: str
    note: str
    url: str = ""
    missed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorecardLetter(Head):
    """A monthly scorecard, as PDF beside the mail: for a supplier its own, for us all of them.

    score, standing  of the one supplier; both empty in a mail about many
    """

    headline: str
    intro: str
    score: str
    standing: str
    change: str
    columns: tuple[str, str, str]
    rows: tuple[CardRow, ...]
    points: tuple[str, ...]
    footer: str
    attachments: tuple[Attachment, ...]
