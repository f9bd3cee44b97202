"""Documents read from a view that another system's database offers, never written to.

A *pass* reads all documents whose stamp is not older than the greatest one the source itself gave,
less an overlap, in the order of stamp and key; it may need several reads. The bookmark holds that
stamp and, inside a pass, the last stamp and key. Rows become JSON that we write ourselves; a
document that the overlap brings again unchanged is left out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    column,
    func,
    literal_column,
    or_,
    select,
    table,
)

from collectors.contract import RENDERED, Spending, position_in, secret
from collectors.key_sweep import (
    Known,
    SweepPlan,
    entity_of,
    key_of,
    living,
    rendered,
    tombstone,
)
from collectors.sql_source import asking, engine_for
from tower import zones
from tower.errors import ConfigError
from tower.network import Network, Source
from tower.polled_feeds import SqlViewOptions
from tower.raw import Batch, Budget, Heartbeat, Mark, Raw

VERSION = 1
MOST_REMEMBERED = 50_000
SWEPT_AT_ONCE = 500
EXACT_INTEGER = 2**53

Value = tuple[str, str]
"""A stamp or part of a key in the bookmark: what it was, and its text."""


@dataclass(frozen=True, slots=True)
class _Progress:
    """The bookmark's content.

    since     greatest stamp of the last complete pass
    greatest  greatest stamp of the pass that runs
    last      stamp and key behind which the pass goes on; None outside a pass
    started   when the running pass began
    swept     day of the last sweep
    """

    since: Value | None = None
    greatest: Value | None = None
    last: tuple[Value, ...] | None = None
    started: str | None = None
    swept: str | None = None

    @classmethod
    def load(cls, value: Mapping[str, Any]) -> _Progress:
        last = value.get("last")
        return cls(
            since=_pair(value.get("since")),
            greatest=_pair(value.get("greatest")),
            last=None if last is None else tuple((kind, text) for kind, text in last),
            started=value.get("started"),
            swept=value.get("swept"),
        )

    def mark(self) -> Mark:
        value = {
            "since": self.since,
            "greatest": self.greatest,
            "last": self.last,
            "started": self.started,
            "swept": self.swept,
        }
        return Mark(VERSION, {k: _plain(v) for k, v in value.items() if v is not None})


class SqlView:
    """Reader of one view."""

    def __init__(
        self,
        name: str,
        source: Source,
        options: SqlViewOptions,
        net: Network,
        secrets: Mapping[str, str],
        known: Known | None = None,
    ) -> None:
        if net.mapping_for(source, source.partner) is None:
            raise ConfigError(
                f'Source "{name}" has no mapping that says what its columns mean. Name one in '
                "network.yaml."
            )
        self._name = name
        self._options = options
        self._known = known
        self._zone = zones.zone(source.zone)
        variable = options.password_variable
        password = None if variable is None else secret(variable, secrets, name)
        self._engine = engine_for(name, options, password)
        schema, _, view = options.view.rpartition(".")
        self._view = table(view, schema=schema or None)
        self._stamp: ColumnElement[Any] = column(options.stamp)
        self._keys: list[ColumnElement[Any]] = [column(key) for key in options.key]
        self._plan = SweepPlan(
            options.sweep_at, self._zone, options.sweep_within, options.sweep_most
        )
        self._stored: OrderedDict[str, None] = OrderedDict()

    # --- reading ----------------------------------------------------------------------------------

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        """A batch per page; the last one beats. The first complete pass of a day sweeps too."""
        progress = _Progress.load(position_in(mark, VERSION, self._name))
        if progress.swept is None:
            progress = replace(progress, swept=self._plan.first_day(now))
        spending = Spending(budget)
        size = max(1, min(self._options.page_size, budget.messages))
        while True:
            if progress.last is None:
                progress = replace(progress, started=now.isoformat(), greatest=progress.since)
            found = self._page(progress, size)
            raws = tuple(self._raw(record, now) for _, record in found)
            raws = tuple(raw for raw in raws if raw.key not in self._stored)
            if found:
                last = tuple(_kept(value) for value in found[-1][0])
                progress = replace(progress, last=last, greatest=last[0])
            if len(found) < size:
                break
            yield Batch(self._name, raws, mark=progress.mark(), more=True)
            spending.add(sum(len(raw.body) for raw in raws), len(found))
            if spending.is_spent:
                return
        started = datetime.fromisoformat(progress.started) if progress.started else now
        progress = replace(
            progress, since=progress.greatest, greatest=None, last=None, started=None
        )
        day = self._plan.due(progress.swept, now) if self._known is not None else None
        if day is not None:
            if raws:
                yield Batch(self._name, raws, mark=progress.mark(), more=True)
            parts = self._swept(day, size, now)
            for part in parts[:-1]:
                yield Batch(self._name, part, mark=progress.mark(), more=True)
            raws = parts[-1]
            progress = replace(progress, swept=day)
        beat = Heartbeat(
            self._name, complete_to=started, seen_at=now, newest=self._instant(progress.since)
        )
        yield Batch(self._name, raws, heartbeat=beat, mark=progress.mark())

    def settle(self, batch: Batch) -> None:
        """Remember what is stored; the source is told nothing."""
        for raw in batch.raws:
            self._stored[raw.key] = None
            self._stored.move_to_end(raw.key)
        while len(self._stored) > MOST_REMEMBERED:
            self._stored.popitem(last=False)

    # --- asking -----------------------------------------------------------------------------------

    def _page(self, progress: _Progress, size: int) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        """(stamp and key, record) of the next documents, in their order."""
        with asking(self._engine, self._name, self._options) as connection:
            query, stamp = self._heads(progress)
            heads = connection.execute(query.order_by(stamp, *self._keys).limit(size))
            if self._options.lines is None:
                return [self._single(row) for row in heads.mappings()]
            order = [tuple(row) for row in heads]
            records = self._records(connection, [head[1:] for head in order])
        return [(head, records[_texts(head[1:])]) for head in order if _texts(head[1:]) in records]

    def _heads(self, progress: _Progress) -> tuple[Any, ColumnElement[Any]]:
        """What has changed: whole rows, or with ``lines`` the greatest stamp of each key."""
        stamp, keys = self._stamp, self._keys
        since = self._since(progress)
        last = None if progress.last is None else [_value(part) for part in progress.last]
        there = and_(stamp.is_not(None), *(key.is_not(None) for key in keys))
        if self._options.lines is None:
            query: Select[Any] = select(literal_column("*")).select_from(self._view).where(there)
            if last is not None:
                query = query.where(_behind([stamp, *keys], last))
            elif since is not None:
                query = query.where(stamp >= since)
            return query, stamp
        greatest = func.max(stamp)
        grouped = select(greatest, *keys).select_from(self._view).where(there).group_by(*keys)
        if last is not None:
            # Who has changed behind that stamp has a row that is not older than it.
            grouped = grouped.where(stamp >= last[0]).having(_behind([greatest, *keys], last))
        elif since is not None:
            grouped = grouped.where(stamp >= since)
        return grouped, greatest

    def _single(self, row: RowMapping) -> tuple[tuple[Any, ...], dict[str, Any]]:
        head = tuple(self._part(row, name) for name in (self._options.stamp, *self._options.key))
        return head, {name: _json(value) for name, value in row.items()}

    def _part(self, row: RowMapping, name: str) -> Any:
        if name not in row:
            there = ", ".join(str(column) for column in row)
            raise ConfigError(
                f'Source "{self._name}": {self._options.view} calls no column {name}; it has '
                f"{there}. Write key and stamp in its options with the same capitals."
            )
        return row[name]

    def _records(
        self, connection: Connection, keys: Sequence[tuple[Any, ...]]
    ) -> dict[tuple[str, ...], dict[str, Any]]:
        """The documents of these keys: what all rows agree on, and the rows."""
        rows: dict[tuple[str, ...], list[RowMapping]] = {}
        for at in range(0, len(keys), SWEPT_AT_ONCE):
            wanted = self._among(keys[at : at + SWEPT_AT_ONCE])
            query: Select[Any] = select(literal_column("*")).select_from(self._view).where(wanted)
            for row in connection.execute(query).mappings():
                name = _texts([self._part(row, key) for key in self._options.key])
                rows.setdefault(name, []).append(row)
        return {name: _record(found, self._options.lines) for name, found in rows.items()}

    def _among(self, keys: Sequence[Sequence[Any]]) -> ColumnElement[bool]:
        if len(self._keys) == 1:
            return self._keys[0].in_([key[0] for key in keys])
        return or_(*(and_(*(c == v for c, v in zip(self._keys, key, strict=True))) for key in keys))

    # --- sweeping ---------------------------------------------------------------------------------

    def _swept(self, day: str, size: int, now: datetime) -> list[tuple[Raw, ...]]:
        """What the comparison of all keys brings, in parts of the budget's size."""
        if self._known is None:
            return [()]
        # The tower's side first: what comes into the source meanwhile is not missed by it.
        recent = living(self._known(self._name, now - self._options.sweep_within))
        with asking(self._engine, self._name, self._options) as connection:
            query: Select[Any] = select(*self._keys).select_from(self._view).group_by(*self._keys)
            query = query.where(*(key.is_not(None) for key in self._keys))
            query = query.execution_options(yield_per=5_000)
            there = {entity_of(_texts(row)): tuple(row) for row in connection.execute(query)}
        gone = sorted(recent - there.keys())
        self._plan.check(self._name, len(recent), len(gone))
        ever = recent if not there.keys() - recent else living(self._known(self._name, _BEGINNING))
        missed = [there[entity] for entity in sorted(there.keys() - ever)]
        name = f"{self._options.view} sweep"
        raws = [tombstone(self._name, e, self._options.key, day, now, name) for e in gone]
        for at in range(0, len(missed), SWEPT_AT_ONCE):
            with asking(self._engine, self._name, self._options) as connection:
                records = self._records(connection, missed[at : at + SWEPT_AT_ONCE])
            raws += [self._raw(record, now) for record in records.values()]
        return [tuple(raws[at : at + size]) for at in range(0, len(raws), size)] or [()]

    # --- records and stamps -----------------------------------------------------------------------

    def _raw(self, record: dict[str, Any], now: datetime) -> Raw:
        body = rendered(record)
        entity = entity_of([_text(record.get(key)) for key in self._options.key])
        return Raw(
            source=self._name,
            key=key_of(entity, body),
            body=body,
            received_at=now,
            media_type="application/json",
            headers={RENDERED: "json"},
            name=self._options.view,
        )

    def _since(self, progress: _Progress) -> Any:
        if progress.since is None:
            return None if self._options.since is None else _written(self._options.since)
        value = _value(progress.since)
        if isinstance(value, datetime):
            return value - self._options.overlap
        if isinstance(value, date):
            return value - max(timedelta(days=1), self._options.overlap)
        return value

    def _instant(self, stamp: Value | None) -> datetime | None:
        value = None if stamp is None else _value(stamp)
        if not isinstance(value, datetime):
            return None
        return (value if value.tzinfo else value.replace(tzinfo=self._zone)).astimezone(UTC)


