"""A year of a large distributor's documents, laid down set-based in SQL.

What is built for E events: E / 20 purchase orders released over a year to 300 suppliers, with 2.4
lines each, their notices, invoices, ties, clocks of four rules and, for some, exception cases and
affected customer order lines. So many events tell of so many documents in the demo. The events
themselves are not built, nor raw messages: no page of a leader reads them. Headers carry as
many bytes of registers as folded ones do.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine, text

from db import configuration, rollups
from db.reads import counted_ahead
from tower.network import load_network

NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)
EVENTS_PER_ORDER = 20
SUPPLIERS = 300
_SITES = ", ".join(f"W{n}: {{name: Site {n}}}" for n in range(6))
_PARTNERS = ", ".join(f"SUP{n:03}: {{name: Supplier {n:03}}}" for n in range(SUPPLIERS))
NETWORK = f"""\
version: 1
company: {{name: Bench, currency: EUR, zone: UTC, calendar: hq}}
systems: {{erp: {{name: ERP, kind: erp}}}}
sources: {{bench: {{kind: push, format: cloudevents, system: erp}}}}
partners: {{{_PARTNERS}}}
warehouses: {{{_SITES}}}
calendars: {{hq: {{zone: UTC, open: {{mon-fri: ["08:00-17:00"]}}}}}}
people: {{desk: {{name: Desk, mail: desk@bench.example}}}}
owners: {{B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}}
"""

_R = """
CREATE OR REPLACE FUNCTION pg_temp.r(n bigint, k int) RETURNS float8 IMMUTABLE LANGUAGE sql
AS 'SELECT (hashint8extended(n, k) & 1048575) / 1048576.0::float8'
"""

_MADE = """
CREATE TABLE bench_po AS
SELECT n, hashtextextended('po:main:' || n, 1) AS home, '45' || lpad(n::text, 8, '0') AS number,
       p.partner_id AS pid, p.key AS supplier,
       'buyer' || (pg_temp.r(n, 2) * 12)::int AS buyer, 'W' || floor(pg_temp.r(n, 3) * 6) AS wh,
       a.released, a.released + pg_temp.r(n, 4) * interval '90 min' AS sent,
       CASE WHEN a.answered < :now AND pg_temp.r(n, 6) < 0.97 THEN a.answered END AS answered,
       a.released + interval '48 h' AS answer_by,
       (a.released + (8 + pg_temp.r(n, 7) * 17) * interval '1 day')::date AS requested,
       (a.released + (8 + pg_temp.r(n, 7) * 17 + (pg_temp.r(n, 8) ^ 4 * 12 - 2))
           * interval '1 day') AS came_at,
       1 + floor(pg_temp.r(n, 9) * 3.8)::int AS lines,
       pg_temp.r(n, 10) < 0.92 AS noticed
FROM generate_series(1, :orders) AS n
CROSS JOIN LATERAL (
    SELECT CAST(:now AS timestamptz) - (:orders - n) * (interval '365 days' / :orders) AS released,
           CAST(:now AS timestamptz) - (:orders - n) * (interval '365 days' / :orders)
               + (2 + 50 * pg_temp.r(n, 5) ^ 2) * interval '1 h' AS answered) AS a
JOIN (SELECT partner_id, key, row_number() OVER (ORDER BY key) - 1 AS place FROM partner) AS p
  ON p.place = floor(pg_temp.r(n, 1) ^ 2 * :suppliers)
ORDER BY n
"""

_HEADERS = """
INSERT INTO document (home_key, kind, scope, number, partner_id, supplier, buyer, warehouse, uom,
    currency, status, answer, known, closed, first_seen_at, released_at, transmitted_at,
    func_acked_at, acknowledged_at, applied_at, shipped_at, goods_received_at, invoiced_at,
    last_event_at, ordered_qty, received_qty, requested_date, first_confirmed_date,
    actual_receipt_date, asn_status, value, open_value, n_lines, agrees, state)
SELECT home, 'po', 'main', number, pid, supplier, buyer, wh, 'EA', 'EUR',
    CASE WHEN came_at < :now THEN 'invoiced' ELSE 'acknowledged' END,
    CASE WHEN answered IS NULL THEN 'none' ELSE 'accepted' END, true, came_at < :now, released,
    released, sent, sent + interval '20 min', answered, answered + interval '10 min',
    CASE WHEN noticed AND came_at - interval '2 days' < :now THEN came_at - interval '2 days' END,
    CASE WHEN came_at < :now THEN came_at END,
    CASE WHEN came_at < :now THEN came_at + interval '3 h' END,
    greatest(released, answered), 100, CASE WHEN came_at < :now THEN 100 END, requested,
    CASE WHEN answered IS NOT NULL THEN requested END,
    CASE WHEN came_at < :now THEN came_at::date END,
    CASE WHEN noticed AND came_at - interval '2 days' < :now THEN 'valid' END,
    1000, CASE WHEN came_at < :now THEN 0 ELSE 1000 END, lines, answered IS NOT NULL,
    json_build_object('registers', repeat(md5(n::text), 40))
