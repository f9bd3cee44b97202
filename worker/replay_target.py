"""Where a replay sends to: a queue of a broker, or an outlet that leads to partners."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from collectors.amqp_sender import AmqpSender, Copy, Sent
from collectors.broker_login import broker_login
from collectors.outlet_folder import OutletFolder
from collectors.outlet_sftp import OutletSftp
from db.replays import Replay
from tower.feeds import RabbitOptions, SftpOptions
from tower.network import Network
from tower.replays import RETRANSMIT


class Sender(Protocol):
    """What copies are handed to. ``queue`` means nothing to a folder."""

    def look(self, queue: str) -> str:
        """Whether it can be sent to: ok, missing or down."""

    def send(self, queue: str, copy: Copy) -> Sent:
        """Send one copy and say what became of it."""

    def close(self) -> None:
        """Hang up."""


@contextmanager
def sender_of(
    net: Network, one: Replay, secrets: Mapping[str, str], base: Path
) -> Iterator[Sender | None]:
    """A connection to where a replay goes; None if network.yaml does not describe it.

    ``base``: what relative folders lie under.
    """
    made = _made(net, one, secrets, base)
    try:
        yield made
    finally:
        if made is not None:
            made.close()


def _made(net: Network, one: Replay, secrets: Mapping[str, str], base: Path) -> Sender | None:
    if one.action != RETRANSMIT:
        return _broker(net, one.target, secrets)
    outlet = net.outlets.get(one.target)
    if outlet is None:
        return None
    if outlet.kind == "sftp":
        described = net.sources.get(outlet.source or "")
        options = None if described is None else described.feed
        if not isinstance(options, SftpOptions):
            return None
        path = outlet.path or "."
        return OutletSftp(outlet.source or "", options, secrets, path, outlet.suffix)
    if outlet.path is not None:
        return OutletFolder(base / outlet.path, outlet.suffix)
    return _broker(net, outlet.source or "", secrets)


def _broker(net: Network, source: str, secrets: Mapping[str, str]) -> Sender | None:
    described = net.sources.get(source)
    options = None if described is None else described.feed
    if not isinstance(options, RabbitOptions):
        return None
    login = broker_login(source, options, secrets)
    wait = options.timeout.total_seconds()
    return AmqpSender(source, login.url, login.user, login.password, wait)
