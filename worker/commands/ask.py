"""Commands that answer what the screens answer."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlalchemy import Connection

from db import configuration
from db import engine as db_engine
from db.reads import connection, known, mails, names, payloads, queues, stories
from db.reads import unmatched as unmatched_reads
from tower import settings as settings_module
from tower.access import EVERYTHING
from tower.documents import Owners
from tower.errors import ConfigError
from tower.ladder import Rung, rungs
from tower.network import load_network
from tower.timeline import RECALCULATED
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, shown, table

TIMEOUT_S = 60.0
MOST_LINES, MOST_SIGNS = 60, 400  # of a payload, for people


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (show, queue_depths, mail_list, unmatched):
        app.command(_NAMES.get(command, command.__name__))(command)


@contextlib.contextmanager
def asking() -> Iterator[tuple[Connection, datetime]]:
    """A read-only connection and the instant of the question."""
    chosen = settings_module.load()
    database = connection.database(db_engine.address(chosen), timeout_s=TIMEOUT_S)
    try:
        with connection.reading(database) as conn:
            yield conn, datetime.now(UTC)
    finally:
        database.dispose()


def show(
    ref: Annotated[str, typer.Argument(help="A number or id, or kind:scope:number.")],
    as_known_at: Annotated[
        datetime | None,
        typer.Option(help="As it was known at this instant (UTC), not as it is known now."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Any document or id: state, ladder, events, clocks, cases. Example: tower show 4500001234

    --as-known-at 2026-03-30T12:00 leaves out what reached us or was judged later. Exit code 3 if
    nothing of that name was ever seen, or not by then.
    """
    then = None if as_known_at is None else as_known_at.replace(tzinfo=UTC)
    with asking() as (conn, _):
        found = stories.search(conn, EVERYTHING, ref)
        if not found:
            typer.echo(
                f'Nothing is known of "{ref}". Searched: document numbers, references '
                "(po:main:4500001234), correlation and message ids, keys of raw messages.",
                err=True,
            )
            return EXIT_NOT_FOUND
        only = _meant(found)
        message = None if only is None or only.kind != "raw" else _message(conn, only.ref)
        story = None if only is None else stories.story(conn, EVERYTHING, only.ref)
        if story is not None and then is not None:
            net = names.network(conn)
            if net is None:
                raise ConfigError("No network is in force yet: tower up takes network.yaml in.")
            story = known.as_known_at(conn, EVERYTHING, story, then, Owners.of(net))
            if story is None:
                typer.echo(f'Nothing was known of "{ref}" at {then:%Y-%m-%d %H:%MZ}.', err=True)
                return EXIT_NOT_FOUND
        steps = [] if story is None else _ladder(story, conn)
    answer: dict[str, Any] = {
        "ref": ref if only is None else only.ref,
        "as_known_at": then,
        "found": found,
        "story": None if story is None else _story(story, steps),
        "message": message,
    }

    def say(console: Console) -> None:
        if message is not None:
            _say_message(console, message)
        elif story is None:
            console.print(
                table(
                    f'{len(found)} things are called "{ref}"; open one by its reference',
                    ("reference", "what", "status", "supplier"),
                    [(f.ref, f.title, f.status, f.supplier) for f in found],
                )
            )
        else:
            if then is not None:
                console.print(f"As known at {then:%Y-%m-%d %H:%MZ}. {known.NOT_KEPT}")
            _say_story(console, story, answer["story"])

    emit(answer, as_json, say)
    return 0


def _meant(found: list[stories.Found]) -> stories.Found | None:
    """The one thing that is meant: an id that is tied to one document means that document."""
    documents = [one for one in found if one.kind not in ("id", "raw")]
    candidates = documents or found
    return candidates[0] if len(candidates) == 1 else None


def _message(conn: Connection, ref: str) -> dict[str, Any] | None:
    source, _, key = ref.removeprefix("raw:").partition("/")
    held = payloads.payload(conn, EVERYTHING, source, key)
    if held is None:
        return None
    told = {name: getattr(held, name) for name in _MESSAGE}
    return told | {
        "size": len(held.body),
        "body": base64.b64encode(held.body).decode(),
        "events": [
            {name: row[name] for name in ("type", "position", "occurred_at", "data")}
            for row in payloads.events_of(conn, source, key)
        ],
    }


_MESSAGE = (
    "source",
    "key",
    "name",
    "received_at",
    "media_type",
    "sha256",
    "outcome",
    "readings",
    "sightings",
    "dead_letters",
)


