"""Exception categories: what each means, how it starts and heals, and whose it is by default."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a case is; ordered by ``RANK``."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return _RANK[self]

    def raised(self, steps: int) -> Severity:
        """So many steps worse, critical at most."""
        return list(_RANK)[min(self.rank + steps, len(_RANK) - 1)]


_RANK = {severity: rank for rank, severity in enumerate(Severity)}

OWNERS: dict[str, str] = {
    "B": "buyer",
    "D": "supplier_desk",
    "S": "supplier",
    "I": "integration",
    "W": "warehouse",
    "P": "payables",
    "C": "customer_service",
    "T": "tower_operator",
}
"""Owner letters of the category table; network.yaml says which person or desk each one is."""

OWNER_LETTERS: dict[str, str] = {word: letter for letter, word in OWNERS.items()}


@dataclass(frozen=True, slots=True)
class Category:
    """One kind of exception. ``owner`` is a letter of OWNERS."""

    code: str
    meaning: str
    starts: str
    heals: str
    owner: str

    @property
    def words(self) -> str:
        """The code as a person reads it: "ack overdue"."""
        return self.code.lower().replace("_", " ")


_TABLE = """
ACK_OVERDUE|PO not answered|ack clock breached|any answer; ASN if rule allows; cancel|D
CHANGE_ACK_OVERDUE|PO change not answered|change clock breached|answer; cancel|D
ACK_REJECTED|order or line refused|reject code|new answer; cancel|B
ACK_QTY_VARIANCE|other quantity answered|out of tolerance|agreeing answer; buyer accepts|B
ACK_DATE_VARIANCE|later date answered|out of tolerance|agreeing answer; buyer accepts|B
ACK_PRICE_VARIANCE|other price answered|out of tolerance|agreeing answer; PO repriced|B
ACK_NOT_IN_ERP|answered, ERP does not show it|apply clock breached|ERP reports the values|I
UPDATE_NOT_IN_ERP|later update, ASN, invoice not in ERP|apply clock breached|ERP reports it|I
COMMIT_CHANGED|supplier moved a confirmed value|differs from before|moved back; accepted; received|B
PO_DELAYED|goods overdue|confirmed (else requested) date past|receipt; agreed date; cancel|B
FA_OVERDUE|no functional acknowledgement|FA clock breached|FA or business answer|I
FA_REJECTED|partner's translator refused us|reject code|corrected resend accepted|I
ASN_MISSING|no ASN when due|ASN clock breached|receipt; ASN (ASN_LATE takes over)|D
ASN_LATE|ASN after due or after the goods|late arrival|receipt posted|S
ASN_INVALID|ASN failed a check|schema, PO, line, quantity, carton|valid replacement|S
ASN_DUPLICATE|ASN number again, other content|hash differs|one version withdrawn|D
ASN_SHORT|ships less than confirmed|below tolerance|further ASN; buyer accepts|B
ASN_OVER|ships more than confirmed|above tolerance|corrected ASN; buyer accepts|B
ASN_UNMATCHED|names no known PO or line|no match|PO arrives; person links|D
ASN_CHANGED_AFTER_PUBLISH|warehouse holds an old one|replaced after handover|WMS shows the new one|W
RECEIPT_VARIANCE|receipt differs from ASN|item, quantity, condition|correction; claim settled|W
INVOICE_VARIANCE|differs from PO or receipt|three-way match fails|credit; correction; approval|P
ORDER_AFFECTED|customer line uncovered|impact walk|covered; new promise; delivered|C
SYSTEM_STATE_MISMATCH|systems disagree on a field|outlives grace|values agree|I
UNKNOWN_PARTNER|sender not in the network|unknown id|profile added, replayed|I
EVENT_UNMATCHED|event reached no document|correlation failed|document arrives; person links|I
ID_NOT_IDENTIFYING|one id ties too many documents|limit passed|source fixed; id excluded|I
DUPLICATE_DOCUMENT|number again, other content|hash differs|one version withdrawn|D
MAPPING_FAILURE|bytes not interpretable|interpreter, middleware error|replay succeeds|I
DELIVERY_FAILURE|next system did not take it|retries exhausted|delivered|I
DEAD_LETTER|message is a dead letter|captured|replay resolved; archived with reason|I
QUEUE_BACKLOG|queue too deep or too old|3 samples over limit|3 under|I
RETRY_STORM|retried too often|attempts over limit|delivered; dead letter|I
LATENCY_HIGH|hop too slow|p95 over objective|p95 under|I
PARTNER_ERRORS|too many failures|share over limit, n >= 20|share under|I
SOURCE_SILENT|source silent beyond its rhythm|heartbeat overdue|successful read|T
SOURCE_GAP|hole in a source|control number or run skipped|missing ones arrive; explained|T
VOLUME_ANOMALY|unusual count or value|outside partner's weekday band|back; explained|D
LEAD_TIME_DRIFT|lead time left its plan|median out of tolerance, n >= 10|back; plan updated|B
CLOCK_SKEW|a system's clock is off|over limit|under|T
MAIL_FAILED|alert mail undeliverable|permanent refusal|address fixed, mail accepted|T
TOWER_UNHEALTHY|the tower itself limps|own heartbeat, lag or disk over limit|back under|T
"""

CATEGORIES: dict[str, Category] = {
    category.code: category
    for category in (Category(*row.split("|")) for row in _TABLE.strip().splitlines())
}
