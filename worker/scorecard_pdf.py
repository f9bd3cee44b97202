"""Scorecards as PDF: one or more pages a supplier, drawn without a browser.

The bytes follow from what is told alone: the same card of the same instant is the same file. Text
is set in the fonts that matplotlib brings along, which know Latin, Greek and Cyrillic.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Drawing, Rect
from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    Flowable,
    Image,
    KeepTogether,
    PageBreak,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from db.reads.answering import Answering
from db.reads.scorecards import SupplierCard
from tower import telling
from tower.kpis import DEFINITIONS
from tower.scorecards import Component, Drift, ScorecardSpec
from worker import pictures
from worker.render import clean
from worker.scorecard_words import (
    drift_words,
    forecast_words,
    most_to_gain,
    points,
    share_points,
)

INK, MUTED, ACCENT, RED, PALE, LINE = (
    HexColor("#16202C"), HexColor("#5B6B7C"), HexColor("#0F766E"), HexColor("#B42318"),
    HexColor("#F1F5F9"), HexColor("#DCE3EA"),
)  # fmt: skip
BAND = HexColor("#0B3B3C")
WIDTH = A4[0] - 36 * mm
PAD = 6.0  # of a page's frame: text begins where tables do
MARKS = {"strong": "\u2713", "steady": "\u25cf", "weak": "\u25b2", "critical": "\u25c6"}
STANDING_COLOURS = {
    "strong": ACCENT, "steady": INK, "weak": HexColor("#A15C07"), "critical": RED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Miss:
    """One subject that a figure counted as missed, the day on which it counts, and why."""

    figure: str
    document: str
    day: str
    why: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything that the pages of one supplier say.

    period   in words: "March 2026"
    ours     also tells what only we may know: open exceptions and value at risk
    """

    company: str
    period: str
    made_at: datetime
    zone: str
    spec: ScorecardSpec
    card: SupplierCard
    answering: Answering | None
    misses: Sequence[Miss] = ()
    more_misses: int = 0
    ours: bool = False


def pdf(sheets: Sequence[Sheet]) -> bytes:
    """The file. Several suppliers begin with a page that lists them."""
    first = sheets[0]
    story: list[Flowable] = []
    if len(sheets) > 1:
        story += [*_overview(sheets), PageBreak()]
    for n, sheet in enumerate(sheets):
        if n:
            story.append(PageBreak())
        story += _supplier(sheet)
    story += _definitions(first)
    buffer = io.BytesIO()
    title = first.card.name if len(sheets) == 1 else f"{len(sheets)} suppliers"
    document = SimpleDocTemplate(
        buffer, pagesize=A4, leftMargin=18 * mm - PAD, rightMargin=18 * mm - PAD, topMargin=22 * mm,
        bottomMargin=18 * mm, title=f"Supplier scorecard {title}, {first.period}",
        author=f"{first.company} control tower", lang="en", invariant=1,
    )  # fmt: skip

    def page(canvas: Canvas, _: Any) -> None:
        _page(canvas, first)

    document.build(story, onFirstPage=page, onLaterPages=page)
    return buffer.getvalue()


# --- pages ----------------------------------------------------------------------------------------


def _page(canvas: Canvas, sheet: Sheet) -> None:
    regular, bold = _fonts()
    canvas.saveState()
    canvas.setFillColor(BAND)
    canvas.rect(0, A4[1] - 15 * mm, A4[0], 15 * mm, stroke=0, fill=1)
    canvas.setFillColor(white)
    canvas.setFont(bold, 10.5)
    canvas.drawString(18 * mm, A4[1] - 9.8 * mm, clean(sheet.company))
    canvas.setFont(regular, 9)
    canvas.drawRightString(A4[0] - 18 * mm, A4[1] - 9.8 * mm, f"Supplier scorecard, {sheet.period}")
    canvas.setFillColor(MUTED)
    canvas.setFont(regular, 7.5)
    canvas.drawString(18 * mm, 10 * mm, f"Made {telling.moment(sheet.made_at, sheet.zone)}")
    canvas.drawRightString(A4[0] - 18 * mm, 10 * mm, f"Page {canvas.getPageNumber()}")
    canvas.restoreState()


