"""Real databases with a view for the conformance kit: the ERP's side of a read-only connection."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import orjson
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL

from collectors import registry
from collectors.contract import Reader
from collectors.key_sweep import Known
from tests.collectors.conformance import World
from tests.collectors.worlds import network
from tower.errors import AccessDenied, ConfigError, SourceUnavailable
from tower.network import Network

TABLE = """
CREATE TABLE po_rows (
  po varchar(20) NOT NULL, line int NOT NULL, vendor varchar(20), item varchar(40),
  qty decimal(13,3), price decimal(15,2), due date, changed_at {instant} NOT NULL,
  PRIMARY KEY (po, line))
"""
VIEW = """
CREATE VIEW tower_orders AS
SELECT po, line, vendor, item, qty, price, due, changed_at FROM po_rows
"""
MAPPING = """
mappings:
  orders:
    format: json
    emit:
      - event: po.cancelled
        when: {"@removed": "*"}
        id: "removed:{po}:{@removed.day}"
        fields: {po: po, reason: "@removed.reason"}
      - event: po.released
        when: {"@removed": "-"}
        id: "{po}:{changed_at}"
        time: changed_at
        supplier: vendor
        fields: {po: po}
        lines_from: rows
        lines: {line: line, item: item, qty: qty, price: price, requested_date: due}
"""


class Wire:
    """A port of this machine that leads to a database, until it is cut."""

    def __init__(self, target: tuple[str, int] | str) -> None:
        self._target = target
        self._open: list[socket.socket] = []
        self.is_cut = False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._listening.accept()[0]
                if self.is_cut:
                    near.close()
                    continue
                if isinstance(self._target, str):
                    far = socket.socket(socket.AF_UNIX)
                    far.connect(self._target)
                else:
                    far = socket.create_connection(self._target)
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        for end in self._open:
            end.close()


class SqlWorld(World):
    """A view with two rows per purchase order, in a database of its own."""

    secret = "pass-w0rd-of-the-reader"
    pace = timedelta(minutes=1)
    faults: ClassVar[Mapping[str, type[Exception]]] = {
        "hangs up": SourceUnavailable,
        "slow": SourceUnavailable,
        "view gone": ConfigError,
        "column gone": ConfigError,
        "right gone": AccessDenied,
        "password changed": AccessDenied,
    }
    database: ClassVar[str]
    instant: ClassVar[str]
    slow: ClassVar[str]
    server: ClassVar[URL]
    """An account that may create databases and accounts; a fixture sets it."""

    def __init__(self, folder: Path) -> None:
        mark = secrets.token_hex(4)
        self.name, self.user = f"tower_view_{mark}", f"tower_reader_{mark}"
        self.known: Known | None = None
        self._administrator(f"CREATE DATABASE {self.name}")
        self.admin: Engine = create_engine(self.server.set(database=self.name))
        self.do(TABLE.format(instant=self.instant), VIEW)
        self.account()
        self.grant()
        self.wire = Wire(self.target())
        self._half: Connection | None = None
        super().__init__(folder)

    def target(self) -> tuple[str, int] | str:
        raise NotImplementedError

    def account(self) -> None:
        """Make the account that reads."""
        raise NotImplementedError

    def password(self, password: str) -> None:
        raise NotImplementedError

    def grant(self) -> None:
        raise NotImplementedError

    def revoke(self) -> None:
        raise NotImplementedError

    def _administrator(self, *statements: str) -> None:
        engine = create_engine(self.server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()

    def do(self, *statements: str) -> None:
        with self.admin.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def network(self) -> Network:
        return network(
            f"""
sources:
  feed:
    kind: sql_view
    format: json
    system: erp
    mapping: orders
    zone: America/New_York
    options:
      database: {self.database}
      host: 127.0.0.1
      port: {self.wire.port}
      name: {self.name}
      user: {self.user}
      password_variable: ERP_PASSWORD
      view: tower_orders
      key: [po]
      lines: rows
      stamp: changed_at
      page_size: 2
