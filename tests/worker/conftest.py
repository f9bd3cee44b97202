"""A small house for tests of judging and telling: its network, the shipped rule book, real events.

Events come in through the real ingest; each is a message of its own.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import Engine, select

from db import engine as engines
from db import records, timers
from db.ingest import store_retrying
from db.tables import (
    case_note,
    checkpoint,
    clock,
    exception_case,
    outbox,
    transition,
)
from tests.collectors.brokers import RabbitHost
from tests.worker.replaying import Dock
from tower.event import Event
from tower.identity import source_key
from tower.network import Network, load_network
from tower.raw import Interpretation, Interpreted, Raw
from tower.rulebook import RuleBook, load_rulebook
from tower.settings import Settings
from tower.vocabulary import make_event
from worker.judge import TickResult, tick
from worker.judging import Judging

BERLIN = ZoneInfo("Europe/Berlin")
SHIPPED = Path(__file__).resolve().parents[2] / "sla_rules.yaml"

NETWORK = """
version: 1
company: {name: Northwind Distribution, erp: main, zone: Europe/Berlin, calendar: hq, currency: EUR}
systems:
  sap: {name: ERP, kind: erp}
  gateway: {name: EDI gateway, kind: edi}
  web: {name: Supplier portal, kind: portal}
  dock: {name: Warehouse system, kind: wms}
sources:
  edi_in: {kind: push, format: cloudevents, system: gateway, silent_after: 12h}
  portal: {kind: drop_folder, format: x12, system: web, every: 15m, silent_after: 12h,
           options: {path: in/portal}}
  erp: {kind: drop_folder, format: x12, system: sap, every: 15m, silent_after: 12h,
        options: {path: in/erp}}
calendars:
  hq: {zone: Europe/Berlin, open: {mon-fri: ["08:00-12:00", "13:00-17:00"]}}
partners:
  ACME: {name: ACME Fasteners Ltd, tier: A, feeds: [edi_in], usual_delay_days: 6}
  BOLT: {name: Bolt & Söhne, tier: B, feeds: [portal]}
  SLOW: {name: Slow Freight, tier: C, feeds: [edi_in], stage: paused}
people:
  anna: {name: Anna Weber, mail: anna@example.org, zone: Europe/Berlin}
  ben: {name: Ben Okafor, mail: ben@example.org, zone: Europe/London}
  purchasing_desk: {name: Purchasing desk, mail: desk@example.org, zone: Europe/Berlin}
  purchasing_lead: {name: Lena Lead, mail: lead@example.org, zone: Europe/Berlin}
  it_integration: {name: Integration team, mail: it@example.org, zone: Europe/Berlin}
owners: {B: ben, D: anna, S: anna, I: it_integration, W: ben, P: ben, C: ben, T: it_integration}
warehouses:
  east: {name: East, zone: Europe/Berlin, dock_to_stock_days: 1}
