"""Letters to partners: their own documents, what is missing, what we ask for.

What such a letter is made of has no place for customers, values or our own words about a case, so
that none of them can come into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from tower import telling
from tower.cases import Case
from tower.network import Network
from tower.partner_words import partner_words
from tower.telling import OPENING, Reason
from worker.letter import Head, PartnerEntry, PartnerLetter, PartnerSection
from worker.readers import Reader

MOST_ENTRIES = 100


class PartnerMail(NamedTuple):
    """What goes into one letter: each partner sees cases of its own alone."""

    cases: Mapping[int, Case]
    reasons: Mapping[int, Reason]
    still: Sequence[int]


def of_partner(reader: Reader, cases: Mapping[int, Case]) -> dict[int, Case]:
    """Those of these cases that this partner may be told of."""
    return {
        number: case
        for number, case in cases.items()
        if case.supplier == reader.partner and partner_words(case) is not None
    }


def partner_letter(
    head: Head, reader: Reader, network: Network, mail: PartnerMail, now: datetime
) -> PartnerLetter:
    """The letter, with the envelope that was made for it."""
    mine = of_partner(reader, mail.cases)
    opening = [i for i, reason in mail.reasons.items() if reason in OPENING and i in mine]
    reminded = [i for i in opening if mail.reasons[i] is Reason.REMINDER]
    fresh = [i for i in opening if i not in reminded]
    settled = [i for i, r in mail.reasons.items() if r not in OPENING and i in mine]
    still = [i for i in mail.still if i in mine]
    n_open = len(opening) + len(still)
    company = network.company.name
    points = telling.count(n_open, "open point")
    return PartnerLetter(
        to_name=head.to_name,
        to_address=head.to_address,
        subject=telling.safe_words(
            f"{company}: {points if n_open else 'all points are settled'}",
            telling.SUBJECT_LIMIT,
        ),
        date=head.date,
        message_id=head.message_id,
        thread=head.thread,
        list_id=head.list_id,
        company=company,
        reply_to=head.reply_to,
        headline=f"{points} on our orders" if n_open else "All points are settled",
        intro=(
            f"We are waiting for {'an answer' if n_open == 1 else 'answers'} from "
            f"{reader.name}. Answer this mail, or answer in the way we agreed."
            if n_open
            else f"Nothing is open with {reader.name} any more. Thank you."
        ),
        sections=tuple(
            PartnerSection(
                heading,
                tuple(_entry(mine[i], reader, now, asks=asks) for i in _oldest_first(mine, ids))[
                    :MOST_ENTRIES
                ],
                f"and {len(ids) - MOST_ENTRIES} more" if len(ids) > MOST_ENTRIES else "",
            )
            for heading, ids, asks in (
                ("New", fresh, True),
                ("Reminder", reminded, True),
                ("Still open", still, True),
                ("Settled", settled, False),
            )
            if ids
        ),
        footer=(
            f"This mail was written by the order monitoring of {company} and is sent to the "
            "contact that was agreed with you. Tell us if another address is right."
        ),
    )


def _oldest_first(cases: Mapping[int, Case], ids: Sequence[int]) -> list[int]:
    return sorted(ids, key=lambda i: (cases[i].due_at or cases[i].opened_at, i))


def _entry(case: Case, reader: Reader, now: datetime, *, asks: bool) -> PartnerEntry:
    words = partner_words(case)
    if words is None:
        raise AssertionError("chosen by of_partner")
    since = case.due_at or case.opened_at
    age = f", {telling.length(now - since)} ago" if asks and since < now else ""
    begun = "was due" if case.due_at else "open since"
    return PartnerEntry(
        document=words.document,
        what=words.what if asks else "is settled, thank you",
        since=f"{begun} {telling.moment(since, reader.zone)}{age}",
        ask=words.ask if asks else "",
    )
