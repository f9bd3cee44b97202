"""``tower users``: who may sign in to the screens, what they may do, and who is signed in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import Connection

from db import accounts, configuration, migrate, passwords, sessions
from db import engine as db_engine
from tower import settings as settings_module
from tower.access import ROLES
from tower.accounts import Account, NotAnAccount
from tower.errors import ConfigError
from tower.network import load_network
from tower.strict_yaml import closest
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, one_of, shown, table
from worker.commands.ask import asking
from worker.commands.who import By, user

Name = Annotated[str, typer.Argument(help="The name they sign in with.")]
RoleOption = Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")]
Partners = Annotated[
    list[str] | None,
    typer.Option("--partner", help="They see this partner alone; may be repeated."),
]
Grants = Annotated[
    list[str] | None,
    typer.Option("--grant", help="What their role may only do if granted: replay.act (support)."),
]
PasswordFile = Annotated[
    str | None,
    typer.Option(
        help="File with the password, - for standard input. Default: a random one, shown once."
    ),
]


def register(words: typer.Typer) -> None:
    """Add the commands to the group ``users``."""
    words.command()(add)
    words.command("list")(tell)
    words.command()(change)
    words.command()(disable)
    words.command()(enable)
    words.command()(reset)
    words.command("sessions")(tell_sessions)
    words.command("sign-out")(sign_out)


def add(
    name: Name,
    role: RoleOption,
    partner: Partners = None,
    grant: Grants = None,
    full_name: Annotated[str, typer.Option(help="Their name, as people know it.")] = "",
    password_file: PasswordFile = None,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Let somebody sign in. Example: tower users add ana --role leader

    The password is random and shown once, unless a file brings one. Take the name that the person
    has among the people of network.yaml: cases that they own are then theirs.
    """
    one_of("--role", role, ROLES)
    given = _password(password_file)
    password = given or passwords.made()
    with _writing() as (conn, now):
        _known_partners(conn, partner)
        made = accounts.add(
            conn,
            name=name,
            password=password,
            role=role,
            partners=partner,
            grants=grant or (),
            full_name=full_name,
            by=by or user(),
            now=now,
        )
    new = None if given else password
    answer = {"account": made, "password": new}
    emit(answer, as_json, lambda console: _said(console, "Added", made, new))
    return 0


def tell(as_json: AsJson = False) -> int:
    """All accounts with role and scope. Example: tower users list"""
    with asking() as (conn, _):
        found = accounts.listing(conn)

    def show(console: Console) -> None:
        columns = ("name", "who", "role", "sees", "also", "by", "last signed in", "disabled")
        rows = [
            (a.name, a.full_name, a.role, sees(a), ", ".join(a.grants), a.method, a.signed_in_at,
             a.disabled_at)
            for a in found
        ]  # fmt: skip
        console.print(table(f"{len(found)} accounts", columns, rows))

    emit({"accounts": found}, as_json, show)
    return 0