def _written(since: str) -> Any:
    """What network.yaml says to begin with: a number, a time or a text."""
    if since.isascii() and since.isdigit():
        return int(since)
    try:
        return datetime.fromisoformat(since)
    except ValueError:
        return since


_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def _behind(columns: Sequence[ColumnElement[Any]], last: Sequence[Any]) -> ColumnElement[bool]:
    """Rows that come after ``last`` in the order of the columns."""
    equal = [c == v for c, v in zip(columns, last, strict=True)]
    return or_(*(and_(*equal[:n], columns[n] > last[n]) for n in range(len(columns))))


def _record(rows: Sequence[RowMapping], lines: str | None) -> dict[str, Any]:
    """The rows of a key as one record: of each column the greatest value, and the rows."""
    header = {name: _json(_greatest([row[name] for row in rows])) for name in rows[0]}
    if lines is None:
        return header
    # The database promises no order; bytes must not depend on one.
    listed = [{name: _json(value) for name, value in row.items()} for row in rows]
    return {**header, lines: sorted(listed, key=rendered)}


def _greatest(values: Sequence[Any]) -> Any:
    told = [value for value in values if value is not None]
    try:
        return max(told, default=None)
    except TypeError:  # JSON and the like have no order of their own
        return max(told, key=repr)


def _json(value: Any) -> Any:
    """A column's value in JSON, exact: decimals as text, times as ISO text."""
    if value is None or isinstance(value, (bool, str, float)):
        return value
    if isinstance(value, int):
        return value if abs(value) < EXACT_INTEGER else str(value)
    if isinstance(value, (list, dict)):
        return value
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):  # how MariaDB gives a time of day
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


