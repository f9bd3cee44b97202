"""XML that is made to hurt: nothing is loaded or multiplied, and every refusal has a place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from collectors.xml_tree import MAX_DEPTH, parse_xml
from tests.collectors.conformance import sealed
from tower.errors import PayloadRejected

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha" * 50}">' for n in range(10))


class Listener:
    """A web server that counts who asks it for anything."""

    def __init__(self) -> None:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'<!ENTITY stolen "yes">')

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.asked = asked
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    try:
        yield made
    finally:
        made.close()


def refusal(body: bytes, **bounds: int) -> PayloadRejected:
    with sealed(), pytest.raises(PayloadRejected) as caught:
        parse_xml(body, **bounds)
    assert caught.value.advice
    return caught.value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "latin-1"])
def test_an_entity_that_reads_a_file_is_refused(tmp_path: Path, encoding: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("seven seals")
    text = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><a>&x;</a>'
    error = refusal(text.encode(encoding))
    assert error.code == "unsafe_xml"
    assert "seven" not in str(error)


def test_entities_that_multiply_are_refused_before_they_do() -> None:
    bomb = f"<!DOCTYPE a [{LAUGHS}]><a>&l9;</a>".encode()
    assert refusal(bomb).code == "unsafe_xml"
    quadratic = f'<!DOCTYPE a [<!ENTITY x "{"y" * 50_000}">]><a>{"&x;" * 50_000}</a>'.encode()
    assert refusal(quadratic).code == "unsafe_xml"


@pytest.mark.parametrize(
    "head",
    [
        "<!DOCTYPE a SYSTEM '{url}/a.dtd' [ <!ENTITY x 'y'> ]>",
        "<!DOCTYPE a [ <!ENTITY % p SYSTEM '{url}/p.dtd'> %p; ]>",
        "<!-- > --><!DOCTYPE a PUBLIC '>[' '{url}/a.dtd' [<!ATTLIST a b CDATA 'c'>]>",
        "<?xml version='1.0'?><?p [ ?><!DOCTYPE a[]>",
    ],
)
def test_a_document_that_declares_anything_itself_is_refused(head: str, listener: Listener) -> None:
    body = (head.replace("{url}", listener.url) + "<a>1</a>").encode()
    assert refusal(body).code == "unsafe_xml"
    assert listener.asked == []


def test_a_dtd_that_is_only_named_is_never_fetched(listener: Listener) -> None:
    body = f'<!DOCTYPE a SYSTEM "{listener.url}/a.dtd"><a><b>1 [&amp;]</b></a>'.encode()
    with sealed():
        assert parse_xml(body).root.children[0].text == "1 [&]"
    assert listener.asked == []


@pytest.mark.parametrize("use", ["<a>&stolen;</a>", '<a b="&stolen;"/>', "<a>&stolen</a>"])
def test_what_only_a_dtd_could_explain_is_refused_not_lost(use: str, listener: Listener) -> None:
    body = f'<!DOCTYPE a SYSTEM "{listener.url}/a.dtd">{use}'.encode()
    assert refusal(body).code == "unsafe_xml"
    assert refusal(use.encode()).code == "invalid_xml"
    assert listener.asked == []


def test_what_looks_like_one_inside_marked_text_is_text() -> None:
    body = b'<!DOCTYPE a SYSTEM "x"><a><![CDATA[&x; <!DOCTYPE b [ ]>]]><!-- &y; --></a>'
    assert parse_xml(body).root.text == "&x; <!DOCTYPE b [ ]>"


def test_xinclude_is_an_element_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("seven seals")
    uri = (tmp_path / "secret").as_uri()
    body = f'<a xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="{uri}"/></a>'
    with sealed():
        assert parse_xml(body.encode()).root.text == ""


def test_depth_size_and_number_of_elements_are_bounded() -> None:
    deep = refusal(b"<a>" * 200_000)
    assert (deep.code, deep.offset) == ("too_deep", 3 * MAX_DEPTH)
    assert parse_xml(b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH)
    assert refusal(b"<a/>" * 100, max_bytes=300).code == "too_large"
    many = refusal(b"<a>" + b"<b/>" * 1000 + b"</a>", max_nodes=1000)
    assert (many.code, many.offset) == ("too_large", 3 + 4 * 999)
    assert refusal(b'<a b="1" c="2" d="3"/>', max_nodes=3).code == "too_large"


def test_openings_that_never_close_cost_one_look() -> None:
    body = b'<!DOCTYPE a SYSTEM "x">' + b"<!--" * 1_000_000
    assert refusal(body).code == "invalid_xml"


@pytest.mark.parametrize(
    ("body", "code", "said", "offset"),
    [
        (b"", "empty", "empty", 0),
        (b"\xef\xbb\xbf \n", "empty", "empty", 0),
        (b"<a>\n  <b></c></a>", "invalid_xml", "Line 2, column 8", 11),
        (b"<a><b>text", "truncated", "Line 1, column 11", 10),
        (b"<a/><b/>", "invalid_xml", "Line 1, column 5", 4),
        (b'{"a": 1}', "invalid_xml", "Line 1, column 1", 0),
        (b'<?xml version="1.0" encoding="zlib_codec"?><a/>', "undecodable", "zlib_codec", 0),
        (b'<?xml version="1.0" encoding="shift_jis"?><a/>', "undecodable", "shift_jis", 0),
        (b"<a>caf\xe9</a>", "invalid_xml", "Line 1, column 7", 6),
        (b"<a x:b='1'/>", "invalid_xml", "unbound prefix", None),
    ],
)
def test_every_refusal_has_its_place(body: bytes, code: str, said: str, offset: int | None) -> None:
    error = refusal(body)
    assert error.code == code
    assert said in str(error)
    if offset is not None:
        assert error.offset == offset
