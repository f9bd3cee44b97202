"""Commands about message brokers: is one set up well, and its dead letters."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from collectors.rabbitmq import RabbitQueues
from collectors.rabbitmq_lint import LOSS
from db import engine as db_engine
from db import migrate
from tower import settings as settings_module
from tower.errors import ConfigError
from tower.feeds import RabbitOptions
from tower.network import Network
from worker import configuration
from worker.answers import EXIT_FAULT, AsJson, emit, table
from worker.capture import capture as take


def register(broker: typer.Typer) -> None:
    """Add the commands to the group."""
    broker.command("lint")(lint)
    broker.command("capture")(capture)


def lint(
    source: Annotated[
        str | None, typer.Argument(help="Source of kind rabbitmq; without it all of them.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Would this broker lose messages? Example: tower broker lint

    Reads its set-up and touches nothing. Exit code 1 if messages would be lost.
    """
    net = _network_file()
    now = datetime.now(UTC)
    rows = []
    for name in _brokers(net, source):
        described = net.sources[name]
        options = described.feed
        if isinstance(options, RabbitOptions):
            reader = RabbitQueues(name, described, options, os.environ)
            rows += [{"source": name, **asdict(remark)} for remark in reader.lint(now)]
    lost = sum(row["weight"] == LOSS for row in rows)

    def show(console: Console) -> None:
        console.print(
            table(
                f"{len(rows)} remarks, {lost} of them lose messages",
                ("source", "queue", "weight", "cause", "next"),
                [
                    (r["source"], _shown(r["vhost"], r["queue"]), r["weight"], r["cause"],
                     r["advice"])
                    for r in rows
                ],
            )
        )  # fmt: skip

    emit({"remarks": rows, "losses": lost}, as_json, show)
    return EXIT_FAULT if lost else 0


def capture(
    source: Annotated[str, typer.Argument(help="Source of kind rabbitmq.")],
    queue: Annotated[str, typer.Argument(help="Queue of dead letters.")],
    most: Annotated[int, typer.Option("--most", min=1, max=1_000_000)] = 1000,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave them in the queue (classic queues only).")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Take dead letters into the tower. Example: tower broker capture broker orders.dlq

    A message is acknowledged after it is stored; captured twice it counts once. Exit code 1 if one
    could not be read; it is kept all the same.
    """
    chosen = settings_module.load()
    now = datetime.now(UTC)
    with db_engine.connected(chosen) as engine:
        with engine.connect() as conn:
            migrate.check(conn)
        net = configuration.activate(engine, chosen.network, chosen.rules, now).network
        found = take(engine, net, source, queue, most=most, keep=keep, now=now, secrets=os.environ)

    def show(console: Console) -> None:
        where = "still in the queue" if found.left else "taken out of the queue"
        console.print(
            f"{found.accepted} captured, {found.repeated} known before, "
            f"{found.refused} unreadable; {where}."
        )

    emit(asdict(found), as_json, show)
    return EXIT_FAULT if found.refused else 0


def _network_file() -> Network:
    chosen = settings_module.load()
    return configuration.read(chosen.network, chosen.rules).network


def _brokers(net: Network, source: str | None) -> list[str]:
    known = [name for name, described in net.sources.items() if described.kind == "rabbitmq"]
    if source is None:
        if not known:
            raise ConfigError(
                "network.yaml has no source of kind rabbitmq. Describe the broker there "
                "(docs/connect/rabbitmq.md)."
            )
        return known
    if source not in known:
        raise ConfigError(
            f'"{source}" is no source of kind rabbitmq; known are {", ".join(known) or "none"}.'
        )
    return [source]


def _shown(vhost: str, queue: str) -> str:
    return queue if vhost == "/" else f"{vhost}/{queue}"