def _texts(values: Sequence[Any]) -> tuple[str, ...]:
    return tuple(_text(value) for value in values)


def _kept(value: Any) -> Value:
    """A stamp or key for the bookmark, from which ``_value`` makes the same again."""
    for kind, type_ in _KINDS.items():
        if isinstance(value, type_):
            return kind, value.isoformat() if kind in ("instant", "date") else _text(value)
    raise ConfigError(
        f"A stamp or key is a {type(value).__name__}, which no bookmark can hold. Let the view "
        "give it as a time, a number or a text."
    )


def _value(kept: Value) -> Any:
    kind, text = kept
    match kind:
        case "instant":
            return datetime.fromisoformat(text)
        case "date":
            return date.fromisoformat(text)
        case "int":
            return int(text)
        case "decimal":
            return Decimal(text)
        case "bytes":
            return bytes.fromhex(text)
        case "uuid":
            return UUID(text)
    return text


# A datetime is a date too, so it is looked for first.
_KINDS: dict[str, type[Any] | tuple[type[Any], ...]] = {
    "instant": datetime,
    "date": date,
    "int": int,
    "decimal": Decimal,
    "bytes": bytes,
    "uuid": UUID,
    "text": str,
}


def _pair(value: Any) -> Value | None:
    return None if value is None else (value[0], value[1])


def _plain(value: Any) -> Any:
    """Tuples as the lists that a bookmark comes back with."""
    return [_plain(part) for part in value] if isinstance(value, tuple) else value
