"""Requests that offer another protocol (`Upgrade: h2c`, `websocket`), read as the HTTP/1 they are.

Java's client and `curl --http2` offer HTTP/2 with their first request. A server may ignore that
(RFC 9110, 7.8); the body then comes as it was announced. httptools, though, always stops behind
such a head: what follows would be lost, or be taken for another request.
"""

from __future__ import annotations

from array import array

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Http1Parser(HttpRequestParser):
    """uvicorn's parser, but it goes on in HTTP/1 behind an offer, and refuses tunnels.

    Behind such a head it begins anew, with the same one but for the offer; of that the protocol
    isn't told.

    Args:
        protocol: is told what is read; it takes no websockets.
    """

    def __init__(self, protocol: HttpToolsProtocol) -> None:
        self._protocol = protocol
        self._begin(head_told=False)

    def feed_data(self, data: bytes | bytearray | memoryview | array[int]) -> None:
        """Read on.

        Raises:
            HttpParserError: this is no HTTP/1, or asks for a tunnel.
        """
        rest = memoryview(data)
        while rest:
            try:
                super().feed_data(rest)
            except HttpParserUpgrade as stopped:
                rest = rest[stopped.args[0] :]
                self._pass_over()
            else:
                return

    def _pass_over(self) -> None:
        head = [self.get_method(), b" / HTTP/", self.get_http_version().encode(), b"\r\n"]
        told = self._protocol.headers
        head += [b"%s: %s\r\n" % (name, value) for name, value in told if name != b"upgrade"]
        self._begin(head_told=True)
        super().feed_data(b"".join([*head, b"\r\n"]))

    def _begin(self, *, head_told: bool) -> None:
        super().__init__(_Told(self._protocol, head_told=head_told))
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's


class _Told:
    """What a parser calls: its protocol, unless that has been told of the first head already.

    It doesn't hold the parser, which so goes with its connection and waits for no collection.
    """

    def __init__(self, protocol: HttpToolsProtocol, *, head_told: bool) -> None:
        self._protocol = protocol
        self._head_told = head_told
        self.on_body = protocol.on_body
        if not head_told:  # by far the most: nothing stands between
            self.on_message_begin = protocol.on_message_begin  # type: ignore[method-assign]
            self.on_url = protocol.on_url  # type: ignore[method-assign]
            self.on_header = protocol.on_header  # type: ignore[method-assign]

    def on_message_begin(self) -> None:
        if not self._head_told:
            self._protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._head_told:
            self._protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_told:
            self._protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._head_told:
            self._head_told = False
            return
        if self._protocol.parser.get_method() == b"CONNECT":
            raise HttpParserError("there are no tunnels here")
        self._protocol.on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._protocol.parser.should_upgrade():  # else its body is still to come
            self._protocol.on_message_complete()