"""


def berlin(text_: str) -> datetime:
    """An instant of 2026 from local time in Berlin: "03-27 14:00"."""
    return datetime.fromisoformat(f"2026-{text_}").replace(tzinfo=BERLIN).astimezone(UTC)


_SYSTEM_OF = {
    "po.acknowledged": "gateway",
    "po.rejected": "gateway",
    "asn.received": "gateway",
    "asn.rejected": "dock",
    "asn.accepted": "dock",
    "receipt.posted": "dock",
}


@dataclass
class House:
    """The tower around one test database. Times are local Berlin texts of 2026."""

    engine: Engine
    network: Network
    rulebook: RuleBook
    config: Judging = field(init=False)
    told: int = 0
    pending: list[tuple[Event, datetime]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.config = Judging(self.network, self.rulebook, **self.settings)

    def use(self, rulebook: RuleBook) -> None:
        """Put another rule book in force."""
        self.rulebook = rulebook
        self.config = Judging(self.network, rulebook, **self.settings)

    def event(self, type_: str, data: Mapping[str, Any], at: str) -> Event:
        """An event with a message of its own, told by the system whose word it is."""
        self.told += 1
        return make_event(
            type_,
            data,
            source="test",
            raw_key=f"m{self.told}",
            position="",
            occurred_at=berlin(at),
            system=_SYSTEM_OF.get(type_, "sap"),
        )

    def tell(
        self, type_: str, data: Mapping[str, Any], at: str, *, arrives: str | None = None
    ) -> Event:
        """An event that happened ``at`` and arrived then, or later."""
        event = self.event(type_, data, at)
        self.store([(event, berlin(arrives or at))])
        return event

    def store(self, told: Sequence[tuple[Event, datetime]]) -> None:
        """Events, each with the instant it arrived, through the real door."""
        items = [
            Interpreted(
                Raw(event.source, event.raw_key, b"{}", arrived),
                Interpretation("test", 1, (event,)),
            )
            for event, arrived in told
        ]
        if items:
            store_retrying(self.engine, items, net=self.network, now=max(a for _, a in told))

    def released(
        self,
        po: str,
        at: str,
        *,
        supplier: str = "ACME",
        requested: str = "2026-06-30",
        lines: int = 1,
        **more: Any,
    ) -> Event:
        """A purchase order of ``lines`` lines over ten pieces at 100 each."""
        arrives = more.pop("arrives", None)
        return self.tell(
            "po.released",
            {
                "po": po,
                "erp": "main",
                "supplier": supplier,
                "currency": "EUR",
                "lines": [
                    {
                        "line": str(10 * (n + 1)),
                        "item": f"I-{n}",
                        "qty": "10",
                        "price": "100",
                        "requested_date": requested,
                    }
                    for n in range(lines)
                ],
                **more,
            },
            at,
            arrives=arrives,
        )

    def acknowledged(self, po: str, at: str, *, arrives: str | None = None) -> Event:
        return self.tell(
            "po.acknowledged",
            {"po": po, "erp": "main", "supplier": "ACME"},
            at,
            arrives=arrives,
        )

    def heard(self, source: str, up_to: datetime) -> None:
        """A good read of a source, complete up to an instant."""
        row = {
            "source_key": source_key(source),
            "source": source,
            "complete_to": up_to,
            "last_good_at": up_to,
        }
        with self.engine.begin() as conn:
            records.put(
                conn,
                checkpoint,
                [row],
                conflict=("source_key", "source"),
                changed=("complete_to", "last_good_at"),
            )

    def all_fresh(self, at: datetime) -> None:
        for source in self.network.sources:
            self.heard(source, at)

    def until(self, at: str, *, fresh: bool = True) -> TickResult:
        """Judge up to an instant, every feed being fresh unless said otherwise."""
        now = berlin(at)
        if fresh:
            self.all_fresh(now)
        result = tick(self.engine, self.config, now)
        for _ in range(50):
            if not result.more:
                return result
            result = tick(self.engine, self.config, now)
        raise AssertionError("the rounds do not end")

    def live(self, at: str) -> None:
        """Live through the time up to an instant: a round at each moment that has something due."""
        end = berlin(at)
        self.all_fresh(end)
        with self.engine.connect() as conn:
            now = timers.next_due(conn) or end
        while now <= end:
            result = tick(self.engine, self.config, now)
            if result.next_due is None:
                return
            now = max(now, result.next_due)

    # --- looking ----------------------------------------------------------------------------------

    def rows(self, query: Any) -> list[Any]:
        with self.engine.connect() as conn:
            return list(conn.execute(query))

    def journal(self, rule: str | None = None) -> list[tuple[str, str]]:
        """(name, effective in Berlin) of every journal entry, in order."""
        t = transition.c
        query = select(transition).order_by(t.detected_at, t.rule, t.line, t.n)
        if rule is not None:
            query = query.where(t.rule == rule)
        return [
            (row.name, row.effective_at.astimezone(BERLIN).strftime("%m-%d %H:%M"))
            for row in self.rows(query)
        ]

    def cases(self, category: str | None = None) -> list[Any]:
        query = select(exception_case).order_by(exception_case.c.id)
        if category is not None:
            query = query.where(exception_case.c.category == category)
        return self.rows(query)

    def notes(self, case_id: int) -> list[tuple[str, str]]:
        n = case_note.c
        query = select(n.kind, n.text).where(n.case_id == case_id).order_by(n.id)
        return [(row[0], row[1]) for row in self.rows(query)]

    def mails(self) -> list[Any]:
        return self.rows(select(outbox).order_by(outbox.c.id))

    def subjects(self) -> list[str]:
        return [f"{row.recipient}: {row.subject}" for row in self.mails()]

    def clocks(self) -> list[Any]:
        return self.rows(select(clock).order_by(clock.c.rule, clock.c.number, clock.c.line))


@pytest.fixture(scope="session")
def house_network() -> Network:
    return load_network(NETWORK, "network.yaml")


@pytest.fixture(scope="session")
def shipped_rules() -> RuleBook:
    return load_rulebook(SHIPPED.read_text(encoding="utf-8"))


@pytest.fixture
def house(engine: Engine, house_network: Network, shipped_rules: RuleBook) -> House:
    """A house on a database of its own, with the rules we ship."""
    return House(engine, house_network, shipped_rules)


@pytest.fixture
def make_house(
    new_database: Callable[[], str], house_network: Network, shipped_rules: RuleBook
) -> Iterator[Callable[..., House]]:
    """Makes houses on databases of their own; ``rules`` and settings of Judging may differ."""
    made: list[Engine] = []

    def make(rules: RuleBook | None = None, **settings: Any) -> House:
        made.append(engines.create(new_database()))
        return House(made[-1], house_network, rules or shipped_rules, settings=settings)

    yield make
    for one in made:
        one.dispose()


@pytest.fixture
def rules_of() -> Callable[[str], RuleBook]:
    """A rule book from its text."""
    return lambda body: load_rulebook(body)


@pytest.fixture(scope="session")
def shipped_text() -> str:
    return SHIPPED.read_text(encoding="utf-8")


class _Door(Controller):
    """Tells its post office of each connection."""

    def factory(self) -> Any:
        self.handler.opened()
        return super().factory()


@dataclass
class PostOffice:
    """A mail server of our own: keeps what it accepted, and answers as a test wishes.

    answers   recipient -> what it is told after DATA ("451 later"), else "250 OK"
    drops     how many times to accept a mail and then cut the line before saying so
    opened    called with each connection; took: with the recipient of each mail, before it answers
    """

    host: str = "127.0.0.1"
    port: int = 0
    accepted: list[tuple[str, bytes]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    drops: int = 0
    opened: Callable[[], None] = lambda: None
    took: Callable[[str], None] = lambda _: None
    controller: Any = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        [recipient] = envelope.rcpt_tos
        self.took(recipient)
        answer = self.answers.get(recipient)
        if answer is not None:
            return answer
        self.accepted.append((recipient, envelope.content))
        if self.drops:
            self.drops -= 1
            server.transport.close()
        return "250 OK"

    def open(self) -> None:
        self.controller = _Door(self, hostname=self.host, port=self.port)
        self.controller.start()

    def close(self) -> None:
        self.controller.stop()

    @property
    def recipients(self) -> list[str]:
        return [recipient for recipient, _ in self.accepted]

    def settings(self) -> Settings:
        return Settings(
            smtp_host=self.host,
            smtp_port=self.port,
            smtp_starttls=False,
            smtp_from="tower@northwind.example",
        )


@pytest.fixture
def post_office() -> Iterator[PostOffice]:
    """A running mail server on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    office = PostOffice(port=port)
    office.open()
    yield office
    office.close()


@pytest.fixture
def host() -> Iterator[RabbitHost]:
    """A virtual host of the broker, for this test alone."""
    made = RabbitHost()
    yield made
    made.close()


@pytest.fixture
def dock(host: RabbitHost, database: Engine) -> Dock:
    """A broker whose dead letters a tower replays."""
    return Dock(host, database)