def _say_message(console: Console, message: Mapping[str, Any]) -> None:
    console.print(
        shown(f"Message {message['source']}/{message['key']}  {message['outcome']}"), soft_wrap=True
    )
    console.print(
        shown(
            f"{message['name'] or 'without a name'}, {message['size']:,} bytes, received "
            f"{message['received_at']:%Y-%m-%d %H:%MZ}"
        ),
        soft_wrap=True,
    )
    console.print(
        table(
            "Events",
            ("at", "type", "position"),
            [(e["occurred_at"], e["type"], e["position"]) for e in message["events"]],
        )
    )
    lines = base64.b64decode(message["body"]).decode("utf-8", "replace").splitlines()
    for line in lines[:MOST_LINES]:
        console.print(shown(line[:MOST_SIGNS]), soft_wrap=True)
    if len(lines) > MOST_LINES or any(len(line) > MOST_SIGNS for line in lines):
        console.print("... and more: --json has all of it, as base64")
    if message["dead_letters"]:
        console.print(
            table(
                "Dead letters",
                ("part", "byte #", "cause", "next"),
                [
                    (d["position"], d["byte_offset"], d["cause"], d["advice"])
                    for d in message["dead_letters"]
                ],
            )
        )


def _story(story: stories.Story, steps: Sequence[Rung]) -> dict[str, Any]:
    return {
        "document": _document(story.root),
        "lines": [_document(row) for row in story.family if row["line"]],
        "related": [_document(row) for row in story.related],
        "ladder": steps,
        "events": story.events,
        "more_events": story.more_events,
        "clocks": [_without(row, "state") | {"why": row["state"]} for row in story.clocks],
        "journal": [dict(row) for row in story.journal],
        "cases": [_without(row, "why") for row in story.cases],
        "pegs": [dict(row) for row in story.pegs],
        "impacts": [dict(row) for row in story.impacts],
        "linked": [{"basis": basis, "id": evidence} for _, basis, evidence in story.linked],
    }


def _document(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if row is None else _without(row, "state", "rev", "home_key", "partner_id")


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in names}


def _ladder(story: stories.Story, conn: Connection) -> list[Rung]:
    """The rungs of a purchase order, by what the network in force says of its supplier."""
    if story.root is None or story.root["kind"] != "po":
        return []
    found = configuration.active(conn, configuration.NETWORK)
    net = None if found is None else load_network(found.body, configuration.NETWORK)
    partner = None if net is None else net.partners.get(story.root["supplier"] or "")
    lines = [row for row in story.family if row["kind"] == "po_line"]
    expects_fa = True if partner is None else partner.expects_fa
    return rungs(story.root, lines, story.clocks, expects_fa=expects_fa)


def _answered(answer: str | None) -> str:
    """What the supplier answered, which the status of an order does not tell."""
    return "" if answer in (None, "none") else f"  answer {answer}"


def _say_story(console: Console, story: stories.Story, answer: Mapping[str, Any]) -> None:
    root = story.root
    if root is not None:
        console.print(
            shown(
                f"{root['kind']} {root['number']}  {root['status']}"
                f"{_answered(root['answer'])}  supplier {root['supplier'] or '–'}"
                f"  value {root['value'] or '–'} "
                f"{root['currency'] or ''}"
            ),
            soft_wrap=True,
        )
    if answer["ladder"]:
        console.print(
            table(
                "Acknowledgement ladder",
                ("rung", "state", "at", "whose clock", "what"),
                [(r.label, r.state, r.at, r.whose, r.note) for r in answer["ladder"]],
            )
        )
    lines = [row for row in story.family if row["line"]]
    if lines:
        console.print(
            table(
                "Lines",
                (
                    "line",
                    "item",
                    "status",
                    "ordered #",
                    "confirmed #",
                    "shipped #",
                    "received #",
                    "requested",
                    "confirmed",
                ),
                [
                    (
                        r["line"],
                        r["item"],
                        r["status"],
                        r["ordered_qty"],
                        r["confirmed_qty"],
                        r["shipped_qty"],
                        r["received_qty"],
                        r["requested_date"],
                        r["last_confirmed_date"],
                    )
                    for r in lines
                ],
            )
        )
    console.print(
        table(
            "Events" + (" (the first 1,000)" if story.more_events else ""),
            ("at", "type", "system", "source", "message"),
            [(e.occurred_at, e.type, e.system, e.source, e.raw_key[:40]) for e in story.events],
        )
    )
    if story.clocks:
        console.print(
            table(
                "Clocks",
                ("rule", "line", "verdict", "started", "due", "ended"),
                [
                    (
                        c["rule"],
                        c["line"],
                        c["verdict"],
                        c["started_at"],
                        c["due_at"],
                        c["ended_at"],
                    )
                    for c in story.clocks
                ],
            )
        )
    overturned = [entry for entry in story.journal if entry["name"] == RECALCULATED]
    if overturned:
        console.print(
            table(
                "Verdicts that were recalculated",
                ("known", "rule", "line", "was", "is now", "because"),
                [
                    (
                        entry["detected_at"],
                        entry["rule"],
                        entry["line"],
                        entry["why"]["was"],
                        entry["why"]["now"],
                        entry["why"]["because"],
                    )
                    for entry in overturned
                ],
            )
        )
    if story.cases:
        console.print(
            table(
                "Cases",
                ("case #", "category", "severity", "state", "owner", "opened"),
                [
                    (c["id"], c["category"], c["severity"], c["state"], c["owner"], c["opened_at"])
                    for c in story.cases
                ],
            )
        )


