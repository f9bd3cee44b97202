"""``tower audit self``: does the tower keep its own promises?"""

from __future__ import annotations

from rich.console import Console

from db import configuration, health
from tower.errors import ConfigError
from tower.network import load_network
from tower.rulebook import load_rulebook
from worker import self_audit
from worker.answers import EXIT_FAULT, AsJson, emit, shown, table
from worker.commands.ask import asking


def tell(as_json: AsJson = False) -> int:
    """Does the tower keep its promises now? Example: tower audit self

    The checks that a worker makes each minute before it calls TOWER_DEADMAN_URL. Exit code 1 if one
    fails.
    """
    with asking() as (conn, now):
        network = configuration.active(conn, configuration.NETWORK)
        rules = configuration.active(conn, configuration.RULES)
        if network is None or rules is None:
            raise ConfigError("Nothing is in force yet: tower up takes the files in.")
        found = self_audit.checks(
            conn,
            load_network(network.body, configuration.NETWORK),
            load_rulebook(rules.body),
            now,
        )
        seen = max((b.at for b in health.processes(conn) if b.role == "worker"), default=None)
    good = all(check.ok for check in found)

    def show(console: Console) -> None:
        console.print(
            table(
                "The tower about itself",
                ("check", "state", "what", "examples"),
                [
                    (c.name, "ok" if c.ok else "fails", c.words, "; ".join(c.examples))
                    for c in found
                ],
            )
        )
        said = f"{seen:%Y-%m-%d %H:%M:%S} UTC" if seen else "never"
        console.print(shown(f"Worker last seen: {said}."))

    emit({"checks": found, "good": good, "worker_seen_at": seen}, as_json, show)
    return 0 if good else EXIT_FAULT
