"""``tower ingest``: bring files in by hand, through the same door as every other message."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlalchemy import Engine

from collectors.manual_answers import PORTAL_FORM
from db import configuration as db_configuration
from db import engine as db_engine
from db import migrate
from db.ingest import ItemResult
from tower import settings as settings_module
from tower.errors import ConfigError, PayloadRejected
from tower.network import Network
from tower.raw import Raw
from worker import configuration, pipeline
from worker.answers import EXIT_FAULT, EXIT_NOT_FOUND, AsJson, emit, table
from worker.lanes import LEAST_MESSAGES, Lanes

MOST_BYTES = 512 * 1024 * 1024
BATCH = 500
BATCH_BYTES = 32 * 1024 * 1024


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(ingest)


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders taken with all in them.")],
    source: Annotated[
        str | None, typer.Option(help="Source in network.yaml they belong to.")
    ] = None,
    partner: Annotated[
        str | None, typer.Option(help="Partner they come from, where its source is not named.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Bring files in. Example: tower ingest orders/ --source edi

    The same bytes twice are stored once. Exit code 1 if any file was refused or a part of one
    became a dead letter; 3 if a path does not exist; 5 if it is not clear which source one belongs
    to, and then none was stored.
    """
    files = _files(paths)
    if isinstance(files, Path):
        typer.echo(f"{files} does not exist. Name a file or a folder.", err=True)
        return EXIT_NOT_FOUND
    chosen = settings_module.load()
    now = datetime.now(UTC)
    with db_engine.connected(chosen) as engine:
        with engine.connect() as conn:
            migrate.check(conn)
        net = configuration.activate(engine, chosen.network, chosen.rules, now).network
        with engine.connect() as conn:
            in_force = db_configuration.active(conn, db_configuration.NETWORK)
        if in_force is not None and in_force.problem:
            said = "The files were refused, what is in force is used; see tower status."
            typer.echo(said, err=True)
        check_names(net, source, partner)
        # Before the first is stored: a question to the user leaves nothing half done.
        sources = [source or _source_for(net, partner, file) for file in files]
        rows: list[dict[str, Any]] = []
        with Lanes(engine, chosen.lanes) as lanes:
            if len(files) >= LEAST_MESSAGES:
                lanes.start()
            for part in _batches(zip(files, sources, strict=True)):
                rows += _store(engine, net, part, partner, now, lanes)
    answer = {
        "files": rows,
        "accepted": sum(r["outcome"] == "accepted" for r in rows),
        "repeated": sum(r["outcome"] == "repeated" for r in rows),
        "refused": sum(r["outcome"] == "refused" for r in rows),
        "events": sum(r["events"] for r in rows),
        "dead_letters": sum(r["dead_letters"] for r in rows),
    }

    def show(console: Console) -> None:
        wrong = [r for r in rows if r["cause"]]
        listed = wrong or rows[:20]
        console.print(
            table(
                f"{answer['accepted']} accepted, {answer['repeated']} known before, "
                f"{answer['refused']} refused; {answer['events']} events",
                ("file", "source", "outcome", "events #", "cause", "next"),
                [
                    (r["file"], r["source"], r["outcome"], r["events"], r["cause"], r["advice"])
                    for r in listed
                ],
            )
        )

    emit(answer, as_json, show)
    return EXIT_FAULT if answer["dead_letters"] or answer["refused"] else 0


