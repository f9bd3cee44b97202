"""The evidence of one supplier and period as one zip: figures, what they counted, cases, mails.

Made like the bundle of a document (tower/bundle.py): the manifest names every file with its hash,
so that ``tower verify-bundle`` checks it without the database.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from html import escape
from typing import Any

from sqlalchemy import Connection, Select, or_, select

from db.reads import figures
from db.reads.filters import Filter, within_scope
from db.reads.overview import IS_OPEN
from db.reads.scorecards import SupplierCard, scorecard
from db.reads.supplier_page import PARTNER, Card, SupplierPage, supplier_page
from db.tables import document, exception_case, outbox
from tower.access import Scope
from tower.bundle import File, file_name, packed
from tower.identity import partner_id
from tower.kpi_catalogue import DEFINITIONS
from tower.kpis import Figure
from tower.masking import ALL
from tower.root_causes import KIND
from tower.spreadsheets import cell, safe

FIGURES = (
    "ack_on_time",
    "ack_cycle_clock",
    "first_confirm",
    "commit_reliability",
    "asn_on_time",
    "asn_valid",
    "asn_accurate",
    "otif",
    "fill_line",
    "lead_time",
    "invoice_match",
)
"""Figures of the pack; each with a file of its subjects."""
MOST_ROWS = 20_000
MOST_MAILS = 500


def supplier_pack(
    conn: Connection,
    scope: Scope,
    key: str,
    narrowed: Filter,
    now: datetime,
    *,
    by: str,
    program: str,
) -> bytes | None:
    """The pack of a supplier's period; None if the viewer may not see it or nobody knows it."""
    page = supplier_page(conn, scope, key, narrowed, now)
    if page is None:
        return None
    card = scorecard(conn, scope, key, narrowed, now)
    told = {kpi: figures.figure(conn, scope, kpi, narrowed, now) for kpi in FIGURES}
    files = [
        File("figures.json", "key figures of the period", _json(_figures(told, card))),
        File("ladder.json", "acknowledgement ladder of the period", _json(_ladder(page))),
        File("purchase_orders.csv", "orders released in the period", _orders(conn, scope, key,
                                                                             narrowed)),
        File("cases.csv", "exceptions opened in the period or open", _cases(conn, scope, key,
                                                                           narrowed)),
    ]  # fmt: skip
    for kpi in FIGURES:
        question = figures.question(conn, scope, kpi, narrowed, now)
        rows = figures.MAKERS[kpi](question).rows
        files.append(
            File(f"subjects/{kpi}.csv", "what the figure counted, in or out", _subjects(conn, rows))
        )
    # A mail is running text: what is masked elsewhere cannot be found in it, so it is left out.
    mails = _mails(conn, scope, key, narrowed) if scope.reveals >= ALL else []
    files += mails
    files.append(File("summary.html", "for people", _summary(page.card, told, card, narrowed, now)))
    head = {
        "ref": f"supplier:{key}",
        "made_at": now.isoformat(),
        "made_by": by,
        "program": program,
        "from": narrowed.period.start.isoformat(),
        "to": narrowed.period.end.isoformat(),
        "masks": sorted(ALL - scope.reveals),
        "left_out": [] if scope.reveals >= ALL else ["mails"],
        "mails": len(mails),
    }
    return packed(head, files)


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str).encode()


def _figures(told: Mapping[str, Figure], card: SupplierCard | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        kpi: {
            "name": f.definition.name,
            "formula": f.definition.formula,
            "outside": f.definition.outside,
            "version": f.definition.version,
            "unit": f.definition.unit,
            "target": f.definition.target,
            "value": f.value,
            "n": f.n,
            "numerator": f.numerator,
            "interval": f.interval,
            "left_out": dict(f.outside),
            "beside": dict(f.beside),
            "coverage": f.coverage,
            "switches": dict(f.switches),
            "reason": f.reason,
        }
        for kpi, f in told.items()
    }
    if card is not None:
        found["supplier_score"] = asdict(card.score)
    return found


def _ladder(page: SupplierPage) -> dict[str, Any]:
    return {"steps": [asdict(s) for s in page.funnel], "answers": asdict(page.answers)}


