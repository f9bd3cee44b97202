"""Workers that die at any step of a replay, and those that take over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db import audit, replays
from tests.collectors.brokers import RabbitHost
from tests.worker.replaying import REPLAY, Dock, refs

pytestmark = pytest.mark.rabbitmq
ROOT = Path(__file__).resolve().parents[2]


KILLED = """
import os, signal, sys
from datetime import datetime, UTC
from db import engine
from tower.network import load_network
from worker import replays

seen = 0
def probe(step):
    global seen
    if step == sys.argv[3]:
        seen += 1
        if seen == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)

net = load_network(sys.argv[2], "network.yaml")
now = datetime.fromisoformat(sys.argv[5])
replays.advance(engine.create(sys.argv[1]), net, "doomed", now, secrets={"PW": "guest"},
                probe=probe)
"""


@pytest.mark.parametrize("step", ["claimed", "sending", "published", "recorded"])
def test_a_kill_at_any_step_sends_nothing_twice_and_loses_nothing(
    host: RabbitHost, database: Engine, step: str
) -> None:
    dock = Dock(host, database, REPLAY.replace("canary: 1", "canary: 0"))
    one = dock.start(refs(dock.dead(4)))
    written = dock.text(REPLAY.replace("canary: 1", "canary: 0"))
    address = database.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, address, written, step, "1" if step == "claimed" else "2",
         dock.clock().isoformat()],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    dock.now += timedelta(minutes=3)  # its lease is over
    for _ in range(4):
        dock.advance("heir")
    sent = [p.message_id for p, _ in dock.arrived()]
    assert len(sent) == len(set(sent))
    states = dict(zip([i.ref for i in dock.items(one)], dock.states(one), strict=True))
    uncertain = [ref for ref, state in states.items() if state == "uncertain"]
    assert len(uncertain) == (1 if step in ("sending", "published") else 0)
    assert len(sent) == (3 if step == "sending" else 4)
    assert set(states.values()) <= {"uncertain", "awaiting_effect"}
    if step == "published":  # it did arrive: its effect clears it up
        for n in range(4):
            dock.applied(n)
        dock.advance("heir")
        assert set(dock.states(one)) == {"resolved"}
    if step == "sending":  # a person finds out that it did not
        item = next(i for i in dock.items(one) if i.state == "uncertain")
        with dock.engine.begin() as conn:
            replays.decide(
                conn, one.id, item.n, arrived=False, who="lee", why="not in the queue",
                now=dock.clock(),
            )  # fmt: skip
        assert dock.letters("open") != []


RUNNING = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from db import engine
from tower.network import load_network
from worker import replays

net = load_network(sys.argv[2], "network.yaml")
base = engine.create(sys.argv[1])
start = datetime.now(UTC)
shift = datetime.fromisoformat(sys.argv[3]) - start
clock = lambda: datetime.now(UTC) + shift
sent, doomed = 0, int(sys.argv[5])
def probe(step):
    global sent
    if step == "published":
        sent += 1
        if sent == doomed:
            os.kill(os.getpid(), signal.SIGKILL)
quiet = 0
while quiet < 20:
    if not replays.advance(base, net, sys.argv[4], clock(), secrets={"PW": "guest"}, clock=clock,
                           probe=probe):
        with base.connect() as conn:
            left = conn.exec_driver_sql(
                "SELECT count(*) FROM replay_item WHERE state = 'ready'").scalar_one()
        quiet = quiet + 1 if not left else 0
"""


def test_two_workers_and_two_users_replay_the_same_thousand_while_one_is_killed(
    host: RabbitHost, database: Engine
) -> None:
    count, doomed = 1000, 150
    fast = REPLAY.replace("canary: 1", "canary: 0").replace("500", "1000")
    dock = Dock(host, database, fast)
    dead = dock.dead(count)
    first, second = dock.draft(refs(dead)), dock.draft(refs(dead), who="lee")
    dock.approve(dock.confirm(first), "lee")
    dock.approve(dock.confirm(second, who="lee"), "kim")
    address = database.url.render_as_string(hide_password=False)
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                RUNNING,
                address,
                dock.text(fast),
                dock.clock().isoformat(),
                name,
                str(at),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for name, at in (("steady", 0), ("doomed", doomed))
    ]
    codes = [process.wait(timeout=900) for process in processes]
    assert codes == [0, -signal.SIGKILL]
    dock.now += timedelta(minutes=10)  # leases of the killed one are over
    for _ in range(60):
        dock.advance("heir")
        if "ready" not in dock.states(first) + dock.states(second):
            break
    sent = [p.message_id for p, _ in dock.arrived()]
    assert len(sent) == len(set(sent)) == count  # none twice, none lost
    everything = dock.items(first) + dock.items(second)
    per_message: dict[str, list[str]] = {}
    for item in everything:
        per_message.setdefault(item.message_key, []).append(item.state)
    went = ("awaiting_effect", "uncertain")
    assert all(sum(state in went for state in states) == 1 for states in per_message.values())
    assert sum(item.state == "uncertain" for item in everything) == 1
    for one in (first, second):
        assert dock.get(one).counters.total == count
    with database.connect() as conn:
        assert audit.verify(conn).broken_at is None
