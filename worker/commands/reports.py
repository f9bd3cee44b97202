"""``tower scorecard`` and ``tower digest``: what suppliers and leaders are told by the calendar."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlalchemy import Connection

from db import engine as db_engine
from db import migrate
from db.reads import names
from db.reads import scorecards as reads
from db.reads.answering import Answering, answering
from db.reads.filters import Filter, Period
from db.reads.scorecards import SupplierCard
from tower import settings as settings_module
from tower import telling
from tower.access import EVERYTHING
from tower.errors import ConfigError
from tower.reports import month_of
from tower.scorecards import Difference
from tower.settings import Settings
from tower.zones import resolve, zone
from worker import configuration
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, shown, table
from worker.commands.ask import asking
from worker.judging import Judging
from worker.scorecard_words import drift_words, forecast_words, month_label

BEFORE = "before"
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])\Z")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(scorecard)
    app.command()(digest)


# --- scorecards -----------------------------------------------------------------------------------


def scorecard(
    supplier: Annotated[
        str | None, typer.Argument(help="Partner of network.yaml; without it all of them.")
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(help="Another supplier, a month (2026-02), or before: the period before."),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="First day, or a month (2026-02).")
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="Last day; default: yesterday, or the month's.")
    ] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write the pages into this file.")] = None,
    as_json: AsJson = False,
) -> int:
    """Scores of suppliers and what they are made of. Example: tower scorecard ACME --from 2026-02

    Without days: the last 30. Exit code 3 if there is no such supplier.
    """
    if compare is not None and supplier is None:
        raise typer.BadParameter("name the supplier that is compared", param_hint="--compare")
    with asking() as (conn, now):
        network = names.network(conn)
        zone_name = "UTC" if network is None else network.company.zone
        period = _period(from_, to, zone_name, now)
        narrowed = Filter(period)
        cards: Sequence[SupplierCard]
        outlook: Answering | None = None
        if supplier is None:
            cards = reads.scorecards(conn, EVERYTHING, narrowed, now)
        else:
            card = reads.scorecard(conn, EVERYTHING, supplier, narrowed, now)
            if card is None:
                return _unknown(supplier)
            cards = [card]
            outlook = answering(conn, EVERYTHING, supplier, now)
        other: SupplierCard | None = None
        if supplier is not None and compare is not None:
            other = _other(conn, zone_name, compare, supplier, period, now)
            if other is None:
                return _unknown(compare)
        lines = reads.compared(cards[0], other) if other is not None else ()
        if pdf is not None:
            config = _judging(conn, settings_module.load())
            _write_pdf(conn, config, cards, zone_name, pdf, now)
    answer = {
        "from": period.start,
        "to": period.end,
        "suppliers": [_card(card) for card in cards],
        "answering": None if outlook is None else _answering(outlook),
        "compared_with": None
        if other is None
        else {"supplier": other.supplier, "from": other.period.start, "to": other.period.end},
        "compared": [{**_of(line, _DIFFERENCE), "by": line.by} for line in lines],
        "pdf": None if pdf is None else str(pdf),
    }

    def say(console: Console) -> None:
        if supplier is None:
            _say_all(console, cards)
        else:
            _say_one(console, cards[0], outlook)
        if other is not None:
            _say_compared(console, cards[0], other, lines, zone_name)
        if pdf is not None:
            console.print(shown(f"Written: {pdf}"), soft_wrap=True)

    emit(answer, as_json, say)
    return 0


def _period(first: str | None, last: str | None, zone_name: str, now: datetime) -> Period:
    """From the first day up to the end of the last, in the company's zone; a month is its days."""
    local = zone(zone_name)
    if first is None and last is None:
        return Period.last(30, now)
    if first is not None and _MONTH.match(first) and last is None:
        begin, end = month_of(first, zone_name)
        return Period(begin, min(end, now) if begin < now else end)
    if last is not None and _MONTH.match(last):
        ends = month_of(last, zone_name)[1]
    else:
        day = _day(last, "--to") if last is not None else now.astimezone(local).date()
        ends = resolve(local, datetime.combine(day + timedelta(days=1), time(0)))
        ends = min(ends, now) if last is None else ends
    if first is None:
        begins = ends - timedelta(days=30)
    elif _MONTH.match(first):
        begins = month_of(first, zone_name)[0]
    else:
        begins = resolve(local, datetime.combine(_day(first, "--from"), time(0)))
    if begins >= ends:
        raise typer.BadParameter("the first day comes after the last", param_hint="--from")
    return Period(begins, ends)


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f'"{text}" is not a day; write 2026-03-27, or a month: 2026-03.', param_hint=option
        ) from None


