"""``tower export``: what the tower knows as a file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.console import Console
from sqlalchemy import Connection

from db import audit, migrate
from db import engine as db_engine
from db.outward import figures, files, ocel_file, rows
from db.outward.catalogue import DATA_SETS
from db.reads import figures as figure_reads
from db.reads import names
from db.reads.connection import reading
from db.reads.filters import Filter, Period
from tower import settings as settings_module
from tower.access import EVERYTHING
from tower.errors import ConfigError
from tower.zones import zone
from worker.answers import AsJson, emit, one_of, shown
from worker.commands.who import By, user

DEFAULT_DAYS = 90
NAMES = (*DATA_SETS, figures.NAME)
BY = (*figure_reads.DIMENSIONS, "week", "month")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(export)


def export(
    what: Annotated[str, typer.Argument(help="One of: " + ", ".join(NAMES))],
    out: Annotated[Path, typer.Option(help="The file to write; it must not be there yet.")],
    form: Annotated[
        str | None,
        typer.Option("--format", help="csv, xlsx, parquet, ocel; else the name of the file."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="Day or instant; default: 90 days before the end.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="Day (with it) or instant; default: now.")
    ] = None,
    supplier: Annotated[str | None, typer.Option(help="Partner of network.yaml.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="field=value; may be given several times.")
    ] = None,
    apart: Annotated[
        str | None, typer.Option("--apart", help="kpis by one of: " + ", ".join(BY))
    ] = None,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """What the tower knows, as a file. Example: tower export lines --out lines.xlsx

    The period narrows by release, receipt or opening, as docs/bi.md says of each. Texts can do
    nothing in a spreadsheet. Noted in the audit log.
    """
    one_of("WHAT", what, NAMES)
    one_of("--apart", apart, BY)
    one_of("--format", form, files.FORMATS)
    chosen = form or files.format_of(out)
    if chosen == "ocel" and what != "events":
        raise typer.BadParameter(
            "OCEL 2.0 is a form of events: tower export events.", param_hint="--format"
        )
    if (what == figures.NAME and where) or (what != figures.NAME and apart):
        raise typer.BadParameter("--where is for lists, --apart for kpis.")
    narrowed = _narrowed(where or [])
    if supplier is not None:
        narrowed["supplier"] = supplier
    if chosen == "ocel" and set(narrowed) - {"supplier"}:
        raise typer.BadParameter(
            "An OCEL file is narrowed by --supplier, --from and --to alone.", param_hint="--where"
        )
    now, who = datetime.now(UTC), by or user()
    counts: dict[str, int] = {}
    with db_engine.connected(settings_module.load()) as engine:
        with engine.connect() as conn:
            migrate.check(conn)
        with reading(engine) as conn:
            period = _period(conn, since, until, now)
            _check_supplier(conn, supplier)
            writing = (
                _figures(conn, chosen, Filter(period, supplier), now, apart, counts)
                if what == figures.NAME
                else _writing(conn, what, chosen, period, narrowed, counts)
            )
            with files.beside(out, writing) as file:
                detail = {"from": period.start.isoformat(), "to": period.end.isoformat(),
                          "format": chosen, "narrowed": narrowed, "size": file.size,
                          "sha256": file.sha256, **counts}  # fmt: skip
                # Before it has its name: nobody has a file of which the audit log does not know.
                with engine.begin() as noting:
                    audit.record(noting, who, "data.exported", what, detail, now)
    answer = {
        "what": what, "file": str(out), "format": chosen, "from": period.start, "to": period.end,
        "rows": counts["rows"], "size": file.size, "sha256": file.sha256,
    }  # fmt: skip

    def say(console: Console) -> None:
        console.print(
            shown(f"Written: {out}, {counts['rows']:,} rows, {file.size:,} bytes"), soft_wrap=True
        )

    emit(answer, as_json, say)
    return 0


def _writing(
    conn: Connection,
    what: str,
    form: str,
    period: Period,
    narrowed: dict[str, str],
    counts: dict[str, int],
) -> Callable[[BinaryIO], None]:
    data = DATA_SETS[what]

    def write(target: BinaryIO) -> None:
        if form == "ocel":
            log = ocel_file.write(target, conn, EVERYTHING, period, narrowed.get("supplier"))
            counts.update(rows=log.events, objects=log.objects)
            return
        try:
            found = rows.stream(conn, EVERYTHING, rows.Question(data, period, narrowed))
            counts["rows"] = files.write_rows(target, form, what, data.told, found)
        except rows.WrongQuestion as error:
            raise typer.BadParameter(str(error), param_hint="--where") from None

    return write


def _figures(
    conn: Connection,
    form: str,
    narrowed: Filter,
    now: datetime,
    apart: str | None,
    counts: dict[str, int],
) -> Callable[[BinaryIO], None]:
    def write(target: BinaryIO) -> None:
        found = figures.rows(conn, EVERYTHING, narrowed, now, apart)
        counts["rows"] = files.write_rows(target, form, figures.NAME, figures.FIELDS, found)

    return write


def _check_supplier(conn: Connection, supplier: str | None) -> None:
    net = names.network(conn)
    if net is not None:
        one_of("--supplier", supplier, net.partners)


def _narrowed(where: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in where:
        name, sign, value = one.partition("=")
        if not sign:
            raise typer.BadParameter(
                f'"{one}": write field=value, as in status=acknowledged.', param_hint="--where"
            )
        found[name.strip()] = value
    return found


def _period(conn: Connection, since: str | None, until: str | None, now: datetime) -> Period:
    net = names.network(conn)
    local = net.company.zone if net is not None else "UTC"
    end = now if until is None else _instant("--to", until, local, whole_day=True)
    start = (
        end - timedelta(days=DEFAULT_DAYS)
        if since is None
        else _instant("--from", since, local, whole_day=False)
    )
    if start >= end:
        raise ConfigError("--from must be before --to.")
    return Period(start, end)


def _instant(option: str, text: str, local: str, *, whole_day: bool) -> datetime:
    """An instant; a day alone begins at midnight in the company's zone, or ends there."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f'{option}: "{text}" is no time; write 2026-03-30 or 2026-03-30T14:10.'
        ) from None
    if whole_day and len(text) == 10:
        moment += timedelta(days=1)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone(local))
    return moment.astimezone(UTC)
