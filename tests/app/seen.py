"""Somebody before the screens, and everything that is sent to their browser."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow
from streamlit.testing.v1 import AppTest

from app.pages import Page
from tower.access import Scope


@dataclass
class Browser:
    """Somebody before the screens; ``scope`` None is nobody.

    files   what the download buttons of the pages would give them
    """

    scope: Scope | None
    at: AppTest
    files: list[Callable[[], bytes]] = field(default_factory=list)

    def goes(self, page: Page, **query: str) -> str:
        """Everything that is sent to the browser for this address, the files of its buttons too."""
        self.files.clear()
        self.at.query_params.clear()
        if page.path:
            self.at.switch_page(page.file)
        else:
            self.at.switch_page("screens/overview.py")
        for name, value in query.items():
            self.at.query_params[name] = value
        self.at.run()
        assert not self.at.exception, (page.path, query, self.at.exception)
        return sent(self.at) + "\n".join(read_file(make()) for make in self.files)


def sent(at: AppTest) -> str:
    """All words of a page, of each element as it is sent to the browser, a line each."""
    found: list[str] = []

    def walk(node: Any) -> None:
        proto = getattr(node, "proto", None)
        if hasattr(proto, "ListFields"):
            found.extend(words_in(proto))
        for child in getattr(node, "children", {}).values():
            walk(child)

    walk(at._tree)
    return "\n".join(found)


def words_in(value: Any) -> Iterator[str]:
    """The texts of a message of Streamlit's, of tables in it, and what else has letters."""
    if hasattr(value, "ListFields"):
        for _, inner in value.ListFields():
            yield from words_in(inner)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        try:
            yield str(pyarrow.ipc.open_stream(value).read_all().to_pydict())
        except pyarrow.ArrowInvalid:
            yield value.decode("utf-8", "replace")
    elif hasattr(value, "items"):
        for name, inner in value.items():
            yield str(name)
            yield from words_in(inner)
    elif hasattr(value, "__iter__"):
        for inner in value:
            yield from words_in(inner)


def read_file(body: Any) -> str:
    """The words of a file; of a packed one, of all in it."""
    raw = body.encode() if isinstance(body, str) else bytes(body)
    if raw[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            return "\n".join(read_file(packed.read(name)) for name in packed.namelist())
    return raw.decode("utf-8", "replace")
