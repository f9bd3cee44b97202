"""Mails with scorecards: a supplier is sent its own, we are sent all of them.

What a supplier is sent has no place for customers, values at risk or our own cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from db.reads import scorecards as reads
from db.reads.answering import answering
from db.reads.filters import Filter, Period
from db.reads.scorecards import SupplierCard
from db.reads.subjects import Subject, subjects
from tower import telling
from tower.access import EVERYTHING, Scope
from tower.kpis import MISS
from tower.reports import ScorecardMail
from tower.telling import SUBJECT_LIMIT
from worker.judging import Judging
from worker.letter import Attachment, CardRow, Head, ScorecardLetter
from worker.readers import Reader
from worker.scorecard_pdf import Miss, Sheet, pdf
from worker.scorecard_words import drift_words, most_to_gain, points, share_points

MOST_MISSES = 3  # of each figure on the page; the count of all stands beside
MOST_CARDS = 60  # pages of this many suppliers go into one file; the list names all of them


def letter(
    conn: Connection,
    config: Judging,
    spec: ScorecardMail,
    head: Head,
    reader: Reader,
    period: str,
    span: tuple[datetime, datetime],
    now: datetime,
) -> ScorecardLetter | None:
    """The mail about a month; None where nothing of it was counted."""
    narrowed = Filter(Period(*span))
    said = f"{span[0] + timedelta(days=15):%B %Y}"
    if reader.partner is not None:
        return _own(conn, config, head, reader, narrowed, (period, said), now)
    cards = [
        card
        for card in reads.scorecards(conn, EVERYTHING, narrowed, now)
        if not spec.suppliers or card.supplier in spec.suppliers
    ]
    return _all(conn, config, head, reader, cards, (period, said), now)


def sheet(
    conn: Connection,
    config: Judging,
    scope: Scope,
    card: SupplierCard,
    period: str,
    zone_name: str,
    now: datetime,
    *,
    ours: bool,
) -> Sheet:
    """What the pages of one supplier say; ``period`` in words."""
    misses, more = _misses(conn, scope, card, now)
    trend = card.trend
    if len(trend) < 2:
        trend = reads.monthly(conn, scope, card.supplier, Filter(card.period), now)
    return Sheet(
        company=config.network.company.name,
        period=period,
        made_at=now,
        zone=zone_name,
        spec=reads.spec_in_force(conn),
        card=replace(card, trend=tuple(trend)),
        answering=answering(conn, scope, card.supplier, now),
        misses=misses,
        more_misses=more,
        ours=ours,
    )


def _misses(
    conn: Connection, scope: Scope, card: SupplierCard, now: datetime
) -> tuple[tuple[Miss, ...], int]:
    """What the scored figures counted as missed, the newest of each; and how many more."""
    narrowed = Filter(card.period, supplier=card.supplier)
    found, more = [], 0
    for c in card.score.components:
        if c.value is None or c.value >= 1:
            continue
        page = subjects(conn, scope, c.id, narrowed, now, only="miss", limit=MOST_MISSES)
        more += page.total.get(MISS, 0) - len(page.rows)
        found += [Miss(c.name, _document(row), f"{row.at.day} {row.at:%b}", _why(row.why))
                  for row in page.rows]  # fmt: skip
    return tuple(found), more


def _why(words: str) -> str:
    """What a verdict rests on, without the verdict: all of these are misses."""
    verdict, _, facts = words.partition(": ")
    return f"{facts or verdict}{', made good later' if 'healed late' in verdict else ''}"


def _document(row: Subject) -> str:
    word = "ASN" if row.kind == "asn" else "PO"
    return f"{word} {row.number}{f' / {row.line}' if row.line else ''}"


def _own(
    conn: Connection,
    config: Judging,
    head: Head,
    reader: Reader,
    narrowed: Filter,
    month: tuple[str, str],
    now: datetime,
) -> ScorecardLetter | None:
    period, said = month
    key = reader.partner or ""
    # Nobody else's rows come into it, not even summed up.
    scope = Scope(frozenset({key}))
    card = reads.scorecard(conn, scope, key, narrowed, now)
    if card is None or not any(c.n for c in card.score.components):
        return None
    company = config.network.company.name
    score = card.score
    said_of = [most_to_gain(score)] if most_to_gain(score) else []
    if card.drift.actual is not None:
        said_of.append(f"Lead time: {_low(drift_words(card.drift))}")
    own = sheet(conn, config, scope, card, said, reader.zone, now, ours=False)
    return ScorecardLetter(
        to_name=head.to_name,
        to_address=head.to_address,
        date=head.date,
        message_id=head.message_id,
        thread=head.thread,
        list_id=head.list_id,
        company=head.company,
        reply_to=head.reply_to,
        subject=telling.safe_words(f"{company}: your scorecard of {said}", SUBJECT_LIMIT),
        headline=f"Your scorecard of {said}",
        intro=(
            f"How the orders of {company} went with {reader.name} in {said}. The page beside this "
            "mail shows every figure, how it is counted and how it has moved."
        ),
        score="no data" if score.value is None else f"{score.value:.0f} of 100",
        standing=score.standing or "",
        change=(points(score.change) or "the month before has no score")
        if score.value is not None
        else score.reason,
        columns=("Figure", "Value", "Change"),
        rows=tuple(
            CardRow(
                name=c.name,
                value=c.reason if c.value is None else telling.share(c.value, 1),
                change=share_points(c.change),
                note=f"target {telling.share(c.target)}, {c.n:,} counted",
                missed=bool(c.missed),
            )
            for c in score.components
        ),
        points=tuple(said_of),
        footer=(
            f"This mail was written by the order monitoring of {company} and is sent to the "
            "contact that was agreed with you, once a month. Answer it if a figure is wrong, or "
            "if another address is right."
        ),
        attachments=(Attachment(_file_name(key, period), pdf([own])),),
    )


def _all(
    conn: Connection,
    config: Judging,
    head: Head,
    reader: Reader,
    cards: Sequence[SupplierCard],
    month: tuple[str, str],
    now: datetime,
) -> ScorecardLetter | None:
    period, said = month
    counted = [card for card in cards if any(c.n for c in card.score.components)]
    if not counted:
        return None
    sheets = [
        sheet(conn, config, EVERYTHING, card, said, reader.zone, now, ours=True)
        for card in counted[:MOST_CARDS]
    ]
    words = {word: sum(c.score.standing == word for c in counted) for word in ("critical", "weak")}
    bad = [f"{n} {word}" for word, n in words.items() if n]
    mark = f"[{', '.join(bad)}] " if bad else ""
    drifted = [card.name for card in counted if card.drift.drifted]
    said_of = [f"Lead time left its plan: {', '.join(drifted)}"] if drifted else []
    if len(counted) > MOST_CARDS:
        said_of.append(
            f"The file has the {MOST_CARDS} lowest scores; all are on the page Suppliers"
        )
    return ScorecardLetter(
        to_name=head.to_name,
        to_address=head.to_address,
        date=head.date,
        message_id=head.message_id,
        thread=head.thread,
        list_id=head.list_id,
        company=head.company,
        reply_to=head.reply_to,
        subject=telling.safe_words(
            f"{mark}Scorecards of {said}, {telling.count(len(counted), 'supplier')}",
            SUBJECT_LIMIT,
        ),
        headline=f"Scorecards of {said}",
        intro=(
            f"{telling.count(len(counted), 'supplier')} with orders in {said}, the lowest score "
            f"first{': ' + ' and '.join(bad) if bad else ''}. Standings only advise."
        ),
        score="",
        standing="",
        change="",
        columns=("Supplier", "Score", "Change"),
        rows=tuple(
            CardRow(
                name=card.name,
                value="no data" if card.score.value is None else f"{card.score.value:.0f}",
                change=points(card.score.change),
                note=card.score.standing or card.score.reason.removeprefix("no data: "),
                url=f"{config.base_url}/supplier?id={card.supplier}",
                missed=card.score.standing in ("critical", "weak"),
            )
            for card in counted
        ),
        points=tuple(said_of),
        footer=(
            "You get this mail because scorecard.mail in sla_rules.yaml names you. Links lead to "
            "the tower; no link changes anything."
        ),
        attachments=(Attachment(_file_name("suppliers", period), pdf(sheets)),),
    )


def _file_name(key: str, period: str) -> str:
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in key)
    return f"scorecard-{safe}-{period}.pdf"


def _low(words: str) -> str:
    return words[:1].lower() + words[1:].removesuffix(".")
