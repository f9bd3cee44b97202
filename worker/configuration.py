"""The files in force: read, checked as a whole, and activated or refused as a whole.

A refused file changes nothing: the version in force stays, and the reason is kept beside it for
screens and ``tower status``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine

from db import configuration, sources
from tower.errors import ConfigError, Problem
from tower.lint import lint
from tower.network import Network, load_network
from tower.rulebook import RuleBook, load_rulebook

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Network and rule book that belong together, with the hashes of their texts."""

    network: Network
    rulebook: RuleBook
    network_hash: str
    rules_hash: str


def read(network_path: Path, rules_path: Path) -> Configuration:
    """Both files, checked. Raises ConfigError with every mistake of both."""
    return parse(text_of(network_path), text_of(rules_path), network_path.name, rules_path.name)


def parse(
    network_text: str,
    rules_text: str,
    network_name: str = "network.yaml",
    rules_name: str = "sla_rules.yaml",
) -> Configuration:
    """Both texts, checked, also against each other. Raises ConfigError with every mistake."""
    problems: list[Problem] = []
    network: Network | None = None
    rulebook: RuleBook | None = None
    try:
        network = load_network(network_text, network_name)
    except ConfigError as error:
        problems.extend(error.problems or (_problem(network_name, error),))
    try:
        rulebook = load_rulebook(rules_text, rules_name)
    except ConfigError as error:
        problems.extend(error.problems or (_problem(rules_name, error),))
    if network is None or rulebook is None:
        raise ConfigError(problems)
    problems = [found.problem for found in lint(rulebook, network) if found.severity == "error"]
    if problems:
        raise ConfigError(problems)
    return Configuration(
        network,
        rulebook,
        configuration.text_hash(network_text),
        configuration.text_hash(rules_text),
    )


def activate(engine: Engine, network_path: Path, rules_path: Path, now: datetime) -> Configuration:
    """Take the files in, or keep what is in force if they are wrong.

    Raises ConfigError only when nothing is in force yet: then there is nothing to fall back on.
    """
    try:
        network_text, rules_text = text_of(network_path), text_of(rules_path)
        config = parse(network_text, rules_text, network_path.name, rules_path.name)
    except ConfigError as error:
        with engine.begin() as conn:
            noted = [
                configuration.refuse(conn, name, _said_of(path, other, error))
                for name, path, other in (
                    (configuration.NETWORK, network_path, rules_path),
                    (configuration.RULES, rules_path, network_path),
                )
            ]
            kept = in_force(conn) if all(noted) else None
        if kept is None:
            raise
        log.warning("Files refused", extra={"action": "config.refused", "cause": str(error)})
        return kept
    with engine.begin() as conn:
        changed = configuration.activate(conn, configuration.NETWORK, network_text, now)
        configuration.activate(conn, configuration.RULES, rules_text, now)
        if changed:
            configuration.store_partners(conn, config.network)
        sources.register(conn, config.network.sources)
    return config


def take_over(
    engine: Engine, network_path: Path, rules_path: Path, network: Path, rules: Path, now: datetime
) -> Configuration:
    """Put two files in the place of those in use, and in force.

    A former text stays beside the file as ``NAME.before``. Raises ConfigError, with everything
    left as it was, if one of them has a mistake.
    """
    wanted = read(network, rules)
    for draft, path in ((network, network_path), (rules, rules_path)):
        if draft.resolve() == path.resolve():
            continue
        text = text_of(draft)
        if path.exists():
            path.with_name(f"{path.name}.before").write_bytes(path.read_bytes())
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    activate(engine, network_path, rules_path, now)
    return wanted


def _said_of(path: Path, other: Path, error: ConfigError) -> str:
    """What is wrong with one of the two files; they are taken in together or not at all."""
    own = [p for p in error.problems if p.file in (path.name, str(path))]
    if own or not error.problems:
        return "\n".join(map(str, own)) or str(error)
    return f"Nothing is wrong here, but {path.name} waits until {other.name} is mended."


def in_force(conn: Connection) -> Configuration | None:
    """What is in force in this database; None before the first activation."""
    network = configuration.active(conn, configuration.NETWORK)
    rules = configuration.active(conn, configuration.RULES)
    return None if network is None or rules is None else parse(network.body, rules.body)


class Watched:
    """The configuration in force, taken in again when one of the files has changed."""

    def __init__(
        self,
        engine: Engine,
        network_path: Path,
        rules_path: Path,
        *,
        on_change: Callable[[Configuration], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._paths = (network_path, rules_path)
        self._on_change = on_change
        self._seen: tuple[tuple[int, int], ...] = ()
        self.current: Configuration | None = None

    def refresh(self, now: datetime) -> Configuration:
        """Look at the files' times and sizes; read them only if these moved."""
        stamp = tuple(_stamp(path) for path in self._paths)
        if self.current is None or stamp != self._seen:
            config = activate(self._engine, *self._paths, now)
            self._seen = stamp
            if self.current is None or (
                (config.network_hash, config.rules_hash)
                != (self.current.network_hash, self.current.rules_hash)
            ):
                self.current = config
                self._on_change(config)
        return self.current


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_size)


def text_of(path: Path) -> str:
    """The text of a file; raises ConfigError where there is none, or it is no UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            [
                Problem(
                    str(path),
                    None,
                    None,
                    "",
                    "the file does not exist",
                    "create it, or name another with TOWER_NETWORK or TOWER_RULES",
                )
            ]
        ) from error
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line = before.count(b"\n") + 1
        col = len(before.rpartition(b"\n")[2].decode()) + 1
        said = f"holds a byte (0x{error.object[error.start]:02x}) that is no UTF-8"
        raise ConfigError(
            [Problem(path.name, line, col, "", said, "save the file as UTF-8 text")]
        ) from error
    except OSError as error:
        said = f"the file cannot be read: {error.strerror}"
        raise ConfigError(
            [Problem(str(path), None, None, "", said, "make it readable for this user")]
        ) from error


def _problem(name: str, error: ConfigError) -> Problem:
    return Problem(name, None, None, "", str(error))
