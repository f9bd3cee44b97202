"""Reading XML that strangers wrote: nothing but elements, attributes and text, within bounds.

The parser is expat, which Python brings along, in its barest form: it loads nothing, and what could
be loaded or multiplied is refused. A document type declaration that only names its DTD, as every
cXML document has one, is stepped over and never fetched; one that declares something itself
(entities, attributes) refuses the document before the parser sees it, and so does any reference to
an entity that XML itself does not know. XInclude is text like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from xml.parsers import expat

from tower.errors import PayloadRejected

MAX_BYTES = 50_000_000
MAX_DEPTH = 64
MAX_NODES = 500_000
"""Elements and attributes together."""

ENCODINGS = frozenset(
    {"utf-8", "utf-16", "us-ascii", "ascii"}
    | {f"iso-8859-{n}" for n in (1, 2, 4, 5, 7, 9, 13, 15)}
    | {f"windows-{n}" for n in range(1250, 1258)}
)
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")
_BLANK = " \t\r\n"
_SEPARATOR = "}"  # no address of a namespace may hold it
_DOCTYPE = re.compile(r"<!DOCTYPE\b", re.IGNORECASE)
# Comments and text that is marked as such may hold anything.
_VERBATIM = {"<!--": "-->", "<![CDATA[": "]]>", "<?": "?>"}
_VERBATIM_START = re.compile(r"<!--|<!\[CDATA\[|<\?")
_FOREIGN_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);|#)[^;\s<&]{0,100};?")
_ATTRIBUTE = re.compile(rb"\s(?:[^\s=/>\"'<:]+:)?([^\s=/>\"'<:]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


class Node:
    """An element. ``start`` and ``end`` are bytes of its start tag and where its content ends;
    ``text_at`` is where its text begins, None if it has none in one piece.
    """

    __slots__ = (
        "_named", "attributes", "children", "end", "local", "parts", "start", "text_at", "uri",
    )  # fmt: skip

    def __init__(self, uri: str, local: str, attributes: dict[str, str], start: int) -> None:
        self.uri = uri
        self.local = local
        self.attributes = attributes
        self.children: list[Node] = []
        self.parts: list[str] = []
        self.start = start
        self.end = start
        self.text_at: int | None = None
        self._named: dict[str, list[Node]] | None = None

    def named(self, local: str) -> Sequence[Node]:
        """The elements right inside that have this name, whatever their namespace."""
        if self._named is None:
            self._named = {}
            for node in self.children:
                self._named.setdefault(node.local, []).append(node)
        return self._named.get(local, ())

    @property
    def text(self) -> str:
        """Its text without blanks at the ends; of an element around others all text in it."""
        if not self.children:
            return "".join(self.parts).strip(_BLANK)
        return " ".join(filter(None, (node.own for node in self.walk())))

    @property
    def own(self) -> str:
        return "".join(self.parts).strip(_BLANK)

    def walk(self) -> Iterator[Node]:
        """Itself and everything inside, in the order of the document."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))

    def attribute(self, uri: str, local: str) -> str | None:
        return self.attributes.get(f"{uri}{_SEPARATOR}{local}" if uri else local)


class XmlBody:
    """A parsed document with its bytes, so that places can be found in them."""

    def __init__(self, body: bytes, root: Node, encoding: str) -> None:
        self.root = root
        self._body = body
        self._encoding = encoding

    def text_place(self, node: Node) -> tuple[int, int, bool] | None:
        """Offset and length of the text of a node in the bytes, and whether they are the text as it
        stands; None if it has none, or it is scattered among other elements.
        """
        if node.text_at is None or node.children:
            return None
        piece = self._body[node.text_at : node.end]
        if self._encoding == "utf-16":
            return node.text_at, len(piece), False
        kept = piece.strip(_BLANK.encode())
        offset = node.text_at + piece.find(kept)
        return offset, len(kept), self._decoded(kept) == node.text

    def attribute_place(self, node: Node, local: str, value: str) -> tuple[int, int, bool] | None:
        """The same of an attribute; the first of its name, whatever its prefix."""
        if self._encoding == "utf-16":
            return None
        at = node.start + 1
        while (match := _ATTRIBUTE.search(self._body, at)) is not None:
            tag_end = self._body.find(b">", at)
            if tag_end != -1 and match.start() > tag_end:
                return None
            if self._decoded(match[1]) == local:
                group = 2 if match[2] is not None else 3
                return match.start(group), len(match[group]), self._decoded(match[group]) == value
            at = match.end()
        return None

    def _decoded(self, piece: bytes) -> str:
        return piece.decode(self._encoding, "replace")


