"""Real parts for tests: a Postgres server of this run's own, databases cloned from a template.

``TOWER_TEST_DATABASE_URL`` (an account that may create databases and roles) replaces the embedded
server. ``TOWER_REQUIRE`` lists what must be there: ``rabbitmq``, ``nats``, ``postgres``,
``chromium``, ``mariadb``, ``peers`` (other programs of the field, ``pip install -e '.[peers]'``).
Tests marked with a name that it does not list are skipped, visibly; those it lists fail if it is
missing.
"""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL, make_url

from db import embedded, engine, migrate, policies, roles

SERVICES = ("rabbitmq", "nats", "postgres", "chromium", "mariadb", "peers")
REQUIRED = frozenset(filter(None, os.environ.get("TOWER_REQUIRE", "").replace(" ", "").split(",")))
EXTERNAL = os.environ.get("TOWER_TEST_DATABASE_URL")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    """The developer's own settings must not reach a test, nor a command that a test starts."""
    unknown = REQUIRED - set(SERVICES)
    if unknown:
        raise pytest.UsageError(
            f"TOWER_REQUIRE names {', '.join(sorted(unknown))}; known are {', '.join(SERVICES)}"
        )
    for name in list(os.environ):
        if name.startswith(("TOWER_", "PG")) and name not in (
            "TOWER_REQUIRE",
            "TOWER_TEST_DATABASE_URL",
        ):
            del os.environ[name]
    # How fast an example is made or run says something about the machine, nothing about the code.
    settings.register_profile("tower", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("tower")


# Files of few tests that take long, the longest first.
LONG_FILES = (
    "acceptance/test_counted_ahead.py",
    "acceptance/test_figures_kept.py",
    "acceptance/test_up.py",
    "acceptance/test_small_demo.py",
    "app/test_two_partners.py",
    "api/test_two_partners.py",
    "db/test_ingest_order.py",
    "db/test_embedded.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # of several processes; one alone gains nothing by it
        _order(items)
    for item in items:
        for service in SERVICES:
            if item.get_closest_marker(service) and service not in REQUIRED:
                item.add_marker(
                    pytest.mark.skip(reason=f"needs {service}; run with TOWER_REQUIRE={service}")
                )


def pytest_collection_finish() -> None:
    """What was imported and collected stays: no collection need look at it while tests run."""
    gc.collect()
    gc.freeze()


def _order(items: list[pytest.Item]) -> None:
    """Long files first, then by their number of tests: of several workers none is left with a long
    one in the end, while the others have nothing to do. Inside a file nothing changes."""
    here = Path(__file__).parent
    long = {here / name: -n for n, name in enumerate(reversed(LONG_FILES), start=1)}
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (long.get(item.path, 0), -tests[item.path], item.path))


@dataclass(frozen=True)
class Databases:
    """Makes databases as an installation has them: owned by one account, used by another."""

    admin: URL
    owner: URL
    app: URL
    template: str

    def make(self, template: str | None) -> str:
        """A new database; with a template its copy (about 0.1 s), which nothing is connected to.

        As in an installation, nobody may do anything with it who was not let; what the migrations
        let the roles do with the template as a whole is not copied with it.
        """
        name = f"tower_test_{secrets.token_hex(6)}"
        # Copied as files, half the time of the usual way, where nobody waits for the checkpoint.
        way = "" if EXTERNAL else " STRATEGY FILE_COPY"
        copy = f' TEMPLATE "{template}"{way}' if template else ""
        self._run(
            f'CREATE DATABASE "{name}" OWNER "{self.owner.username}"{copy}',
            f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC',
            f'GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO "{self.app.username}"',
            *(policies.grants_on_database(name) if template else ()),
        )
        return name

    def drop(self, name: str) -> None:
        self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def app_url(self, name: str) -> str:
        return self.app.set(database=name).render_as_string(hide_password=False)

    def owner_url(self, name: str) -> str:
        return self.owner.set(database=name).render_as_string(hide_password=False)

    def _run(self, *statements: str) -> None:
        admin = create_engine(self.admin, isolation_level="AUTOCOMMIT")
        try:
            with admin.connect() as connection:
                for statement in statements:
                    connection.exec_driver_sql(statement)
        finally:
            admin.dispose()


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The server of this run, with a template that the migrations made."""
    with _external(EXTERNAL) if EXTERNAL else _embedded() as (admin, owner, app):
        bare = Databases(admin=admin, owner=owner, app=app, template="")
        template = bare.make(None)
        try:
            migrate.upgrade(bare.owner_url(template), app_role=app.username)
            yield Databases(admin=admin, owner=owner, app=app, template=template)
        finally:
            bare.drop(template)


@contextlib.contextmanager
def _embedded() -> Iterator[tuple[URL, URL, URL]]:
    # Short on purpose: the path of a socket may not exceed about a hundred bytes.
    home = Path(tempfile.mkdtemp(prefix="tower-t-"))
    try:
        with embedded.running(home, throwaway=True) as server:
            yield make_url(server.admin_url), make_url(server.owner_url), make_url(server.app_url)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _external(address: str) -> Iterator[tuple[URL, URL, URL]]:
    admin = make_url(address).set(drivername="postgresql+psycopg")
    mark = secrets.token_hex(4)
    accounts = {
        role: admin.set(username=f"tower_test_{role}_{mark}", password=secrets.token_urlsafe(16))
        for role in ("owner", "app")
    }
    server = create_engine(admin, isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            for url in accounts.values():
                connection.exec_driver_sql(
                    f"CREATE ROLE \"{url.username}\" LOGIN PASSWORD '{url.password}'"
                )
        with create_engine(admin).begin() as connection:
            assert roles.prepare(connection, str(accounts["app"].username)) == ()
        yield admin, accounts["owner"], accounts["app"]
    finally:
        with server.connect() as connection:
            for url in accounts.values():
                connection.exec_driver_sql(f'DROP ROLE IF EXISTS "{url.username}"')
        server.dispose()


@pytest.fixture
def new_database(databases: Databases) -> Iterator[Callable[[], str]]:
    """Makes clones of the template on demand and gives their addresses; all go away again."""
    made: list[str] = []

    def make() -> str:
        made.append(databases.make(databases.template))
        return databases.app_url(made[-1])

    yield make
    for name in made:
        databases.drop(name)


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """A database of this test's own, for tests that commit; signed in as the program's account."""
    return new_database()


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """An engine on this test's own database."""
    made = engine.create(database_url)
    yield made
    made.dispose()


@pytest.fixture
def owner_url(databases: Databases, database_url: str) -> str:
    """The owner's address of this test's own database."""
    return databases.owner_url(make_url(database_url).database or "")


@pytest.fixture(scope="session")
def engine_of_run(databases: Databases) -> Iterator[Engine]:
    """An engine on one database that every rolled-back test of this run shares. Never commit."""
    name = databases.make(databases.template)
    made = engine.create(databases.app_url(name), idle_s=None)
    yield made
    made.dispose()
    databases.drop(name)


@pytest.fixture
def connection(engine_of_run: Engine) -> Iterator[Connection]:
    """A connection inside a transaction that is rolled back after the test (0.1 ms)."""
    with engine_of_run.connect() as opened:
        transaction = opened.begin()
        yield opened
        transaction.rollback()


@pytest.fixture(name="engine")
def engine_fixture(database: Engine) -> Engine:
    """The same as ``database``: an engine on a database of this test's own."""
    return database


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public sample files beside the checkout; tests that read them are skipped without them."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the public samples are not here ({SHARED_DATA})")
    return SHARED_DATA


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser for playwright's ``executable_path``."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.fail("TOWER_REQUIRE names chromium, but there is none. Install the package chromium.")


@pytest.fixture
def external_url(databases: Databases) -> str:
    """The external server's own address, with the right to create databases."""
    if not EXTERNAL:
        pytest.fail("TOWER_REQUIRE names postgres, but TOWER_TEST_DATABASE_URL is not set.")
    return databases.admin.render_as_string(hide_password=False)
