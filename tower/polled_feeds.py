"""What the readers of other systems' documents need: web services, OData, database views.

A part of tower/feeds.py, whose words on secrets and addresses hold here too.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tower.option_types import (
    ClockTime,
    ColumnName,
    FeedOptions,
    HostName,
    InnerNetwork,
    PropertyName,
    Size,
    Strict,
    TimeOfDay,
    Variable,
    WebAddress,
)
from tower.strict_yaml import mistake


class OAuth2(Strict):
    """Client credentials of OAuth 2: the tower asks for a token and asks again before it ends.

    token_url        where tokens are given; may be another host than the service itself
    client_id, secret_variable   the name of the client, and of the variable with its secret
    scope            what is asked for, if the service wants to be told
    client_in        header: both go as user and password; body: as fields of the form
    parameters       further fields of the form ("audience", "resource")
    """

    token_url: WebAddress
    client_id: str = Field(min_length=1)
    secret_variable: Variable
    scope: str | None = None
    client_in: Literal["header", "body"] = "header"
    parameters: dict[str, str] = Field(default_factory=dict)


class PolledOptions(FeedOptions):
    """What every polled web service may need (docs/connect.md).

    url              of the list; the tower calls no other scheme, host or port, follows no redirect
    headers          fixed headers without secrets
    auth_header      header that carries the secret; ``auth_variable`` names the environment
                     variable with its whole value ("Bearer ...")
    user, password_variable   user and password, where the service asks for those
    oauth2           client credentials, where it asks for a token
    stamp            path of a record's time or number of change. The greatest one the source gave,
                     less ``overlap`` if it is a time, is where the next poll starts
    since_initial    where the first poll starts
    sweep_at         time of day in the zone of the source from which once a day all keys are
                     compared with those the tower knows: what is gone becomes a record with
                     "@removed", what was missed is read. null = never
    sweep_within     only records that changed in this time can be gone: older ones may have been
                     archived
    sweep_most       share of the known records that may be gone; if more are, something is broken
    networks         private networks the host name may lie in; an address given in numbers and
                     localhost need no mention
    """

    url: WebAddress
    headers: dict[str, str] = Field(default_factory=dict)
    auth_header: str = "Authorization"
    auth_variable: Variable | None = None
    user: str | None = None
    password_variable: Variable | None = None
    oauth2: OAuth2 | None = None
    stamp: str | None = None
    overlap: ClockTime = timedelta(minutes=10)
    since_initial: str | None = None
    page_size: int = Field(default=200, ge=1, le=10_000)
    sweep_at: TimeOfDay | None = "02:30"
    sweep_within: ClockTime = timedelta(days=180)
    sweep_most: float = Field(default=0.2, gt=0, le=1)
    timeout: ClockTime = timedelta(seconds=20)
    max_bytes: Size = 20_000_000
    networks: list[InnerNetwork] = Field(default_factory=list)

    @model_validator(mode="after")
    def _signs_in_one_way(self) -> Self:
        if (self.user is None) != (self.password_variable is None):
            raise mistake("user and password_variable belong together", "write both, or neither")
        sends = self.auth_variable is not None and self.auth_header.lower() == "authorization"
        if sum((sends, self.user is not None, self.oauth2 is not None)) > 1:
            raise mistake(
                "there are several ways to sign in", "keep one of auth_variable, user and oauth2"
            )
        return self


class RestOptions(PolledOptions):
    """Records polled from a web service. Where the list stands in the body and which key a record
    has, the source's mapping says (``records``, ``key``).

    query          parameters. ``{since}``, ``{page_size}``, ``{page}``, ``{offset}``, ``{cursor}``
                   are filled in; a parameter whose placeholder has no value yet is left out
    paging         none
                   link    ``next`` is the path of the next page's address in the body, or of a list
                           of links of which the one with rel "next" counts; without ``next`` the
                           Link header tells it
                   cursor  ``next`` is the path of the cursor of the next page
                   page    numbers from ``first_page``, until a page is shorter than ``page_size``
                   offset  counts records, until a page is shorter than ``page_size``
                   stamp   each page starts at the greatest stamp of the one before; the list must
                           be ordered by it
    since_format   how ``{since}`` is written where not as the stamps are ("%m/%d/%Y"), in the zone
                   of the source
    more           path that is true while there are more pages, whatever their length
    records        path of the list, where the mapping of the records cannot say it
    detail         address of the whole record, where the list only names it; fields of the list
                   stand in braces: "/api/resource/Purchase Order/{name}"
    detail_record  path of the record in that answer
    key            paths that together name a record; needed to compare keys
    sweep_query    parameters that list all keys, whatever has changed
    """

    query: dict[str, str] = Field(default_factory=dict)
    paging: Literal["none", "link", "cursor", "page", "offset", "stamp"] = "none"
    next: str | None = None
    since_format: str | None = None
    more: str | None = None
    first_page: int = 1
    records: str | None = None
    detail: str | None = None
    detail_record: str | None = None
    key: list[str] = Field(default_factory=list, max_length=6)
    sweep_query: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_paging(self) -> Self:
        if self.paging == "cursor" and not self.next:
            raise mistake(
                "paging by cursor needs the path of the next cursor", "write next: meta.next_cursor"
            )
        if self.paging == "stamp" and not self.stamp:
            raise mistake("paging by stamp needs the path of the stamp", "write stamp: changedAt")
        for placeholder in ("cursor", "page", "offset"):
            wanted = "{" + placeholder + "}"
            used = any(wanted in text for text in self.query.values())
            if self.paging == placeholder and not used:
                raise mistake(
                    f"paging by {placeholder} needs a parameter of the query",
                    f'write query: {{{placeholder}: "{wanted}"}}',
                )
        if self.sweep_query and not self.key:
            raise mistake("comparing keys needs a key", "write key: [number]")
        return self


class ODataOptions(PolledOptions):
    """An entity set of an OData service (docs/connect/sap-s4hana.md, business-central.md).

    version      of the protocol: 2 (SAP Gateway) or 4
    key          properties that together name an entity
    expand       navigations whose entities come along ("to_Item", "to_Item/to_ScheduleLine"); lists
                 that the service cuts off are read to their end
    select       properties that are asked for; without it all
    filter       a condition of the service's own language besides that on the stamp
    stamp        property with the time or number of the last change
    stamp_type   how it is written in a filter; default: datetimeoffset in version 2, the bare
                 instant in version 4
    paging       server  the service cuts pages and links them (__next, @odata.nextLink)
                 client  the tower asks for ``page_size`` entities from the greatest stamp on; links
                         are followed too
    parameters   further ones of the query ("sap-client": "100")
    """

    version: Literal[2, 4]
    key: list[PropertyName] = Field(min_length=1, max_length=6)
    expand: list[Annotated[str, Field(pattern=r"^[\w/]+(\([^&#]*\))?$")]] = Field(
        default_factory=list
    )
    select: list[Annotated[str, Field(pattern=r"^[\w/]+$")]] = Field(default_factory=list)
    filter: str | None = None
    stamp: PropertyName
    stamp_type: Literal["datetimeoffset", "datetime", "instant", "date", "number"] | None = None
    paging: Literal["server", "client"] = "client"
    parameters: dict[str, str] = Field(default_factory=dict)


class SqlViewOptions(FeedOptions):
    """Rows of a read-only view in another system's database (docs/connect/sql-view.md).

    database         kind of server: postgresql, mariadb or mysql
    host, port       the one address that is called, also inside a private network; of a server on
                     this machine also its socket ("/run/postgresql", "/run/mysqld/mysqld.sock")
    name             name of the database on that server
    user, password_variable   account that may read the view and nothing else
    tls              verified (default for other machines), required, none (default on this one)
    view             view or table, with its schema if it has one ("tower.purchase_orders")
    key              columns that name one document; every row has them
    lines            name under which all rows of a key stand in one record, whose other fields are
                     of each column the greatest value. Without it every row is a record
    stamp            column with the time or number of the last change. What has the greatest one
                     the source gave, less ``overlap`` if it is a time, is read again each time
    since            where the first read starts ("2026-01-01"); without it at the beginning
    page_size        documents of one question
    timeout          after which a question is broken off, by the server itself
    sweep_at         time of day in the zone of the source from which once a day all keys are
                     compared with those the tower knows: what is gone becomes a record with
                     "@removed", what was missed is read. null = never
    sweep_within     only documents that changed in this time can be gone: older ones may have been
                     archived
    sweep_most       share of the known documents that may be gone; if more are, the view is broken
    """

    database: Literal["postgresql", "mariadb", "mysql"]
    host: HostName
    port: int | None = Field(default=None, ge=1, le=65535)
    name: str = Field(min_length=1)
    user: str = Field(min_length=1)
    password_variable: Variable | None = None
    tls: Literal["verified", "required", "none"] | None = None
    view: Annotated[str, Field(pattern=r"^[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)?$")]
    key: list[ColumnName] = Field(min_length=1, max_length=6)
    lines: ColumnName | None = None
    stamp: ColumnName
    since: str | None = None
    overlap: ClockTime = timedelta(minutes=10)
    page_size: int = Field(default=500, ge=1, le=5_000)
    timeout: ClockTime = timedelta(seconds=30)
    sweep_at: TimeOfDay | None = "02:30"
    sweep_within: ClockTime = timedelta(days=180)
    sweep_most: float = Field(default=0.2, gt=0, le=1)
