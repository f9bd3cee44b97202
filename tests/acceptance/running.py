"""A tower that is driven step by step under a given clock, through its real doors."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from sqlalchemy import Engine

from collectors import cloudevents, registry
from collectors.contract import Reader
from tests.acceptance.installation import Installation
from tower.raw import Heartbeat
from tower.settings import Settings
from worker import configuration, judge, mailer, pipeline, reading
from worker.configuration import Configuration
from worker.demo.stage import free_port


class Sink:
    """A real mail server on this machine; ``letters`` are (envelope recipients, mail)."""

    def __init__(self) -> None:
        self.letters: list[tuple[list[str], EmailMessage]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.letters.append((envelope.rcpt_tos, mail))
        return "250 kept"

    @property
    def subjects(self) -> list[str]:
        return [str(mail["subject"]) for _, mail in self.letters]


@contextmanager
def listening() -> Iterator[tuple[Sink, int]]:
    """A mail server and its port."""
    sink = Sink()
    port = free_port()
    controller = Controller(sink, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield sink, port
    finally:
        controller.stop()


def text_of(mail: EmailMessage, kind: str) -> str:
    """The part of a mail that is "plain" or "html"."""
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


@dataclass
class Running:
    """The steps of a worker, each at a given instant."""

    engine: Engine
    settings: Settings
    config: Configuration
    readers: dict[str, Reader] = field(init=False)
    judging: judge.Judging = field(init=False)

    def __post_init__(self) -> None:
        net = self.config.network
        self.readers = {
            name: registry.reader_for(name, source, net, base=self.settings.home)
            for name, source in net.sources.items()
            if source.is_pull
        }
        self.judging = judge.Judging(
            net,
            self.config.rulebook,
            base_url=self.settings.base_url,
            sender=self.settings.smtp_from,
        )

    @classmethod
    def start(
        cls, engine: Engine, installation: Installation, now: datetime, **settings: Any
    ) -> Running:
        """Take the installation's files in; settings as in ``tower.settings``."""
        chosen = Settings(
            home=installation.folder / "home",
            network=installation.network,
            rules=installation.rules,
            **settings,
        )
        config = configuration.activate(engine, chosen.network, chosen.rules, now)
        return cls(engine, chosen, config)

    def drop(self, folder: str, name: str, body: str | bytes) -> Path:
        """A finished file in a folder below the home."""
        path = self.settings.home / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name(path.name + ".tmp")
        half.write_bytes(body if isinstance(body, bytes) else body.encode())
        half.rename(path)
        return path

    def push(self, source: str, body: bytes, at: datetime, media_type: str) -> pipeline.Outcome:
        """What the HTTP door does with a body."""
        headers = {"content-type": media_type}
        if self.config.network.sources[source].format == "cloudevents":
            raws = cloudevents.unpack(source, body, headers, at).raws
        else:
            raws = (cloudevents.document(source, body, headers, at),)
        return pipeline.ingest_raws(
            self.engine,
            self.config.network,
            raws,
            now=at,
            heartbeat=Heartbeat(source, complete_to=at, seen_at=at),
        )

    def beat(self, source: str, at: datetime) -> None:
        """A push source says that it lives."""
        pipeline.Intake(self.engine, lambda: self.config.network, gather_s=0).beat(source, at)

    def read(self, now: datetime) -> dict[str, reading.ReadResult]:
        """Read every source once."""
        return {
            name: reading.read_source(
                self.engine, self.config.network, name, reader, holder="test", now=now
            )
            for name, reader in self.readers.items()
        }

    def judge(self, now: datetime) -> None:
        while judge.tick(self.engine, self.judging, now).more:
            pass

    def step(self, now: datetime) -> int:
        """Everything a worker does up to ``now``; how many mails were taken."""
        self.read(now)
        self.judge(now)
        return mailer.send_due(self.engine, self.settings, self.judging, now)
