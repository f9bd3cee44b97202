"""Replays at work: dry runs without side effects, and sending one copy after the other.

``sending`` is committed before the network is touched and the broker's answer after it. What is
found in ``sending`` later is uncertain and never sent again by itself. Publishing proves nothing:
an item is resolved when the business document moved after it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine

from collectors import registry
from collectors.amqp_sender import AmqpSender, Copy
from collectors.broker_login import broker_login
from collectors.dead_letters import LEFT_OUT, origin_queues
from db import letters as kept_letters
from db import replay_facts, replay_wishes, replay_work, replays, switches
from db.letters import Letter
from db.replay_facts import Surroundings
from db.replay_wishes import allowed
from db.replays import Item, Replay
from tower import replays as law
from tower.access import EVERYTHING
from tower.errors import TowerError
from tower.event import Event
from tower.feeds import RabbitOptions, ReplayOptions
from tower.network import Network
from tower.raw import Raw
from tower.replays import (
    DELIVERED,
    EFFECTS,
    REINTERPRET,
    REPLACED_BY,
    Facts,
    LetterRef,
    ReplayRefused,
    Verdict,
)
from worker import rereading

log = logging.getLogger(__name__)

LOT = 20  # items claimed at once
PAGE = 1000  # open letters looked at together

Probe = Callable[[str], None]


def _nothing(_: str) -> None:
    pass


draft = replay_wishes.draft


# --- the dry run ----------------------------------------------------------------------------------


def check(
    engine: Engine,
    net: Network,
    replay_id: int,
    who: str,
    now: datetime,
    *,
    secrets: Mapping[str, str],
) -> Replay:
    """Give every item of a draft its verdict. Nothing leaves; nothing but verdicts is written."""
    with engine.begin() as conn:
        one = replays.get(conn, replay_id)
        if one.state != "drafted":
            raise ReplayRefused(f"Replay {replay_id} is {one.state}; only a draft is checked.")
        found = replays.items(conn, replay_id, limit=law.MOST_ITEMS)
        given = _verdicts(conn, net, one, found, secrets)
        checked = replays.set_verdicts(conn, one, given, who, now)
        return replays.set_needs_approval(conn, checked, why_approve(conn, net, checked))


def _verdicts(
    conn: Connection,
    net: Network,
    one: Replay,
    found: Sequence[Item],
    secrets: Mapping[str, str],
) -> list[tuple[Item, Verdict, str, tuple[str, ...]]]:
    kept = {
        letter.ref: letter
        for letter in kept_letters.by_refs(conn, EVERYTHING, [item.ref for item in found])
    }
    around = replay_facts.around(
        conn,
        list(kept.values()),
        sorted({*_effect_types(net), *REPLACED_BY, *EFFECTS}),
        bodies=True,
    )
    edits = _edits(conn, found)
    elsewhere = replay_work.held_elsewhere(conn, one.id, found)
    later = replay_work.later_attempts(conn, found)
    sent = replay_work.sent_otherwise(conn, found)
    options = allowed(net, one.target)
    first_of: dict[bytes, int] = {}
    given: list[tuple[Item, Verdict, str, tuple[str, ...]]] = []
    with _sender(net, one.target, secrets) as sender:
        looked: dict[str, str] = {}
        for item in found:
            letter = kept.get(item.ref)
            if letter is None:
                given.append((item, Verdict("blocked", "payload_expired: it is gone"), "", ()))
                continue
            here = around[item.ref]
            origins = origin_queues(here.headers)
            queue = next(iter(origins)) if len(origins) == 1 else ""
            effects = _effects(letter, here, queue, options)
            if one.action == REINTERPRET:
                target, effects = "ok", ()
            else:
                target = _target(sender, options, queue, looked)
            facts = Facts(
                kind=letter.kind,
                state=letter.state,
                has_payload=here.body is not None,
                left_out=here.headers.get(LEFT_OUT, ""),
                origins=origins,
                target=target,
                claimed_by=elsewhere.get((item.ref.source, item.message_key)),
                effect_seen=_effect_since(here, effects, here.died_at),
                replaced_by=_since(here, REPLACED_BY, here.died_at),
                newer=_since(here, (_type_of(here),), here.died_at),
                later=item.ref in later,
                same_as=first_of.get(letter.sha256),
                stale=_silent(conn, net, effects) if one.action != REINTERPRET else "",
                edited_sent=item.ref in sent,
                problem=_problem(net, item, here, edits),
            )
            said = law.verdict(facts, one.action)
            if said.word == "ready":
                first_of.setdefault(letter.sha256, item.n)
            given.append((item, said, queue, effects))
    return given


def _effect_types(net: Network) -> list[str]:
    """Every type of event that may show an effect in this network."""
    found = {one for types in EFFECTS.values() for one in types} | set(DELIVERED)
    for name in net.sources:
        options = allowed(net, name)
        found |= {one for types in (options.effects if options else {}).values()
                  for one in types.split()}  # fmt: skip
    return sorted(found)


def _type_of(here: Surroundings) -> str:
    return here.headers.get("type") or here.headers.get("ce-type") or ""


def _effects(
    letter: Letter, here: Surroundings, queue: str, options: ReplayOptions | None
) -> tuple[str, ...]:
    if letter.kind != "deliver":
        return ()
    return law.effects_of(_type_of(here), queue, options.effects if options else {})


def _target(
    sender: AmqpSender | None, options: ReplayOptions | None, queue: str, looked: dict[str, str]
) -> str:
    if not queue:
        return ""
    if options is None or sender is None or not law.matches(queue, options.queues):
        return "closed"
    if queue not in looked:
        looked[queue] = sender.look(queue)
    return looked[queue]


def _since(here: Surroundings, types: Sequence[str], at: datetime) -> str:
    """Type of an event of these types that is later than ``at``; "" if there is none."""
    return next((s.type for s in here.seen if s.type in types and s.occurred_at > at), "")


def _effect_since(here: Surroundings, effects: Sequence[str], at: datetime) -> str:
    found = _effect(here, effects, at)
    return "" if found is None else found[0]


def _effect(
    here: Surroundings, effects: Sequence[str], at: datetime
) -> tuple[str, UUID, datetime] | None:
    """The first event after ``at`` that shows the effect: (type, event, when).

    A delivery says nothing of other messages: it must name this one.
    """
    own = here.headers.get("message-id")
    for seen in here.seen:
        if seen.type not in effects or seen.occurred_at <= at:
            continue
        if seen.type in DELIVERED and (own is None or seen.message != own):
            continue
        return (seen.type, seen.event, seen.occurred_at)
    return None


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

    Both are read by the interpreter in force: what it takes for an id must be the same.
    """
    one, other = (registry.interpret(raw, net) for raw in (original, copy))
    if not other.events:
        return other.dead_letters[0].cause if other.dead_letters else "nothing of it can be read"
    if len(one.events) != len(other.events):
        return f"it yields {len(other.events)} events, the original {len(one.events)}"
    for before, after in zip(one.events, other.events, strict=True):
        for name, was, now in _locked(before, after):
            if was != now:
                return f"{name} is locked: it was {was or 'not given'}, now {now or 'not given'}"
    return ""


