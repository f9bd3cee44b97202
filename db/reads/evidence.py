"""What belongs into an evidence bundle of one document, as files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from db import audit, replays
from db.reads import explanations, names
from db.reads.hops import Way, way
from db.reads.payloads import Payload, payload
from db.reads.stories import Story, StoryEvent, story
from db.tables import ingest_ledger, outbox
from tower.access import Scope
from tower.bundle import File, both, file_name, ocel, packed, page
from tower.event_difference import leaves
from tower.identity import item_key
from tower.masking import ALL, PRICE

MOST_MESSAGES = 2000
MOST_MAILS = 1000


def bundle(
    conn: Connection,
    scope: Scope,
    ref: str,
    now: datetime,
    *,
    by: str,
    why: str,
    program: str,
) -> bytes | None:
    """The bundle of the document that ``ref`` names; None if nobody ever spoke of it."""
    told = story(conn, scope, ref)
    if told is None:
        return None
    zones = _zones(conn, told)
    path = way(conn, scope, told)
    clocks = explanations.explain(conn, scope, ref)
    # A mail is running text: what is masked elsewhere cannot be found in it, so it is left out.
    mails = _mails(conn, told) if scope.reveals >= ALL else ()
    messages, files = _messages(conn, scope, told)
    acts = _acts(conn, told) if scope.sees_all else []
    sent = _replays(conn, told) if scope.sees_all else []
    files += [
        File("events.ocel.json", "events, OCEL 2.0", ocel(map(_event, told.events))),
        File("clocks.json", "clocks with their arithmetic", _json([asdict(c) for c in clocks])),
        File("document.json", "documents as they stand", _json(_documents(told))),
        File("cases.json", "exception cases", _json([_case(c, scope) for c in told.cases])),
        File("hops.json", "messages on their way", _json(_hops(path))),
        File("replays.json", "replays of its messages", _json(sent)),
        File("audit.json", "who did what to it", _json(acts)),
        *(
            File(f"mails/{n:04d}-{file_name(mail.recipient)}.eml", "mail as sent", mail.message)
            for n, mail in enumerate(mails, start=1)
        ),
    ]
    files.append(
        File("timeline.html", "for people", _page(told, path, clocks, mails, zones, by, why, now))
    )
    head = {
        "ref": told.ref,
        "made_at": now.isoformat(),
        "made_by": by,
        "why": why,
        "program": program,
        "zones": [str(zone) for zone in zones],
        "masks": sorted(ALL - scope.reveals),
        "left_out": [] if scope.reveals >= ALL else ["mails"],
        "messages": messages,
        "more_events": told.more_events,
    }
    return packed(head, files)


def _zones(conn: Connection, told: Story) -> list[ZoneInfo]:
    """The company's zone and the partner's."""
    net = names.network(conn)
    if net is None:
        return []
    partner = net.partners.get((told.root or {}).get("supplier") or "")
    zones = [net.company.zone, *([partner.zone] if partner is not None and partner.zone else [])]
    return [ZoneInfo(str(zone)) for zone in dict.fromkeys(zones)]


def _messages(
    conn: Connection, scope: Scope, told: Story
) -> tuple[list[dict[str, Any]], list[File]]:
    listed: list[dict[str, Any]] = []
    files: list[File] = []
    keys = list(dict.fromkeys((e.source, e.raw_key) for e in told.events))[:MOST_MESSAGES]
    for n, (source, key) in enumerate(keys, start=1):
        found = payload(conn, scope, source, key)
        if found is None:
            listed.append(_gone(conn, source, key))
            continue
        name = f"messages/{n:04d}-{file_name(source, key)[:60]}.bin"
        files.append(File(name, f"message {source}/{key} as received", found.body))
        listed.append(_listed(found, name))
    return listed, files


def _listed(found: Payload, name: str) -> dict[str, Any]:
    return {
        "source": found.source,
        "key": found.key,
        "file": name,
        "sha256": found.sha256,
        "received_at": found.received_at.isoformat(),
        "name": found.name,
        "media_type": found.media_type,
        "headers": dict(found.headers),
        "masked": [[one.offset, one.length, one.kind] for one in found.hidden],
        "readings": [
            {"interpreter": r["interpreter"], "version": r["version"], "at": r["at"].isoformat()}
            for r in found.readings
        ],
    }


def _gone(conn: Connection, source: str, key: str) -> dict[str, Any]:
    """A message whose bytes are not there (expired, or not for this viewer): only its hash."""
    i = ingest_ledger.c
    row = conn.execute(
        select(i.sha256, i.received_at).where(
            i.item_key == item_key(source, key), i.source == source, i.key == key
        )
    ).one_or_none()
    return {
        "source": source,
        "key": key,
        "file": None,
        "sha256": None if row is None else bytes(row.sha256).hex(),
        "received_at": None if row is None else row.received_at.isoformat(),
    }


def _event(event: StoryEvent) -> Mapping[str, Any]:
    attributes = dict(leaves(event.data)) | {
        "source": event.source,
        "system": event.system,
        "message": f"{event.source}/{event.raw_key}",
        "position": event.position,
        "received_at": event.received_at.isoformat(),
        "basis": event.basis,
    }
    objects = [
        (":".join(part for part in (kind, scope, number, line) if part), kind, how)
        for kind, scope, number, line, how in event.objects
    ]
    return {
        "id": str(event.event_id),
        "type": event.type,
        "time": event.occurred_at.isoformat(),
        "attributes": attributes,
        "objects": objects,
    }


def _documents(told: Story) -> list[dict[str, Any]]:
    inner = ("home_key", "rev", "state", "partner_id")
    rows = [*told.family, *told.related]
    return [{k: v for k, v in row.items() if k not in inner} for row in rows]


def _case(case: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """A case without what this viewer is not told: left out, not nought."""
    untold: tuple[str, ...] = ()
    if PRICE not in scope.reveals:
        untold += ("value_at_risk", "document_value")
    if not scope.sees_value_at_risk:
        untold += ("value_at_risk", "orders_affected", "lines_affected", "need_date")
    return {name: value for name, value in case.items() if name not in untold}


def _hops(path: Way) -> dict[str, Any]:
    return {
        "hops": [{**asdict(hop), "ids": sorted(hop.ids)} for hop in path.hops],
        "links": [asdict(link) for link in path.links],
    }


def _mails(conn: Connection, told: Story) -> Sequence[Any]:
    """Mails that named a case of it, as they went out; only of those that went out."""
    wanted = [case["id"] for case in told.cases]
    if not wanted:
        return ()
    o = outbox.c
    return conn.execute(
        select(o.id, o.recipient, o.subject, o.reason, o.state, o.sent_at, o.message)
        .where(o.cases.overlap(wanted), o.state == "sent")
        .order_by(o.sent_at, o.id)
        .limit(MOST_MAILS)
    ).all()


def _replays(conn: Connection, told: Story) -> list[dict[str, Any]]:
    keys = dict.fromkeys((e.source, e.raw_key) for e in told.events)
    found = [item for key in keys for item in replays.of_message(conn, *key)]
    return [asdict(item) for item in found]


def _acts(conn: Connection, told: Story) -> list[dict[str, Any]]:
    subjects = [told.ref, *(f"case:{case['id']}" for case in told.cases)]
    found = [entry for one in subjects for entry in audit.entries(conn, subject=one)]
    return [
        {"n": e.n, "at": e.at.isoformat(), **asdict(e.act), "hash": e.hash.hex()} for e in found
    ]


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str).encode()


def _page(
    told: Story,
    path: Way,
    clocks: Sequence[explanations.ClockExplained],
    mails: Sequence[Any],
    zones: Sequence[ZoneInfo],
    by: str,
    why: str,
    now: datetime,
) -> bytes:
    came = {link.other: link for link in path.links}
    lead = [
        f"Made {both(now, zones)} by {by}. {why}".strip(),
        "Every file beside this one is named in manifest.json with its sha-256; "
        "tower verify-bundle checks them without a database.",
    ]
    return page(
        f"Evidence for {told.ref}",
        lead,
        [
            (
                "Timeline",
                ("when", "what", "told by", "reached us", "message"),
                [
                    (both(e.occurred_at, zones), e.type, e.system, both(e.received_at, []),
                     f"{e.source}/{e.raw_key}")
                    for e in told.events
                ],
            ),
            (
                "Clocks",
                ("rule", "subject", "verdict", "started", "due", "ended", "arithmetic"),
                [
                    (c.rule, c.subject, c.verdict, both(c.started_at, zones),
                     both(c.due_at, zones), both(c.ended_at, zones), c.receipt)
                    for c in clocks
                ],
            ),
            (
                "Cases",
                ("case", "category", "severity", "state", "owner", "opened", "resolved"),
                [
                    (c["id"], c["category"], c["severity"], c["state"], c["owner"],
                     both(c["opened_at"], zones), both(c["resolved_at"], zones))
                    for c in told.cases
                ],
            ),
            (
                "Mails",
                ("sent", "to", "subject", "why"),
                [(both(m.sent_at, zones), m.recipient, m.subject, m.reason) for m in mails],
            ),
            (
                "Messages on their way",
                ("when", "document", "step", "system", "from the one before", "bytes", "content"),
                [
                    (both(h.at, zones), h.group, h.step, h.system,
                     f"{came[n].proof}: {came[n].basis}" if n in came else "first",
                     h.bytes_hash[:16], (h.content_hash or "")[:16])
                    for n, h in enumerate(path.hops)
                ],
            ),
        ],
    )  # fmt: skip
