"""A machine door over a database of its own, with a small network in force."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from api.main import create_app
from db import configuration, sources
from tower.network import load_network

NETWORK = """
version: 1
company: {name: Door, erp: main, zone: UTC, calendar: hq, isa: ["ZZ:DOOR"]}
systems:
  platform: {name: Platform, kind: platform}
  edi: {name: Gateway, kind: edi}
  wms: {name: Warehouse, kind: wms}
sources:
  platform: {kind: push, format: cloudevents, system: platform, channel: api, silent_after: 24h}
  wms: {kind: push, format: json, system: wms, silent_after: 24h, mapping: receipts}
  gateway: {kind: push, format: x12, system: edi, channel: edi, silent_after: 24h}
  folder: {kind: drop_folder, format: x12, system: edi, options: {path: in}}
mappings:
  receipts:
    format: json
    emit:
      - event: receipt.posted
        id: "{number}"
        time: at
        fields: {warehouse: site, receipt: number}
        lines_from: lines
        lines: {receipt_line: n, po: po, line: line, qty: qty}
partners:
  ACME: {name: Acme, tier: A, ids: {isa: ["01:123456789"]}, feeds: [gateway], calendar: hq}
calendars:
  hq: {zone: UTC, open: {mon-fri: ["08:00-17:00"]}}
people:
  desk: {name: Desk, mail: desk@door.example}
owners: {B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}
"""


@contextlib.contextmanager
def opened(database: Engine) -> Iterator[TestClient]:
    """The application with the network in force; errors become answers, as in a server."""
    now = datetime.now(UTC)
    network = load_network(NETWORK, "network.yaml")
    with database.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, NETWORK, now)
        configuration.store_partners(conn, network)
        sources.register(conn, network.sources)
    with TestClient(create_app(database), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def door(database: Engine) -> Iterator[TestClient]:
    """The application over a database of this test's own."""
    with opened(database) as client:
        yield client


@pytest.fixture
def unready(database: Engine) -> Iterator[httpx.Client]:
    """The application before any worker took a network in."""
    with TestClient(create_app(database), raise_server_exceptions=False) as client:
        yield client
