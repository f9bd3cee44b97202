"""Month partitions

Revision 0002, after 0001.

The program's account owns no table, so it cannot make partitions itself. This function makes one
for it, of the two tables that have any, and nothing else.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The look-up comes first, as a partition needs to be made once a month. The lock then lets one of
# several callers make it; the second look is a query because to_regclass would remember its first
# answer. The table is made by itself and then attached: PARTITION OF would lock its parent against
# readers, and who reads it while holding what this transaction writes next would wait for ever.
_FUNCTION = """
CREATE FUNCTION {schema}.add_month_partition(parent text, month date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    first_day date := date_trunc('month', month)::date;
    part text := parent || '_' || to_char(first_day, 'YYYYMM');
BEGIN
    IF parent NOT IN ('raw_message', 'queue_sample') THEN
        RAISE EXCEPTION 'table % has no month partitions', parent;
    END IF;
    IF to_regclass(format('%I.%I', {literal}, part)) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('tower.partition.' || part, 0));
    IF EXISTS (
        SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = {literal} AND c.relname = part
    ) THEN
        RETURN false;
    END IF;
    EXECUTE format(
        'CREATE TABLE %I.%I (LIKE %I.%I INCLUDING ALL EXCLUDING INDEXES)',
        {literal}, part, {literal}, parent
    );
    EXECUTE format(
        'ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
        {literal}, parent, {literal}, part,
        first_day::text || ' 00:00:00+00',
        (first_day + interval '1 month')::date::text || ' 00:00:00+00'
    );
    RETURN true;
END
$body$
"""


def upgrade() -> None:
    bind = op.get_bind()
    schema = bind.scalar(sa.text("SELECT quote_ident(current_schema())"))
    literal = bind.scalar(sa.text("SELECT quote_literal(current_schema())"))
    op.execute(sa.text(_FUNCTION.format(schema=schema, literal=literal)))
    op.execute(
        sa.text(f"REVOKE ALL ON FUNCTION {schema}.add_month_partition(text, date) FROM PUBLIC")
    )