def _locked(before: Event, after: Event) -> Iterator[tuple[str, object, object]]:
    yield "the type", before.type, after.type
    yield "the correlation id", before.correlation_id, after.correlation_id
    for name in ("po", "asn", "order", "invoice", "erp", "message", "supplier"):
        yield name, before.data.get(name), after.data.get(name)


# --- sending --------------------------------------------------------------------------------------


def advance(
    engine: Engine,
    net: Network,
    holder: str,
    now: datetime,
    *,
    secrets: Mapping[str, str],
    clock: Callable[[], datetime] | None = None,
    probe: Probe = _nothing,
) -> bool:
    """One round: lost workers, the next lot of every running replay, ends.

    True while more could be sent at once. ``clock`` is read before and after each call of the
    broker; default: ``now``.
    """
    read = clock or (lambda: now)
    with engine.connect() as conn:
        if switches.why_read_only(conn):
            return False
    with engine.begin() as conn:
        replay_work.lost(conn, now)
    more = False
    with engine.connect() as conn:
        active = replay_work.running(conn, now)
    for one in active:
        more |= _send_lot(engine, net, one, holder, read, secrets, probe)
    with engine.begin() as conn:
        replay_work.finish(conn, now)
    return more


def _send_lot(
    engine: Engine,
    net: Network,
    one: Replay,
    holder: str,
    clock: Callable[[], datetime],
    secrets: Mapping[str, str],
    probe: Probe,
) -> bool:
    now = clock()
    with engine.begin() as conn:
        if law.too_many_failures(one.counters, one.pace.stop_above):
            c = one.counters
            replay_work.stop(
                conn, one, f"{c.failed} failed and {c.uncertain} uncertain of "
                f"{c.resolved + c.failed + c.uncertain}: more than "
                f"{one.pace.stop_above:.0%} allowed", now,
            )  # fmt: skip
            return False
        head = replays.head_states(conn, one)
        if law.canary_failed(head) and one.counters.waiting:
            replay_work.stop(conn, one, "what went ahead failed; the rest stays", now)
            return False
        most = _room(one, head)
        taken = replay_work.claim(conn, one, holder, most, now) if most else []
        # The pace holds for all workers together: the next lot may go when this one's time is over.
        if taken:
            pause = timedelta(seconds=len(taken) / one.pace.per_second)
            replay_work.set_next(conn, one, now + pause)
    probe("claimed")
    if not taken:
        return False
    if one.action == REINTERPRET:
        _reread(engine, net, one, taken, holder, clock)
        return True
    with _sender(net, one.target, secrets) as sender:
        for item in taken:
            _send(engine, one, item, holder, sender, clock, probe)
    return False


