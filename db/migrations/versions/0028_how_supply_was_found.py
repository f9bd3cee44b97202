"""How supply was found

Revision 0028, after 0027.

Orders at risk tell how their supply was found: a line that is short by the word of the ERP and by
netting is two rows, which nothing else told apart.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

# Replaced, not dropped: accounts keep the rights that were given them on it.
_VIEW = """CREATE OR REPLACE VIEW bi_orders_at_risk WITH (security_invoker = true) AS
SELECT
  i.scope AS erp,
  i."order" AS order_number,
  i.order_line AS order_line,
  i.customer AS customer,
  i.customer_name AS customer_name,
  i.item AS item,
  i.po AS po,
  i.po_line AS po_line,
  i.supplier AS supplier,
  p.name AS supplier_name,
  i.buyer AS buyer,
  i.warehouse AS warehouse,
  i.since AS since,
  i.promise_date AS promise_date,
  i.projected_date AS projected_date,
  i.basis AS basis,
  i.days_late AS days_late,
  i.uncovered_qty AS uncovered_qty,
  i.open_value AS open_value,
  i.currency AS currency,
  i.confidence AS confidence,
  i.cause AS cause,
  i.case_id AS case_id,
  i.partner_id AS partner_id,
  i.matched_by AS matched_by
FROM order_impact i LEFT JOIN partner p ON p.partner_id = i.partner_id"""
_COMMENT = (
    "COMMENT ON COLUMN bi_orders_at_risk.matched_by IS 'how its supply was found: "
    "peg (the ERP says so) or netting (by item and warehouse)'"
)


def upgrade() -> None:
    op.execute(sa.text(_VIEW))
    op.execute(sa.text(_COMMENT))