def _files(paths: list[Path]) -> list[Path] | Path:
    """All files, folders opened, in a stable order; or the path that does not exist."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
        elif path.is_file():
            found.append(path)
        else:
            return path
    return found


def check_names(net: Network, source: str | None, partner: str | None) -> None:
    """Raise ConfigError if one is named that the network does not know."""
    for what, name, known in (
        ("source", source, net.sources),
        ("partner", partner, net.partners),
    ):
        if name is not None and name not in known:
            raise ConfigError(
                f'"{name}" is not a {what} of the network; known are {", ".join(sorted(known))}.'
            )


Brought = tuple[Path, str]
"""A file and the source it belongs to."""


def _batches(files: Iterable[Brought]) -> Iterator[list[Brought]]:
    """Files that are stored together: not too many, nor too large together."""
    batch: list[Brought] = []
    size = 0
    for file, source in files:
        if batch and (len(batch) == BATCH or size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((file, source))
        size += min(file.stat().st_size, MOST_BYTES)
    if batch:
        yield batch


def _store(
    engine: Engine,
    net: Network,
    part: Sequence[Brought],
    partner: str | None,
    now: datetime,
    lanes: Lanes,
) -> list[dict[str, Any]]:
    """Store a batch; one row per file, in the order given."""
    rows: list[dict[str, Any]] = []
    raws: list[Raw] = []
    for file, source in part:
        row = {"file": str(file), "source": source}
        try:
            raws.append(raw_of_file(file, source, partner, now))
        except PayloadRejected as error:
            row |= _result(_unread(error))
        rows.append(row)
    outcome = pipeline.ingest_raws(engine, net, raws, now=now, lanes=lanes)
    stored = iter(outcome.items)
    return [row if "outcome" in row else row | _result(next(stored)) for row in rows]


def _result(item: ItemResult) -> dict[str, Any]:
    return {
        "outcome": item.outcome,
        "events": item.events,
        "dead_letters": item.dead_letters,
        "cause": item.cause,
        "advice": item.advice,
    }


def _unread(error: PayloadRejected) -> ItemResult:
    """A file that was not even read: nothing of it is kept, the user still has it."""
    return ItemResult("refused", cause=str(error), advice=error.advice)


def raw_of_file(file: Path, source: str, partner: str | None, now: datetime) -> Raw:
    """A file as a message of a source; raises PayloadRejected if it cannot be read."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise PayloadRejected(
                f"The file is larger than {MOST_BYTES:,} bytes.",
                code="too_large",
                advice="Split it and bring the parts.",
            )
        body = file.read_bytes()
    except OSError as error:
        raise PayloadRejected(
            f"The file cannot be read: {error.strerror}.",
            code="unreadable",
            advice="Make it readable for this user and bring it again.",
        ) from error
    return Raw(
        source=source,
        key=hashlib.sha256(body).hexdigest(),
        body=body,
        received_at=now,
        headers={"partner": partner} if partner else {},
        name=file.name,
    )


def _source_for(net: Network, partner: str | None, file: Path) -> str:
    """The one source that such a file can belong to; says what to name if several could."""
    candidates = (
        # What is typed, by us or into a form, is not brought as a file.
        [
            name
            for name, source in net.sources.items()
            if source.channel != "manual" and name != PORTAL_FORM
        ]
        if partner is None
        else [feed for feed in net.partners[partner].feeds if feed in net.sources]
    )
    formats = _formats(file)
    fitting = [name for name in candidates if net.sources[name].format in formats]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ConfigError(
            f"{file} could belong to several sources: name one with --source "
            f"({', '.join(sorted(fitting))})."
        )
    raise ConfigError(
        f"{file} looks like {' or '.join(formats)}, and no source "
        f"{'of this partner ' if partner else ''}brings that: name one with --source "
        f"({', '.join(sorted(candidates)) or 'none is described'})."
    )


def _formats(file: Path) -> tuple[str, ...]:
    """What a file may be, by its first bytes, then by its name."""
    try:
        with file.open("rb") as opened:
            head = opened.read(4096)
    except OSError:
        head = b""
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if _X12.match(start):
        return ("x12",)
    if _EDIFACT.match(start):
        return ("edifact",)
    if start[:1] in (b"{", b"["):
        return ("cloudevents",) if b'"specversion"' in head else ("json", "log")
    if start[:1] == b"<" or head.startswith((b"\xff\xfe<", b"\xfe\xff\0<")):
        return ("xml",)
    suffix = file.suffix.lower()
    if suffix in (".edi", ".x12"):
        return ("x12",) if suffix == ".x12" else ("x12", "edifact")
    if suffix in (".json", ".jsonl", ".log"):
        return ("json", "log") if suffix == ".json" else ("log",)
    return ("csv",) if suffix in (".csv", ".tsv") else ("csv", "x12", "edifact", "json")


_X12 = re.compile(rb"ISA[^A-Za-z0-9]|GS[^A-Za-z0-9]|ST[^A-Za-z0-9]\d{3}[^A-Za-z0-9]")
_EDIFACT = re.compile(rb"UNA[^A-Za-z0-9]|UN[BGH][^A-Za-z0-9\s]")
