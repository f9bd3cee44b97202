"""What every route needs: the database, the network in force, bodies within their limit."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fastapi import Request
from sqlalchemy import Engine

from db import configuration, throttles
from tower.errors import ConfigError
from tower.keys import Principal
from tower.network import Network, PartnerLimits, Source, load_network
from tower.numerals import natural
from tower.raw import Interpreted
from worker.pipeline import Intake

log = logging.getLogger(__name__)

NETWORK_AGE_S = 5.0
MOST_BYTES = 10 * 1024 * 1024
RETRY_AFTER_S = 5


class Refused(Exception):
    """A request that cannot be served: HTTP status, what is wrong, what to do next."""

    def __init__(
        self, status: int, error: str, next_step: str, *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.next_step = next_step
        self.retry_after_s = retry_after_s


@dataclass
class Doors:
    """State of one API process: nothing that another process would miss."""

    engine: Engine
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    most_bytes: int = MOST_BYTES
    network_age_s: float = NETWORK_AGE_S
    keys_required: bool = False
    _network: Network | None = None
    _hash: str = ""
    _looked_at: float | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.intake = Intake(self.engine, self.network, clock=self.clock)

    def network(self) -> Network:
        """The network in force, at most five seconds old.

        One that this program cannot read (a newer worker took it in) leaves the former in force;
        ConfigError only where there is none.
        """
        with self._guard:
            at = time.monotonic()
            if self._looked_at is None or at - self._looked_at > self.network_age_s:
                with self.engine.connect() as conn:
                    found = configuration.active(conn, configuration.NETWORK)
                if found is None:
                    raise Refused(
                        503,
                        "The tower knows no network yet.",
                        "Start a worker (tower up): it takes network.yaml in. Then send again.",
                        retry_after_s=RETRY_AFTER_S,
                    )
                if found.hash != self._hash:
                    self._take(found)
                self._looked_at = at
            if self._network is None:
                raise AssertionError("a network was found but not kept")
            return self._network

    def admission(
        self, source: Source, who: Principal | None = None
    ) -> Callable[[Sequence[Interpreted]], None]:
        """What keeps a partner to its limits: raises Refused before anything is stored.

        Whose messages they are, the source says, else the messages, where all are of one partner.
        ``who`` presented a key: one that is bound to a partner brings what is of that partner
        alone, and each key has a limit of its own.
        """

        def admit(items: Sequence[Interpreted]) -> None:
            if who is not None:
                _only_own(who, source, items)
                self._charge(
                    f"key/{who.key.id}",
                    len(items),
                    throttles.Rate(who.key.per_minute, who.key.per_minute),
                    f"This key brings more than {who.key.per_minute:,} messages in a minute.",
                    "use a key with a higher limit",
                )
            owner = source.partner or _one_partner(items)
            profile = self.network().partners.get(owner or "")
            if owner is None or profile is None:
                return
            limits = profile.limits
            self._of_size(owner, limits, max((len(i.raw.body) for i in items), default=0))
            if limits.per_minute is None:
                return
            self._charge(
                f"partner/{owner}",
                len(items),
                throttles.Rate(limits.per_minute, limits.burst or limits.per_minute),
                f"{owner} sends more than {limits.per_minute:,} messages in a minute.",
                f"raise partners.{owner}.limits",
            )

        return admit

    def _charge(self, bucket: str, cost: int, rate: throttles.Rate, error: str, or_: str) -> None:
        with self.engine.begin() as conn:
            wait_s = throttles.take(conn, bucket, cost, rate, self.clock())
        if wait_s is not None:
            raise Refused(
                429,
                f"{error} Nothing of this request was kept.",
                f"Wait {wait_s} s and send it again, or {or_}.",
                retry_after_s=wait_s,
            )

    def own_source(self, source: Source, name: str, who: Principal | None) -> None:
        """Refuse the key of a partner where a source speaks for others as well."""
        if who is not None and who.partner is not None and source.partner != who.partner:
            raise Refused(
                403,
                f'Source "{name}" is not of {who.partner} alone. Nothing was kept.',
                "Use a key of the house for it.",
            )

    def shown_sources(self, who: Principal | None) -> frozenset[str] | None:
        """Names of the sources whose state somebody may see; None for all."""
        if who is None or who.partner is None:
            return None
        return frozenset(
            name for name, one in self.network().sources.items() if one.partner == who.partner
        )

    def _of_size(self, owner: str, limits: PartnerLimits, size: int) -> None:
        if limits.max_bytes is not None and size > limits.max_bytes:
            raise Refused(
                413,
                f"A message of {size:,} bytes is larger than {owner} may send "
                f"({limits.max_bytes:,} bytes). Nothing of this request was kept.",
                f"Send it in parts, or raise partners.{owner}.limits.max_bytes.",
            )

    def _take(self, found: configuration.Active) -> None:
        try:
            self._network = load_network(found.body, configuration.NETWORK)
        except ConfigError as error:
            if self._network is None:
                raise
            log.error(
                "The network in force cannot be read; the former one is used",
                extra={"action": "config.unreadable", "cause": str(error)},
            )
        self._hash = found.hash

    def push_source(
        self, name: str, *formats: str, signed: bool = False, who: Principal | None = None
    ) -> Source:
        """The push source of this name, or a refusal that lists those there are.

        ``signed``: the caller checks signatures; elsewhere a source that wants them is refused.
        Who holds a key of a partner does not learn of the sources of others.
        """
        sources = {
            n: s
            for n, s in self.network().sources.items()
            if who is None or who.partner is None or s.partner in (None, who.partner)
        }
        source = sources.get(name)
        if source is None or source.kind != "push":
            known = sorted(
                n
                for n, s in sources.items()
                if s.kind == "push"
                and (who is None or who.partner is None or s.partner is not None)
            ) or ["none"]
            raise Refused(
                404,
                f'"{name}" is not a push source of this network.',
                f"Add it to network.yaml with kind: push, or use one of: {', '.join(known)}.",
            )
        if source.options.get("signature") and not signed:
            raise Refused(
                401,
                f'Source "{name}" takes signed messages only. Nothing was kept.',
                f"Sign it and send it to /v1/hooks/{name}.",
            )
        if formats and source.format not in formats:
            raise Refused(
                415,
                f'Source "{name}" takes {source.format}; this address takes {", ".join(formats)}.',
                f"Send it to {_address(name, source)}.",
            )
        return source


def _address(name: str, source: Source) -> str:
    """Where a push source takes its messages."""
    fixed = {"cloudevents": "/v1/events", "otlp": "/v1/logs"}
    return fixed.get(source.format, f"/v1/documents/{name}")


def _only_own(who: Principal, source: Source, items: Sequence[Interpreted]) -> None:
    """Refuse what a key of one partner says about anybody else, or about nobody."""
    if who.partner is None:
        return
    # On a source of its own what names nobody is its own, too; on a shared one it is nobody's.
    allowed = {who.partner, None} if source.partner == who.partner else {who.partner}
    if any(not _parties(item) <= allowed for item in items):
        raise Refused(
            403,
            f"This key brings messages of {who.partner} alone, and not all of these are. "
            "Nothing of this request was kept.",
            "Use a key of the sender of these messages.",
        )


def _parties(item: Interpreted) -> set[str | None]:
    """Whose a message is, by its envelope and by each of its events; {None} if nothing tells."""
    events = {event.partner for event in item.reading.events}
    named = {item.reading.partner} - {None}
    return named | events or {None}


def _one_partner(items: Sequence[Interpreted]) -> str | None:
    owners = {
        owner
        for item in items
        for owner in {item.reading.partner, *(event.partner for event in item.reading.events)}
    } - {None}
    return owners.pop() if len(owners) == 1 else None


async def bounded_body(request: Request) -> bytes:
    """The body, counted while it streams; refused as soon as it passes the limit."""
    doors: Doors = request.app.state.doors
    declared = natural(request.headers.get("content-length", ""))
    if declared is not None and declared > doors.most_bytes:
        raise _too_large(doors.most_bytes)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refused(
            415, "Compressed bodies are not read here.", "Send the body without Content-Encoding."
        )
    return b"".join([chunk async for chunk in _counted(request, doors.most_bytes)])


async def _counted(request: Request, most: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        yield chunk


def _too_large(most: int) -> Refused:
    return Refused(
        413,
        f"The body is larger than {most:,} bytes. Nothing of it was kept.",
        "Send it in parts, or drop it as a file.",
    )
