"""Files in a folder of an SFTP server.

Where the account may rename, a file is claimed by renaming it into ``.claimed/<lease>/`` and moved
to ``done/YYYY/MM/DD/`` after its content is stored, as in a drop folder. Where it may not, files
are read in place and the bookmark remembers which; that holds for as many as a bookmark can name.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets as random_names
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING

from collectors.contract import REFUSED, Spending, position_in, refused
from collectors.dropped_files import DIGEST, DroppedFiles, Looks, digest_of
from collectors.folder_handles import Look
from collectors.sftp_link import SftpLink
from tower.errors import AccessDenied, ConfigError
from tower.feeds import SftpOptions
from tower.network import Network, Source
from tower.raw import Batch, Budget, Heartbeat, Mark, Raw

if TYPE_CHECKING:
    from paramiko import SFTPAttributes, SFTPClient

VERSION = 1
CLAIMED, DONE, REFUSED_FOLDER = ".claimed", "done", ".refused"
TOP, BELOW = "top", "below"  # claims of the folder itself, and of its subfolders
IN_PLACE = "in_place:"
MOST_READ, MOST_LOOKS = 560, 260  # together they fit into a bookmark of 8 KB
_CHUNK = 1 << 18


class SftpFolder:
    """Reader of one folder."""

    def __init__(
        self,
        name: str,
        source: Source,
        options: SftpOptions,
        net: Network,
        secrets: Mapping[str, str],
    ) -> None:
        self._name = name
        self._options = options
        self._files = DroppedFiles(name, source, options, net.partners)
        self._link = SftpLink(name, options, secrets)
        self._lease = f"{os.getpid():x}-{random_names.token_hex(4)}"

    # --- reading ----------------------------------------------------------------------------------

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        """One batch: what dead claims left, then what lies ready, oldest first."""
        position = position_in(mark, VERSION, self._name)
        looks = Looks.load(position, now)
        known = _unpacked(str(position.get("read", "")))
        taking = _Taking(Spending(budget), now, known)
        with self._link.opened() as client:
            may_claim = self._may_claim(client)
            more = may_claim and self._take_claims(client, taking)
            if not more:
                more = self._take_ready(client, looks, taking, may_claim=may_claim)
        if not taking.raws and not more:
            self._link.close()
        beat = None if more else Heartbeat(self._name, complete_to=now, seen_at=now)
        value = looks.dump(MOST_LOOKS)
        if taking.read:
            value["read"] = base64.b64encode(b"".join(sorted(taking.read))).decode()
        yield Batch(
            source=self._name,
            raws=tuple(taking.raws),
            heartbeat=beat,
            mark=Mark(VERSION, value),
            claims=tuple(taking.claims),
            more=more,
        )

    def settle(self, batch: Batch) -> None:
        """Move what is stored out of the claims; a claim that has gone is settled already."""
        pairs = [
            (raw, claim)
            for raw, claim in zip(batch.raws, batch.claims, strict=True)
            if not claim.startswith(IN_PLACE)
        ]
        if pairs:
            with self._link.opened() as client:
                for raw, claim in pairs:
                    shelf = REFUSED_FOLDER if REFUSED in raw.headers else DONE
                    self._put_away(client, claim, shelf, raw.received_at)
        if not batch.more:
            self._link.close()

    def close(self) -> None:
        """End the connection."""
        self._link.close()

    # --- claims -----------------------------------------------------------------------------------

    def _at(self, *parts: str) -> str:
        return "/".join((self._options.path.rstrip("/") or "/", *parts)).replace("//", "/")

    def _may_claim(self, client: SFTPClient) -> bool:
        """Whether files can be renamed out of the sender's way."""
        if self._options.claim == "in_place":
            return False
        client.listdir(self._at())  # a folder that is missing is told as such
        try:
            self._make(client, CLAIMED, self._lease)
        except OSError as error:
            if not self._link.is_open:
                raise
            if self._options.claim == "rename":
                raise AccessDenied(
                    f'Source "{self._name}": {self._link.address} does not let the account make '
                    f'"{self._at(CLAIMED)}". Ask for the right to make folders and rename, or '
                    "write claim: in_place."
                ) from error
            return False
        return True

    def _make(self, client: SFTPClient, *parts: str) -> None:
        """Make a folder and those above it; raises OSError if it is not there afterwards."""
        for end in range(1, len(parts) + 1):
            path = self._at(*parts[:end])
            try:
                client.mkdir(path, 0o700)
            except OSError:
                if not stat.S_ISDIR(client.lstat(path).st_mode or 0):
                    raise

    def _take_claims(self, client: SFTPClient, taking: _Taking) -> bool:
        """Read what was claimed and never settled. Whoever holds the source's lease may: the one
        who claimed it has lost it, or is us.
        """
        for claim in self._claimed(client):
            if taking.spending.is_spent:
                return True
            self._take(client, claim, None, taking)
        return False

    def _claimed(self, client: SFTPClient) -> list[tuple[str, ...]]:
        found: list[tuple[str, ...]] = []
        for lease in _names(client, self._at(CLAIMED)):
            for name in _names(client, self._at(CLAIMED, lease, TOP)):
                found.append((lease, TOP, name))
            for folder in _names(client, self._at(CLAIMED, lease, BELOW)):
                for name in _names(client, self._at(CLAIMED, lease, BELOW, folder)):
                    found.append((lease, BELOW, folder, name))
                self._remove_empty(client, CLAIMED, lease, BELOW, folder)
            self._remove_empty(client, CLAIMED, lease, BELOW)
            self._remove_empty(client, CLAIMED, lease, TOP)
            if lease != self._lease:
                self._remove_empty(client, CLAIMED, lease)
        return found

    def _claim(self, client: SFTPClient, seen: Look) -> tuple[str, ...] | None:
        """Take a file by renaming it; None if somebody was faster or it cannot be renamed."""
        place = (BELOW, seen.folder) if seen.folder else (TOP,)
        self._make(client, CLAIMED, self._lease, *place)
        claim = (self._lease, *place, seen.name)
        origin = self._at(*filter(None, (seen.folder, seen.name)))
        try:
            # Plain rename: it fails if the name is taken, where the other form would overwrite.
            client.rename(origin, self._at(CLAIMED, *claim))
        except OSError:
            if not self._link.is_open or self._options.claim == "rename":
                with contextlib.suppress(FileNotFoundError):
                    client.lstat(origin)
                    raise
            return None
        if self._options.ready == "marker":
            with contextlib.suppress(OSError):
                client.remove(origin + self._options.marker)
        return claim

    def _put_back(self, client: SFTPClient, claim: tuple[str, ...]) -> None:
        # Where a newer file has the name by now, the claim stays and is read next time.
        with contextlib.suppress(OSError):
            client.rename(self._at(CLAIMED, *claim), self._at(*claim[2:]))

    def _put_away(self, client: SFTPClient, claim: str, shelf: str, at: datetime) -> None:
        parts = claim.split("/")
        day = at.astimezone(UTC)
        place = (shelf, f"{day:%Y}", f"{day:%m}", f"{day:%d}", *parts[2:-1])
        if not _exists(client, self._at(CLAIMED, *parts)):
            return
        self._make(client, *place)
        name = parts[-1]
        stem, dot, end = name.rpartition(".")
        stem, dot, end = (stem, dot, end) if stem else (name, "", "")
        number = 2
        while _exists(client, self._at(*place, name)):
            name = f"{stem[:200]}~{number}{dot}{end[:40]}"
            number += 1
        client.rename(self._at(CLAIMED, *parts), self._at(*place, name))
        for last in range(len(parts) - 1, 0, -1):
            self._remove_empty(client, CLAIMED, *parts[:last])

    def _remove_empty(self, client: SFTPClient, *parts: str) -> None:
        with contextlib.suppress(OSError):
            client.rmdir(self._at(*parts))

    # --- files ------------------------------------------------------------------------------------

    def _take_ready(
        self, client: SFTPClient, looks: Looks, taking: _Taking, *, may_claim: bool
    ) -> bool:
        """Take what is whole; True if the budget left something behind."""
        found = sorted(self._entries(client), key=lambda seen: (seen.mtime_ns, seen.path))
        markers = {seen.path: seen.mtime_ns for seen in found if self._files.is_marker(seen)}
        wanted = [s for s in found if not self._files.is_marker(s) and self._files.is_wanted(s)]
        if not may_claim:
            wanted = self._not_read(wanted, taking)
        spent = False
        for seen in wanted:
            if seen.refusal == "bad_name":
                self._refuse_name(seen, taking)
                continue
            if not self._files.is_whole(seen, markers, looks, taking.now):
                continue
            if spent or not taking.spending.allows(seen.size):
                spent = True
                looks.keep(seen)
                continue
            claim = self._claim(client, seen) if may_claim else None
            if claim is not None:
                self._take(client, claim, seen, taking)
            elif not may_claim:
                self._read_in_place(client, seen, taking)
        return spent

    def _refuse_name(self, seen: Look, taking: _Taking) -> None:
        """A name that cannot be sent back cannot be moved either: told once, then left alone."""
        digest = digest_of(seen)
        if digest not in taking.known:
            taking.add(self._message(seen, None, seen.refusal, taking.now), IN_PLACE + seen.shown)
        taking.read.add(digest)

    def _not_read(self, wanted: list[Look], taking: _Taking) -> list[Look]:
        """The files that no earlier read in place brought; what has gone is forgotten."""
        if self._options.younger_than is not None:
            oldest = (taking.now - self._options.younger_than).timestamp() * 1e9
            wanted = [seen for seen in wanted if seen.mtime_ns >= oldest]
        if len(wanted) > MOST_READ:
            raise ConfigError(
                f'Source "{self._name}": "{self._options.path}" at {self._link.address} holds '
                f"{len(wanted)} files that cannot be moved away; {MOST_READ} are as many as can be "
                "told apart. Ask for the right to rename, clear the folder, or set younger_than."
            )
        new = []
        for seen in wanted:
            digest = digest_of(seen)
            if digest in taking.known:
                taking.read.add(digest)
            else:
                new.append(seen)
        return new

    def _entries(self, client: SFTPClient) -> Iterator[Look]:
        for entry in client.listdir_attr(self._at()):
            name = _name_of(entry)
            if name.startswith(".") or name == DONE:
                continue
            if not stat.S_ISDIR(entry.st_mode or 0):
                yield _look("", name, entry)
            elif self._options.partner_from == "folder" and not _is_bad(name):
                for inner in client.listdir_attr(self._at(name)):
                    below = _name_of(inner)
                    if not below.startswith(".") and not stat.S_ISDIR(inner.st_mode or 0):
                        yield _look(name, below, inner)

    def _take(
        self,
        client: SFTPClient,
        claim: tuple[str, ...],
        looked: Look | None,
        taking: _Taking,
    ) -> None:
        """Read a claimed file; one that turns out to be still written to is put back."""
        path = self._at(CLAIMED, *claim)
        try:
            seen = _look("/".join(claim[2:-1]), claim[-1], client.lstat(path))
            body, why = self._bytes(client, path, seen)
        except FileNotFoundError:
            return
        grew = looked is not None and (seen.size, seen.mtime_ns) != (looked.size, looked.mtime_ns)
        if body is not None and (grew or len(body) != seen.size):
            self._put_back(client, claim)
            return
        taking.add(self._message(seen, body, why, taking.now), "/".join(claim))

    def _read_in_place(self, client: SFTPClient, seen: Look, taking: _Taking) -> None:
        path = self._at(*filter(None, (seen.folder, seen.name)))
        try:
            body, why = self._bytes(client, path, seen)
            now_seen = _look(seen.folder, seen.name, client.lstat(path))
        except FileNotFoundError:
            return
        if body is not None and (len(body) != seen.size or digest_of(now_seen) != digest_of(seen)):
            return  # still written to: looked at again in the next read
        taking.read.add(digest_of(seen))
        taking.add(self._message(seen, body, why, taking.now), IN_PLACE + seen.shown)

    def _message(self, seen: Look, body: bytes | None, why: str, now: datetime) -> Raw:
        if body is None:
            return refused(self._name, seen.shown, why, seen.state, now)
        return self._files.raw(seen, body, now)

    def _bytes(self, client: SFTPClient, path: str, seen: Look) -> tuple[bytes | None, str]:
        """The bytes of a file, or why they are not read."""
        most = self._options.max_bytes
        refusal = seen.refusal or ("too_large" if seen.size > most else "")
        if refusal:
            return None, refusal
        try:
            with client.open(path, "rb") as file:
                file.prefetch(seen.size)
                # It gives its buffer away as it is: pieces, put together, would be held twice.
                found = BytesIO()
                left = most + 1
                while left > 0 and (part := file.read(min(_CHUNK, left))):
                    found.write(part)
                    left -= len(part)
        except PermissionError:
            return None, "no_permission"
        return (None, "too_large") if left <= 0 else (found.getvalue(), "")


