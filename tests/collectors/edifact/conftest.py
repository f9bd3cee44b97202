"""Networks and raw messages for EDIFACT tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors.edifact.interpreter import EdifactInterpreter
from tower.network import Company, Network, Partner, PartnerIds, Source, System, Warehouse
from tower.raw import Interpretation, Raw

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "edifact"
RECEIVED_AT = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)
US, ACME = "4098765000010:14", "4012345000009:14"


def build_network(
    *,
    codes: dict[str, dict[str, str]] | None = None,
    feed_partner: str | None = None,
    us: list[str] | None = None,
    them: list[str] | None = None,
) -> Network:
    """A company in Berlin with one supplier, ACME, in New York, and one EDI feed."""
    return Network(
        company=Company(
            name="Buyer", erp="main", zone="Europe/Berlin", unb=[US] if us is None else us
        ),
        systems={"edi": System(name="EDI gateway", kind="edi")},
        sources={
            "edi_in": Source(
                kind="drop_folder",
                format="edifact",
                system="edi",
                partner=feed_partner,
                channel="edi",
            )
        },
        partners={
            "ACME": Partner(
                name="Acme",
                zone="America/New_York",
                ids=PartnerIds(unb=[ACME] if them is None else them, gln="4012345000009"),
                codes=codes or {},
            )
        },
        warehouses={"EAST": Warehouse(name="East", gln="4098765000027")},
    )


def envelope(*messages: str, from_us: bool = False, when: str = "260302:1430") -> bytes:
    """One interchange of messages, each without UNH and UNT ("ORDRSP BGM+..'RFF+..'")."""
    sender, receiver = (US, ACME) if from_us else (ACME, US)
    text = f"UNB+UNOC:3+{sender}+{receiver}+{when}+77'"
    for n, one in enumerate(messages, 1):
        type_, content = one.split(" ", 1)
        count = content.replace("?'", "").count("'") + 2
        text += f"UNH+{n}+{type_}:D:96A:UN'{content}UNT+{count}+{n}'"
    return (text + f"UNZ+{len(messages)}+77'").encode("latin-1")


Reader = Callable[..., Interpretation]


@pytest.fixture
def network() -> Network:
    """We are 4098765000010:14, ACME is 4012345000009:14: the parties of the fixtures."""
    return build_network()


@pytest.fixture
def wrap() -> Callable[..., bytes]:
    """wrap("ORDRSP BGM+...'", ..., from_us=False): one interchange with these messages."""
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
        raw = Raw("edi_in", "test.edi", body, RECEIVED_AT, "application/edifact", name="test.edi")
        return EdifactInterpreter().interpret(raw, network or build_network(codes=codes))

    return interpret
