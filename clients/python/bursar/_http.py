"""The seller's side of `Bursar.request`: sending, redirects and responses."""

import email.message
import json
import re
import ssl
import urllib.request
from dataclasses import dataclass, replace
from http.client import IncompleteRead
from typing import Any, Callable, Dict, Iterable, Iterator, Mapping, Optional, Tuple, Union
from urllib.parse import quote, urljoin, urlsplit

from . import x402
from ._purchase import Answer, Bought, SellerFailed, Send
from ._transport import TRANSPORT_ERRORS, make_opener, origin_of, without_secrets
from .errors import SellerUnreachable, StreamNeedsFactory
from .types import PaymentInfo

MAX_REDIRECTS = 20
"""As many as browsers follow."""

CHUNK_BYTES = 65_536

Body = Union[None, str, bytes, Callable[[], Any]]

_REDIRECTS = (301, 302, 303, 307, 308)
_CREDENTIALS = frozenset(
    ("authorization", "cookie", "proxy-authorization", "idempotency-key")
    + tuple(name.lower() for name in x402.PAYMENT_HEADERS)
)


class Response:
    """A seller's answer. Read it once as `content`, `text` or `json()`, or in pieces.

    Attributes:
        status: the HTTP status; no status is an error.
        headers: read them without regard to case: `response.headers["content-type"]`.
        url: of the last request, after redirects.
        payment: the payment behind this answer, or None when nothing was paid.
    """

    def __init__(self, raw: Any, hop: "Hop") -> None:
        self._raw = raw
        self._hop = hop
        self._peeked = b""
        self._content: Optional[bytes] = None
        self._bought: Optional[Bought] = None
        self.status: int = raw.status
        self.headers: email.message.Message = raw.headers
        self.url = hop.url
        self.payment: Optional[PaymentInfo] = None

    def iter_bytes(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """The body in pieces, as it arrives.

        Raises:
            PaymentOutcomeUnknown: when the body of a paid answer breaks off; the same call again
                continues the purchase.
            SellerUnreachable: when any other body breaks off.
        """
        if self._content is not None:
            if self._content:
                yield self._content
            return
        peeked, self._peeked = self._peeked, b""
        if peeked:
            yield peeked
        while True:
            try:
                piece = self._raw.read(size)
                if not piece and self._raw.length:
                    raise IncompleteRead(b"", self._raw.length)
            except TRANSPORT_ERRORS as error:
                raise self._broken_off() from error
            if not piece:
                return
            yield piece

    @property
    def content(self) -> bytes:
        """The whole body."""
        if self._content is None:
            self._content = b"".join(self.iter_bytes())
            self._raw.close()
        return self._content

    @property
    def text(self) -> str:
        """The body as text, in the charset that the seller names, else UTF-8."""
        charset = self.headers.get_content_charset("utf-8")
        try:
            return self.content.decode(charset, "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: when it is none.
        """
        return json.loads(self.content)

    def close(self) -> None:
        """Closes the connection. What was not read is lost."""
        self._raw.close()

    def __enter__(self) -> "Response":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.url}>"

    def peek(self) -> bytes:
        """The start of the body, which stays there to be read."""
        while len(self._peeked) <= x402.MAX_TERMS_BYTES:
            piece = self._raw.read(CHUNK_BYTES)
            if not piece:
                break
            self._peeked += piece
        return self._peeked

    def settle(self, bought: Bought) -> None:
        """Notes what was bought, for `payment` and for a body that breaks off."""
        self._bought = bought
        self.payment = bought.info

    def _broken_off(self) -> Exception:
        self._raw.close()
        if self._bought is None or self._bought.paid is None:
            return SellerUnreachable(f"the answer of {origin_of(self.url)} broke off")
        return self._bought.broken_off()


@dataclass(frozen=True)
class Hop:
    """One request as it goes out; a redirect makes another."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: Body

    def redirected(self, status: int, location: str) -> "Hop":
        """The next request, as browsers do it; without credentials when it leaves the origin."""
        url = clean_url(urljoin(self.url, location))
        hop = replace(self, url=url)
        if (status == 303 and self.method != "HEAD") or (
            status in (301, 302) and self.method == "POST"
        ):
            kept = {n: v for n, v in self.headers.items() if not n.lower().startswith("content-")}
            hop = replace(hop, method="GET", body=None, headers=kept)
        if origin_of(url) != origin_of(self.url):
            kept = {n: v for n, v in hop.headers.items() if n.lower() not in _CREDENTIALS}
            hop = replace(hop, headers=kept)
        return hop


class Seller:
    """Sends one call's requests: the driver's part of `Send` and `ReadBody`."""

    def __init__(
        self,
        first: Hop,
        timeout: Optional[float],
        follow_redirects: bool,
        context: Optional[ssl.SSLContext],
    ) -> None:
        self._first = first
        self._timeout = timeout
        self._follow = follow_redirects
        self._opener = make_opener(context)
        self.last: Optional[Response] = None

    def send(self, step: Send) -> Answer:
        """Sends, and follows redirects. The payment stays on the origin of the first request."""
        hop = self._first
        if step.again is not None:
            hop = step.again.response._hop
            step.again.response.close()
        if step.header is not None:
            headers = {**hop.headers, step.header.name: step.header.value}
            hop = replace(hop, headers=headers)
        left_origin = False
        receipt: Optional[str] = None
        for redirects in range(MAX_REDIRECTS + 1):
            response = self._send_once(hop)
            if not left_origin:
                receipt = x402.receipt_header(response.headers.get) or receipt
            location = response.headers.get("Location")
            if not self._follow or response.status not in _REDIRECTS or location is None:
                break
            try:
                hop = hop.redirected(response.status, location)
            except ValueError:
                break  # Not a place that can be asked: the caller gets the redirect itself.
            if redirects == MAX_REDIRECTS:
                raise SellerFailed() from SellerUnreachable(f"more than {MAX_REDIRECTS} redirects")
            response.close()
            left_origin = left_origin or origin_of(hop.url) != origin_of(self._first.url)
        return Answer(
            status=response.status,
            method=hop.method,
            url=response.url,
            left_origin=left_origin,
            receipt=receipt,
            get_header=response.headers.get,
            response=response,
        )

    def read_body(self, answer: Answer) -> bytes:
        """The body of a 402, which the caller can still read."""
        response: Response = answer.response
        try:
            return response.peek()
        except TRANSPORT_ERRORS as error:
            raise SellerFailed() from error

    def _send_once(self, hop: Hop) -> Response:
        body = hop.body() if callable(hop.body) else hop.body
        if isinstance(body, str):
            body = body.encode("utf-8")
        request = urllib.request.Request(hop.url, body, dict(hop.headers), method=hop.method)
        try:
            raw = self._opener.open(request, timeout=self._timeout)
        except TRANSPORT_ERRORS as error:
            raise SellerFailed() from error
        self.last = Response(raw, hop)
        return self.last


def clean_url(url: str) -> str:
    """A URL as it goes out: percent-encoded, the host in ASCII, no user and no fragment.

    Raises:
        ValueError: for what is no absolute http(s) URL.
    """
    origin_of(url)
    parts = urlsplit(without_secrets(url.strip()))
    host = parts.netloc
    if not host.isascii():
        name, colon, port = host.partition(":")
        host = name.encode("idna").decode("ascii") + colon + port
    path = _quoted(parts.path) or "/"
    return parts._replace(netloc=host, path=path, query=_quoted(parts.query)).geturl()


def _quoted(text: str) -> str:
    """Encodes what may not stand in a URL, and leaves what is encoded already."""
    stray_percent = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", text)
    return quote(stray_percent, safe="!#$%&'()*+,/:;=?@[]~")


def checked_body(body: Any, json_body: Any) -> Tuple[Body, Optional[str]]:
    """A body that can be sent twice, and its content type.

    Raises:
        StreamNeedsFactory: for what can be read only once.
    """
    if json_body is not None:
        if body is not None:
            raise TypeError("give body or json, not both")
        return json.dumps(json_body).encode("utf-8"), "application/json"
    if body is None:
        return None, None
    if isinstance(body, str):
        return body, "text/plain; charset=utf-8"
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body), "application/octet-stream"
    if isinstance(body, Mapping) or not (
        callable(body) or hasattr(body, "read") or isinstance(body, Iterable)
    ):
        raise TypeError("body is text, bytes, or a function that gives the body; use json= for JSON")
    if not callable(body):
        raise StreamNeedsFactory(
            "a stream can be sent only once, and a paid call sends its body twice: give a function "
            "that opens it, such as body=lambda: open(path, 'rb')"
        )
    return body, "application/octet-stream"


def pieces_of(body: Any) -> Iterator[bytes]:
    """A body's bytes: text, bytes, a file or an iterable of bytes."""
    if body is None:
        return
    if isinstance(body, str):
        yield body.encode("utf-8")
    elif isinstance(body, (bytes, bytearray, memoryview)):
        yield bytes(body)
    elif hasattr(body, "read"):
        try:
            while True:
                piece: bytes = body.read(CHUNK_BYTES)
                if not piece:
                    break
                yield piece
        finally:
            body.close()
    else:
        yield from body


def header_of(headers: Mapping[str, str], name: str) -> Optional[str]:
    """A header's value, without regard to case."""
    lower: Dict[str, str] = {each.lower(): value for each, value in headers.items()}
    return lower.get(name.lower())
