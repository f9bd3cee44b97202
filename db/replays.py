"""Replays as they are kept: frozen selections, verdicts, and the state of every item.

Screens and commands write wishes; a worker fulfils them (worker/replays.py). The partial unique
index on open items makes sure that a message is in one replay at a time, ``publish_key`` that no
attempt is sent twice. Every change of state writes its audit entry in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update

from db import audit, letters, records, sent_documents, switches
from db.replay_rows import (
    Item,
    Pace,
    Replay,
    find,
    get,
    head_states,
    item_of,
    items,
    listing,
    of_message,
)
from db.tables import replay, replay_item
from tower.access import Scope
from tower.replays import (
    GRANTED,
    MOST_ITEMS,
    RETRANSMIT,
    VERDICT_VALID,
    WAYS,
    LetterRef,
    ReplayRefused,
    Verdict,
    is_overdue,
    selection_hash,
)

_r, _i = replay.c, replay_item.c
_LETTER = (_i.source, _i.key, _i.attempt, _i.position)
LONGEST_REASON = 2000


# --- from draft to confirmation -------------------------------------------------------------------


def draft(
    conn: Connection,
    scope: Scope,
    action: str,
    target: str,
    refs: Sequence[LetterRef],
    pace: Pace,
    who: str,
    remark: str,
    now: datetime,
    *,
    edited: Mapping[LetterRef, str] | None = None,
) -> Replay:
    """Freeze a selection: explicit ids, their count and hash. Doubles count once.

    ``edited`` names the raw message that goes out in the place of a letter's bytes.
    """
    switches.check_writable(conn)
    if action not in WAYS:
        raise ReplayRefused(f'"{action}" is no way to replay; there are {", ".join(WAYS)}.')
    scope.demand("replay.act" if action in GRANTED or edited else "replay.ask")
    chosen = sorted(set(refs))
    if any((one.attempt == 0) != (action == RETRANSMIT) for one in chosen):
        raise ReplayRefused(
            "Dead letters are replayed, and messages that were sent go to their partner again; one "
            "replay does one of these."
        )
    if not chosen:
        raise ReplayRefused("Nothing was picked. Pick dead letters first.")
    if len(chosen) > MOST_ITEMS:
        raise ReplayRefused(
            f"{len(chosen):,} letters were picked; at most {MOST_ITEMS:,} go into one replay."
        )
    found = {one.ref: one for one in sent_documents.of_items(conn, scope, chosen)}
    missing = [one for one in chosen if one not in found]
    if missing:
        word = "dead letter" if missing[0].attempt else "message"
        raise ReplayRefused(f"There is no {word} {missing[0]} in your area.")
    ordered = sorted(found.values(), key=lambda one: (one.ref.source, one.received_at, one.ref))
    replay_id = conn.execute(
        insert(replay)
        .values(
            action=action,
            state="drafted",
            target=target,
            remark=remark[:LONGEST_REASON],
            n_items=len(ordered),
            sha256=selection_hash(chosen),
            requested_by=who,
            drafted_at=now,
            canary=pace.canary,
            per_second=pace.per_second,
            stop_above=pace.stop_above,
            effect_within_s=int(pace.effect_within.total_seconds()),
        )
        .returning(_r.id)
    ).scalar_one()
    edits = edited or {}
    records.put(
        conn,
        replay_item,
        [
            {
                "replay_id": replay_id,
                "n": n,
                "source": one.ref.source,
                "key": one.ref.key,
                "attempt": one.ref.attempt,
                "position": one.ref.position,
                "message_key": one.message_key,
                "edited_key": edits.get(one.ref),
                "state": "drafted",
                "state_at": now,
            }
            for n, one in enumerate(ordered, start=1)
        ],
    )
    made = get(conn, replay_id)
    _told(conn, who, "replay.drafted", made, now, remark=remark, action=action)
    return made


def set_verdicts(
    conn: Connection,
    one: Replay,
    given: Sequence[tuple[Item, Verdict, str, tuple[str, ...]]],
    who: str,
    now: datetime,
) -> Replay:
    """What a dry run found: (item, verdict, queue it would go to, effects it waits for)."""
    switches.check_writable(conn)
    locked = get(conn, one.id, lock=True)
    if locked.state != "drafted":
        raise ReplayRefused(f"Replay {one.id} is {locked.state}; only a draft is checked.")
    records.change(
        conn,
        replay_item,
        [
            {
                "replay_id": item.replay_id,
                "n": item.n,
                "verdict": found.word,
                "state": "drafted",
                "cause": found.cause,
                "queue": queue,
                "effect_type": " ".join(effects),
            }
            for item, found, queue, effects in given
        ],
        keys=("replay_id", "n"),
    )
    conn.execute(update(replay).where(_r.id == one.id).values(checked_at=now))
    words: dict[str, int] = {}
    for _, found, _, _ in given:
        words[found.word] = words.get(found.word, 0) + 1
    checked = get(conn, one.id)
    _told(conn, who, "replay.checked", checked, now, verdicts=words)
    return checked


def set_needs_approval(conn: Connection, one: Replay, why: str) -> Replay:
    """Keep why another person must approve a checked draft; "" if nobody must."""
    conn.execute(
        update(replay).where(_r.id == one.id, _r.state == "drafted").values(needs_approval=why)
    )
    return replace(one, needs_approval=why)


def confirm(
    conn: Connection,
    replay_id: int,
    *,
    count: int,
    sha256: str,
    reason: str,
    token: UUID,
    who: str,
    now: datetime,
) -> Replay:
    """Start a checked draft, or have it wait for a second person where its check asked for one.

    The count is typed by hand and counts what is ready to go; the hash is of the frozen selection.
    ``token`` was made when the form was drawn: a second click finds its own replay and changes
    nothing.
    """
    switches.check_writable(conn)
    one = get(conn, replay_id, lock=True)
    known = conn.execute(select(_r.form_token).where(_r.id == replay_id)).scalar_one()
    if known == token:
        return one
    if one.state != "drafted":
        raise ReplayRefused(f"Replay {replay_id} is {one.state} already.")
    if one.checked_at is None or now - one.checked_at > VERDICT_VALID:
        raise ReplayRefused(
            "Its dry run is older than 15 minutes or was never made. Check it again first: tower "
            f"replay check {replay_id}"
        )
    if sha256 != one.sha256:
        raise ReplayRefused("This is not the selection that was checked. Draft it anew.")
    ready = _with_verdict(conn, replay_id, "ready")
    if count != ready:
        raise ReplayRefused(
            f"{ready} messages would go out, not {count}. Look at the dry run and type its number."
        )
    if not ready:
        raise ReplayRefused("Nothing of it is ready to go; the dry run tells why.")
    if not reason.strip():
        raise ReplayRefused("A reason is missing. Say why it is sent again.")
    state = "awaiting_approval" if one.needs_approval else "running"
    conn.execute(
        update(replay)
        .where(_r.id == replay_id)
        .values(
            state=state,
            reason=reason.strip()[:LONGEST_REASON],
            form_token=token,
            confirmed_at=now,
            next_at=now,
        )
    )
    # What is ready goes; what is not keeps its verdict as its end.
    conn.execute(
        update(replay_item).where(_i.replay_id == replay_id).values(state=_i.verdict, state_at=now)
    )
    confirmed = get(conn, replay_id)
    _told(conn, who, "replay.confirmed", confirmed, now, reason=reason, needs=one.needs_approval)
    return confirmed


def _with_verdict(conn: Connection, replay_id: int, word: str) -> int:
    asked = select(func.count()).where(_i.replay_id == replay_id, _i.verdict == word)
    return int(conn.execute(asked).scalar_one())


# --- what people decide ---------------------------------------------------------------------------


def approve(conn: Connection, replay_id: int, who: str, now: datetime) -> Replay:
    """Let it run; never by the one who asked for it."""
    switches.check_writable(conn)
    one = get(conn, replay_id, lock=True)
    if one.state != "awaiting_approval":
        raise ReplayRefused(f"Replay {replay_id} is {one.state}; nothing waits for approval.")
    if who == one.requested_by:
        _told(conn, who, "replay.approval_refused", one, now, reason="own replay")
        raise OwnReplay(f"{who} asked for replay {replay_id}; another person must approve it.")
    conn.execute(
        update(replay)
        .where(_r.id == replay_id)
        .values(state="running", approved_by=who, approved_at=now, next_at=now)
    )
    return changed(conn, replay_id, who, "replay.approved", now)


class OwnReplay(ReplayRefused):
    """The attempt itself is audited: commit before it is raised further."""


def refuse(conn: Connection, replay_id: int, who: str, why: str, now: datetime) -> Replay:
    """Say no to what waits for approval."""
    return end(conn, replay_id, ("awaiting_approval",), "refused", who, why, now)


def pause(conn: Connection, replay_id: int, who: str, why: str, now: datetime) -> Replay:
    """Hold what is not yet being sent; what was sent still waits for its effect."""
    return _switch(conn, replay_id, ("running",), "paused", who, why, now)


def resume(conn: Connection, replay_id: int, who: str, why: str, now: datetime) -> Replay:
    """Go on."""
    return _switch(conn, replay_id, ("paused",), "running", who, why, now)


def _switch(
    conn: Connection,
    replay_id: int,
    only: Sequence[str],
    state: str,
    who: str,
    why: str,
    now: datetime,
) -> Replay:
    switches.check_writable(conn)
    one = get(conn, replay_id, lock=True)
    if one.state not in only:
        raise ReplayRefused(f"Replay {replay_id} is {one.state}, not {' or '.join(only)}.")
    conn.execute(
        update(replay)
        .where(_r.id == replay_id)
        .values(state=state, next_at=now, end_reason=why.strip()[:LONGEST_REASON])
    )
    return changed(conn, replay_id, who, f"replay.{state}", now, reason=why)


def cancel(conn: Connection, replay_id: int, who: str, why: str, now: datetime) -> Replay:
    """End it: nothing more is sent, nothing is called back. What was sent waits for its effect."""
    return end(
        conn,
        replay_id,
        ("drafted", "awaiting_approval", "running", "paused"),
        "cancelled",
        who,
        why,
        now,
    )


def end(
    conn: Connection,
    replay_id: int,
    only: Sequence[str],
    state: str,
    who: str,
    why: str,
    now: datetime,
) -> Replay:
    switches.check_writable(conn)
    one = get(conn, replay_id, lock=True)
    if one.state not in only:
        raise ReplayRefused(f"Replay {replay_id} is {one.state} already.")
    if not why.strip():
        raise ReplayRefused("A reason is missing. Say why it ends.")
    conn.execute(
        update(replay)
        .where(_r.id == replay_id)
        .values(state=state, ended_at=now, end_reason=why.strip()[:LONGEST_REASON])
    )
    waiting = conn.execute(
        update(replay_item)
        .where(_i.replay_id == replay_id, _i.state.in_(("drafted", "ready", "claimed")))
        .values(state="cancelled", cause=f"{who}: {why}"[:LONGEST_REASON], state_at=now,
                holder=None, lease_until=None)
        .returning(*_LETTER)
    ).all()  # fmt: skip
    _reopen(conn, [LetterRef(*row) for row in waiting], now)
    return changed(
        conn, replay_id, who, f"replay.{state}", now, reason=why, never_sent=len(waiting)
    )


def decide(
    conn: Connection, replay_id: int, n: int, *, arrived: bool, who: str, why: str, now: datetime
) -> Item:
    """A person found out what became of an uncertain item: it arrived, or nobody has it.

    The same of one whose effect is overdue, before a worker called it uncertain. What arrived waits
    for its effect as long again.
    """
    switches.check_writable(conn)
    if not why.strip():
        raise ReplayRefused("A reason is missing. Say how you found out.")
    found = items(conn, replay_id, after=n - 1, limit=1)
    if not found or found[0].n != n:
        raise ReplayRefused(f"Replay {replay_id} has no item {n}.")
    [item] = found
    within = get(conn, replay_id).pace.effect_within
    overdue = is_overdue(item.state, item.state_at, within, now)
    done = to_state(
        conn, item, "awaiting_effect" if arrived else "returned", who, now,
        only=("uncertain", "awaiting_effect") if overdue else ("uncertain",),
        cause=f"{who}: {why}",
        published_at=item.published_at or item.sent_at if arrived else None,
    )  # fmt: skip
    if not done:
        if item.state == "awaiting_effect":
            raise ReplayRefused(
                f"Item {n} waits for its effect until {item.state_at + within:%Y-%m-%d %H:%M} UTC; "
                "a person decides after that."
            )
        raise ReplayRefused(f"Item {n} is {item.state}, not uncertain.")
    return items(conn, replay_id, after=n - 1, limit=1)[0]


def sign_off(conn: Connection, replay_id: int, who: str, now: datetime) -> Replay:
    """Somebody looked at the result; until then it stays on the page."""
    switches.check_writable(conn)
    one = get(conn, replay_id, lock=True)
    if one.state not in ("done", "cancelled"):
        raise ReplayRefused(f"Replay {replay_id} is {one.state}; it has no result yet.")
    if one.signed_by is not None:
        raise ReplayRefused(f"{one.signed_by} signed it off already.")
    conn.execute(update(replay).where(_r.id == replay_id).values(signed_by=who, signed_at=now))
    return changed(conn, replay_id, who, "replay.signed_off", now)


# --- one item -------------------------------------------------------------------------------------


def to_state(
    conn: Connection,
    item: Item,
    state: str,
    who: str,
    now: datetime,
    *,
    only: Sequence[str],
    cause: str = "",
    published_at: datetime | None = None,
    effect: tuple[UUID, datetime] | None = None,
) -> bool:
    """Put one item into another state if it is in one of ``only``; False if it is not."""
    values: dict[str, Any] = {"state": state, "cause": cause[:LONGEST_REASON], "state_at": now,
                              "holder": None, "lease_until": None}  # fmt: skip
    if published_at is not None:
        values["published_at"] = published_at
    if effect is not None:
        values["effect_event"], values["effect_at"] = effect
    changed = conn.execute(
        update(replay_item)
        .where(_i.replay_id == item.replay_id, _i.n == item.n, _i.state.in_(only))
        .values(values)
    ).rowcount
    if not changed:
        return False
    letter_state = {"resolved": "resolved", "failed_again": "superseded"}.get(state)
    if letter_state is not None:
        letters.set_state(conn, [item.ref], letter_state, now, only=("open", "in_replay"))
    elif state in ("returned", "skipped", "blocked", "duplicate", "cancelled"):
        _reopen(conn, [item.ref], now)
    told = {"letter": str(item.ref), "cause": cause}
    if effect is not None:
        told["effect"] = str(effect[0])
    audit.record(conn, who, f"item.{state}", item.subject, told, now)
    return True


def _reopen(conn: Connection, refs: Sequence[LetterRef], now: datetime) -> None:
    letters.set_state(conn, refs, "open", now, only=("in_replay",))


def changed(
    conn: Connection, replay_id: int, who: str, what: str, now: datetime, **detail: Any
) -> Replay:
    one = get(conn, replay_id)
    _told(conn, who, what, one, now, **detail)
    return one


def _told(conn: Connection, who: str, what: str, one: Replay, now: datetime, **detail: Any) -> None:
    audit.record(
        conn, who, what, one.subject,
        {"count": one.n_items, "sha256": one.sha256, "action": one.action} | detail, now,
    )  # fmt: skip


def value_of(conn: Connection, one: Replay) -> Decimal | None:
    """Open value of the purchase orders that the letters of a replay speak of; None if unknown."""
    rows = conn.exec_driver_sql(
        """
        WITH h AS (
            SELECT DISTINCT home FROM replay_item i
            JOIN ingest_ledger l ON l.source = i.source AND l.key = i.key, unnest(l.homes) AS home
            WHERE i.replay_id = %(id)s AND i.verdict = 'ready'
        ), r AS (
            SELECT home FROM h
            UNION SELECT f.other_key FROM h JOIN flow_link f ON f.home_key = h.home
        )
        SELECT sum(o.open_value) FROM r
        JOIN document o ON o.home_key = r.home AND o.kind = 'po' AND o.line = ''
        """,
        {"id": one.id},
    )
    value: Decimal | None = rows.scalar_one()
    return value


__all__ = [
    "Item",
    "OwnReplay",
    "Pace",
    "Replay",
    "approve",
    "cancel",
    "changed",
    "confirm",
    "decide",
    "draft",
    "end",
    "find",
    "get",
    "head_states",
    "item_of",
    "items",
    "listing",
    "of_message",
    "pause",
    "refuse",
    "resume",
    "set_needs_approval",
    "set_verdicts",
    "sign_off",
    "to_state",
    "value_of",
]