def _room(one: Replay, head: Sequence[str]) -> int:
    """How many may go now: the canary alone until one of it took effect."""
    if law.may_send(one.counters, one.pace.canary, head):
        return min(LOT, max(1, int(one.pace.per_second)))
    return sum(state == "ready" for state in head)


def _send(
    engine: Engine,
    one: Replay,
    item: Item,
    holder: str,
    sender: AmqpSender | None,
    clock: Callable[[], datetime],
    probe: Probe,
) -> None:
    with engine.begin() as conn:
        source, key = item.ref.source, item.edited_key or item.ref.key
        names = ("bytes", "letter")
        found = replay_facts.payloads(
            conn, [(source, key), (source, item.ref.key)], names
        )
        if len(found) < len(names) or sender is None:
            replays.to_state(
                conn, item, "skipped", "tower", clock(), only=("claimed",),
                cause="its bytes or its target are gone",
            )  # fmt: skip
            return
        why = _changed_mind(conn, one, item)
        if why:
            replays.to_state(
                conn, item, "skipped", "tower", clock(), only=("claimed",), cause=why
            )
            return
        attempt = replay_work.begin_sending(conn, item, holder, clock())
    probe("sending")
    if attempt is None:
        return
    headers = found["letter"][0]
    edited = item.edited_key is not None
    own = headers.get("message-id")
    sent = sender.send(
        item.queue,
        Copy(
            body=found["bytes"][1],
            headers=headers,
            message_key=item.message_key,
            replay=one.id,
            item=item.n,
            attempt=attempt,
            actor=one.requested_by,
            message_id=f"{own}-{attempt}" if edited and own else None,
        ),
    )
    probe("published")
    with engine.begin() as conn:
        at = clock()
        state = "awaiting_effect" if sent.outcome == "routed" else sent.outcome
        replays.to_state(
            conn, item, state, one.requested_by, at, only=("sending",), cause=sent.cause,
            published_at=at if sent.outcome == "routed" else None,
        )  # fmt: skip
    probe("recorded")


def _changed_mind(conn: Connection, one: Replay, item: Item) -> str:
    """What happened since the dry run that speaks against sending; "" if nothing did."""
    found = kept_letters.by_refs(conn, EVERYTHING, [item.ref])
    if not found or found[0].state not in ("open", "in_replay"):
        return "the letter is not open any more"
    here = replay_facts.around(
        conn, found, sorted({*item.effect_types, *REPLACED_BY})
    )[item.ref]
    seen = _effect_since(here, item.effect_types, here.died_at)
    if seen and one.action != law.FORCE:
        return f"effect_seen: {seen} was seen meanwhile"
    replaced = _since(here, REPLACED_BY, here.died_at)
    return f"superseded: {replaced} came meanwhile" if replaced else ""


