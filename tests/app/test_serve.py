"""The server of the screens: what every answer carries, who is let in, what an error says."""

from __future__ import annotations

import gc
import gzip
import logging

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect
from streamlit.testing.v1 import AppTest

from app.cookies import PLAIN
from app.middleware import BUNDLES
from db.reads.connection import DatabaseAway
from tests.app.conftest import Site


@pytest.fixture(scope="module")
def client(site: Site) -> TestClient:
    """Somebody who is signed in."""
    site.client.cookies.set(PLAIN, site.token(site.person("ana", "leader")))
    return site.client


def test_every_answer_carries_the_protective_headers(client: TestClient) -> None:
    for path in ("/", "/trace?ref=1", "/_stcore/health", "/app/static/favicon.svg"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "http:" not in answer.headers["content-security-policy"]


def test_bundles_are_sent_compressed_and_whole(client: TestClient) -> None:
    file = max((BUNDLES / "static" / "js").glob("index.*.js"), key=lambda f: f.stat().st_size)
    answer = client.get(f"/static/js/{file.name}", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content == file.read_bytes()
    assert int(answer.headers["content-length"]) < file.stat().st_size / 2
    plain = client.get(f"/static/js/{file.name}", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    head = client.head(f"/static/js/{file.name}", headers={"accept-encoding": "gzip"})
    assert head.headers["content-length"] == answer.headers["content-length"]


def test_compression_never_leaves_its_folder(client: TestClient) -> None:
    for path in ("/static/js/../index.html", "/static/js/%2e%2e/%2e%2e/config.py", "/static/js/"):
        answer = client.get(path, headers={"accept-encoding": "gzip"})
        assert b"def " not in answer.content
    assert gzip.decompress(gzip.compress(b"x")) == b"x"


def test_what_is_loaded_is_not_looked_through_again(client: TestClient) -> None:
    assert client.get("/_stcore/health").status_code == 200
    assert gc.get_freeze_count() > 100_000


def stream(client: TestClient, origin: str) -> WebSocketTestSession:
    headers = {"origin": origin, "host": "127.0.0.1:8501"}
    return client.websocket_connect("/_stcore/stream", headers=headers)


def test_a_page_of_another_site_gets_no_connection(client: TestClient) -> None:
    for origin in ("http://evil.example", "https://127.0.0.1.evil.example", "null"):
        with pytest.raises(WebSocketDisconnect), stream(client, origin):
            pass


def test_our_own_page_gets_a_connection(client: TestClient) -> None:
    for origin in ("http://127.0.0.1:8501", "http://localhost:8501"):
        with stream(client, origin) as found:
            found.close()


def failing(error: str) -> AppTest:
    return AppTest.from_string(
        "from app.serve import say_sorry\n"
        "from db.reads.connection import DatabaseAway\n"
        f"say_sorry({error})\n"
    ).run()


def test_an_unforeseen_error_is_a_sentence_with_a_reference(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    at = failing("KeyError('secret value 4711')")
    text = at.error[0].value
    assert "could not be drawn" in text
    assert "4711" not in text
    reference = caplog.records[-1].__dict__["reference"]
    assert reference in text


def test_a_database_that_is_away_is_said_in_words() -> None:
    at = failing("DatabaseAway('The database does not answer.')")
    assert "The database does not answer." in at.error[0].value
    assert "Reference" in at.error[0].value


def test_a_database_that_does_not_answer_is_no_stack_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from db.reads import connection

    away = connection.database("postgresql+psycopg://nobody@127.0.0.1:1/x", timeout_s=1)
    with pytest.raises(DatabaseAway) as caught, connection.reading(away):
        pass
    assert "does not answer" in str(caught.value)
    assert isinstance(caught.value.__cause__, OperationalError)
    away.dispose()
