"""``tower replay``: draft, check, start, watch and end replays of dead letters."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import typer
from rich.console import Console
from sqlalchemy import Connection, Engine

from db import configuration, migrate, replay_wishes, replays
from db import engine as db_engine
from db.replays import Item, Replay
from tower import settings as settings_module
from tower.access import EVERYTHING
from tower.errors import ConfigError
from tower.network import Network, load_network
from tower.replays import ACTIONS, MOST_ITEMS, REPROCESS, WAYS, ReplayRefused
from worker import edits
from worker import replay_dry_run as dry_run
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, one_of, shown, table
from worker.commands.ask import asking
from worker.commands.letters import Ids, OfGroup, Why, from_csv, picked
from worker.commands.who import By, user

Number = Annotated[int, typer.Argument(help="Number of the replay.")]
Step = Callable[[Connection, datetime], Replay]


def register(words: typer.Typer) -> None:
    """Add the commands to the group."""
    for command in (draft, check, start, show, approve, refuse, pause, resume, cancel, decide,
                    edit, retransmit):  # fmt: skip
        words.command()(command)
    words.command("list")(tell)
    words.command("sign-off")(sign_off)


def draft(
    group: OfGroup = None,
    ids: Ids = None,
    action: Annotated[str, typer.Option(help=", ".join(ACTIONS))] = REPROCESS,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Freeze a selection and try it dry. Example: tower replay draft --group v1:0a1b

    Nothing is sent. Exit code 3 if there is nothing to pick.
    """
    one_of("--action", action, ACTIONS)
    who = by or user()

    def make(engine: Engine, net: Network, now: datetime) -> Replay:
        with engine.begin() as conn:
            refs = picked(conn, group, ids, ("open", "in_replay"))
            made = replay_wishes.draft(
                conn, net, EVERYTHING, action, refs, who, now,
                remark=f"group {group}" if group else f"ids of {ids}",
            )  # fmt: skip
        return _check(engine, net, made.id, who, now)

    return _done(make, as_json)


def check(number: Number, by: By = "", as_json: AsJson = False) -> int:
    """Try a draft dry once more; a verdict is good for 15 minutes. Example: tower replay check 7"""
    who = by or user()
    return _done(lambda engine, net, now: _check(engine, net, number, who, now), as_json)


