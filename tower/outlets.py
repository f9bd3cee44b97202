"""Ways out of the house: where a document of ours is put so that it goes to its partner again."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tower.option_types import PathText, Strict
from tower.strict_yaml import mistake


class Outlet(Strict):
    """One way out; a source names the one that its documents take (docs/replay.md).

    kind      folder  a folder that a gateway empties, on this machine or mounted here
              sftp    a folder of an SFTP server that a gateway or partner empties
              queue   a queue of a broker, written to through its default exchange
    path      of a folder; a relative one lies under TOWER_HOME, with kind sftp where the account's
              own folder is
    suffix    of a folder: how the names of its files end
    source    of a queue: the source of kind rabbitmq whose broker has it; of kind sftp: the source
              of that kind whose server and account it uses
    queue     its name
    partners  keys of the partners that it leads to; none listed = all of them
    """

    kind: Literal["folder", "sftp", "queue"]
    path: PathText | None = None
    suffix: str = Field(default=".edi", pattern=r"^\.[A-Za-z0-9.]{1,20}$")
    source: str | None = None
    queue: str | None = Field(default=None, min_length=1, max_length=255)
    partners: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if self.kind == "folder" and (self.path is None or self.source or self.queue):
            raise mistake("an outlet of kind folder has a path, and no queue", "write path:")
        if self.kind == "sftp" and (self.path is None or self.source is None or self.queue):
            raise mistake(
                "an outlet of kind sftp has a source and a path, and no queue",
                "write source: and path:",
            )
        if self.kind == "queue" and (self.path or self.source is None or self.queue is None):
            raise mistake(
                "an outlet of kind queue has a source and a queue, and no path",
                "write source: and queue:",
            )
        return self
