"""Every page of docs/connect is played by a test: against the real thing, or a recorded answer.

``PROOF`` says which test does it and against what. A page without one fails here, and so does a
test that went away or no longer names its page.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGES = {path.stem for path in (TESTS.parent / "docs" / "connect").glob("*.md")}

PROOF: dict[str, tuple[str, str]] = {
    # page: (file with the test that plays what the page shows, against what)
    "amqp": ("collectors/test_amqp_queue.py", "RabbitMQ, with TOWER_REQUIRE=rabbitmq"),
    "api-gateway": ("api/test_logs.py", "the machine door; log files of the layouts it names"),
    "business-central": ("collectors/test_recipes_web.py", "an OData service over HTTP"),
    "cxml": ("collectors/test_xml_recipes.py", "recorded documents"),
    "edifact": ("collectors/edifact/test_recipe.py", "a drop folder"),
    "erpnext": ("collectors/test_recipes_web.py", "recorded answers over HTTP"),
    "idoc": ("collectors/test_xml_recipes.py", "recorded documents"),
    "kafka": ("collectors/test_kafka_lag.py", "recorded answers; librdkafka's mock cluster"),
    "manual-answers": ("api/test_spoken_answers.py", "the machine door"),
    "middleware-logs": ("collectors/test_log_map.py", "recorded lines"),
    "nats": ("collectors/test_nats_streams.py", "NATS, with TOWER_REQUIRE=nats"),
    "netsuite": ("collectors/test_recipes_web.py", "recorded answers over HTTP"),
    "opentelemetry": ("api/test_logs.py", "the exporter of the OpenTelemetry SDK"),
    "portal": ("collectors/test_recipes_web.py", "recorded answers over HTTP"),
    "rabbitmq": ("collectors/test_rabbitmq.py", "RabbitMQ, with TOWER_REQUIRE=rabbitmq"),
    "sap-s4hana": ("collectors/test_recipes_web.py", "an OData service over HTTP"),
    "sftp": ("collectors/test_sftp_folder.py", "an SFTP server"),
    "soap": ("collectors/test_xml_recipes.py", "recorded documents"),
    "sql-view": ("collectors/test_recipe_sql_view.py", "Postgres; MariaDB beside it"),
    "ubl": ("collectors/test_xml_recipes.py", "recorded documents"),
    "webhooks": ("api/test_hooks.py", "the machine door"),
}
FITTED = re.compile(r"PAGES = \(([^)]*)\)")
"""Where pages are only listed: test_connect_recipes.py puts their pieces into the example."""


def test_every_page_has_its_test() -> None:
    assert set(PROOF) == PAGES


@pytest.mark.parametrize("page", sorted(PROOF))
def test_the_test_is_there_and_the_page_is_named(page: str) -> None:
    file = TESTS / PROOF[page][0]
    source = file.read_text(encoding="utf-8")
    assert re.search(r"^def test_", source, re.MULTILINE), file
    fitted = FITTED.search(
        (TESTS / "collectors" / "test_connect_recipes.py").read_text(encoding="utf-8")
    )
    assert fitted is not None
    is_fitted = f'"{page}"' in fitted[1]
    names = re.search(rf'["/]{re.escape(page)}(?:\.md)?["`]|docs/connect/{page}', source)
    assert names or is_fitted, f"{file.name} does not name docs/connect/{page}.md"
