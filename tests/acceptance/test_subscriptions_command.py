"""``tower subscriptions`` on a real installation, told by its own worker over real HTTP."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime

from tests.acceptance import shapes
from tests.acceptance.installation import SCRIPT, Installation
from tests.acceptance.papers import order
from tests.worker.http_sink import HttpSink

PROMISED = shapes.promised()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_subscriber_is_told_by_the_worker_of_what_comes_in(
    install: Callable[..., Installation],
) -> None:
    installed, sink = install(), HttpSink()
    sink.open()
    words = ("subscriptions", "add", "erp", "--url", sink.url, "--type", "po.*",
             "--network", "127.0.0.1/32", "--secret-variable", "HOOK", "--json")  # fmt: skip
    try:
        wrong = installed.tower(*words[:6], "po.relesed", *words[7:])
        assert (wrong.code, "po.relesed" in wrong.err) == (2, True)
        made = installed.tower(*words)
        assert made.code == 0, made.err
        assert shapes.faults(made.json, PROMISED["subscriptions add"]) == []
        assert made.json["proposed_secret"].startswith("whsec_")
        assert installed.tower(*words).code == 2, "the name is taken"
        untold = installed.tower("subscriptions", "test", "erp", "--json")
        assert (untold.code, "HOOK" in untold.json["words"]) == (1, True)
        tried = installed.tower("subscriptions", "test", "erp", "--json", HOOK=SECRET)
        assert shapes.faults(tried.json, PROMISED["subscriptions test"]) == []
        assert (tried.code, tried.json["status"]) == (0, 200)
        now = datetime.now(UTC)
        text = order("4500001", now.strftime("%Y%m%d*%H%M"), requested=now.strftime("%Y%m%d"))
        installed.file("4500001.edi", text)
        assert installed.tower("ingest", installed.folder / "4500001.edi").code == 0
        worker = subprocess.Popen(
            [SCRIPT, "worker"], env=installed.environment | {"HOOK": SECRET}, cwd=installed.folder
        )
        try:
            end = time.monotonic() + 60
            while len(sink.calls) < 2 and time.monotonic() < end:
                time.sleep(0.1)
        finally:
            worker.terminate()
            worker.wait()
        assert json.loads(sink.calls[1][2])["data"]["po"] == "4500001"
        listed = installed.tower("subscriptions", "list", "--json").json
        assert shapes.faults(listed, PROMISED["subscriptions list"]) == []
        [one] = listed["subscriptions"]
        assert (one["waiting"], one["delivered"], one["dead"]) == (0, 1, 0)
        assert "erp" in installed.tower("subscriptions", "list").out
        retried = installed.tower("subscriptions", "retry", "erp", "--json").json
        assert retried == {"subscription": "erp", "deliveries": 0}
        gone = installed.tower("subscriptions", "remove", "erp", "--json")
        assert shapes.faults(gone.json, PROMISED["subscriptions remove"]) == []
        assert installed.tower("subscriptions", "remove", "erp").code == 3
        acts = installed.tower("audit", "list", "--json").json["entries"]
        assert [a["action"] for a in acts][:2] == ["subscription.removed", "subscription.retried"]
        assert SECRET not in json.dumps(acts)
    finally:
        sink.close()
