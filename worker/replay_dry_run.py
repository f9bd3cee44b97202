"""Dry runs of replays: a verdict for every item. Nothing leaves, only verdicts are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from collectors import registry
from collectors.dead_letters import LEFT_OUT, origin_queues
from collectors.limits import parse_json
from db import letters as kept_letters
from db import replay_facts, replay_work, replays
from db.replay_facts import Surroundings
from db.replay_wishes import allowed
from db.replays import Item, Replay
from tower import replays as law
from tower.access import EVERYTHING
from tower.edits import numbers_of
from tower.errors import PayloadRejected
from tower.event import Event
from tower.feeds import ReplayOptions
from tower.network import Network
from tower.raw import Raw
from tower.replays import (
    EFFECTS,
    REINTERPRET,
    REPLACED_BY,
    RETRANSMIT,
    DocumentName,
    Facts,
    LetterRef,
    ReplayRefused,
    Verdict,
)
from worker import retransmits
from worker.replay_effects import effect_since, effect_types, effects_of_letter, type_of, type_since
from worker.replay_target import Sender, sender_of

HERE = Path()


def check(
    engine: Engine,
    net: Network,
    replay_id: int,
    who: str,
    now: datetime,
    *,
    secrets: Mapping[str, str],
    base: Path = HERE,
) -> Replay:
    """Give every item of a draft its verdict. Nothing leaves; nothing but verdicts is written.

    ``base``: what relative folders of outlets lie under.
    """
    with engine.begin() as conn:
        one = replays.get(conn, replay_id)
        if one.state != "drafted":
            raise ReplayRefused(f"Replay {replay_id} is {one.state}; only a draft is checked.")
        found = replays.items(conn, replay_id, limit=law.MOST_ITEMS)
        judge = retransmits.verdicts if one.action == RETRANSMIT else _verdicts
        given = judge(conn, net, one, found, secrets, base)
        checked = replays.set_verdicts(conn, one, given, who, now)
        return replays.set_needs_approval(conn, checked, why_approve(conn, net, checked))


def _verdicts(
    conn: Connection,
    net: Network,
    one: Replay,
    found: Sequence[Item],
    secrets: Mapping[str, str],
    base: Path,
) -> list[tuple[Item, Verdict, str, tuple[str, ...]]]:
    kept = {
        letter.ref: letter
        for letter in kept_letters.by_refs(conn, EVERYTHING, [item.ref for item in found])
    }
    around = replay_facts.around(
        conn,
        list(kept.values()),
        sorted({*effect_types(net), *REPLACED_BY, *EFFECTS}),
        bodies=True,
    )
    edits = _edits(conn, found)
    elsewhere = replay_work.held_elsewhere(conn, one.id, found)
    later = replay_work.later_attempts(conn, found)
    sent = replay_work.sent_otherwise(conn, found)
    options = allowed(net, one.target)
    numbers = replay_facts.documents_told(conn, list(kept.values()))
    first_of: dict[bytes, int] = {}
    first_with: dict[tuple[str, DocumentName], int] = {}
    given: list[tuple[Item, Verdict, str, tuple[str, ...]]] = []
    with sender_of(net, one, secrets, base) as sender:
        looked: dict[str, str] = {}
        for item in found:
            letter = kept.get(item.ref)
            if letter is None:
                given.append((item, Verdict("blocked", "payload_expired: it is gone"), "", ()))
                continue
            here = around[item.ref]
            origins = origin_queues(here.headers)
            queue = next(iter(origins)) if len(origins) == 1 else ""
            effects = effects_of_letter(letter, here, queue, options)
            if one.action == REINTERPRET:
                target, effects = "ok", ()
            else:
                target = _target(sender, options, queue, looked)
            name = law.created_by(type_of(here), numbers.get(item.ref, ()))
            twin = None if name is None else first_with.get((type_of(here), name))
            facts = Facts(
                kind=letter.kind,
                state=letter.state,
                has_payload=here.body is not None,
                left_out=here.headers.get(LEFT_OUT, ""),
                origins=origins,
                target=target,
                claimed_by=elsewhere.get((item.ref.source, item.message_key)),
                effect_seen=effect_since(here, effects, here.died_at),
                replaced_by=type_since(here, REPLACED_BY, here.died_at),
                newer=type_since(here, (type_of(here),), here.died_at),
                later=item.ref in later,
                same_as=first_of.get(letter.sha256),
                stale=_silent(conn, net, effects) if one.action != REINTERPRET else "",
                edited_sent=item.ref in sent,
                same_document=twin,
                in_effect="" if name is None else numbers[item.ref][name],
                problem=_problem(net, item, here, edits),
            )
            said = law.verdict(facts, one.action)
            if said.word == "ready":
                first_of.setdefault(letter.sha256, item.n)
                if name is not None:
                    first_with.setdefault((type_of(here), name), item.n)
            given.append((item, said, queue, effects))
    return given


def _target(
    sender: Sender | None, options: ReplayOptions | None, queue: str, looked: dict[str, str]
) -> str:
    if not queue:
        return ""
    if options is None or sender is None or not law.matches(queue, options.queues):
        return "closed"
    if queue not in looked:
        looked[queue] = sender.look(queue)
    return looked[queue]


def _silent(conn: Connection, net: Network, effects: Sequence[str]) -> str:
    """A feed of the ERP that is silent now, where only the ERP could tell of the effect."""
    if not effects or not set(effects) <= {"po.answer_applied", "receipt.posted"}:
        return ""
    feeds = [
        name
        for name, source in net.sources.items()
        if net.systems[source.system].kind == "erp" and source.format != "queue"
    ]
    return replay_work.silent_of(conn, feeds)


def _edits(conn: Connection, found: Sequence[Item]) -> Mapping[LetterRef, tuple[str, Raw]]:
    """Edited copies by the letter in whose place they go."""
    asked = [item for item in found if item.edited_key is not None]
    read = replay_facts.payloads(
        conn,
        [(item.ref.source, item.edited_key or "") for item in asked],
        [item.ref for item in asked],
    )
    return {
        item.ref: (
            item.edited_key or "",
            Raw(item.ref.source, item.edited_key or "", read[item.ref][1], item.state_at,
                headers=read[item.ref][0]),
        )
        for item in asked
        if item.ref in read
    }  # fmt: skip


def _problem(
    net: Network,
    item: Item,
    here: Surroundings,
    edits: Mapping[LetterRef, tuple[str, Raw]],
) -> str:
    """Why an edited copy cannot go; "" if nothing is wrong or nothing was edited."""
    if item.edited_key is None:
        return ""
    if item.ref not in edits or here.body is None:
        return "the edited copy is not kept any more"
    original = Raw(item.ref.source, item.ref.key, here.body, here.died_at, headers=here.headers)
    return locked_difference(net, original, edits[item.ref][1])


def locked_difference(net: Network, original: Raw, copy: Raw) -> str:
    """What of ids, correlation and document numbers an edited copy changed; "" if nothing.

    Both are read by the interpreter in force: what it takes for an id must be the same. So must the
    numbers in a JSON body that it does not take, as those of lines or those a header goes before.
    """
    one, other = (registry.interpret(raw, net) for raw in (original, copy))
    if not other.events:
        return other.dead_letters[0].cause if other.dead_letters else "nothing of it can be read"
    if len(one.events) != len(other.events):
        return f"it yields {len(other.events)} events, the original {len(one.events)}"
    locked = [
        each
        for before, after in zip(one.events, other.events, strict=True)
        for each in _locked(before, after)
    ]
    for name, was, now in (*locked, *_numbers(original.body, copy.body)):
        if was != now:
            return f"{name} is locked: it was {was or 'not given'}, now {now or 'not given'}"
    return ""


def _locked(before: Event, after: Event) -> Iterator[tuple[str, object, object]]:
    yield "the type", before.type, after.type
    yield "the correlation id", before.correlation_id, after.correlation_id
    yield "message", before.data.get("message"), after.data.get("message")
    yield from _differing(numbers_of(before.data), numbers_of(after.data))


def _numbers(before: bytes, after: bytes) -> Iterator[tuple[str, object, object]]:
    """Numbers in two bodies; where the original is no JSON nothing can be said of it."""
    was = _read(before)
    if was is not None:
        yield from _differing(numbers_of(was), numbers_of(_read(after)))


def _read(body: bytes) -> Any:
    try:
        return parse_json(body)
    except PayloadRejected:
        return None


def _differing(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in sorted(was.keys() | now.keys()):
        yield name, was.get(name, ""), now.get(name, "")


def why_approve(conn: Connection, net: Network, one: Replay) -> str:
    """Why another person must approve a checked draft; "" if nobody must."""
    ready = [
        item
        for item in replays.items(conn, one.id, limit=law.MOST_ITEMS)
        if item.verdict == "ready"
    ]
    options = allowed(net, one.target)
    return law.second_person(
        one.action,
        len(ready),
        replays.value_of(conn, one),
        options.approve_above if options else None,
        edited=any(item.edited_key for item in ready),
    )
