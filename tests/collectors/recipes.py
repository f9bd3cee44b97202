"""The pages of docs/connect as a stranger follows them: their pieces, put into the example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tower.network import Network, load_network

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "connect"


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a page that are written in this language."""
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def network(page: str, **options: dict[str, Any]) -> Network:
    """The example network with all YAML of a page put in.

    ``options`` replace, by name of the source, what is another machine's in the page.
    """
    described: dict[str, Any] = yaml.safe_load((ROOT / "network.yaml").read_text(encoding="utf-8"))
    for piece in blocks(page, "yaml"):
        for part, entries in yaml.safe_load(piece).items():
            described.setdefault(part, {}).update(entries)
    for name, changed in options.items():
        described["sources"][name]["options"].update(changed)
    return load_network(yaml.safe_dump(described, sort_keys=False), "network.yaml")
