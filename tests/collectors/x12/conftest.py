"""Networks and raw messages for X12 tests."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors.x12.interpreter import X12Interpreter
from tower.network import Company, Network, Partner, PartnerIds, Source, System, Warehouse
from tower.raw import Interpretation, Raw

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "x12"
RECEIVED_AT = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)
FROM_BUYER = ("820", "850", "860", "861", "940", "943")


def build_network(
    us: list[str],
    them: list[str],
    *,
    codes: dict[str, dict[str, str]] | None = None,
    feed_partner: str | None = None,
    gs: list[str] | None = None,
) -> Network:
    """A company with one supplier, ACME, in New York, and one EDI feed."""
    return Network(
        company=Company(name="Buyer", erp="main", zone="Europe/Berlin", isa=us),
        systems={"edi": System(name="EDI gateway", kind="edi")},
        sources={
            "edi_in": Source(
                kind="drop_folder", format="x12", system="edi", partner=feed_partner, channel="edi"
            )
        },
        partners={
            "ACME": Partner(
                name="Acme",
                zone="America/New_York",
                ids=PartnerIds(isa=them, gs=gs or []),
                codes=codes or {},
            )
        },
        warehouses={"EAST": Warehouse(name="East")},
    )


def network_for(body: bytes, *, codes: dict[str, dict[str, str]] | None = None) -> Network:
    """A network in which the parties of the first interchange are we and ACME.

    Read here on its own: one mistake in the product must not hide in the test.
    """
    text = body.decode("utf-8", "replace")
    isa = re.search(r"ISA(.)", text)
    kind = re.search(r"\bST\W(\d{3})", text)
    if isa is None:
        return build_network([], [], codes=codes, feed_partner="ACME")
    fields = text[isa.start() :].split(isa[1])
    sender = f"{fields[5].strip()}:{fields[6].strip()}"
    receiver = f"{fields[7].strip()}:{fields[8].strip()}"
    ours = kind is not None and kind[1] in FROM_BUYER
    us, them = (sender, receiver) if ours else (receiver, sender)
    return build_network([us], [them], codes=codes)


def raw_of(body: bytes, name: str = "test.edi") -> Raw:
    return Raw("edi_in", name, body, RECEIVED_AT, "application/edi-x12", name=name)


def envelope(
    *sets: str,
    kind: str = "PR",
    sender: str = "01*123456789",
    receiver: str = "ZZ*BUYER",
    when: str = "20260302*1430",
) -> bytes:
    """One interchange with these sets, each without ST and SE ("855 BAK*..~PO1*..~")."""
    parts = [side.split("*") for side in (sender, receiver)]
    isa = (
        f"ISA*00*{'':10}*00*{'':10}*{parts[0][0]}*{parts[0][1]:15}*{parts[1][0]}*{parts[1][1]:15}"
        "*260302*1430*U*00401*000000001*0*P*:~"
    )
    text = isa + f"GS*{kind}*A*B*{when}*1*X*004010~"
    for n, one in enumerate(sets, 1):
        type_, content = one.split(" ", 1)
        count = content.count("~") + 2
        text += f"ST*{type_}*{n:04}~{content}SE*{count}*{n:04}~"
    return (text + f"GE*{len(sets)}*1~IEA*1*000000001~").encode()


Reader = Callable[..., Interpretation]


@pytest.fixture
def network() -> Network:
    """We are ZZ:BUYER, ACME is 01:123456789: the parties of the fixtures."""
    return build_network(["ZZ:BUYER"], ["01:123456789"])


@pytest.fixture
def wrap() -> Callable[..., bytes]:
    """wrap("855 BAK*...~", ...): one interchange with these sets."""
    return envelope


@pytest.fixture(params=sorted(FIXTURES.glob("*.edi")), ids=lambda path: path.name)
def fixture_body(request: pytest.FixtureRequest) -> bytes:
    path: Path = request.param
    return path.read_bytes()


@pytest.fixture
def read() -> Reader:
    """read(body or fixture name, network=None, codes=None): an interpretation."""

    def interpret(
        what: bytes | str,
        network: Network | None = None,
        codes: dict[str, dict[str, str]] | None = None,
    ) -> Interpretation:
        body = (FIXTURES / what).read_bytes() if isinstance(what, str) else what
        net = network or network_for(body, codes=codes)
        return X12Interpreter().interpret(raw_of(body), net)

    return interpret