def parse_xml(
    body: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_nodes: int = MAX_NODES,
) -> XmlBody:
    """The document, parsed once.

    Raises PayloadRejected: ``empty``, ``too_large``, ``too_deep``, ``undecodable``, ``truncated``,
    ``unsafe_xml`` or ``invalid_xml``, with line, column and byte offset where they are known.
    """
    if len(body) > max_bytes:
        raise PayloadRejected(
            f"The body has {len(body):,} bytes, more than the {max_bytes:,} that are read.",
            code="too_large",
            advice="Send it in parts.",
        )
    if not body.strip(b"\xef\xbb\xbf\xfe\xff\0" + _BLANK.encode()):
        raise PayloadRejected(
            "The body is empty.", code="empty", advice="Ask the sender for the content.", offset=0
        )
    _check_declarations(body)
    return _Building(body, max_depth, max_nodes).parsed()


class _Building:
    """The tree as it grows while expat reads."""

    def __init__(self, body: bytes, max_depth: int, max_nodes: int) -> None:
        self._body = body
        self._max_depth = max_depth
        self._max_nodes = max_nodes
        self._nodes = 0
        self._open: list[Node] = []
        self._root: Node | None = None
        self._encoding = "utf-16" if body[:2] in _WIDE else "utf-8"
        parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        parser.buffer_text = False
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.XmlDeclHandler = self._declared
        parser.StartDoctypeDeclHandler = self._doctype
        # Never asked for with the declarations above refused; if it ever were, the parser stops.
        parser.ExternalEntityRefHandler = lambda *_: 0
        self._parser: Any = parser

    def parsed(self) -> XmlBody:
        try:
            self._parser.Parse(self._body, True)
        except expat.ExpatError as error:
            raise self._refusal(error) from None
        except (ValueError, LookupError, UnicodeError):
            raise _undecodable(self._encoding) from None
        finally:
            # The handlers are ours and know the parser: without this both would wait for the
            # collector of cycles.
            for name in ("StartElement", "EndElement", "CharacterData", "XmlDecl",
                         "StartDoctypeDecl", "ExternalEntityRef"):  # fmt: skip
                setattr(self._parser, f"{name}Handler", None)
        if self._root is None:  # expat does not accept a document without an element
            raise PayloadRejected("No element.", code="invalid_xml", advice="Send a document.")
        return XmlBody(self._body, self._root, self._encoding)

    # --- what expat tells -------------------------------------------------------------------------

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= self._max_depth:
            raise self._stop(
                f"is nested deeper than {self._max_depth} levels",
                "too_deep",
                "Send a flatter document; no business document needs such depth.",
            )
        self._nodes += 1 + len(attributes)
        if self._nodes > self._max_nodes:
            raise self._stop(
                f"has more than {self._max_nodes:,} elements and attributes",
                "too_large",
                "Send it in parts.",
            )
        uri, _, local = name.rpartition(_SEPARATOR)
        node = Node(uri, local, attributes, self._parser.CurrentByteIndex)
        if self._open:
            self._open[-1].children.append(node)
        else:
            self._root = node
        self._open.append(node)

    def _end(self, _: str) -> None:
        self._open.pop().end = self._parser.CurrentByteIndex

    def _text(self, text: str) -> None:
        node = self._open[-1]
        if node.text_at is None and text.strip(_BLANK):
            node.text_at = self._parser.CurrentByteIndex
        # Blanks between elements are most of a document's texts and nobody's values.
        if node.text_at is not None:
            node.parts.append(text)

    def _declared(self, _: str, encoding: str | None, __: int) -> None:
        if encoding is None:
            return
        name = encoding.lower()
        if name not in ENCODINGS:
            raise _undecodable(encoding)
        if self._encoding != "utf-16":
            self._encoding = name

    def _doctype(self, *declared: Any) -> None:
        if declared[-1]:
            raise _unsafe("declares things of its own (a DOCTYPE with square brackets)", None)

    # --- what is wrong ----------------------------------------------------------------------------

    def _stop(self, said: str, code: str, advice: str) -> PayloadRejected:
        parser = self._parser
        place = f"Line {parser.CurrentLineNumber}, column {parser.CurrentColumnNumber + 1}"
        return PayloadRejected(
            f"{place}: the document {said}.",
            code=code,
            advice=advice,
            offset=self._parser.CurrentByteIndex,
        )

    def _refusal(self, error: expat.ExpatError) -> PayloadRejected:
        line, column = error.lineno, error.offset + 1
        offset = max(0, self._parser.ErrorByteIndex)
        said = expat.ErrorString(error.code) or "it is not readable"
        if error.code in _UNFINISHED:
            return PayloadRejected(
                f"Line {line}, column {column}: the document ends before it is complete.",
                code="truncated",
                advice="The sender stopped in the middle: ask for the whole message.",
                offset=offset,
            )
        if error.code in _ENCODING:
            return PayloadRejected(
                f"Line {line}, column {column}: byte {offset} is no sign of the encoding "
                f"{self._encoding}.",
                code="undecodable",
                advice="Send the document in the encoding that its first line names, or in UTF-8.",
                offset=offset,
            )
        return PayloadRejected(
            f"Line {line}, column {column}: the body is no XML: {said}.",
            code="invalid_xml",
            advice="Correct it at its sender.",
            offset=offset,
        )