def _overview(sheets: Sequence[Sheet]) -> list[Flowable]:
    head = ["Supplier", "Tier", "Score", "Standing", "Change", "Lead time", "Open", "At risk"]
    rows: list[list[Any]] = [[_cell(word, "head", right=n in (2, 4, 6, 7)) for n, word in
                              enumerate(head)]]  # fmt: skip
    for sheet in sheets:
        card = sheet.card
        rows.append(
            [
                _cell(card.name, "bold"),
                _cell(card.tier or "–"),
                _cell("no data" if card.score.value is None else f"{card.score.value:.0f}",
                      "bold" if card.score.value is not None else "muted", right=True),
                _standing(card.score.standing),
                _cell(points(card.score.change) or "–", right=True),
                _cell(_drift_short(card.drift), "red" if card.drift.drifted else "text"),
                _cell(f"{card.open_exceptions}", right=True),
                _cell(telling.money(card.value_at_risk, card.currency)
                      if card.value_at_risk is not None else "–", right=True),
            ]
        )  # fmt: skip
    widths = [46, 11, 17, 22, 18, 27, 12, 21]
    return [
        Paragraph(f"{len(sheets)} suppliers", _style("title")),
        Paragraph("The worst score first; those without a score last.", _style("muted")),
        Spacer(0, 4 * mm),
        _table(rows, [w * mm for w in widths]),
    ]


def _supplier(sheet: Sheet) -> list[Flowable]:
    card = sheet.card
    tier = f"tier {card.tier}" if card.tier else "no tier"
    story: list[Flowable] = [
        Paragraph(_text(card.name), _style("title")),
        Paragraph(_text(f"{card.supplier}, {tier}. {sheet.period}."), _style("muted")),
        Spacer(0, 4 * mm),
        _columns(_score_box(sheet), _trend(sheet), 62 * mm),
        Spacer(0, 4 * mm),
        Paragraph("What the score is made of", _style("heading")),
        _components(card),
        *_lost(card),
        Spacer(0, 3 * mm),
    ]
    if sheet.answering is not None:
        story.append(KeepTogether(_answers(sheet.answering)))
    story.append(KeepTogether(_lead_time(card.drift)))
    if sheet.ours:
        story.append(KeepTogether(_ours(card)))
    return story + _misses(sheet)


def _score_box(sheet: Sheet) -> list[Flowable]:
    score = sheet.card.score
    if score.value is None:
        return [
            Paragraph("no data", _style("score", colour=MUTED)),
            Paragraph(_text(score.reason.removeprefix("no data: ")), _style("muted")),
        ]
    colour = STANDING_COLOURS[score.standing or "steady"]
    against = (
        f"{points(score.change)} against the period before"
        if score.change is not None
        else "the period before has no data"
    )
    said = f"{MARKS[score.standing or 'steady']} {score.standing}"
    return [
        Paragraph(
            f'{score.value:.0f}<font size="11" color="#5B6B7C"> of 100</font>',
            _style("score", colour=colour),
        ),
        Paragraph(f"<b>{said}</b>", _style("text", colour=colour)),
        Paragraph(_text(against), _style("muted")),
        Paragraph(
            f"{score.weight:.0f} % of the weight has data; standings only advise.", _style("muted")
        ),
    ]


def _trend(sheet: Sheet) -> list[Flowable]:
    points = sheet.card.trend
    limits = sheet.spec.standings
    if len(points) < 2 or all(p.score is None for p in points):
        return [Paragraph("No trend yet: no month before has a score.", _style("muted"))]
    # By the middle: a month in a zone begins in the last hours of the one before.
    labels = [f"{p.start + (p.end - p.start) / 2:%b}" for p in points]
    png = pictures.trend(
        labels,
        [p.score for p in points],
        [(limits.weak, "weak"), (limits.steady, "steady"), (limits.strong, "strong")],
    )
    return [Paragraph("Score by month", _style("small_heading")), _image(png, WIDTH - 66 * mm)]


def _components(card: SupplierCard) -> Flowable:
    head = ["Figure", "Value", "Target", "Change", "Counted", "Reached", "Points"]
    rows: list[list[Any]] = [[_cell(word, "head", right=n in (1, 2, 3, 4, 6)) for n, word in
                              enumerate(head)]]  # fmt: skip
    for c in card.score.components:
        most = None if c.points is None or c.lost is None else c.points + c.lost
        rows.append(
            [
                _cell(c.name, "bold"),
                _cell(c.reason if c.value is None else telling.share(c.value, 1),
                      "muted" if c.value is None else "red" if c.missed else "text", right=True),
                _cell(telling.share(c.target), right=True),
                _cell(share_points(c.change) or "–", right=True),
                _cell(f"{c.n:,}", right=True),
                _bar(c),
                _cell("–" if most is None else f"{c.points:.1f} of {most:.1f}", right=True),
            ]
        )  # fmt: skip
    widths = [46, 27, 15, 22, 17, 24, 23]
    return _table(rows, [w * mm for w in widths])


