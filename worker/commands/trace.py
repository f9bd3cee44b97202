"""``tower lineage``, ``compare``, ``integrations``: what the pages of support answer."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlalchemy import Connection

from db.reads import hops as hop_reads
from db.reads import integrations as integration_reads
from db.reads import lineage as lineage_reads
from db.reads import names, stories
from db.reads.filters import Filter, Period
from tower.access import EVERYTHING
from tower.comparison import three_way
from tower.documents import Owners
from tower.errors import ConfigError
from tower.lineage import MOST_NODES, Graph, around
from tower.network import Network
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, shown, table
from worker.commands.ask import asking

LONGEST_CELL = 60


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (lineage, compare, integrations):
        app.command()(command)


def _network(conn: Connection) -> Network:
    net = names.network(conn)
    if net is None:
        raise ConfigError("No network is in force yet: tower up takes network.yaml in.")
    return net


def _story(conn: Connection, ref: str) -> stories.Story | None:
    """The story of the one document that is meant; None if there is none, or several."""
    found = [one for one in stories.search(conn, EVERYTHING, ref) if one.kind not in ("raw", "id")]
    return stories.story(conn, EVERYTHING, found[0].ref) if len(found) == 1 else None


def _unknown(ref: str) -> int:
    typer.echo(
        f'"{ref}" is no one document. next: tower find, and name it as kind:system:number', err=True
    )
    return EXIT_NOT_FOUND


def lineage(
    ref: Annotated[str, typer.Argument(help="A document: its number, or kind:system:number.")],
    node: Annotated[str, typer.Option(help="Only what lies around this node (its id).")] = "",
    depth: Annotated[int, typer.Option(min=1, max=20, help="Steps around it.")] = 2,
    as_json: AsJson = False,
) -> int:
    """From bytes to mails: every link, and on what it rests. Example: tower lineage 4500001234

    Also the messages as hops, each proved by a hash, claimed by an id, or a gap. Exit code 3 if
    there is no such document or node.
    """
    with asking() as (conn, _):
        story = _story(conn, ref)
        if story is None:
            return _unknown(ref)
        graph = lineage_reads.lineage(conn, EVERYTHING, story, Owners.of(_network(conn)))
        way = hop_reads.way(conn, EVERYTHING, story)
    if node and node not in graph.nodes:
        return _unknown(node)
    if node:
        graph = around(graph, node, depth)
    answer = {
        "ref": story.ref,
        "nodes": list(graph.nodes.values())[:MOST_NODES],
        "edges": [{"from": e.one, "to": e.other, "basis": e.basis} for e in graph.edges],
        "left_out": graph.left_out + max(0, len(graph.nodes) - MOST_NODES),
        "hops": [{**asdict(hop), "ids": sorted(hop.ids)} for hop in way.hops],
        "links": way.links,
    }
    emit(answer, as_json, lambda console: _say_lineage(console, graph, way))
    return 0


def _say_lineage(console: Console, graph: Graph, way: hop_reads.Way) -> None:
    nodes = graph.nodes
    console.print(
        table(
            f"{len(nodes)} nodes",
            ("from", "rests on", "to", "detail"),
            [
                (
                    f"{nodes[e.one].step} {nodes[e.one].label}"[:LONGEST_CELL],
                    e.basis,
                    f"{nodes[e.other].step} {nodes[e.other].label}"[:LONGEST_CELL],
                    nodes[e.other].detail,
                )
                for e in graph.edges
            ],
        )
    )
    came = {link.other: link for link in way.links}
    console.print(
        table(
            "Hops",
            ("at", "document", "step", "system", "from the hop before", "message"),
            [
                (
                    hop.at,
                    hop.group,
                    hop.step,
                    hop.system,
                    f"{came[n].proof}: {came[n].basis}" if n in came else "first",
                    f"{hop.source}/{hop.key[:24]}",
                )
                for n, hop in enumerate(way.hops)
            ],
        )
    )


def compare(
    ref: Annotated[str, typer.Argument(help="The document both messages tell of.")],
    one: Annotated[str, typer.Argument(help="A message of it, as source/key.")] = "",
    other: Annotated[str, typer.Argument(help="Another message of it.")] = "",
    as_json: AsJson = False,
) -> int:
    """Two messages field by field and part by part. Example: tower compare 4500001234 erp/1 edi/9f

    Without messages: ordered, answered and held by the ERP, line by line. Exit code 3 if one of
    them is not there.
    """
    with asking() as (conn, _):
        story = _story(conn, ref)
        if story is None:
            return _unknown(ref)
        net = _network(conn)
        lines = [row for row in story.family if row["kind"] == "po_line"]
        erps = [name for name, system in net.systems.items() if system.kind == "erp"]
        rows = three_way(lines, erps)
        found = None
        if one or other:
            found = hop_reads.compare(conn, EVERYTHING, _key(one), _key(other), story.events)
            if found is None:
                return _unknown(one if one and not other else other or one)
    answer: dict[str, Any] = {"ref": story.ref, "agreement": rows, "comparison": found}

    def say(console: Console) -> None:
        if found is None:
            console.print(
                table(
                    "Ordered, answered, held by the ERP",
                    ("line", "field", "ordered #", "answered #", "ERP #", "agree"),
                    [(r.line, r.field, r.ordered, r.answered, r.erp, r.agrees) for r in rows],
                )
            )
            return
        console.print(
            table(
                "Fields",
                ("field", "class", "one", "other"),
                [
                    (
                        d.field,
                        d.change,
                        None if d.one is None else d.one.value,
                        None if d.other is None else d.other.value,
                    )
                    for d in found.fields
                ],
            )
        )
        same = "the same" if found.same_bytes else f"different from byte {found.first_difference}"
        console.print(f"The bytes are {same}.")
        for part in found.parts:
            if part.change != "same":
                for sign, side in (("-", part.one), ("+", part.other)):
                    if side is not None:
                        console.print(shown(f"{sign} {side[0]:>4} {side[2]}"), soft_wrap=True)

    emit(answer, as_json, say)
    return 0


def _key(name: str) -> tuple[str, str]:
    source, _, key = name.removeprefix("raw:").partition("/")
    return source, key


def integrations(
    days: Annotated[int, typer.Option(min=1, max=366)] = 30,
    supplier: Annotated[str | None, typer.Option(help="Partner of network.yaml.")] = None,
    as_json: AsJson = False,
) -> int:
    """Load, errors, retries and latency per system and partner. Example: tower integrations"""
    with asking() as (conn, now):
        # What arrives in this very second belongs to it, too.
        period = Period.last(days, now + timedelta(seconds=1))
        found = integration_reads.integrations(conn, EVERYTHING, Filter(period, supplier=supplier))
    answer = {"days": days, "hops": found.hops, "course": found.days, "failures": found.failures}

    def say(console: Console) -> None:
        console.print(
            table(
                f"By system and partner, {days} days",
                ("system", "partner", "events #", "failed #", "letters #", "retried #",
                 "p50 s #", "p95 s #"),
                [
                    (
                        hop.system,
                        hop.partner,
                        hop.events,
                        hop.failed,
                        hop.dead_letters,
                        hop.retried,
                        None if hop.p50_s is None else round(hop.p50_s),
                        None if hop.p95_s is None else round(hop.p95_s),
                    )
                    for hop in found.hops
                ],
            )
        )  # fmt: skip
        console.print(
            table(
                "What fails most",
                ("count #", "open #", "code", "cause", "partners", "newest"),
                [
                    (f.count, f.open, f.code, f.cause, ", ".join(f.partners) or None, f.last_at)
                    for f in found.failures
                ],
            )
        )

    emit(answer, as_json, say)
    return 0
