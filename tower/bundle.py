"""An evidence bundle: everything known of one document in a file that proves itself, offline.

``manifest.json`` names every other file with its sha-256, so nothing can be altered, added or left
out unseen. Raw messages are checked against the hash they were received with, too.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

MANIFEST = "manifest.json"
FORMAT = "tower-evidence-bundle"
VERSION = 1
MOST_FILES = 20_000
MOST_BYTES = 2_000_000_000  # of all files together, unpacked
_FIXED = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file


@dataclass(frozen=True, slots=True)
class File:
    """One file of a bundle: its name inside, what it is, its bytes."""

    name: str
    what: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found; ``problems`` empty = whole and unaltered."""

    ref: str
    made_at: str
    files: int
    messages: int
    expired: int
    masked: bool
    problems: tuple[str, ...]


def packed(head: Mapping[str, Any], files: Iterable[File]) -> bytes:
    """The bundle as a zip; ``head`` is what the manifest says besides the files."""
    kept = sorted(files, key=lambda file: file.name)
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        **head,
        "files": {
            file.name: {
                "what": file.what,
                "size": len(file.body),
                "sha256": hashlib.sha256(file.body).hexdigest(),
            }
            for file in kept
        },
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        body = json.dumps(manifest, indent=1, ensure_ascii=False, default=str).encode()
        for name, content in [(MANIFEST, body), *((file.name, file.body) for file in kept)]:
            entry = zipfile.ZipInfo(name, _FIXED)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return target.getvalue()


def checked(source: io.BufferedIOBase) -> Checked:
    """Check a bundle against its own manifest and nothing else; never raises for what is in it."""
    try:
        with zipfile.ZipFile(source) as archive:
            return _checked(archive)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        return _broken(f"The file is no readable zip: {error}.")


def _broken(problem: str) -> Checked:
    return Checked("", "", 0, 0, 0, False, (problem,))


def _checked(archive: zipfile.ZipFile) -> Checked:
    entries = archive.infolist()
    if len(entries) > MOST_FILES or sum(e.file_size for e in entries) > MOST_BYTES:
        return _broken("It holds more than a bundle may: it is not unpacked.")
    names = [entry.filename for entry in entries]
    if MANIFEST not in names:
        return _broken(f"It has no {MANIFEST}: it is no evidence bundle.")
    try:
        manifest = json.loads(_read(archive, MANIFEST))
        told: Mapping[str, Mapping[str, Any]] = dict(manifest["files"])
        if manifest["format"] != FORMAT or manifest["version"] > VERSION:
            return _broken("It is of another kind, or of a newer version than this program's.")
        messages: Sequence[Mapping[str, Any]] = manifest.get("messages", [])
        problems = [*_files(archive, names, told), *_messages(messages, told)]
        return Checked(
            ref=str(manifest.get("ref", "")),
            made_at=str(manifest.get("made_at", "")),
            files=len(told),
            messages=len(messages),
            expired=sum(not one.get("file") for one in messages),
            masked=bool(manifest.get("masks")),
            problems=tuple(problems),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return _broken(f"Its {MANIFEST} cannot be read: {error}.")


def _files(
    archive: zipfile.ZipFile, names: Sequence[str], told: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    problems = [f"{name} is there twice." for name in sorted(set(names)) if names.count(name) > 1]
    problems += [
        f"{name} is there, but the manifest does not name it."
        for name in names
        if name != MANIFEST and name not in told
    ]
    for name, entry in told.items():
        if name not in names:
            problems.append(f"{name} is missing.")
            continue
        try:
            body = _read(archive, name)
        except (zipfile.BadZipFile, OSError, EOFError) as error:
            problems.append(f"{name} cannot be unpacked: {error}.")
            continue
        if hashlib.sha256(body).hexdigest() != entry["sha256"]:
            problems.append(f"{name} was altered: its sha-256 is not that of the manifest.")
    return problems


def _messages(
    messages: Sequence[Mapping[str, Any]], told: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Messages whose bytes are not those they were received with."""
    problems = []
    for one in messages:
        name = one.get("file")
        if name and not one.get("masked") and told.get(name, {}).get("sha256") != one["sha256"]:
            problems.append(
                f"{name} is not what was received as {one['source']}/{one['key']}: another sha-256."
            )
    return problems


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        return file.read(MOST_BYTES + 1)


# --- OCEL 2.0 ------------------------------------------------------------------------------------


def ocel(events: Iterable[Mapping[str, Any]]) -> bytes:
    """Events as OCEL 2.0 JSON. Each is {id, type, time, attributes{}, objects[(id, type, how)]}."""
    told = list(events)
    objects: dict[str, str] = {}
    types: dict[str, set[str]] = {}
    for event in told:
        types.setdefault(event["type"], set()).update(event["attributes"])
        for object_id, kind, _ in event["objects"]:
            objects.setdefault(object_id, kind)
    answer = {
        "objectTypes": [{"name": k, "attributes": []} for k in sorted(set(objects.values()))],
        "eventTypes": [
            {
                "name": name,
                "attributes": [{"name": one, "type": "string"} for one in sorted(attributes)],
            }
            for name, attributes in sorted(types.items())
        ],
        "objects": [
            {"id": object_id, "type": kind, "attributes": [], "relationships": []}
            for object_id, kind in sorted(objects.items())
        ],
        "events": [
            {
                "id": event["id"],
                "type": event["type"],
                "time": event["time"],
                "attributes": [
                    {"name": name, "value": value}
                    for name, value in sorted(event["attributes"].items())
                ],
                "relationships": [
                    {"objectId": object_id, "qualifier": how or "touches"}
                    for object_id, _, how in event["objects"]
                ],
            }
            for event in told
        ],
    }
    return json.dumps(answer, indent=1, ensure_ascii=False).encode()


# --- the page ------------------------------------------------------------------------------------

_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:32px auto;max-width:1100px;padding:0 16px;"
    "color:#1f2a37}h1{font-size:22px}h2{font-size:16px;margin-top:28px}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #d8dee6;"
    "padding:4px 8px;text-align:left;vertical-align:top}th{font-size:12px;color:#5b6b7d}"
    "pre{white-space:pre-wrap;background:#f3f5f8;padding:8px}small{color:#5b6b7d}"
)


def page(title: str, lead: Sequence[str], tables: Sequence[tuple[str, Sequence[str],
         Sequence[Sequence[Any]]]]) -> bytes:  # fmt: skip
    """A page that asks nobody for anything: no script, no picture, no address."""
    out = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta http-equiv='Content-Security-Policy' "
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{escape(sentence)}</p>" for sentence in lead),
    ]
    for name, columns, rows in tables:
        out.append(f"<h2>{escape(name)}</h2>")
        if not rows:
            out.append("<p><small>None.</small></p>")
            continue
        out.append("<table><tr>" + "".join(f"<th>{escape(c)}</th>" for c in columns) + "</tr>")
        for row in rows:
            cells = ("" if value is None else escape(str(value)) for value in row)
            out.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        out.append("</table>")
    out.append("</body></html>")
    return "\n".join(out).encode()


def both(at: datetime | None, zones: Sequence[ZoneInfo]) -> str:
    """An instant in UTC and in each of these zones."""
    if at is None:
        return ""
    local = [f"{at.astimezone(zone):%Y-%m-%d %H:%M %Z}" for zone in zones]
    return " = ".join([f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z", *dict.fromkeys(local)])


def file_name(*parts: str) -> str:
    """A name of our own making: letters, digits and a few signs, never a way out of the folder."""
    made = "-".join("".join(c if c.isalnum() and c.isascii() else "_" for c in p) for p in parts)
    return made[:100]
