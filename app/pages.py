"""The pages of the app: where each lives, what navigation shows of it, and who may see it."""

from __future__ import annotations

from dataclasses import dataclass

from tower.access import Permission


@dataclass(frozen=True, slots=True)
class Page:
    """One screen: its file below ``app/`` and how navigation shows it.

    ``section`` is the heading in the navigation; "" stands before all headings, None means that
    the page is reached by links only. ``path`` is its address; "" is the front page. ``needs`` is
    what a viewer must be allowed to see it.
    """

    file: str
    path: str
    title: str
    icon: str
    section: str | None
    help: str
    needs: Permission = "house.read"


DEMO = "Demo"
"""The section that only `tower demo` shows."""

OVERVIEW = Page(
    "screens/overview.py",
    "",
    "Overview",
    ":material/monitoring:",
    "",
    "Is supply under control today? Key figures, what needs a decision, what changed.",
)
PURCHASE_ORDERS = Page(
    "screens/purchase_orders.py",
    "purchase-orders",
    "Purchase orders",
    ":material/receipt_long:",
    "Procurement",
    "Purchase orders with their acknowledgement ladder; saved views of what is stuck.",
)
ORDERS_AT_RISK = Page(
    "screens/orders_at_risk.py",
    "orders-at-risk",
    "Orders at risk",
    ":material/running_with_errors:",
    "Procurement",
    "Customer orders that their supply does not cover in time, and what is to blame.",
    "customers.read",
)
SUPPLIERS = Page(
    "screens/suppliers.py",
    "suppliers",
    "Suppliers",
    ":material/factory:",
    "Procurement",
    "Which suppliers keep their word? Score, standing and figures of each; two beside each other.",
)
SUPPLIER = Page(
    "screens/supplier.py",
    "supplier",
    "Supplier",
    ":material/local_shipping:",
    None,
    "One supplier: figures over time, ladder as a funnel, answers, open orders, mails, evidence.",
)
FULFILMENT = Page(
    "screens/fulfilment.py",
    "fulfilment",
    "Fulfilment",
    ":material/inventory:",
    "Procurement",
    "Did what was ordered come, in full, in time, undamaged, and was it billed right?",
)
FIGURES = Page(
    "screens/figures.py",
    "figures",
    "Key figures",
    ":material/function:",
    "Procurement",
    "What each key figure means, how it moves, and everything it counted, in or out and why.",
)
EXCEPTIONS = Page(
    "screens/exceptions.py",
    "exceptions",
    "Exceptions",
    ":material/report:",
    "Support",
    "The work queue: exception cases by root cause, with owner, age and severity.",
)
CASE = Page(
    "screens/case.py",
    "case",
    "Case",
    ":material/assignment:",
    None,
    "One exception case: rule, evidence, impact, history, mails.",
)
TRACE = Page(
    "screens/trace.py",
    "trace",
    "Trace",
    ":material/account_tree:",
    "Support",
    "One box takes any number or id: ladder, waterfall, events and the bytes as received.",
)
QUEUES = Page(
    "screens/queues.py",
    "queues",
    "Queues",
    ":material/stacks:",
    "Support",
    "Depth, age, rates and consumers of message queues over time.",
)
INTEGRATIONS = Page(
    "screens/integrations.py",
    "integrations",
    "Integrations",
    ":material/hub:",
    "Support",
    "Messages, errors, retries and latency per hop and partner; what fails most.",
)
RECONCILIATION = Page(
    "screens/reconciliation.py",
    "reconciliation",
    "Reconciliation",
    ":material/compare_arrows:",
    "Support",
    "Order lines on which ERP, portal, EDI and warehouse differ: how, since when, who is right.",
)
UNMATCHED = Page(
    "screens/unmatched.py",
    "unmatched",
    "Unmatched",
    ":material/link_off:",
    "Support",
    "What correlates with nothing: what was tried, what it may belong to, ties by hand.",
)
RULES = Page(
    "screens/rules.py",
    "rules",
    "Rules",
    ":material/rule:",
    "Admin",
    "The rule book as people read it: what it found, what people think of it, what a change does.",
)
DEAD_LETTERS = Page(
    "screens/dead_letters.py",
    "dead-letters",
    "Dead letters",
    ":material/mark_email_unread:",
    "Support",
    "Messages that could not be read or delivered: by kind of failure, with notes, and replay.",
)
REPLAYS = Page(
    "screens/replays.py",
    "replays",
    "Replays",
    ":material/replay:",
    "Support",
    "Messages sent or read again: dry run, approval, progress, and what took effect.",
)
AUDIT = Page(
    "screens/audit.py",
    "audit",
    "Audit",
    ":material/fact_check:",
    "Admin",
    "Who did what, in a chain of hashes that shows whether anybody altered it.",
    "audit.read",
)
ACCESS = Page(
    "screens/access.py",
    "access",
    "Access",
    ":material/group:",
    "Admin",
    "People, roles, sessions and API keys: who may come in, as what, and who is signed in.",
    "people.manage",
)
HEALTH = Page(
    "screens/health.py",
    "health",
    "Health",
    ":material/monitor_heart:",
    "Support",
    "The tower about itself: feeds, worker steps, clocks overdue, outbox, database.",
)
PORTAL = Page(
    "screens/portal.py",
    "portal",
    "Your orders",
    ":material/storefront:",
    "",
    "For suppliers: what waits for your answer, what was rejected, how you do.",
    "portal.see",
)
MAILBOX = Page(
    "screens/mailbox.py",
    "mailbox",
    "Mailbox",
    ":material/mail:",
    DEMO,
    "The mails that the tower sent, as their recipients see them.",
)

PAGES = (
    OVERVIEW,
    PORTAL,
    SUPPLIERS,
    SUPPLIER,
    PURCHASE_ORDERS,
    ORDERS_AT_RISK,
    FULFILMENT,
    FIGURES,
    EXCEPTIONS,
    CASE,
    TRACE,
    INTEGRATIONS,
    QUEUES,
    RECONCILIATION,
    UNMATCHED,
    DEAD_LETTERS,
    REPLAYS,
    HEALTH,
    RULES,
    AUDIT,
    ACCESS,
    MAILBOX,
)