def _other(
    conn: Connection, zone_name: str, word: str, supplier: str, period: Period, now: datetime
) -> SupplierCard | None:
    """The card to compare with; None if the word names no supplier."""
    if word == BEFORE:
        return reads.scorecard(conn, EVERYTHING, supplier, Filter(period.previous()), now)
    if _MONTH.match(word):
        month = Period(*month_of(word, zone_name))
        return reads.scorecard(conn, EVERYTHING, supplier, Filter(month), now)
    return reads.scorecard(conn, EVERYTHING, word, Filter(period), now)


def _unknown(supplier: str) -> int:
    typer.echo(
        f'There is no supplier "{supplier}" in network.yaml. tower partner list names all.',
        err=True,
    )
    return EXIT_NOT_FOUND


def _write_pdf(
    conn: Connection,
    config: Judging,
    cards: Sequence[SupplierCard],
    zone_name: str,
    file: Path,
    now: datetime,
) -> None:
    # A PDF library is loaded by the commands that need it alone.
    from worker.scorecard_mails import sheet
    from worker.scorecard_pdf import pdf

    if not cards:
        raise ConfigError("No supplier is described in network.yaml: there is nothing to write.")
    period = month_label((cards[0].period.start, cards[0].period.end), zone_name)
    sheets = [
        sheet(conn, config, EVERYTHING, card, period, zone_name, now, ours=True) for card in cards
    ]
    file.write_bytes(pdf(sheets))


_COMPONENT = (
    "id", "name", "weight", "target", "value", "n", "credit", "points", "lost", "previous",
    "reason",
)  # fmt: skip
_DIFFERENCE = ("id", "name", "one", "other", "n_one", "n_other", "target")
_CARD = (
    "supplier", "name", "tier", "open_exceptions", "orders_affected", "value_at_risk", "currency",
)  # fmt: skip
_ANSWERING = (
    "supplier", "basis", "said", "n", "answered", "unknown", "in_time", "budget", "median", "p90",
    "about", "open",
)  # fmt: skip


