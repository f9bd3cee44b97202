"""Categories of goods

Revision 0026, after 0023.

Lines of orders have the category of goods that their item belongs to, as the ERP names it. Lines
that are kept already get it when they are folded anew with events that tell one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0023"
branch_labels = None
depends_on = None

# Replaced, not dropped: accounts keep the rights that were given them on it.
_LINES = """CREATE OR REPLACE VIEW bi_purchase_order_lines WITH (security_invoker = true) AS
SELECT
  d.scope AS erp,
  d.number AS number,
  d.line AS line,
  d.supplier AS supplier,
  p.name AS supplier_name,
  d.partner_id AS partner_id,
  d.buyer AS buyer,
  d.warehouse AS warehouse,
  d.item AS item,
  d.description AS description,
  d.status AS status,
  d.answer AS answer,
  d.closed AS closed,
  d.released_at AS released_at,
  d.transmitted_at AS transmitted_at,
  d.acknowledged_at AS acknowledged_at,
  d.applied_at AS applied_at,
  d.shipped_at AS shipped_at,
  d.goods_received_at AS received_at,
  d.invoiced_at AS invoiced_at,
  d.closed_at AS closed_at,
  d.cancelled_at AS cancelled_at,
  d.requested_date AS requested_date,
  d.first_confirmed_date AS first_confirmed_date,
  d.last_confirmed_date AS last_confirmed_date,
  d.ship_by AS ship_by,
  d.eta AS eta,
  d.actual_ship_date AS actual_ship_date,
  d.actual_receipt_date AS actual_receipt_date,
  d.uom AS uom,
  d.ordered_qty AS ordered_qty,
  d.confirmed_qty AS confirmed_qty,
  d.shipped_qty AS shipped_qty,
  d.received_qty AS received_qty,
  d.rejected_qty AS rejected_qty,
  d.invoiced_qty AS invoiced_qty,
  d.price AS price,
  d.value AS value,
  d.open_value AS open_value,
  d.currency AS currency,
  d.agrees AS agrees,
  d.last_event_at AS last_event_at,
  d.category AS category
FROM document d LEFT JOIN partner p ON p.partner_id = d.partner_id
WHERE d.kind = 'po_line'"""
_COMMENT = (
    "COMMENT ON COLUMN bi_purchase_order_lines.category IS 'category of goods the item belongs to'"
)


def upgrade() -> None:
    op.add_column("document", sa.Column("category", sa.Text(), nullable=True))
    op.execute(sa.text(_LINES))
    op.execute(sa.text(_COMMENT))