class _Taking:
    """What one read has brought so far."""

    def __init__(self, spending: Spending, now: datetime, known: frozenset[bytes]) -> None:
        self.spending = spending
        self.now = now
        self.known = known
        self.read: set[bytes] = set()
        self.raws: list[Raw] = []
        self.claims: list[str] = []

    def add(self, raw: Raw, claim: str) -> None:
        self.raws.append(raw)
        self.claims.append(claim)
        self.spending.add(len(raw.body))


def _unpacked(text: str) -> frozenset[bytes]:
    packed = base64.b64decode(text)
    return frozenset(packed[at : at + DIGEST] for at in range(0, len(packed), DIGEST))


def _name_of(entry: SFTPAttributes) -> str:
    # A name that is no UTF-8 comes as bytes.
    name: str | bytes = entry.filename
    return name if isinstance(name, str) else os.fsdecode(name)


def _is_bad(name: str) -> bool:
    return "/" in name or "\0" in name or any(0xDC80 <= ord(sign) <= 0xDCFF for sign in name)


def _names(client: SFTPClient, path: str) -> list[str]:
    """Names in a folder, in order; none if it is missing."""
    try:
        return sorted(_name_of(entry) for entry in client.listdir_attr(path))
    except FileNotFoundError:
        return []


def _exists(client: SFTPClient, path: str) -> bool:
    try:
        client.lstat(path)
    except FileNotFoundError:
        return False
    return True


def _look(folder: str, name: str, seen: SFTPAttributes) -> Look:
    mode = seen.st_mode or 0
    refusal = ""
    if stat.S_ISLNK(mode):
        refusal = "link"
    elif not stat.S_ISREG(mode):
        refusal = "not_a_file"
    elif _is_bad(name):
        refusal = "bad_name"
    return Look(folder, name, seen.st_size or 0, (seen.st_mtime or 0) * 10**9, 0, refusal)
