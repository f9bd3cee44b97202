"""Netting by item and warehouse

Revision 0013, after 0016.

What warehouses reported so far becomes the stock that supply is netted from. Affected order lines
that are known were found by pegs.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stock_level",
        sa.Column("warehouse", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("on_hand", sa.Numeric(), nullable=True),
        sa.Column("uom", sa.Text(), nullable=True),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("warehouse", "item", name=op.f("pk_stock_level")),
        info={"place": "local"},
        postgresql_with={"fillfactor": "80"},
    )
    op.create_table(
        "stock_change",
        sa.Column("warehouse", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delta", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("warehouse", "item", "event_id", name=op.f("pk_stock_change")),
        info={"place": "local"},
    )
    op.create_index(
        "ix_document_open_item",
        "document",
        ["item", "warehouse"],
        postgresql_where=sa.text("item IS NOT NULL AND NOT closed"),
    )
    op.create_index(
        "ix_document_done_item",
        "document",
        ["item", "warehouse", "last_event_at"],
        postgresql_where=sa.text("item IS NOT NULL AND closed"),
    )
    for column in (
        sa.Column("matched_by", sa.Text(), server_default="peg", nullable=False),
        sa.Column("po_scope", sa.Text(), server_default="", nullable=False),
        sa.Column("proposed_date", sa.Date(), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_date", sa.Date(), nullable=True),
    ):
        op.add_column("order_impact", column)
    op.drop_constraint(op.f("pk_order_impact"), "order_impact", type_="primary")
    op.create_primary_key(
        op.f("pk_order_impact"),
        "order_impact",
        ["order_home", "scope", "order", "order_line", "po", "po_line", "matched_by"],
    )
    op.create_index(
        "ix_order_impact_bucket",
        "order_impact",
        ["warehouse", "item"],
        postgresql_where=sa.text("matched_by = 'netting'"),
    )
    op.execute(
        """
        INSERT INTO stock_level (warehouse, item, on_hand, uom, as_of, event_id, source)
        SELECT DISTINCT ON (told.warehouse, told.item) *
        FROM (
            SELECT e.data->>'warehouse' AS warehouse, l->>'item' AS item,
                   CASE WHEN count(DISTINCT l->>'uom') < 2
                        THEN sum(coalesce(l->>'on_hand', l->>'available')::numeric) END AS on_hand,
                   min(l->>'uom') AS uom,
                   coalesce((e.data->>'as_of')::timestamptz, e.occurred_at) AS as_of,
                   e.event_id, e.source
            FROM event e, json_array_elements(e.data->'lines') l
            WHERE e.type = 'inventory.reported'
            GROUP BY 1, 2, e.home_key, e.event_id, e.source, 5
        ) told
        WHERE told.warehouse IS NOT NULL AND told.item IS NOT NULL
        ORDER BY told.warehouse, told.item, told.as_of DESC, told.event_id DESC
        """
    )
    op.execute(
        """
        INSERT INTO stock_change (warehouse, item, event_id, at, delta)
        SELECT e.data->>'warehouse', l->>'item', e.event_id, e.occurred_at,
               sum((l->>'delta')::numeric)
        FROM event e, json_array_elements(e.data->'lines') l
        WHERE e.type = 'inventory.adjusted'
        GROUP BY 1, 2, 3, 4
        """
    )
    op.execute(
        """
        INSERT INTO timer (kind, key, due, generation)
        SELECT 'netting', json_build_array('bucket', warehouse, item, '')::text, as_of, 1
        FROM stock_level
        """
    )