def _reread(
    engine: Engine,
    net: Network,
    one: Replay,
    taken: Sequence[Item],
    holder: str,
    clock: Callable[[], datetime],
) -> None:
    """Interpret the stored bytes again; the effect is that they can be read now."""
    for item in taken:
        with engine.begin() as conn:
            if replay_work.begin_sending(conn, item, holder, clock()) is None:
                continue
        state, cause = "resolved", ""
        try:
            (done,) = rereading.again(
                engine, net, [(item.ref.source, item.ref.key)], clock(), one.requested_by
            )
        except TowerError as error:
            state, cause = "returned", str(error)
        else:
            left = [d for d in done.dead_letters if d["position"] == item.ref.position]
            if left and done.changed:
                state, cause = "failed_again", left[0]["cause"]
            elif left or done.outcome == "gone":
                state, cause = "returned", left[0]["cause"] if left else "its bytes are gone"
        with engine.begin() as conn:
            replays.to_state(
                conn, item, state, one.requested_by, clock(), only=("sending",), cause=cause
            )
            if state == "resolved":
                # Reading it again put the former reading's letters aside.
                kept_letters.set_state(
                    conn, [item.ref], "resolved", clock(), only=("superseded",)
                )


def see_effects(engine: Engine, now: datetime) -> int:
    """Resolve what took effect, note what died again, end what nothing waits for; how many items
    changed.
    """
    changed, after = 0, (0, 0)
    while True:
        with engine.begin() as conn:
            if switches.why_read_only(conn):
                return changed
            waiting = replay_work.awaiting(conn, after=after, limit=PAGE)
            changed += _see(conn, waiting, now)
        if len(waiting) < PAGE:
            break
        after = (waiting[-1][0].replay_id, waiting[-1][0].n)
    if changed:
        with engine.begin() as conn:
            replay_work.finish(conn, now)
    return changed


def _see(conn: Connection, waiting: Sequence[tuple[Item, Letter]], now: datetime) -> int:
    if not waiting:
        return 0
    changed = 0
    died = replay_work.newer_deaths(conn, [item for item, _ in waiting])
    around = replay_facts.around(
        conn,
        [letter for _, letter in waiting],
        sorted({one for item, _ in waiting for one in item.effect_types}),
    )
    for item, letter in waiting:
        both = ("awaiting_effect", "uncertain")
        if (item.replay_id, item.n) in died:
            changed += replays.to_state(
                conn, item, "failed_again", "tower", now, only=both,
                cause="its copy died again; the newer dead letter tells why",
            )  # fmt: skip
            continue
        sent = item.published_at or item.sent_at
        found = None if sent is None else _effect(around[letter.ref], item.effect_types, sent)
        if found is not None:
            changed += replays.to_state(
                conn, item, "resolved", "tower", now, only=both, cause=f"{found[0]} was seen",
                effect=(found[1], found[2]),
            )  # fmt: skip
    return changed


def recovered(engine: Engine, net: Network, now: datetime) -> int:
    """Close open letters whose effect was seen without us; how many."""
    found, before = 0, None  # the last letter of the page before
    while True:
        with engine.begin() as conn:
            if switches.why_read_only(conn):
                return found
            page = kept_letters.letters(
                conn, EVERYTHING, states=("open",), before=before, limit=PAGE
            )
            found += _close_recovered(conn, net, [o for o in page if o.kind == "deliver"], now)
        if len(page) < PAGE:
            return found
        before = page[-1]


def _close_recovered(
    conn: Connection, net: Network, open_letters: Sequence[Letter], now: datetime
) -> int:
    around = replay_facts.around(conn, open_letters, _effect_types(net))
    healed = []
    for letter in open_letters:
        here = around[letter.ref]
        origins = origin_queues(here.headers)
        queue = next(iter(origins)) if len(origins) == 1 else ""
        effects = _effects(letter, here, queue, allowed(net, letter.ref.source))
        if _effect(here, effects, here.died_at) is not None:
            healed.append(letter.ref)
    return kept_letters.recovered(conn, healed, now)


# --- the broker -----------------------------------------------------------------------------------


@contextmanager
def _sender(
    net: Network, source: str, secrets: Mapping[str, str]
) -> Iterator[AmqpSender | None]:
    """A connection to the broker of a source; None if it is no broker of network.yaml."""
    described = net.sources.get(source)
    options = None if described is None else described.feed
    if not isinstance(options, RabbitOptions):
        yield None
        return
    login = broker_login(source, options, secrets)
    sender = AmqpSender(
        source, login.url, login.user, login.password, options.timeout.total_seconds()
    )
    try:
        yield sender
    finally:
        sender.close()


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
