"""``tower mapping``: what a mapping makes of a file, before anything is stored."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from collectors import registry
from tower import settings as settings_module
from tower.errors import ConfigError, PayloadRejected
from tower.network import Network, load_network
from tower.raw import Raw
from worker.answers import EXIT_FAULT, EXIT_NOT_FOUND, AsJson, emit, shown, table
from worker.commands.bring import check_names, raw_of_file

MOST_SHOWN = 20


def register(mapping: typer.Typer) -> None:
    """Add the commands to ``tower mapping``."""
    mapping.command("try")(try_mapping)


def try_mapping(
    file: Annotated[Path, typer.Argument(help="A file as the sender writes it.")],
    source: Annotated[str, typer.Option(help="Source in network.yaml that would bring it.")],
    partner: Annotated[
        str | None, typer.Option(help="Partner it would come from, where folder or name tells it.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """What becomes of a file; nothing is stored. Example: tower mapping try a.csv --source files

    The network is read from its file as it stands, so that a change can be tried before it is
    taken over; no database is needed. Exit code 1 if a part of the file would become a dead letter.
    """
    if not file.is_file():
        typer.echo(f"{file} does not exist. Name a file.", err=True)
        return EXIT_NOT_FOUND
    net = _network(settings_module.load().network)
    check_names(net, source, partner)
    try:
        raw = raw_of_file(file, source, partner, datetime.now(UTC))
    except PayloadRejected as error:
        raise ConfigError(f"{file}: {error} {error.advice}") from error
    answer = preview(raw, net)
    emit(answer, as_json, lambda console: _show(console, file, answer))
    return EXIT_FAULT if answer["dead_letters"] else 0


def preview(raw: Raw, net: Network) -> dict[str, Any]:
    """What a message would become: events, findings and dead letters with their places.

    ``line`` and ``col`` count from 1, ``col`` in signs; None where no byte is known.
    """
    source = net.sources[raw.source]
    reading = registry.interpret(raw, net)
    found = net.mapping_for(source, raw.headers.get("partner") or source.partner)
    return {
        "source": raw.source,
        "format": source.format,
        "mapping": None if found is None else found[0],
        "events": [
            {
                "type": event.type,
                "occurred_at": event.occurred_at,
                "time_quality": event.time_quality,
                "partner": event.partner,
                "position": event.position,
                "correlation": event.correlation_id,
                "data": event.data,
                "origins": [
                    {
                        "field": origin.field,
                        "element": origin.element,
                        "how": origin.how,
                        "rule": origin.rule,
                        **_place(raw.body, origin.offset),
                    }
                    for origin in reading.origins.get(n, ())
                ],
            }
            for n, event in enumerate(reading.events)
        ],
        "findings": [
            {
                "code": one.code,
                "message": one.message,
                "position": one.position,
                "expected": one.expected,
                "got": one.got,
                **_place(raw.body, one.offset),
            }
            for one in reading.findings
        ],
        "dead_letters": [
            {
                "code": one.code,
                "cause": one.cause,
                "advice": one.advice,
                "position": one.position,
                **_place(raw.body, one.offset),
            }
            for one in reading.dead_letters
        ],
    }


def _network(file: Path) -> Network:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} cannot be read: {getattr(error, 'strerror', None) or error}. "
            "Name the file in TOWER_NETWORK."
        ) from error
    return load_network(text, file.name)


def _place(body: bytes, offset: int | None) -> dict[str, int | None]:
    """Offset in bytes, line and column of a place."""
    if offset is None:
        return {"offset": None, "line": None, "col": None}
    start = body.rfind(b"\n", 0, offset) + 1
    signs = body[start:offset].decode("utf-8", "replace").removeprefix("\ufeff")
    return {"offset": offset, "line": body.count(b"\n", 0, offset) + 1, "col": len(signs) + 1}


def _show(console: Console, file: Path, answer: dict[str, Any]) -> None:
    events = answer["events"]
    by = f" by {answer['mapping']}" if answer["mapping"] else ""
    console.print(
        f"{shown(str(file))} as {answer['format']}{by}: {len(events)} events, "
        f"{len(answer['findings'])} findings, {len(answer['dead_letters'])} dead letters. "
        "Nothing was stored."
    )
    for event in events[:MOST_SHOWN]:
        console.print()
        console.print(
            f"{event['type']}  {event['occurred_at']:%Y-%m-%d %H:%M:%S}Z "
            f"({event['time_quality']})  {event['partner'] or 'no partner'}"
        )
        data = dict(event["data"])
        for name, value in data.items():
            if not (isinstance(value, list) and value and isinstance(value[0], dict)):
                console.print(shown(f"  {name}: {_text(value)}"), soft_wrap=True)
        for name, rows in data.items():
            if isinstance(rows, list) and rows and isinstance(rows[0], dict):
                columns = tuple(dict.fromkeys(key for row in rows for key in row))
                cells = [tuple(_text(row.get(key)) for key in columns) for row in rows[:MOST_SHOWN]]
                console.print(table(f"{len(rows)} {name}", columns, cells))
    if len(events) > MOST_SHOWN:
        console.print(f"... and {len(events) - MOST_SHOWN} more events; --json lists all.")
    for title, rows, said in (
        ("findings", answer["findings"], "message"),
        ("dead letters", answer["dead_letters"], "cause"),
    ):
        if rows:
            console.print(
                table(
                    title,
                    ("where", "line", "col", "code", "what", "next"),
                    [
                        (
                            row["position"], row["line"], row["col"], row["code"], row[said],
                            row.get("advice", ""),
                        )
                        for row in rows
                    ],
                )
            )  # fmt: skip


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
