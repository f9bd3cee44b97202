"""The first five minutes, as the README tells them: up, data in, answers out, down."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from db import embedded
from tests.acceptance.installation import SCRIPT, SHIPPED_RULES, Installation
from worker.demo.stage import free_port

ROOT = SHIPPED_RULES.parent
PATIENCE_S = 90.0


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    """The files as they are shipped, a home of its own, ports that nobody uses."""
    network = (ROOT / "network.yaml").read_text(encoding="utf-8")
    ports = {"api_port": str(free_port()), "ui_port": str(free_port())}
    yield Installation.make(tmp_path, network, **ports)
    embedded.forget(tmp_path / "home")


@pytest.fixture
def tower(here: Installation) -> Iterator[subprocess.Popen[str]]:
    """``tower up``, as a user starts it."""
    with (here.folder / "said").open("w") as said:
        started = subprocess.Popen(
            [SCRIPT, "up"], env=here.environment, cwd=here.folder, stderr=said, text=True
        )
    yield started
    started.send_signal(signal.SIGTERM)
    started.wait(60)


def until(true: Callable[[], bool], tower: subprocess.Popen[str], said: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert tower.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.1)


def readme_event() -> bytes:
    """The CloudEvent that the README sends with curl."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"curl -s [^']*/v1/events .*? -d '(.*?)'", text, re.DOTALL)
    assert found is not None
    json.loads(found[1])
    return found[1].encode()


def test_the_tower_comes_up_takes_data_in_answers_and_goes_down(
    here: Installation, tower: subprocess.Popen[str]
) -> None:
    said = here.folder / "said"
    api = f"http://127.0.0.1:{here.settings['TOWER_API_PORT']}"
    ui = f"http://127.0.0.1:{here.settings['TOWER_UI_PORT']}"

    def push() -> int:
        try:
            return httpx.post(
                f"{api}/v1/events",
                content=readme_event(),
                headers={
                    "X-Tower-Source": "events",
                    "Content-Type": "application/cloudevents+json",
                },
            ).status_code
        except httpx.TransportError:
            return 0

    def answers(url: str) -> bool:
        try:
            return httpx.get(url).status_code == 200
        except httpx.TransportError:
            return False

    # The door answers 503 until a worker has taken the network in; then everything is there.
    until(lambda: push() == 202, tower, said)
    until(lambda: answers(f"{api}/health"), tower, said)
    until(lambda: answers(f"{ui}/signin"), tower, said)
    assert f"Tower: {ui}   machine door: {api}" in said.read_text()
    shown = here.spawn("show", "4500000001", "--json")
    assert shown.code == 0, shown
    assert shown.json["story"]["document"]["supplier"] == "ACME"
    answer = here.spawn("ingest", ROOT / "tests" / "fixtures" / "x12" / "answer_855.edi")
    assert answer.code in (0, 1)  # its parties are not those of this network
    status = here.spawn("status", "--json").json
    assert [p["alive"] for p in status["processes"]] == [True]
    assert all(found["problem"] == "" for found in status["configuration"].values())
    fit = here.spawn("doctor")
    assert fit.code == 0, fit

    # Ctrl-C stops all of it, the database too; what was said yes to is still there.
    children = psutil.Process(tower.pid).children(recursive=True)
    assert len(children) >= 3
    tower.send_signal(signal.SIGINT)
    assert tower.wait(60) == 0
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    away = here.spawn("show", "4500000001")
    assert away.code == 4
    assert "tower up" in away.err
    again = here.spawn("migrate", "--json")
    assert again.json["before"] == again.json["after"]
