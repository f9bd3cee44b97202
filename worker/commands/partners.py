"""``tower partner``: bring a partner in, see how far it is, list them all."""

from __future__ import annotations

import os
import stat
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Console
from sqlalchemy import Connection

from db import configuration
from db.reads import partners as reads
from tower import settings as settings_module
from tower.access import EVERYTHING
from tower.errors import ConfigError
from tower.network import Network, Partner, load_network
from tower.onboarding import TEMPLATES, Item, checklist, ready
from tower.partner_block import KEY, NewPartner, block, insert
from worker.answers import EXIT_FAULT, EXIT_NOT_FOUND, AsJson, emit, one_of, shown, table
from worker.commands.ask import asking

STAGES = get_args(Partner.model_fields["stage"].annotation)


def register(partner: typer.Typer) -> None:
    """Add the commands to their group."""
    partner.command()(add)
    partner.command()(check)
    partner.command("list")(tell_list)


def add(
    key: Annotated[str, typer.Argument(help="How the tower shall call it, for example ACME.")],
    name: Annotated[str, typer.Option(help="Its name.")] = "",
    template: Annotated[str, typer.Option(help=f"One of {', '.join(TEMPLATES)}.")] = "edi_x12",
    stage: Annotated[str, typer.Option(help=f"One of {', '.join(STAGES)}.")] = "onboarding",
    isa: Annotated[list[str] | None, typer.Option(help='"ZZ:THEIRID"; may be repeated.')] = None,
    gln: Annotated[str, typer.Option(help="GLN, 13 digits.")] = "",
    duns: Annotated[str, typer.Option(help="DUNS number.")] = "",
    vendor: Annotated[
        list[str] | None,
        typer.Option(help="Vendor number, or ERP:number; may be repeated."),
    ] = None,
    feed: Annotated[
        list[str] | None, typer.Option(help="Source that brings its answers; may be repeated.")
    ] = None,
    tier: Annotated[str, typer.Option(help="What the rules ask for.")] = "",
    country: Annotated[str, typer.Option(help="Country code.")] = "",
    zone: Annotated[str, typer.Option(help="Zone, for example America/Chicago.")] = "",
    calendar: Annotated[str, typer.Option(help="Calendar of network.yaml.")] = "",
    contact: Annotated[
        list[str] | None, typer.Option(help="role=address or role=person; may be repeated.")
    ] = None,
    per_minute: Annotated[
        int | None, typer.Option(min=1, help="Messages in a minute at the machine door.")
    ] = None,
    expects_fa: Annotated[
        bool | None, typer.Option("--expects-fa/--no-fa", help="997, 999 or CONTRL agreed.")
    ] = None,
    sends_asn: Annotated[bool, typer.Option("--asn/--no-asn", help="Announces shipments.")] = True,
    only_print: Annotated[
        bool, typer.Option("--print", help="Show the block, write nothing.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Write a new partner into network.yaml. Example: tower partner add ACME --isa ZZ:ACME

    Everything else in the file stays as it is. Exit code 5, and nothing written, if the file is
    wrong or would be wrong with it.
    """
    one_of("--template", template, TEMPLATES)
    one_of("--stage", stage, STAGES)
    if not KEY.match(key) or key.lower() in ("null", "true", "false"):
        raise typer.BadParameter(
            "a key begins with a letter and holds letters, digits, _ . and - only.",
            param_hint="KEY",
        )
    chosen = settings_module.load()
    path = Path(os.path.realpath(chosen.network))
    text = _read(path)
    net = load_network(text, path.name)
    new = NewPartner(
        key=key,
        name=name or key,
        template=template,
        stage=stage,
        tier=tier,
        country=country,
        zone=zone,
        calendar=calendar,
        isa=isa or (),
        gln=gln,
        duns=duns,
        erp_vendor=_pairs(vendor, ":", "--vendor", net.company.erp),
        feeds=feed or (),
        expects_fa=expects_fa,
        sends_asn=sends_asn,
        per_minute=per_minute,
        contacts=_pairs(contact, "=", "--contact", None),
    )
    written = "\n".join(block(new, net))
    try:
        result = insert(text, new, path.name)
    except ConfigError as error:
        if only_print and all("by hand" in p.next_step for p in error.problems):
            result = text
        else:
            raise ConfigError([*error.problems] or str(error)) from error
    if not only_print:
        _write(path, result)
    answer = {"partner": key, "file": str(path), "written": not only_print, "block": written}

    def show(console: Console) -> None:
        console.print(shown(written), soft_wrap=True)
        if not only_print:
            console.print(
                shown(f"\nWritten to {path}. A tower that runs takes it in within ten seconds."),
                soft_wrap=True,
            )
            console.print(f"next: tower partner check {key}", soft_wrap=True)

    emit(answer, as_json, show)
    return 0


def _pairs(given: list[str] | None, sign: str, option: str, default: str | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in given or ():
        left, mark, right = one.partition(sign)
        if not mark and default is not None:
            left, right = default, one
        if not left or not right:
            raise typer.BadParameter(f'"{one}" has two parts: {sign} between.', param_hint=option)
        found[left] = right
    return found


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist. Create it, or name another with TOWER_NETWORK."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no UTF-8 text. Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error


def _write(path: Path, text: str) -> None:
    """In one step: whoever reads meanwhile sees the old file or the new one."""
    try:
        handle, made = tempfile.mkstemp(prefix=".network-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            Path(made).chmod(stat.S_IMODE(path.stat().st_mode))
            Path(made).replace(path)
        except BaseException:
            Path(made).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}. Nothing was changed. Make its folder "
            "writable for this user, or put in by hand what --print shows."
        ) from error


def check(
    key: Annotated[str, typer.Argument(help="Partner of network.yaml.")],
    days: Annotated[int, typer.Option(min=1, max=400, help="How far back to look.")] = 90,
    as_json: AsJson = False,
) -> int:
    """What is still missing before it goes live. Example: tower partner check ACME

    Exit code 1 if something is open or wrong, 3 if there is no such partner.
    """
    with asking() as (conn, now):
        net = _in_force(conn)
        profile = net.partners.get(key)
        if profile is None:
            typer.echo(_unknown(conn, net, key), err=True)
            return EXIT_NOT_FOUND
        items = _items(conn, net, key, profile, now, days)
    fit = ready(items)
    answer = {
        "partner": key,
        "name": profile.name,
        "template": profile.template,
        "stage": profile.stage,
        "ready": fit,
        "items": items,
    }

    def show(console: Console) -> None:
        console.print(
            table(
                f"{key}, {profile.name}: {profile.template}, {profile.stage}",
                ("", "what", "evidence", "first", "last", "next"),
                [
                    (SIGNS[i.state], i.label, i.what, i.first_at, i.last_at, i.next_step)
                    for i in items
                ],
            )
        )
        console.print(_verdict(key, profile.stage, fit, items), soft_wrap=True)

    emit(answer, as_json, show)
    return 0 if fit else EXIT_FAULT


SIGNS = {"done": "ok", "open": "open", "wrong": "WRONG", "not_asked": "-"}


def _items(
    conn: Connection, net: Network, key: str, profile: Partner, now: datetime, days: int
) -> tuple[Item, ...]:
    seen = reads.evidence(conn, EVERYTHING, key, profile, now, days=days)
    return checklist(key, profile, net, seen)


def _verdict(key: str, stage: str, fit: bool, items: tuple[Item, ...]) -> str:
    missing = sum(item.state in ("open", "wrong") for item in items)
    if not fit:
        return f"{missing} of {len(items)} missing."
    if stage == "live":
        return "Nothing is missing."
    return f"Nothing is missing. next: write stage: live in partners.{key}"


def _in_force(conn: Connection) -> Network:
    found = configuration.active(conn, configuration.NETWORK)
    if found is None:
        raise ConfigError("No network is in force yet: tower up takes network.yaml in.")
    return load_network(found.body, configuration.NETWORK)


def _unknown(conn: Connection, net: Network, key: str) -> str:
    found = configuration.active(conn, configuration.NETWORK)
    said = f'"{key}" is no partner of the network in force.'
    if found is not None and found.problem:
        return f"{said} A newer network.yaml was refused; tower status says why."
    return f"{said} Known are {', '.join(sorted(net.partners)) or 'none'}."


def tell_list(
    stage: Annotated[str | None, typer.Option(help=f"One of {', '.join(STAGES)}.")] = None,
    as_json: AsJson = False,
) -> int:
    """All partners with their state. Example: tower partner list --stage onboarding"""
    one_of("--stage", stage, STAGES)
    with asking() as (conn, _):
        rows = [p for p in reads.partners(conn, EVERYTHING) if stage in (None, p.stage)]

    def show(console: Console) -> None:
        console.print(
            table(
                f"{len(rows)} partners",
                (
                    "partner",
                    "name",
                    "stage",
                    "template",
                    "feeds",
                    "open orders #",
                    "open cases #",
                    "dead letters #",
                    "last heard of",
                ),
                [
                    (
                        p.key,
                        p.name,
                        p.stage,
                        p.template,
                        ", ".join(p.feeds),
                        p.open_documents,
                        p.open_cases,
                        p.dead_letters,
                        p.last_at,
                    )
                    for p in rows
                ],
            )
        )

    answer: dict[str, Any] = {"partners": rows}
    emit(answer, as_json, show)
    return 0