_codes = expat.errors.codes
_UNFINISHED = frozenset(
    _codes[text]
    for text in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
    )
)
_ENCODING = frozenset(
    _codes[text]
    for text in (
        expat.errors.XML_ERROR_INCORRECT_ENCODING,
        expat.errors.XML_ERROR_UNKNOWN_ENCODING,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
    )
)


def _check_declarations(body: bytes) -> None:
    """Refuse what could be loaded or multiplied, before any parser sees it."""
    if b"DOCTYPE" not in body and b"D\0O\0C\0T" not in body and b"\0D\0O\0C\0T" not in body:
        return
    # Markup is ASCII in all encodings that are read, so this loses nothing that matters here.
    text = _without_verbatim(body.replace(b"\0", b"").decode("latin-1"))
    match = _DOCTYPE.search(text)
    if match is None:
        return
    head = re.sub(r"\"[^\"]*\"|'[^']*'", "", text[match.end() : match.end() + 4000])
    end, bracket = head.find(">"), head.find("[")
    if end == -1 or (bracket != -1 and bracket < end):
        raise _unsafe("declares things of its own (a DOCTYPE with square brackets)", None)
    foreign = _FOREIGN_ENTITY.search(text)
    if foreign is not None:
        raise _unsafe(f"refers to {foreign[0][:40]}, which only a DTD could explain", None)


def _without_verbatim(text: str) -> str:
    """The text without comments, instructions and marked text, in one pass however it is made."""
    kept: list[str] = []
    at = 0
    while (start := _VERBATIM_START.search(text, at)) is not None:
        end = text.find(_VERBATIM[start[0]], start.end())
        if end == -1:
            break
        kept.append(text[at : start.start()])
        at = end + len(_VERBATIM[start[0]])
    return "".join((*kept, text[at:]))


def _unsafe(said: str, offset: int | None) -> PayloadRejected:
    return PayloadRejected(
        f"The document {said}. Such documents are not read.",
        code="unsafe_xml",
        advice="Send it without; no business document needs entities of its own.",
        offset=offset,
    )


def _undecodable(encoding: str) -> PayloadRejected:
    return PayloadRejected(
        f'The document names the encoding "{encoding[:40]}", which is not read.',
        code="undecodable",
        advice="Send it as UTF-8.",
        offset=0,
    )