def _csv(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Marked as UTF-8 for Excel; no cell runs as a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow([safe(name) for name in names])
    for row in rows:
        writer.writerow([cell(value) for value in row])
    return out.getvalue().encode("utf-8-sig")


def _table(conn: Connection, statement: Select[Any]) -> bytes:
    result = conn.execute(statement)
    return _csv(list(result.keys()), result)


def _subjects(conn: Connection, statement: Select[Any]) -> bytes:
    """Facts spread over columns of their own."""
    rows = conn.execute(statement.limit(MOST_ROWS)).mappings().all()
    facts = list(dict.fromkeys(name for row in rows for name in row["facts"] or {}))
    names = ["document", "verdict", "at"]
    told = (
        [
            ":".join(filter(None, (row["kind"], row["scope"], row["number"], row["line"]))),
            row["verdict"],
            row["at"],
            *((row["facts"] or {}).get(name) for name in facts),
        ]
        for row in sorted(rows, key=lambda r: (r["at"], r["number"] or "", r["line"] or ""))
    )
    return _csv([*names, *facts], told)


def _orders(conn: Connection, scope: Scope, key: str, narrowed: Filter) -> bytes:
    d, period = document.c, narrowed.period
    columns = (
        d.scope, d.number, d.status, d.answer, d.released_at, d.transmitted_at,
        d.transport_acked_at, d.func_acked_at, d.acknowledged_at, d.applied_at, d.shipped_at,
        d.goods_received_at, d.requested_date, d.first_confirmed_date, d.last_confirmed_date,
        d.value, d.open_value, d.currency,
    )  # fmt: skip
    return _table(
        conn,
        select(*columns)
        .where(
            d.kind == "po",
            d.line == "",
            d.known,
            d.partner_id == partner_id(key),
            d.released_at >= period.start,
            d.released_at < period.end,
            *within_scope(d, scope),
        )
        .order_by(d.released_at, d.number)
        .limit(MOST_ROWS),
    )


def _cases(conn: Connection, scope: Scope, key: str, narrowed: Filter) -> bytes:
    c, period = exception_case.c, narrowed.period
    columns = (
        c.id, c.category, c.severity, c.state, c.resolution, c.rule, c.kind, c.scope, c.number,
        c.line, c.title, c.owner, c.opened_at, c.due_at, c.first_taken_at, c.resolved_at,
    )  # fmt: skip
    hurt = (c.orders_affected, c.value_at_risk, c.currency) if scope.sees_value_at_risk else ()
    return _table(
        conn,
        select(*columns, *hurt)
        .where(
            c.partner_id == partner_id(key),
            c.kind != KIND,
            or_(c.opened_at >= period.start, IS_OPEN),
            c.opened_at < period.end,
            *within_scope(c, scope),
        )
        .order_by(c.opened_at, c.id)
        .limit(MOST_ROWS),
    )


def _mails(conn: Connection, scope: Scope, key: str, narrowed: Filter) -> list[File]:
    """What was sent to the supplier itself; mails to our people are none of its evidence."""
    if scope.partner_ids is not None and partner_id(key) not in scope.partner_ids:
        return []
    o, period = outbox.c, narrowed.period
    rows = conn.execute(
        select(o.id, o.subject, o.message)
        .where(
            o.recipient == f"{PARTNER}{key}",
            o.created_at >= period.start,
            o.created_at < period.end,
        )
        .order_by(o.id)
        .limit(MOST_MAILS)
    )
    return [
        File(f"mails/{n:04d}-{file_name(row.subject)[:60]}.eml", "mail as sent", bytes(row.message))
        for n, row in enumerate(rows, start=1)
    ]


def _summary(
    card: Card,
    told: Mapping[str, Figure],
    score: SupplierCard | None,
    narrowed: Filter,
    now: datetime,
) -> bytes:
    """One page that opens anywhere; nothing is loaded from outside."""
    rows = "".join(
        f"<tr><td>{escape(f.definition.name)}</td><td>{escape(_words(f))}</td>"
        f"<td>{escape(_target(kpi))}</td><td>{f.n:,}</td>"
        f'<td><a href="subjects/{kpi}.csv">subjects</a></td>'
        f"<td>{escape(f.definition.formula)}</td></tr>"
        for kpi, f in told.items()
    )
    value = None if score is None else score.score.value
    points = (
        "no data"
        if value is None or score is None
        else f"{value:.0f} of 100, " + (score.score.standing or "")
    )
    period = narrowed.period
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>{escape(card.name)}</title><style>
body{{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}}
table{{border-collapse:collapse;width:100%}}td,th{{border-bottom:1px solid #ccd5dd;
padding:.35rem .6rem;text-align:left;vertical-align:top}}</style></head><body>
<h1>{escape(card.name)}</h1>
<p>{escape(card.key)} &middot; {period.start:%Y-%m-%d %H:%M} to {period.end:%Y-%m-%d %H:%M} UTC
&middot; made {now:%Y-%m-%d %H:%M} UTC &middot; score: {escape(points)}</p>
<table><thead><tr><th>Figure</th><th>Value</th><th>Target</th><th>Sample</th><th></th>
<th>What it is</th></tr></thead><tbody>{rows}</tbody></table>
<p>Orders: <a href="purchase_orders.csv">purchase_orders.csv</a>. Exceptions:
<a href="cases.csv">cases.csv</a>. Every file stands in manifest.json with its SHA-256.</p>
</body></html>""".encode()


def _words(figure: Figure) -> str:
    if figure.value is None:
        return figure.reason or "no data"
    if figure.definition.unit == "%":
        return f"{100 * float(figure.value):.1f} %"
    return f"{'> ' if figure.over else ''}{float(figure.value):,.1f} {figure.definition.unit}"


def _target(kpi: str) -> str:
    of = DEFINITIONS[kpi]
    if of.target is None:
        return ""
    aim = f"{100 * of.target:.0f} %" if of.unit == "%" else f"{of.target:g} {of.unit}"
    return f"at least {aim}" if of.better == "up" else f"at most {aim}"
