"""The dry run of documents that are to go to their partner again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection

from db import replay_facts, replay_work, sent_documents
from db.replay_facts import Surroundings
from db.replays import Item, Replay
from db.sent_documents import SentDocument
from tower import retransmits as law
from tower.access import EVERYTHING
from tower.network import Network
from tower.replays import REPLACED_BY, Verdict
from tower.retransmits import ANSWERS, RECEIPTS, SentFacts
from worker.replay_effects import type_since
from worker.replay_target import Sender, sender_of

Given = tuple[Item, Verdict, str, tuple[str, ...]]


def verdicts(
    conn: Connection,
    net: Network,
    one: Replay,
    found: Sequence[Item],
    secrets: Mapping[str, str],
    base: Path,
) -> list[Given]:
    """A verdict for each message, where it would go, and what shows that it took effect."""
    sent = sent_documents.documents(conn, EVERYTHING, [item.ref for item in found])
    kept = [document.letter for document in sent.values()]
    types = sorted({*ANSWERS, *RECEIPTS, *REPLACED_BY, "fa.received"})
    around = replay_facts.around(conn, kept, types, bodies=True)
    elsewhere = replay_work.held_elsewhere(conn, one.id, found)
    first_of: dict[bytes, int] = {}
    given: list[Given] = []
    with sender_of(net, one, secrets, base) as sender:
        queue, state = _outlet(net, one.target, sender)
        for item in found:
            document = sent.get(item.ref)
            if document is None:
                given.append((item, Verdict("blocked", "payload_expired: it is gone"), "", ()))
                continue
            same = first_of.get(document.letter.sha256)
            claimed = elsewhere.get((item.ref.source, item.message_key))
            facts = _facts(net, one, document, around[item.ref], state, same, claimed)
            said = law.verdict(facts)
            if said.word == "ready":
                first_of.setdefault(document.letter.sha256, item.n)
            given.append((item, said, queue, law.effects_of(document.types)))
    return given


def _outlet(net: Network, name: str, sender: Sender | None) -> tuple[str, str]:
    """What an outlet is sent under, and whether it can be sent to."""
    outlet = net.outlets.get(name)
    if outlet is None or sender is None:
        return name, "none"
    queue = outlet.queue or name
    return queue, sender.look(queue)


def _facts(
    net: Network,
    one: Replay,
    document: SentDocument,
    here: Surroundings,
    outlet: str,
    same_as: int | None,
    claimed_by: int | None,
) -> SentFacts:
    name = net.partner_keys.get(document.partner_id or 0, "")
    partner = net.partners.get(name)
    way = net.outlets.get(one.target)
    after = document.letter.received_at
    since = [seen for seen in here.seen if seen.occurred_at > after]
    receipts = [seen.occurred_at for seen in since if seen.type in RECEIPTS]
    return SentFacts(
        types=document.types,
        has_payload=here.body is not None,
        outlet=outlet,
        partner=name,
        wrong_way=way is None or (bool(way.partners) and name not in way.partners),
        policy=law.ASK if partner is None else partner.resend,
        reply=one.remark,
        confirmed=tuple(s.verdict or "accepted" for s in since if s.type == "fa.received"),
        answered=next((s.type for s in since if s.type in ANSWERS), ""),
        replaced_by=type_since(here, REPLACED_BY, after),
        delivered_at=f"{min(receipts):%Y-%m-%d %H:%M} UTC" if receipts else "",
        claimed_by=claimed_by,
        same_as=same_as,
        control=document.control,
    )


def changed_mind(
    conn: Connection, net: Network, one: Replay, item: Item, secrets: Mapping[str, str], base: Path
) -> str:
    """What since the dry run speaks against sending it; "" if nothing does."""
    ((_, said, _, _),) = verdicts(conn, net, one, [item], secrets, base)
    return "" if said.word == "ready" else said.cause