def _bar(c: Component) -> Flowable:
    """How much of its target a figure reaches."""
    drawing = Drawing(20 * mm, 3.2 * mm)
    if c.credit is not None:
        drawing.add(_block(20 * mm, PALE))
        drawing.add(_block(20 * mm * c.credit, RED if c.missed else ACCENT))
    return drawing


def _block(width: float, colour: Color) -> Rect:
    made = Rect(0, 0.4, width, 6)
    made.fillColor, made.strokeColor = colour, None
    return made


def _lost(card: SupplierCard) -> list[Flowable]:
    said = most_to_gain(card.score)
    if not said:
        return []
    return [
        Spacer(0, 2 * mm),
        Paragraph(_text(said), _style("text")),
    ]


def _answers(told: Answering) -> list[Flowable]:
    heading = Paragraph("How soon orders are answered", _style("heading"))
    if told.in_time is None:
        return [heading, Paragraph(_text(f"No data: {told.said}."), _style("muted"))]
    words = []
    if told.budget is not None:
        words.append(
            f"An order gets {told.budget:.3g} open hours. Chance of an answer within them: "
            f"<b>{telling.share(told.in_time)}</b>."
        )
    words.append(f"Half are answered {_within(told.median)}, nine of ten {_within(told.p90)}.")
    left = [
        *(Paragraph(word, _style("text")) for word in words),
        Spacer(0, 1.5 * mm),
        Paragraph(_text(f"From {told.said}; orders still open count as long as they have waited."),
                  _style("muted")),
        Paragraph(_text(forecast_words(told)), _style("muted")),
    ]  # fmt: skip
    png = pictures.answers(told.points, told.budget, told.in_time)
    right: list[Flowable] = [_image(png, WIDTH - 66 * mm)]
    return [heading, _columns(left, right, 62 * mm), Spacer(0, 3 * mm)]


def _within(hours: float | None) -> str:
    if hours is None:
        return "later than anything seen"
    return f"within {hours:.1f} h" if hours >= 0.05 else "before an open hour has passed"


def _lead_time(drift: Drift) -> list[Flowable]:
    return [
        Paragraph("Lead time", _style("heading")),
        Paragraph(_text(drift_words(drift)), _style("red" if drift.drifted else "text")),
        Spacer(0, 3 * mm),
    ]


def _ours(card: SupplierCard) -> list[Flowable]:
    value = telling.money(card.value_at_risk, card.currency)
    risk = (
        f"{telling.count(card.orders_affected, 'customer order')} at risk, {value}"
        if card.orders_affected
        else "no customer order at risk"
    )
    return [
        Paragraph("Open now", _style("heading")),
        Paragraph(
            _text(f"{telling.count(card.open_exceptions, 'open exception')}; {risk}."),
            _style("text"),
        ),
        Spacer(0, 3 * mm),
    ]


def _misses(sheet: Sheet) -> list[Flowable]:
    if not sheet.misses:
        return []
    rows: list[list[Any]] = [[_cell(w, "head") for w in ("Figure", "Document", "Day", "Why")]]
    named = ""
    for m in sheet.misses:
        kind, named = ("muted" if m.figure == named else "text"), m.figure
        rows.append([_cell(m.figure, kind), _cell(m.document, "bold"), _cell(m.day), _cell(m.why)])
    found: list[Flowable] = [
        Paragraph("What was missed", _style("heading")),
        _table(rows, [w * mm for w in (42, 33, 14, 85)]),
    ]
    more = f"And {sheet.more_misses:,} more. " if sheet.more_misses else ""
    found.append(Paragraph(f"{more}Instants are UTC.", _style("muted")))
    return [*found, Spacer(0, 3 * mm)]