def change(
    name: Name,
    role: RoleOption,
    partner: Partners = None,
    grant: Grants = None,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Give somebody other rights. Example: tower users change ana --role support --partner ACME

    What is not named they no longer have. They sign in anew. Exit code 3 if there is nobody of this
    name.
    """
    one_of("--role", role, ROLES)

    def step(conn: Connection, now: datetime) -> Account:
        _known_partners(conn, partner)
        return accounts.change(
            conn,
            name,
            role=role,
            partners=partner,
            grants=grant or (),
            by=by or user(),
            now=now,
        )

    return _one("Changed", name, step, as_json)


def disable(name: Name, by: By = "", as_json: AsJson = False) -> int:
    """Let somebody in no more; what they have open ends. Example: tower users disable ana"""
    return _one(
        "Disabled",
        name,
        lambda conn, now: accounts.disable(conn, name, by=by or user(), now=now),
        as_json,
    )


def enable(name: Name, by: By = "", as_json: AsJson = False) -> int:
    """Let somebody in again. Example: tower users enable ana"""
    return _one(
        "Enabled",
        name,
        lambda conn, now: accounts.enable(conn, name, by=by or user(), now=now),
        as_json,
    )


def reset(
    name: Name, password_file: PasswordFile = None, by: By = "", as_json: AsJson = False
) -> int:
    """Give somebody another password; they sign in anew. Example: tower users reset ana"""
    given = _password(password_file)
    password = given or passwords.made()
    return _one(
        "New password for",
        name,
        lambda conn, now: accounts.reset(conn, name, password, by=by or user(), now=now),
        as_json,
        None if given else password,
    )


def tell_sessions(
    name: Annotated[str | None, typer.Argument(help="Only theirs.")] = None,
    as_json: AsJson = False,
) -> int:
    """Who is signed in. Example: tower users sessions"""
    with asking() as (conn, now):
        try:
            of = None if name is None else accounts.by_name(conn, name).id
        except NotAnAccount as error:
            typer.echo(str(error), err=True)
            return EXIT_NOT_FOUND
        found = sessions.listing(conn, now, of)

    def show(console: Console) -> None:
        columns = ("#", "name", "by", "since", "last used", "ends", "from")
        rows = [
            (s.id, s.account, s.method, s.created_at, s.seen_at, s.ends_at, s.address)
            for s in found
        ]
        console.print(table(f"{len(found)} sessions", columns, rows))

    emit({"sessions": found}, as_json, show)
    return 0


def sign_out(
    name: Name,
    session: Annotated[
        int | None, typer.Option(help="This one alone, as tower users sessions names it.")
    ] = None,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """End what somebody has open. Example: tower users sign-out ana

    Exit code 3 if there is nobody of this name.
    """
    try:
        with _writing() as (conn, now):
            who = accounts.by_name(conn, name)
            ended = sessions.sign_out(
                conn, who.id, who.name, by=by or user(), now=now, only=session
            )
    except NotAnAccount as error:
        typer.echo(str(error), err=True)
        return EXIT_NOT_FOUND
    emit(
        {"account": who.name, "ended": ended},
        as_json,
        lambda console: console.print(shown(f"{ended} sessions of {who.name} ended.")),
    )
    return 0


def sees(one: Account) -> str:
    """Whose rows they see, in words."""
    return "all partners" if one.partners is None else ", ".join(one.partners)


# --- how ----------------------------------------------------------------------------------------


@contextmanager
def _writing() -> Iterator[tuple[Connection, datetime]]:
    """One transaction on a database of the right revision, with the present instant."""
    with db_engine.connected(settings_module.load()) as engine, engine.begin() as conn:
        migrate.check(conn)
        yield conn, datetime.now(UTC)


def _one(
    word: str,
    name: str,
    step: Callable[[Connection, datetime], Account],
    as_json: bool,
    password: str | None = None,
) -> int:
    try:
        with _writing() as (conn, now):
            accounts.by_name(conn, name)
    except NotAnAccount as error:
        typer.echo(str(error), err=True)
        return EXIT_NOT_FOUND
    with _writing() as (conn, now):
        found = step(conn, now)
    answer = {"account": found, "password": password}
    emit(answer, as_json, lambda console: _said(console, word, found, password))
    return 0


def _said(console: Console, word: str, one: Account, password: object) -> None:
    grants = f", may also {', '.join(one.grants)}" if one.grants else ""
    console.print(shown(f"{word} {one.name}: {one.role}, {sees(one)}{grants}."), soft_wrap=True)
    if password:
        console.print(shown(f"Password: {password}"), soft_wrap=True)
        console.print("It is shown this once and kept nowhere; give it to nobody else.")


def _password(file: str | None) -> str | None:
    """The password that was brought, without its line end; None where none was."""
    if file is None:
        return None
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--password-file: {file} cannot be read: {error}") from error
    first = text.splitlines()[0] if text.splitlines() else ""
    if not first:
        raise ConfigError(f"--password-file: {file} is empty. Its first line is the password.")
    return first


def _known_partners(conn: Connection, given: Iterable[str] | None) -> None:
    """Refuse a partner that the network in force does not have; without one any will do."""
    active = configuration.active(conn, configuration.NETWORK)
    if active is None or not given:
        return
    known = load_network(active.body, configuration.NETWORK).partners
    for one in given:
        if one in known:
            continue
        near = closest(one, frozenset(known))
        advice = f"Write {near}." if near else f"Known: {', '.join(sorted(known)) or 'none'}."
        raise ConfigError(f'--partner: "{one}" is no partner of the network in force. {advice}')