def queue_depths(as_json: AsJson = False) -> int:
    """Depth, rates and consumers of every queue. Example: tower queues"""
    with asking() as (conn, now):
        found = queues.newest(conn, EVERYTHING, now)
    emit(
        {"queues": found},
        as_json,
        lambda console: console.print(
            table(
                "Queues",
                (
                    "broker",
                    "queue",
                    "ready #",
                    "in flight #",
                    "consumers #",
                    "in/s #",
                    "out/s #",
                    "sampled",
                ),
                [
                    (
                        q.broker,
                        q.queue,
                        q.ready,
                        q.in_flight,
                        q.consumers,
                        q.in_rate,
                        q.out_rate,
                        q.at,
                    )
                    for q in found
                ],
            )
        ),
    )
    return 0


def mail_list(
    recipient: Annotated[str | None, typer.Option(help="Person of network.yaml.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> int:
    """Mails, newest first: what was told to whom. Example: tower mails --recipient kim"""
    with asking() as (conn, _):
        found = mails.newest(conn, EVERYTHING, recipient=recipient, limit=limit)
    emit(
        {"mails": found},
        as_json,
        lambda console: console.print(
            table(
                "Mails",
                ("at", "to", "subject", "why now", "state"),
                [(m.created_at, m.recipient, m.subject, m.reason, m.state) for m in found],
            )
        ),
    )
    return 0


def unmatched(
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50, as_json: AsJson = False
) -> int:
    """What reached no known document, and letters nobody could read. Example: tower unmatched

    With what each was looked up by, and which orders it may belong to; tower tie ties one by hand.
    """
    with asking() as (conn, _):
        flows, total = unmatched_reads.unmatched(conn, EVERYTHING, limit=limit)
        looked = unmatched_reads.looked_into(conn, EVERYTHING, flows)
        letters, letters_total = unmatched_reads.dead_letters(conn, EVERYTHING, limit=limit)
    answer = {
        "unmatched_total": total,
        "unmatched": [
            {
                **{name: getattr(one.flow, name) for name in _FLOW},
                "attempts": one.attempts,
                "candidates": one.candidates,
                "events": one.events,
            }
            for one in looked
        ],
        "dead_letters_total": letters_total,
        "dead_letters": letters,
    }

    def say(console: Console) -> None:
        console.print(
            table(
                f"{len(flows)} of {total} unmatched",
                ("what", "events #", "newest", "tried", "may belong to"),
                [
                    (
                        one.flow.anchor,
                        one.flow.n_events,
                        one.flow.last_at,
                        "; ".join(f"{a.basis} {a.value}: {a.outcome}" for a in one.attempts[:3]),
                        "; ".join(f"{c.ref} ({c.why})" for c in one.candidates[:2]) or None,
                    )
                    for one in looked
                ],
            )
        )
        if looked:
            console.print("next: tower tie WHAT ORDER --why ...", soft_wrap=True)
        console.print(
            table(
                f"{len(letters)} of {letters_total} open dead letters",
                ("message", "part", "cause", "next"),
                [
                    (f"{d['source']}/{d['key'][:24]}", d["position"], d["cause"], d["advice"])
                    for d in letters
                ],
            )
        )

    emit(answer, as_json, say)
    return 0


_FLOW = ("anchor", "kind", "n_events", "first_at", "last_at", "not_identifying", "tried")
_NAMES = {queue_depths: "queues", mail_list: "mails"}
