"""The import law: which room may know which, and which names would hide somebody else's module."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("tower", "collectors", "db", "worker", "api", "app", "simulator")

# What a room may import of the other rooms. "worker.pipeline" opens that module, not its room.
OPEN_TO = {
    "tower": set(),
    "collectors": {"tower"},
    "db": {"tower"},
    "worker": {"tower", "collectors", "db"},
    "api": {"tower", "collectors", "db", "worker.pipeline"},
    "app": {"tower", "db"},
    "simulator": set(),
}
# `tower demo` loads the simulator inside a function: no other command depends on it. The portal
# hands one answer to the way by which all messages come in: no other page depends on that.
LAZILY_OPEN_TO = {"worker": {"simulator"}, "app": {"worker.portal_answers"}}

# Libraries that a room never touches, because another room owns what they do.
CLOSED_LIBRARIES = {
    "collectors": {"streamlit", "plotly", "fastapi"},
    "db": {"streamlit", "plotly", "fastapi", "httpx", "smtplib"},
    "worker": {"streamlit", "plotly"},
    "api": {"streamlit", "plotly", "smtplib"},
    "app": {"sqlalchemy", "psycopg", "smtplib", "alembic", "apscheduler", "fastapi"},
}
# The rooms without I/O list what they may use instead. "tower" opens settings.py alone to
# pydantic_settings, the one place where it looks outside.
PURE_LIBRARIES = {
    "tower": {"pydantic", "pydantic_core", "pydantic_settings", "yaml", "holidays"},
    "simulator": {"yaml"},
}
SETTINGS_ONLY = {"pydantic_settings", "os"}
# Standard modules that reach outside the process or read its clock.
IMPURE = {
    "asyncio",
    "ftplib",
    "http",
    "imaplib",
    "multiprocessing",
    "os",
    "poplib",
    "selectors",
    "shutil",
    "signal",
    "smtplib",
    "socket",
    "socketserver",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib.request",
}
# Sign-in and the server itself; no screen talks to the web framework.
SERVER_FILES = {"serve.py", "signin.py", "own_password.py", "oidc.py"}
SERVER_LIBRARIES = {"starlette", "uvicorn", "argon2", "authlib", "joserfc"}


def modules(room: str) -> list[Path]:
    return sorted(p for p in (ROOT / room).rglob("*.py") if "__pycache__" not in p.parts)


def imports(file: Path) -> Iterator[tuple[str, int, bool]]:
    """(dotted name, line, whether it is late) of each import.

    Late is what does not run when the module is loaded: inside a function, or for the type checker.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    late: set[ast.AST] = set()
    for node in ast.walk(tree):
        for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if for_types or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            late.update(ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, node in late
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: write the whole path, not dots"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno, node in late


def within(name: str, openings: set[str]) -> bool:
    return any(name == one or name.startswith(one + ".") for one in openings)


def verdict(room: str, file: Path, name: str, late: bool) -> str | None:
    """Why this import breaks the law; None if it does not."""
    top = name.partition(".")[0]
    looks_outside = top in SETTINGS_ONLY and file.name == "settings.py"
    if top in ROOMS:
        allowed = OPEN_TO[room] | (LAZILY_OPEN_TO.get(room, set()) if late else set())
        return None if top == room or within(name, allowed) else "a closed room"
    if top in CLOSED_LIBRARIES.get(room, set()):
        return "what another room does"
    if room == "app" and top in SERVER_LIBRARIES and file.name not in SERVER_FILES:
        return f"only {' and '.join(sorted(SERVER_FILES))} may"
    if room in PURE_LIBRARIES and top not in sys.stdlib_module_names:
        if top not in PURE_LIBRARIES[room]:
            return "not on the short list of this room"
        return "settings.py alone may" if top in SETTINGS_ONLY and not looks_outside else None
    if room == "tower" and within(name, IMPURE) and not looks_outside:
        return "it reaches outside"
    return None


def breaches(room: str) -> list[str]:
    return [
        f"{file.relative_to(ROOT)}:{line} imports {name}: {why}"
        for file in modules(room)
        for name, line, late in imports(file)
        if (why := verdict(room, file, name, late)) is not None
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_its_law_opens(room: str) -> None:
    assert breaches(room) == []


def test_the_law_is_read_from_files_that_exist() -> None:
    for room in ROOMS:
        assert modules(room), f"{room} holds no module, so its law holds nothing"


def test_meaning_never_asks_for_the_time() -> None:
    """Time is an argument everywhere in ``tower``."""
    clocks = {"now", "utcnow", "today"}
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in modules("tower")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in clocks
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"datetime", "date"}
    ]
    assert found == []


def test_no_file_of_the_app_hides_a_module_of_somebody_else() -> None:
    """The server puts ``app/`` first on the path: ``app/db.py`` would be imported as ``db``."""
    taken = set(ROOMS) | set(sys.stdlib_module_names) | set(packages_distributions())
    # The servers start these by path; nobody imports a module of that name.
    hiding = [
        entry.name
        for entry in (ROOT / "app").iterdir()
        if (entry.suffix == ".py" or (entry.is_dir() and any(entry.glob("*.py"))))
        and entry.stem in taken
    ]
    assert hiding == []


def test_there_is_no_pages_folder() -> None:
    """Streamlit serves files there before anybody has signed in."""
    assert not (ROOT / "app" / "pages").exists()


def test_test_folders_do_not_pose_as_rooms() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_nothing_is_kept_in_a_drawer_without_a_label() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "stuff", "manager"}
    found = [
        str(file.relative_to(ROOT))
        for room in (*ROOMS, "tests")
        for file in modules(room)
        if file.stem in drawers
    ]
    assert found == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_module_stays_readable_in_one_sitting(room: str) -> None:
    """Past 600 lines a second noun hides inside. Revisions are lists and may be longer."""
    long = {
        str(file.relative_to(ROOT)): lines
        for file in modules(room)
        if "versions" not in file.parts
        and (lines := len(file.read_text(encoding="utf-8").splitlines())) > 600
        and file.name != "tables.py"
    }
    assert long == {}
