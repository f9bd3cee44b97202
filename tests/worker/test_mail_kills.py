"""Senders that die: killed with a mail leased, on the line, or taken but not marked.

A process of its own sends through a real mail server and is killed (SIGKILL) where the server holds
it. None is lost, and what is sent twice has the same bytes.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import select

from db.tables import outbox
from tests.worker.conftest import NETWORK, berlin
from tower.settings import Settings
from worker import mailer
from worker.mailer import LEASE, send_due

SENDER = """
import sys
from datetime import datetime
from db import engine
from tower.network import load_network
from tower.rulebook import load_rulebook
from tower.settings import Settings
from worker.judging import Judging
from worker.mailer import send_due

url, port, now, network, rules = sys.argv[1:]
read = lambda path: open(path, encoding="utf-8").read()
config = Judging(load_network(read(network), "network.yaml"), load_rulebook(read(rules)))
settings = Settings(smtp_host="127.0.0.1", smtp_port=int(port), smtp_starttls=False)
print("sending", flush=True)
send_due(engine.create(url), settings, config, datetime.fromisoformat(now))
"""


@dataclass
class HoldingOffice:
    """A mail server that takes a conversation to a point, says so, and then keeps quiet.

    hold_at   greeting (before a word), rcpt, or data (the mail is taken, its answer is not given)
    """

    hold_at: str = ""
    accepted: list[bytes] = field(default_factory=list)
    reached: threading.Event = field(default_factory=threading.Event)

    async def _hold(self, at: str) -> None:
        if self.hold_at == at:
            self.reached.set()
            await asyncio.sleep(3600)

    async def handle_EHLO(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        await self._hold("greeting")
        session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        await self._hold("rcpt")
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.accepted.append(envelope.content)
        await self._hold("data")
        return "250 OK"


@pytest.fixture
def office() -> Iterator[tuple[HoldingOffice, Controller]]:
    handler = HoldingOffice()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, controller
    controller.stop()


def port_of(controller: Controller) -> int:
    return int(controller.port)


@pytest.mark.parametrize(
    "point",
    [*(pytest.param(name, marks=pytest.mark.long) for name in ("greeting", "rcpt")), "data"],
)
def test_a_killed_sender_loses_no_mail_and_repeats_the_same_bytes(
    house: Any,
    office: tuple[HoldingOffice, Controller],
    post_office: Any,
    tmp_path: Any,
    shipped_text: str,
    point: str,
) -> None:
    """Fails when a mail is marked before it is sent, when a lease never ends, or when the bytes are
    made anew for a second try."""
    house.released("4711", "03-30 08:00")
    house.released("B-1", "03-27 08:00", supplier="BOLT")
    house.live("03-30 13:00")
    now = house.mails()[-1].created_at
    (tmp_path / "network.yaml").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "rules.yaml").write_text(shipped_text, encoding="utf-8")
    handler, controller = office
    handler.hold_at = point
    url = house.engine.url.render_as_string(hide_password=False)
    sender = subprocess.Popen(
        [
            sys.executable, "-c", SENDER, url, str(port_of(controller)), now.isoformat(),
            str(tmp_path / "network.yaml"), str(tmp_path / "rules.yaml"),
        ]
    )  # fmt: skip
    try:
        assert handler.reached.wait(60), "the sender never came so far"
    finally:
        sender.kill()
        sender.wait()
    rows = house.rows(select(outbox).order_by(outbox.c.id))
    assert {row.state for row in rows} == {"waiting"}
    assert all(row.token is not None for row in rows), "the lease was committed before sending"
    # Nobody else may send while the lease runs; afterwards everything goes out.
    settings = post_office.settings()
    assert send_due(house.engine, settings, house.config, now + timedelta(seconds=60)) == 0
    after = now + LEASE + timedelta(seconds=1)
    assert send_due(house.engine, settings, house.config, after) == len(rows)
    assert {row.state for row in house.mails()} == {"sent"}
    sent = sorted(content for _, content in post_office.accepted)
    assert sent == sorted(row.message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                          for row in rows)  # fmt: skip
    for repeated in handler.accepted:
        assert repeated in sent
    assert len(handler.accepted) == (1 if point == "data" else 0)


def test_a_server_that_takes_a_mail_and_never_answers_gets_it_again_unchanged(
    house: Any,
    office: tuple[HoldingOffice, Controller],
    post_office: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mailer, "SOCKET_S", 0.3)
    house.released("4711", "03-30 08:00")
    house.live("03-30 13:00")
    now = house.mails()[0].created_at
    handler, controller = office
    handler.hold_at = "data"
    silent = Settings(smtp_host="127.0.0.1", smtp_port=port_of(controller), smtp_starttls=False)
    assert send_due(house.engine, silent, house.config, now) == 0
    [row] = house.mails()
    assert (row.state, row.attempts, row.token) == ("waiting", 0, None)
    settings = post_office.settings()
    assert send_due(house.engine, settings, house.config, now + timedelta(seconds=10)) == 1
    assert [content for _, content in post_office.accepted] == handler.accepted


@pytest.mark.long
def test_an_outage_of_three_hours_ends_in_fewer_mails_than_it_held_back(
    house: Any, post_office: Any
) -> None:
    """Fails when mails that waited are no longer given up and rendered anew."""
    post_office.close()
    settings = post_office.settings()
    numbers = [f"P-{n}" for n in range(36)]
    for n, number in enumerate(numbers):  # late one after the other, all morning and afternoon
        minute = 5 * n
        at = f"03-30 {8 + minute // 60:02d}:{minute % 60:02d}"
        house.released(number, at, supplier=("ACME", "BOLT")[n % 2])
    house.live("03-30 13:00")
    for half_hours in range(1, 8):
        hour, minute = 13 + half_hours // 2, 30 * (half_hours % 2)
        house.live(f"03-30 {hour:02d}:{minute:02d}")
        for second in range(5):
            when = house.mails()[-1].created_at + timedelta(seconds=6 * second)
            send_due(house.engine, settings, house.config, when)
    waiting = [m for m in house.mails() if m.state == "waiting"]
    assert len(waiting) >= 4
    assert post_office.accepted == []
    post_office.open()
    for minute in (31, 32, 33, 40):
        end = f"03-30 16:{minute}"
        house.live(end)
        send_due(house.engine, settings, house.config, berlin(end))
    sent = [m for m in house.mails() if m.state == "sent"]
    assert len(post_office.accepted) == len(sent)
    assert 0 < len(sent) < len(waiting)
    assert {m.state for m in house.mails()} == {"sent", "superseded"}
    # Nothing that is open and was to be told is left out of them.
    told_of = {case for m in sent for case in m.cases}
    told_before = {case for m in waiting for case in m.cases}
    still_open = {c.id for c in house.cases() if c.state != "resolved"}
    assert (told_before & still_open) <= told_of
