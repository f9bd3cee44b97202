"""How the command answers: a JSON object for programs, a table for people, one exit code each."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tower.strict_yaml import closest

EXIT_OK = 0
EXIT_FAULT = 1  # it ran and found something wrong (a dead letter, a failed check, missed faults)
EXIT_USAGE = 2  # the words of the command are wrong
EXIT_NOT_FOUND = 3  # no such document, case or file
EXIT_DATABASE = 4  # the database does not answer
EXIT_CONFIG = 5  # a setting, a file or the schema is wrong
EXIT_STOPPED = 130  # by the user

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]


# Places of rows in the store. They mean nothing outside, and 64 bits are more than many readers of
# JSON keep.
_INNER = frozenset(
    {"home_key", "event_home", "po_home", "order_home", "partner_id", "item_key", "rev"}
)
# What a terminal would obey instead of show. Partners write texts; line ends and tabs stay.
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(value: Any) -> Any:
    """A value in JSON's own types: instants as ISO, decimals as strings, durations in seconds.

    Keys that only say where a row lies are left out.
    """
    if isinstance(value, enum.Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: plain(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if f.name not in _INNER
        }
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items() if k not in _INNER}
    if isinstance(value, (Sequence, set, frozenset)):
        return [plain(v) for v in value]
    raise TypeError(f"{type(value).__name__} has no JSON form")


def emit(answer: Any, as_json: bool, show: Callable[[Console], None]) -> None:
    """Print the answer: as JSON on one line, or by ``show`` for people."""
    if as_json:
        sys.stdout.write(orjson.dumps(plain(answer)).decode() + "\n")
    else:
        show(console())


def one_of(option: str, word: str | None, known: Iterable[str]) -> None:
    """Refuse a word that an option does not know; None was not given."""
    words = list(known)
    if word is not None and word not in words:
        near = closest(word, frozenset(words))
        advice = f"write {near}" if near else f"write one of {', '.join(words)}"
        raise typer.BadParameter(f'"{word}" is not known; {advice}.', param_hint=option)


def console(*, errors: bool = False) -> Console:
    """Where people read answers. Texts are shown as they are: brackets are no markup here."""
    return Console(stderr=errors, highlight=False, markup=False, emoji=False)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A table for people; missing values are a dash, never a zero. "#" marks a number column."""
    made = Table(
        title=shown(title),
        title_justify="left",
        header_style="bold",
        pad_edge=False,
        box=SIMPLE_HEAD,
    )
    for column in columns:
        name = column.removesuffix(" #")
        made.add_column(name, justify="left" if name == column else "right")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def shown(text: str) -> str:
    """A text without what a terminal would obey."""
    return _OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
    if isinstance(value, Decimal):
        return f"{value:,.2f}".removesuffix(".00")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return shown(str(value))


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error; call it with (done, all)."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