def _of(thing: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


def _card(card: SupplierCard) -> dict[str, Any]:
    score, drift = card.score, card.drift
    return {
        **_of(card, _CARD),
        "score": score.value,
        "standing": score.standing,
        "previous": score.previous,
        "weight": score.weight,
        "reason": score.reason,
        "components": [_of(c, _COMPONENT) for c in score.components],
        "lead_time": {
            **_of(drift, ("actual", "plan", "basis", "n", "drifted", "tolerance", "reason")),
            "days": drift.days,
        },
        "trend": [_of(point, ("start", "end", "score")) for point in card.trend],
    }


def _answering(told: Answering) -> dict[str, Any]:
    return {
        **_of(told, _ANSWERING),
        "points": [{"hours": hours, "answered": share} for hours, share in told.points],
        "forecasts": {
            **_of(told.forecasts, ("brier", "baseline", "n", "reason")),
            "skill": told.forecasts.skill,
        },
        "reason": told.reason,
    }


def _say_all(console: Console, cards: Sequence[SupplierCard]) -> None:
    console.print(
        table(
            f"{len(cards)} suppliers, the worst score first",
            (
                "supplier",
                "name",
                "score #",
                "standing",
                "before #",
                "lead time",
                "open #",
                "at risk #",
            ),
            [
                (
                    card.supplier,
                    card.name,
                    _whole(card.score.value),
                    card.score.standing or card.score.reason,
                    _whole(card.score.previous),
                    _days(card),
                    card.open_exceptions,
                    None
                    if card.value_at_risk is None
                    else telling.money(card.value_at_risk, card.currency),
                )
                for card in cards
            ],
        )
    )


def _say_one(console: Console, card: SupplierCard, outlook: Answering | None) -> None:
    score = card.score
    said = score.reason if score.value is None else f"{score.value:.1f} of 100, {score.standing}"
    console.print(shown(f"{card.name} ({card.supplier}): {said}"), soft_wrap=True)
    console.print(
        table(
            "What it is made of",
            ("figure", "value #", "target #", "before #", "counted #", "weight #", "points #", ""),
            [
                (
                    c.name,
                    _percent(c.value),
                    _percent(c.target),
                    _percent(c.previous),
                    c.n,
                    c.weight,
                    None if c.points is None else f"{c.points:.1f}",
                    c.reason,
                )
                for c in score.components
            ],
        )
    )
    console.print(
        table("By month", ("from", "score #"), [(p.start, _whole(p.score)) for p in card.trend])
    )
    console.print(shown(f"Lead time: {drift_words(card.drift)}"), soft_wrap=True)
    if outlook is None:
        return
    if outlook.in_time is None:
        console.print(shown(f"Chance of an answer in time: {outlook.reason}; {outlook.said}."),
                      soft_wrap=True)  # fmt: skip
        return
    console.print(
        shown(
            f"Chance of an answer within {outlook.budget:.3g} open hours: "
            f"{telling.share(outlook.in_time)}, from {outlook.said}. {forecast_words(outlook)}"
        ),
        soft_wrap=True,
    )
    if outlook.open:
        console.print(
            table(
                "Waiting for an answer, the least likely first",
                ("PO", "due", "waited h #", "of h #", "chance #"),
                [
                    (w.number, w.due_at, f"{w.waited:.1f}", f"{w.budget:.1f}", _percent(w.chance))
                    for w in outlook.open[:20]
                ],
            )
        )


def _say_compared(
    console: Console,
    one: SupplierCard,
    other: SupplierCard,
    lines: Sequence[Difference],
    zone_name: str,
) -> None:
    names = [card.supplier for card in (one, other)]
    if names[0] == names[1]:
        names = [month_label((c.period.start, c.period.end), zone_name) for c in (one, other)]
    console.print(
        table(
            f"{names[0]} against {names[1]}",
            ("figure", f"{names[0]} #", f"{names[1]} #", "difference #"),
            [
                (d.name, _either(d, d.one), _either(d, d.other), _either(d, d.by, signed=True))
                for d in lines
            ],
        )
    )


def _either(line: Difference, value: float | None, *, signed: bool = False) -> str | None:
    if value is None:
        return None
    if line.id == "score":
        return f"{value:+.1f}" if signed else f"{value:.1f}"
    return f"{100 * value:+.1f} points" if signed else telling.share(value, 1)


def _whole(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f}"


def _percent(value: float | None) -> str | None:
    return None if value is None else telling.share(value, 1)


def _days(card: SupplierCard) -> str | None:
    drift = card.drift
    if drift.actual is None:
        return None
    plan = "" if drift.plan is None else f" (plan {drift.plan:g})"
    return f"{drift.actual:g} d{plan}{', drifted' if drift.drifted else ''}"


# --- digests --------------------------------------------------------------------------------------


def digest(
    name: Annotated[
        str | None,
        typer.Argument(help="One of digests in sla_rules.yaml; the only one if left out."),
    ] = None,
    to: Annotated[str | None, typer.Option(help="Reader whose mail is shown or sent.")] = None,
    preview: Annotated[
        Path | None, typer.Option(help="Write the mail as now into FILE.html, .eml or .txt.")
    ] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Send the last one that was due, if nobody has.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """The mail that leaders get: shown, written or sent. Example: tower digest --preview d.html

    Exit code 3 if no such digest is described. A period is sent once, whoever asks.
    """
    now = datetime.now(UTC)
    chosen = settings_module.load()
    with db_engine.connected(chosen) as engine, engine.begin() as conn:
        migrate.check(conn)
        config = _judging(conn, chosen)
        found = _readers(config, name, to)
        if isinstance(found, str):
            typer.echo(found, err=True)
            return EXIT_NOT_FOUND
        return _digest(conn, config, found, preview, send, as_json, now)


def _digest(
    conn: Connection,
    config: Judging,
    found: Sequence[Any],
    preview: Path | None,
    send: bool,
    as_json: bool,
    now: datetime,
) -> int:
    from worker import digests, reports
    from worker.readers import reader_of
    from worker.render import picture_id, render, text_of

    first = found[0]
    reader = reader_of(config.network, first.recipient)
    if reader is None:
        raise ConfigError(f"{first.recipient} is nobody in network.yaml.")
    made = digests.digest(
        conn, config, first.spec, reports.head(config, first, reader, "preview", now),
        reader.zone, now, drawn=preview is not None,
    )  # fmt: skip
    if preview is not None:
        raw = render(made.letter, config.sender)
        preview.write_bytes(_as_file(raw, preview.suffix, picture_id(made.letter)))
    sent = []
    if send:
        for report in found:
            slot = reports.current(config, report, now)
            mails = 0 if slot is None else reports.make(conn, config, report, slot, now)
            sent.append(
                {
                    "recipient": report.recipient,
                    "period": None if slot is None else slot.period,
                    "sent": bool(mails),
                }
            )
    letter = made.letter
    answer = {
        "digest": first.name.removeprefix(reports.DIGEST),
        "recipient": first.recipient,
        "subject": letter.subject,
        "headline": letter.headline,
        "figures": [{"id": key, **value} for key, value in made.values.items()],
        "decisions": letter.decisions,
        "changes": letter.changes,
        "preview": None if preview is None else str(preview),
        "sent": sent,
    }

    def say(console: Console) -> None:
        if preview is None and not send:
            console.print(shown(f"{letter.subject}\n\n{text_of(letter)}"), soft_wrap=True)
        if preview is not None:
            console.print(shown(f"Written: {preview}"), soft_wrap=True)
        for one in sent:
            console.print(shown(_sent_words(one)), soft_wrap=True)

    emit(answer, as_json, say)
    return 0


def _sent_words(one: Mapping[str, Any]) -> str:
    if one["period"] is None:
        return f"{one['recipient']}: none was due in the last ten weeks."
    done = "is in the outbox" if one["sent"] else "was made before, or has no working address"
    return f"{one['recipient']}: the digest of {one['period']} {done}."


def _readers(config: Judging, name: str | None, to: str | None) -> list[Any] | str:
    """The reports that are meant, or what is wrong with the question."""
    from worker import reports

    known = config.rulebook.digests
    if not known:
        return "No digest is described. next: add digests to sla_rules.yaml (docs/rules.md)"
    if name is None and len(known) > 1:
        return f"There are several digests. next: name one of {', '.join(known)}"
    wanted = name or next(iter(known))
    if wanted not in known:
        return f'There is no digest "{wanted}". next: name one of {", ".join(known)}'
    found = [
        report
        for report in reports.configured(config).values()
        if report.name == f"{reports.DIGEST}{wanted}" and to in (None, report.recipient)
    ]
    if not found:
        readers = ", ".join(known[wanted].to)
        return f'The digest {wanted} does not go to "{to}". next: name one of {readers}'
    return found


def _as_file(raw: bytes, suffix: str, picture: str) -> bytes:
    """The mail as it is, its text, or its HTML with the picture inside, to open in a browser."""
    if suffix == ".eml":
        return raw
    message = message_from_bytes(raw, policy=default)
    wanted = "plain" if suffix == ".txt" else "html"
    body = message.get_body((wanted,))
    text = "" if body is None else str(body.get_content())
    for part in message.walk():
        if part.get_content_type() == "image/png":
            png = base64.b64encode(part.get_content()).decode()
            text = text.replace(f"cid:{picture}", f"data:image/png;base64,{png}")
    return text.encode()


def _judging(conn: Connection, chosen: Settings) -> Judging:
    """The configuration in force, with what mails need."""
    config = configuration.in_force(conn)
    if config is None:
        raise ConfigError("No rule book is in force yet. Start the worker once: tower worker")
    return Judging(
        config.network, config.rulebook, base_url=chosen.base_url, sender=chosen.smtp_from
    )
