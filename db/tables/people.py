"""Who may come in: accounts and sessions, keys of programs, what holds back too many attempts."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY

from db.tables.ground import INSTANT, LOCAL, metadata

throttle = Table(
    # Tokens that one sender has left at the machine door; all its processes take from one row.
    "throttle",
    metadata,
    Column("key", Text, primary_key=True),  # "partner/ACME", "key/abcdefghij"
    Column("tokens", Double, nullable=False),
    Column("at", INSTANT, nullable=False),
    info=LOCAL,
    postgresql_with={"fillfactor": "50"},
)

api_key = Table(
    # Keys of the machine door. Only the hash of a key is kept; rows are never deleted.
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),  # the public part of tower_<id>_<secret>
    Column("name", Text, nullable=False),  # what uses it
    Column("sha256", LargeBinary, nullable=False),  # of the whole key
    Column("scopes", ARRAY(Text), nullable=False),  # push, read
    Column("partner", Text),  # bound to this partner; null = the house
    Column("networks", ARRAY(Text), nullable=False, server_default="{}"),  # none = from anywhere
    Column("per_minute", Integer, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", INSTANT, nullable=False),
    Column("ends_at", INSTANT, nullable=False),
    Column("revoked_at", INSTANT),
    Column("revoked_by", Text),
    Column("used_at", INSTANT),  # to the minute
    CheckConstraint("(revoked_at IS NULL) = (revoked_by IS NULL)", name="revoked"),
    Index("ix_api_key_name", "name"),
    info=LOCAL,
)

account = Table(
    # Who may sign in. Rows are never deleted: histories name them.
    "account",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("full_name", Text, nullable=False, server_default=""),
    Column("role", Text, nullable=False),  # leader, support, admin, partner, read-only
    Column("partners", ARRAY(Text)),  # null = all
    Column("grants", ARRAY(Text), nullable=False, server_default="{}"),
    Column("password", Text),  # argon2id; null = by the identity provider alone
    Column("password_at", INSTANT),
    # who it is at the identity provider
    Column("issuer", Text),
    Column("subject", Text),
    Column("made_by", Text, nullable=False),
    Column("made_at", INSTANT, nullable=False),
    Column("changed_at", INSTANT, nullable=False),
    Column("disabled_at", INSTANT),
    Column("signed_in_at", INSTANT),
    CheckConstraint("role <> 'partner' OR cardinality(partners) > 0", name="partner_has_partners"),
    CheckConstraint("(issuer IS NULL) = (subject IS NULL)", name="at_provider"),
    CheckConstraint("password IS NULL OR issuer IS NULL", name="one_way_in"),
    UniqueConstraint("issuer", "subject"),
    info=LOCAL,
)

session = Table(
    # Who is signed in. Whoever has the token is that person, so only its hash is kept.
    "session",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("id", BigInteger, Identity(), nullable=False, unique=True),  # for people to name it by
    Column("account_id", BigInteger, nullable=False),
    Column("method", Text, nullable=False),  # password, oidc
    Column("created_at", INSTANT, nullable=False),
    Column("seen_at", INSTANT, nullable=False),
    Column("ends_at", INSTANT, nullable=False),
    Column("address", Text, nullable=False, server_default=""),
    Column("browser", Text, nullable=False, server_default=""),
    ForeignKeyConstraint(
        ["account_id"], ["account.id"], name="fk_session_account_id", use_alter=True
    ),
    Index("ix_session_account_id", "account_id"),
    info=LOCAL,
)

sign_in_attempt = Table(
    # Failures since the last success, and until when none is looked at. Names are hashed.
    "sign_in_attempt",
    metadata,
    Column("key", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", INSTANT, nullable=False),
    Column("closed_until", INSTANT, nullable=False),
    info=LOCAL,
)

provider_visit = Table(
    # Somebody who was sent to the identity provider and has not come back.
    "provider_visit",
    metadata,
    Column("state_sha256", LargeBinary, primary_key=True),
    Column("nonce", Text, nullable=False),
    Column("verifier", Text, nullable=False),
    Column("next", Text, nullable=False),
    Column("ends_at", INSTANT, nullable=False),
    info=LOCAL,
)