def _definitions(sheet: Sheet) -> list[Flowable]:
    spec = sheet.spec
    lines = [
        f"Score: 100 x sum(weight x min(1, value / target)) / weights with data. A figure over "
        f"fewer than {spec.minimum} drops out; with less than {spec.least_weight} % of the weight "
        f"there is no score. critical below {spec.standings.weak}, weak from {spec.standings.weak},"
        f" steady from {spec.standings.steady}, strong from {spec.standings.strong}."
    ]
    for c in sheet.card.score.components:
        definition = DEFINITIONS.get(c.id)
        if definition is not None:
            lines.append(
                f"<b>{_text(definition.name)}</b> (weight {c.weight}): "
                f"{_text(definition.formula)}. Left out: {_text(definition.outside)}."
            )
    return [
        Paragraph("How it is counted", _style("heading")),
        *(Paragraph(line, _style("fine")) for line in lines),
    ]


# --- words and looks ------------------------------------------------------------------------------


def _drift_short(drift: Drift) -> str:
    if drift.actual is None:
        return "no data"
    return f"{drift.actual:g} d" + ("" if drift.plan is None else f" (plan {drift.plan:g})")


def _standing(word: str | None) -> Flowable:
    if word is None:
        return _cell("–", "muted")
    return Paragraph(f"{MARKS[word]} {word}", _style("cell", colour=STANDING_COLOURS[word]))


def _text(text: str) -> str:
    """Text of others inside reportlab's markup."""
    return escape(str(clean(text)))


def _cell(text: str, kind: str = "text", *, right: bool = False) -> Paragraph:
    colour = {"muted": MUTED, "red": RED, "head": MUTED}.get(kind, INK)
    said = _text(text)
    if kind in ("bold", "head"):
        said = f"<b>{said}</b>"
    return Paragraph(said, _style("cell", colour=colour, right=right))


def _table(rows: list[list[Any]], widths: Sequence[float]) -> Table:
    made = Table(rows, colWidths=list(widths), repeatRows=1)
    made.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("LINEBELOW", (0, 0), (-1, 0), 0.8, MUTED),
                ("LINEBELOW", (0, 1), (-1, -1), 0.4, LINE),
                ("LEFTPADDING", (0, 0), (-1, -1), 6),
                ("LEFTPADDING", (0, 0), (0, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 2),
                ("TOPPADDING", (0, 0), (-1, -1), 2.5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
            ]
        )
    )
    return made


def _columns(left: list[Flowable], right: list[Flowable], width: float) -> Table:
    made = Table([[left, right]], colWidths=[width, WIDTH - width])
    made.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 4 * mm),
                ("RIGHTPADDING", (1, 0), (1, 0), 0),
            ]
        )
    )
    return made


def _image(png: bytes, width: float) -> Image:
    made = Image(io.BytesIO(png))
    made.drawHeight = made.drawHeight * width / made.drawWidth
    made.drawWidth = width
    return made


@lru_cache(maxsize=1)
def _fonts() -> tuple[str, str]:
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    pdfmetrics.registerFont(TTFont("Card", str(folder / "DejaVuSans.ttf")))
    pdfmetrics.registerFont(TTFont("Card-Bold", str(folder / "DejaVuSans-Bold.ttf")))
    pdfmetrics.registerFontFamily("Card", normal="Card", bold="Card-Bold")
    return "Card", "Card-Bold"


_SIZES = {  # size, leading, space before, space after
    "title": (17, 21, 0, 1),
    "heading": (10.5, 14, 3, 3),
    "small_heading": (8, 10, 0, 2),
    "score": (34, 40, 0, 2),
    "text": (8.8, 12.2, 0, 2),
    "red": (8.8, 12.2, 0, 2),
    "muted": (7.8, 10.8, 0, 1),
    "cell": (7.9, 10, 0, 0),
    "fine": (6.9, 9.3, 0, 2),
}


def _style(kind: str, *, colour: Color | None = None, right: bool = False) -> ParagraphStyle:
    regular, bold = _fonts()
    size, leading, before, after = _SIZES[kind]
    usual = {"muted": MUTED, "fine": MUTED, "small_heading": MUTED, "red": RED}.get(kind, INK)
    return ParagraphStyle(
        kind, fontName=bold if kind in ("title", "heading", "score", "small_heading") else regular,
        fontSize=size, leading=leading, spaceBefore=before, spaceAfter=after,
        textColor=colour or usual, alignment=2 if right else 0, splitLongWords=1,
    )  # fmt: skip
