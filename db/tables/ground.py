"""What all tables stand on: their names, their places, the columns that many share."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, MetaData, Text

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

HOME = {"place": "home_key"}
ITEM = {"place": "item_key"}
REFERENCE = {"place": "reference"}
LOCAL = {"place": "local"}

INSTANT = DateTime(timezone=True)


def key(name: str) -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False)


def subject() -> list[Column[str]]:
    """(kind, scope, number, line): the identity of a business document inside its home."""
    return [
        Column("kind", Text, primary_key=True),
        Column("scope", Text, primary_key=True),
        Column("number", Text, primary_key=True),
        Column("line", Text, primary_key=True, server_default=""),
    ]