def start(
    number: Number,
    count: Annotated[int, typer.Option(help="How many go out; the dry run tells.")],
    why: Why,
    token: Annotated[
        str | None, typer.Option(help="A UUID of yours: repeated with it, it starts once.")
    ] = None,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Start a checked draft. Example: tower replay start 7 --count 12 --why "consumer mended"

    A worker sends it. Where another person must approve, it waits for that.
    """
    try:
        own = uuid4() if token is None else UUID(token)
    except ValueError as error:
        raise typer.BadParameter("write a UUID", param_hint="--token") from error

    def make(engine: Engine, _: Network, now: datetime) -> Replay:
        with engine.begin() as conn:
            one = replays.get(conn, number)
            return replays.confirm(
                conn, number, count=count, sha256=one.sha256, reason=why, token=own,
                who=by or user(), now=now,
            )  # fmt: skip

    return _done(make, as_json)


def approve(number: Number, by: By = "", as_json: AsJson = False) -> int:
    """Let the replay of somebody else run. Example: tower replay approve 7 --by lee"""
    who = by or user()

    def make(engine: Engine, _: Network, now: datetime) -> Replay:
        refused: replays.OwnReplay | None = None
        with engine.begin() as conn:
            try:
                return replays.approve(conn, number, who, now)
            except replays.OwnReplay as error:
                refused = error  # the attempt itself is kept
        raise refused

    return _done(make, as_json)


def refuse(number: Number, why: Why, by: By = "", as_json: AsJson = False) -> int:
    """Say no to what waits for approval. Example: tower replay refuse 7 --why "not today" """
    who = by or user()
    return _step(lambda conn, now: replays.refuse(conn, number, who, why, now), as_json)


def pause(number: Number, why: Why, by: By = "", as_json: AsJson = False) -> int:
    """Hold what is not yet sent. Example: tower replay pause 7 --why "ERP is slow" """
    who = by or user()
    return _step(lambda conn, now: replays.pause(conn, number, who, why, now), as_json)


def resume(number: Number, by: By = "", as_json: AsJson = False) -> int:
    """Go on. Example: tower replay resume 7"""
    who = by or user()
    return _step(lambda conn, now: replays.resume(conn, number, who, "", now), as_json)


def cancel(number: Number, why: Why, by: By = "", as_json: AsJson = False) -> int:
    """End it. Example: tower replay cancel 7 --why "wrong queue"

    Nothing more is sent, nothing is called back; what was sent still waits for its effect.
    """
    who = by or user()
    return _step(lambda conn, now: replays.cancel(conn, number, who, why, now), as_json)


def sign_off(number: Number, by: By = "", as_json: AsJson = False) -> int:
    """Say that the result was looked at. Example: tower replay sign-off 7"""
    who = by or user()
    return _step(lambda conn, now: replays.sign_off(conn, number, who, now), as_json)


def decide(
    number: Number,
    item: Annotated[int, typer.Argument(help="Number of the uncertain item.")],
    arrived: Annotated[
        bool, typer.Option("--arrived/--lost", help="It is there, or nobody has it.")
    ],
    why: Why,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """What became of an uncertain item. Example: tower replay decide 7 3 --lost --why "asked" """
    who = by or user()

    def step(conn: Connection, now: datetime) -> Replay:
        replays.decide(conn, number, item, arrived=arrived, who=who, why=why, now=now)
        return replays.get(conn, number)

    return _step(step, as_json)


def edit(
    ids: Annotated[Path, typer.Option("--ids", help="CSV naming the one letter.")],
    file: Annotated[Path, typer.Argument(help="The edited bytes.")],
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Send mended bytes in a letter's place. Example: tower replay edit mended.json --ids one.csv

    Shows the difference and drafts a replay, which another person must approve. Ids, correlation
    and document numbers are locked.
    """
    who, now = by or user(), datetime.now(UTC)
    with db_engine.connected(settings_module.load()) as engine:
        net = _network(engine)
        try:
            refs = from_csv(ids)
            if len(refs) != 1:
                raise ReplayRefused(f"{ids} names {len(refs)} letters; one is edited at a time.")
            made = edits.edit(
                engine, net, EVERYTHING, refs[0], _bytes(file), who, now, remark=f"edited: {file}"
            )
            one = _check(engine, net, made.replay.id, who, now)
        except ReplayRefused as error:
            typer.echo(str(error), err=True)
            return EXIT_NOT_FOUND
        found = _items(engine, one)

    def say(console: Console) -> None:
        for line in made.diff:
            console.print(shown(line), soft_wrap=True)
        _say(console, one, found)

    emit(_answer(one, found) | {"diff": made.diff}, as_json, say)
    return 0


def retransmit(
    refs: Annotated[
        list[str], typer.Argument(help="Messages to send again: SOURCE/KEY, as tower trace names.")
    ],
    reply: Annotated[
        str, typer.Option(help="What the partner said when asked; its `resend` may demand it.")
    ] = "",
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Have documents of ours go to their partner again. Example: tower replay retransmit edi/850-17

    Drafts and tries dry: what the partner has (acknowledged, answered) never goes again. Nothing is
    sent before it was started and another person approved it. Exit code 3 if there is no draft.
    """
    who = by or user()

    def make(engine: Engine, net: Network, now: datetime) -> Replay:
        asked = []
        for ref in refs:
            source, slash, key = ref.removeprefix("raw:").partition("/")
            if not slash or not key:
                raise ReplayRefused(f'"{ref}" names no message. Write SOURCE/KEY.')
            asked.append((source, key))
        with engine.begin() as conn:
            made = replay_wishes.retransmit(conn, net, EVERYTHING, asked, who, now, reply=reply)
        return _check(engine, net, made.id, who, now)

    return _done(make, as_json)


def _check(engine: Engine, net: Network, number: int, who: str, now: datetime) -> Replay:
    home = settings_module.load().home
    return dry_run.check(engine, net, number, who, now, secrets=os.environ, base=home)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ReplayRefused(f"{path} cannot be read: {error.strerror}") from error


def show(
    number: Number,
    limit: Annotated[int, typer.Option(min=1, max=MOST_ITEMS)] = 200,
    as_json: AsJson = False,
) -> int:
    """One replay with its items. Example: tower replay show 7"""
    with asking() as (conn, _):
        try:
            one = replays.get(conn, number)
        except ReplayRefused as error:
            typer.echo(str(error), err=True)
            return EXIT_NOT_FOUND
        found = replays.items(conn, number, limit=limit)
    emit(_answer(one, found), as_json, lambda console: _say(console, one, found))
    return 0


def tell(limit: Annotated[int, typer.Option(min=1, max=1000)] = 50, as_json: AsJson = False) -> int:
    """Replays, the newest first. Example: tower replay list"""
    with asking() as (conn, _):
        found = replays.listing(conn, limit=limit)

    def say(console: Console) -> None:
        console.print(
            table(
                f"{len(found)} replays",
                ("number #", "action", "state", "items #", "resolved #", "failed #",
                 "uncertain #", "who", "when", "reason"),
                [
                    (r.id, r.action, r.state, r.n_items, r.counters.resolved, r.counters.failed,
                     r.counters.uncertain, r.requested_by, r.drafted_at, r.reason or r.remark)
                    for r in found
                ],
            )
        )  # fmt: skip

    emit({"replays": [_told(one) for one in found]}, as_json, say)
    return 0


# --- how it is told -------------------------------------------------------------------------------


def _step(step: Step, as_json: bool) -> int:
    def make(engine: Engine, _: Network, now: datetime) -> Replay:
        with engine.begin() as conn:
            return step(conn, now)

    return _done(make, as_json)


def _done(make: Callable[[Engine, Network, datetime], Replay], as_json: bool) -> int:
    with db_engine.connected(settings_module.load()) as engine:
        net = _network(engine)
        try:
            one = make(engine, net, datetime.now(UTC))
        except ReplayRefused as error:
            typer.echo(str(error), err=True)
            return EXIT_NOT_FOUND
        found = _items(engine, one)
    emit(_answer(one, found), as_json, lambda console: _say(console, one, found))
    return 0


def _network(engine: Engine) -> Network:
    with engine.connect() as conn:
        migrate.check(conn)
        found = configuration.active(conn, configuration.NETWORK)
    if found is None:
        raise ConfigError("No network is in force yet: tower up takes network.yaml in.")
    return load_network(found.body, configuration.NETWORK)


def _items(engine: Engine, one: Replay) -> list[Item]:
    with engine.connect() as conn:
        return replays.items(conn, one.id, limit=200)


def _told(one: Replay) -> dict[str, object]:
    pace = one.pace
    return {
        "id": one.id,
        "action": one.action,
        "state": one.state,
        "target": one.target,
        "remark": one.remark,
        "reason": one.reason,
        "items": one.n_items,
        "sha256": one.sha256,
        "requested_by": one.requested_by,
        "drafted_at": one.drafted_at,
        "checked_at": one.checked_at,
        "confirmed_at": one.confirmed_at,
        "needs_approval": one.needs_approval,
        "approved_by": one.approved_by,
        "approved_at": one.approved_at,
        "ended_at": one.ended_at,
        "end_reason": one.end_reason,
        "signed_by": one.signed_by,
        "signed_at": one.signed_at,
        "canary": pace.canary,
        "per_second": pace.per_second,
        "stop_above": pace.stop_above,
        "counters": one.counters,
    }


def _answer(one: Replay, found: list[Item]) -> dict[str, object]:
    rows = [
        {
            "n": item.n,
            **item.ref._asdict(),
            "verdict": item.verdict,
            "state": item.state,
            "cause": item.cause,
            "queue": item.queue,
            "effects": item.effect_types,
            "new_attempt": item.new_attempt,
            "sent_at": item.sent_at,
            "effect_at": item.effect_at,
        }
        for item in found
    ]
    return {"replay": _told(one), "items": rows}


def _say(console: Console, one: Replay, found: list[Item]) -> None:
    c = one.counters
    ready = sum(item.verdict == "ready" for item in found)
    console.print(
        shown(
            f"Replay {one.id}, {WAYS[one.action]}: {one.state}"
            + (f" ({one.end_reason})" if one.end_reason else "")
        ),
        soft_wrap=True,
    )
    console.print(
        f"{one.n_items} picked ({one.sha256[:12]}): {c.waiting} waiting, {c.in_flight} in flight, "
        f"{c.resolved} resolved, {c.failed_again} failed again, {c.returned} returned, "
        f"{c.uncertain} uncertain, {c.duplicate} duplicate, {c.blocked} blocked, "
        f"{c.skipped} skipped, {c.cancelled} cancelled",
        soft_wrap=True,
    )
    console.print(
        table(
            "",
            ("n #", "letter", "verdict", "state", "attempt #", "effect", "cause"),
            [
                (i.n, str(i.ref)[:60], i.verdict, i.state, i.new_attempt, i.effect_at,
                 i.cause[:70])
                for i in found
            ],
        )
    )  # fmt: skip
    if one.state == "drafted":
        console.print(f'next: tower replay start {one.id} --count {ready} --why "..."')
    if one.state == "awaiting_approval":
        console.print(f"next: another person: tower replay approve {one.id}, as "
                      f"{one.needs_approval}")  # fmt: skip