FROM bench_po ORDER BY n
"""

_LINES = """
INSERT INTO document (home_key, kind, scope, number, line, partner_id, supplier, buyer, warehouse,
    item, uom, currency, status, answer, known, closed, first_seen_at, released_at,
    acknowledged_at, applied_at, shipped_at, goods_received_at, last_event_at, ordered_qty,
    confirmed_qty, shipped_qty, received_qty, qty_by_first, qty_by_last, qty_by_requested,
    first_shipped_qty, late_unit_days, first_answer, requested_date, first_confirmed_date,
    last_confirmed_date, actual_receipt_date, asn_status, price, value, open_value, state)
SELECT b.home, 'po_line', 'main', b.number, line::text, b.pid, b.supplier, b.buyer, b.wh,
    'ITEM-' || floor(pg_temp.r(b.n * 8 + line, 20) * 20000), 'EA', 'EUR',
    CASE WHEN came IS NULL THEN 'accepted' ELSE 'received' END,
    CASE WHEN b.answered IS NULL THEN NULL ELSE 'accepted' END, true, came IS NOT NULL, b.released,
    b.released, b.answered, b.answered + interval '10 min',
    CASE WHEN noticed AND b.came_at - interval '2 days' < :now
         THEN b.came_at - interval '2 days' END,
    came, greatest(b.released, b.answered), 10, CASE WHEN b.answered IS NULL THEN NULL ELSE 10 END,
    CASE WHEN noticed AND b.came_at - interval '2 days' < :now THEN 10 END, got,
    CASE WHEN came::date <= requested THEN got ELSE 0 END,
    CASE WHEN came::date <= requested THEN got ELSE 0 END,
    CASE WHEN came::date <= requested THEN got ELSE 0 END,
    CASE WHEN noticed AND b.came_at - interval '2 days' < :now THEN 10 END,
    CASE WHEN came::date > requested THEN got * (came::date - requested) ELSE 0 END,
    CASE WHEN b.answered IS NULL THEN NULL
         WHEN pg_temp.r(b.n * 8 + line, 21) < 0.9 THEN 'kept' ELSE 'date' END,
    requested, CASE WHEN b.answered IS NOT NULL THEN requested END,
    CASE WHEN b.answered IS NOT NULL THEN requested END, came::date,
    CASE WHEN noticed AND b.came_at - interval '2 days' < :now THEN 'valid' END,
    12.5, 125, CASE WHEN came IS NULL THEN 125 ELSE 0 END, '{}'
FROM bench_po AS b CROSS JOIN LATERAL generate_series(1, b.lines) AS line
CROSS JOIN LATERAL (SELECT CASE WHEN b.came_at < :now THEN b.came_at END AS came) AS c
CROSS JOIN LATERAL (SELECT CASE WHEN came IS NULL THEN NULL
                                WHEN pg_temp.r(b.n * 8 + line, 22) < 0.03 THEN 9
                                ELSE 10 END AS got) AS g
ORDER BY b.n
"""

_NOTICES = """
INSERT INTO document (home_key, kind, scope, number, partner_id, supplier, status, asn_status,
    known, closed, first_seen_at, released_at, shipped_at, goods_received_at, actual_ship_date,
    last_event_at, state)
SELECT hashtextextended('asn:' || n, 1), 'asn', supplier, 'S' || n, pid, supplier, 'valid',
    CASE WHEN pg_temp.r(n, 30) < 0.01 THEN 'invalid' ELSE 'valid' END, true, came_at < :now,
    told, told, told + CASE WHEN pg_temp.r(n, 31) < 0.05 THEN interval '-9 h' ELSE interval '0' END,
    CASE WHEN came_at < :now THEN came_at END, told::date, told,
    json_build_object('registers', repeat(md5(n::text), 40))
FROM (SELECT *, came_at - interval '2 days' AS told FROM bench_po) AS b
WHERE noticed AND told < :now ORDER BY n
"""

_INVOICES = """
INSERT INTO document (home_key, kind, scope, number, partner_id, supplier, currency, status, known,
    closed, first_seen_at, released_at, last_event_at, value, state)
SELECT hashtextextended('invoice:' || n, 1), 'invoice', supplier, 'I' || n, pid, supplier, 'EUR',
    CASE WHEN pg_temp.r(n, 40) < 0.04 THEN 'mismatched' ELSE 'matched' END, true, true, billed,
    billed, billed, 1000, json_build_object('registers', repeat(md5(n::text), 20))
FROM (SELECT *, came_at + interval '3 h' AS billed FROM bench_po) AS b
WHERE billed < :now AND pg_temp.r(n, 41) < 0.95 ORDER BY n
"""

_TIES = """
INSERT INTO flow_link (home_key, other_key, basis, evidence, to_root, since)
SELECT one, other, 'document', 'po', to_root, came_at FROM (
    SELECT hashtextextended(k || n, 1) AS one, home AS other, true AS to_root, came_at
    FROM bench_po, (VALUES ('asn:'), ('invoice:')) AS v (k)
    UNION ALL
    SELECT home, hashtextextended(k || n, 1), false, came_at
    FROM bench_po, (VALUES ('asn:'), ('invoice:')) AS v (k)) AS t