""",
            MAPPING,
        )

    def secrets(self) -> Mapping[str, str]:
        return {"ERP_PASSWORD": self.secret or ""}

    def reader(self) -> Reader:
        source = self.net.sources[self.source]
        options = {**source.options, "timeout": self.timeout}
        timed = source.model_copy(update={"options": options})
        return registry.reader_for(self.source, timed, self.net, self.secrets(), known=self.known)

    def rows(self, n: int) -> list[dict[str, Any]]:
        return [
            {
                "po": f"45000{n:05d}",
                "line": line,
                "vendor": "17300001",
                "item": f"A-{line}",
                "qty": f"{n}.500",
                "price": "12.50",
                "due": "2026-04-01",
                "changed_at": self.stamp(f"2026-03-27T10:00:{n:02d}"),
            }
            for line in (10, 20)
        ]

    def stamp(self, moment: str) -> str:
        return moment

    def content(self, n: int) -> bytes:
        rows = self.rows(n)
        return orjson.dumps({**rows[-1], "rows": rows}, option=orjson.OPT_SORT_KEYS)

    def put(self, n: int) -> None:
        with self.admin.begin() as connection:
            self._insert(connection, n)

    def _insert(self, connection: Connection, n: int) -> None:
        for row in self.rows(n):
            values = ", ".join(f"'{value}'" for value in row.values())
            insert = "INSERT INTO po_rows VALUES"
            connection.exec_driver_sql(f"{insert} ({values})")

    def remove(self, n: int) -> None:
        number = f"45000{n:05d}"
        self.do(f"DELETE FROM po_rows WHERE po = '{number}'")  # noqa: S608

    def repeat(self, n: int) -> None:
        """The ERP writes the same again."""
        self.remove(n)
        self.put(n)

    def put_half(self, n: int) -> None:
        """Written and not yet committed: nobody else sees it."""
        self._half = self.admin.connect()
        self._insert(self._half, n)

    def put_rest(self, n: int) -> None:
        assert self._half is not None
        self._half.commit()
        self._half.close()

    @contextlib.contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        replace = "DROP VIEW tower_orders"
        match fault:
            case "hangs up":
                self.wire.is_cut = True
            case "slow":
                self.do(replace, f"{VIEW} WHERE {self.slow}")
            case "view gone":
                self.do(replace)
            case "column gone":
                self.do(replace, "CREATE VIEW tower_orders AS SELECT po, line FROM po_rows")
            case "right gone":
                self.revoke()
            case "password changed":
                self.password("another")
        if fault in ("slow", "column gone"):
            self.grant()
        try:
            yield
        finally:
            self.wire.is_cut = False
            self.password(self.secret or "")
            if fault != "right gone":
                self.do("DROP VIEW IF EXISTS tower_orders", VIEW)
            self.grant()

    def close(self) -> None:
        self.wire.close()
        self.admin.dispose()
        self._administrator(self.gone(), self.dropped())

    def gone(self) -> str:
        return f"DROP DATABASE {self.name}"

    def dropped(self) -> str:
        raise NotImplementedError


class PostgresView(SqlWorld):
    """The embedded Postgres of the run, in the part of an ERP's database."""

    database = "postgresql"
    instant = "timestamptz"
    slow = "pg_sleep(2) IS NOT NULL"

    def target(self) -> tuple[str, int] | str:
        folder = self.server.query.get("host")
        port = self.server.query.get("port", "5432")
        if folder is not None:
            return f"{folder}/.s.PGSQL.{port}"
        return (self.server.host or "127.0.0.1", self.server.port or 5432)

    def account(self) -> None:
        self.do(f"CREATE ROLE {self.user} LOGIN PASSWORD '{self.secret}'")

    def password(self, password: str) -> None:
        self.do(f"ALTER ROLE {self.user} PASSWORD '{password}'")

    def grant(self) -> None:
        self.do(f"GRANT SELECT ON tower_orders TO {self.user}")

    def revoke(self) -> None:
        self.do(f"REVOKE SELECT ON tower_orders FROM {self.user}")  # noqa: S608

    def stamp(self, moment: str) -> str:
        return f"{moment}+00:00"

    def gone(self) -> str:
        return f"DROP DATABASE {self.name} WITH (FORCE)"  # a session may still be on its way out

    def dropped(self) -> str:
        return f"DROP ROLE {self.user}"


class MariaView(SqlWorld):
    """A real MariaDB."""

    database = "mariadb"
    instant = "datetime"
    slow = "sleep(2) = 0"

    def target(self) -> tuple[str, int] | str:
        return (self.server.host or "127.0.0.1", self.server.port or 3306)

    def account(self) -> None:
        self.do(f"CREATE USER {self.user}@'127.0.0.1' IDENTIFIED BY '{self.secret}'")

    def password(self, password: str) -> None:
        self.do(f"ALTER USER {self.user}@'127.0.0.1' IDENTIFIED BY '{password}'")

    def grant(self) -> None:
        self.do(f"GRANT SELECT ON {self.name}.tower_orders TO {self.user}@'127.0.0.1'")

    def revoke(self) -> None:
        self.do(f"REVOKE SELECT ON {self.name}.tower_orders FROM {self.user}@'127.0.0.1'")  # noqa: S608

    def dropped(self) -> str:
        return f"DROP USER {self.user}@'127.0.0.1'"