"""

_CLOCKS = """
INSERT INTO clock (home_key, rule, kind, scope, number, cycle, partner_id, verdict, open,
    started_at, due_at, ended_at, rule_hash, state)
SELECT home, rule, 'po', 'main', number, 1, pid,
    CASE WHEN ended <= due THEN 'met' WHEN ended IS NOT NULL THEN 'met_late'
         WHEN due < :now THEN 'breached' ELSE 'pending' END,
    ended IS NULL, released, due, ended, 'h', json_build_object('facts', repeat(md5(number), 6))
FROM (
    SELECT *, 'po.unacknowledged' AS rule, answer_by AS due, answered AS ended FROM bench_po
    UNION ALL SELECT *, 'fa.overdue', sent + interval '4 h', sent + interval '20 min' FROM bench_po
    UNION ALL SELECT *, 'asn.missing', requested - interval '1 day',
        CASE WHEN noticed AND came_at < :now THEN came_at - interval '2 days' END FROM bench_po
    UNION ALL SELECT *, 'po.answer_not_applied', answered + interval '4 h',
        answered + interval '10 min' FROM bench_po WHERE answered IS NOT NULL
) AS c ORDER BY n
"""

_CASES = """
INSERT INTO exception_case (fingerprint, cycle, category, severity, state, resolution, rule, level,
    home_key, kind, scope, number, clock_cycle, partner_id, supplier, title, owner, owner_letter,
    policy, opened_at, detected_at, resolved_at, first_taken_at, value_at_risk, currency,
    orders_affected, urgency, confidence, priority)
SELECT 'ACK_OVERDUE:' || n, 1, 'ACK_OVERDUE', 'medium',
    CASE WHEN over < :now THEN 'resolved' ELSE 'new' END,
    CASE WHEN over < :now THEN 'healed' END, 'po.unacknowledged', 'breach', home, 'po', 'main',
    number, 1, pid, supplier, 'PO ' || number || ' is not answered', 'desk', 'D', 'business',
    answer_by, answer_by, CASE WHEN over < :now THEN over END,
    CASE WHEN n % 3 = 0 THEN answer_by + interval '1 h' END, 100, 'EUR', 1, 0.5, 0.8, 40
FROM (SELECT *, answer_by + pg_temp.r(n, 50) * interval '20 days' AS over FROM bench_po) AS b
WHERE answer_by < :now AND (answered IS NULL OR answered > answer_by) ORDER BY n
"""

_IMPACTS = """
INSERT INTO order_impact (order_home, scope, "order", order_line, po, po_line, po_home, supplier,
    partner_id, buyer, warehouse, item, promise_date, projected_date, basis, days_late,
    uncovered_qty, open_value, currency, confidence, cause, case_id, since)
SELECT hashtextextended('so' || c.id, 1), 'main', 'SO' || c.id, '1', c.number, '1', c.home_key,
    c.supplier, c.partner_id, b.buyer, b.wh, 'ITEM-1', b.requested, b.requested + 4, 'confirmed',
    4, 5, 60, 'EUR', 0.8, 'ACK_OVERDUE', c.id, c.opened_at
FROM exception_case AS c JOIN bench_po AS b ON b.number = c.number WHERE c.state <> 'resolved'
"""

STEPS = (_CLOCKS, _LINES, _HEADERS, _TIES, _NOTICES, _INVOICES, _CASES)


AT_ONCE = 2  # statements; each fills tables of its own


def lay_down(owner: Engine, events: int, rules: str) -> int:
    """Fill an empty database; ``owner`` owns it. Returns the number of purchase orders."""
    orders = events // EVENTS_PER_ORDER
    told = {"now": NOW, "orders": orders, "suppliers": SUPPLIERS}

    def lay(step: str) -> None:
        with owner.begin() as conn:
            conn.exec_driver_sql(_R)
            conn.execute(text(step), {k: v for k, v in told.items() if f":{k}" in step})

    with owner.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, NETWORK, NOW)
        configuration.activate(conn, configuration.RULES, rules, NOW)
        configuration.store_partners(conn, load_network(NETWORK, "network.yaml"))
    lay(_MADE)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(lay, STEPS):
            pass
    lay(_IMPACTS)
    lay("DROP TABLE bench_po")
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("VACUUM ANALYZE")
    return orders


def count_ahead(engine: Engine) -> int:
    """Count all weeks as the worker does, several at once, and add them up; how many."""
    last = counted_ahead.monday(NOW.date())
    weeks = [last - timedelta(weeks=n) for n in range(rollups.KEPT_WEEKS)]

    def count(week: date) -> None:
        with engine.begin() as conn:
            rollups.count_week(conn, week, NOW)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(count, weeks):
            pass
    rollups.add_up(engine)
    return sum(week > last - timedelta(days=365) for week in weeks)
