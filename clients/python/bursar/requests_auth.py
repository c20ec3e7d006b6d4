"""Pays for calls made with `requests`.

    import requests
    from bursar.requests_auth import BursarAuth

    response = requests.get("https://api.example.com/data/7", auth=BursarAuth(max_amount="0.05"))

It works as the library's own digest authentication does: a response hook answers the 402. Redirects
are the library's, and get no payment header. `bursar.payment_of(response)` says what was paid.
"""

from typing import Any, Iterator, Optional

import requests
from requests.auth import AuthBase
from requests.cookies import extract_cookies_to_jar
from requests.exceptions import RequestException

from . import x402
from ._auth import Auth
from ._http import pieces_of
from ._purchase import (
    Answer,
    Bought,
    PurchaseOptions,
    Request,
    SellerFailed,
    Send,
    buy,
    check_options,
    drive,
)
from ._transport import origin_of, without_secrets
from .client import Bursar
from .errors import StreamNeedsFactory

_DRAIN_BYTES = 65_536


class BursarAuth(Auth, AuthBase):
    """Pays with a grant: `requests.get(url, auth=BursarAuth())`.

    Raises, beside what `requests` raises, the errors of `Bursar.request`. A body must be text, bytes
    or an open file that can seek: a generator raises `StreamNeedsFactory` before anything is sent.
    """

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.register_hook("response", _PaidCall(self.bursar, self.options, r).on_response)
        return r


class _PaidCall:
    """One call, its redirects included: requests runs the hook for each of them."""

    def __init__(
        self, bursar: Bursar, options: PurchaseOptions, prepared: requests.PreparedRequest
    ) -> None:
        self._bursar = bursar
        self._options = options
        self._prepared = prepared
        self._origin = origin_of(str(prepared.url))
        self._body = _Body(prepared.body)
        self._left_origin = False
        self._begun: Optional[Bought] = None
        given = prepared.headers.get("Idempotency-Key")
        key: Optional[str] = given.decode("latin-1") if isinstance(given, bytes) else given
        check_options(options, key)
        digest = ""
        if key is None and options.intent is None:
            digest = bursar.digest_of(
                str(prepared.method), without_secrets(str(prepared.url)), self._body.read()
            )
        self._request = Request(digest, key)

    def on_response(self, response: requests.Response, **kwargs: Any) -> requests.Response:
        """Pays if this response asks for it."""
        if response.request is self._prepared:
            self._left_origin, self._begun = False, None
        if origin_of(response.url) != self._origin:
            self._left_origin = True
        if self._left_origin:
            if self._begun is None:
                return response
            return _noting(self._begun.moved_on(_answer(response)))

        def send(step: Send) -> Answer:
            if step.again is None or step.header is None:
                return _answer(response)
            return _answer(self._send_paid(step.again.response, step, kwargs))

        steps = buy(self._bursar, self._request, self._options, self._begun)
        try:
            bought: Bought = drive(steps, send, _read_body)
        except SellerFailed as failed:
            raise failed.__cause__ or failed from None
        self._begun = bought if bought.paid is not None and bought.answer.response.is_redirect else None
        return _noting(bought)

    def _send_paid(
        self, previous: requests.Response, step: Send, kwargs: Any
    ) -> requests.Response:
        assert step.header is not None
        _release(previous)
        paid = previous.request.copy()
        extract_cookies_to_jar(paid._cookies, previous.request, previous.raw)
        paid.prepare_cookies(paid._cookies)
        paid.headers[step.header.name] = step.header.value
        self._body.rewind()
        try:
            response: requests.Response = previous.connection.send(paid, **kwargs)
        except RequestException as error:
            raise SellerFailed() from error
        response.history.append(previous)
        response.request = paid
        return response


class _Body:
    """A request's body, which has to be sent twice.

    Raises:
        StreamNeedsFactory: when it can be read only once.
    """

    def __init__(self, body: Any) -> None:
        self._body = body
        self._start: Optional[int] = None
        if body is None or isinstance(body, (str, bytes, bytearray)):
            return
        try:
            self._start = body.tell()
            body.seek(self._start)
        except (AttributeError, OSError, ValueError):
            raise StreamNeedsFactory(
                "this body can be sent only once, and a paid call sends it twice: give bytes, or an "
                "open file that can seek"
            ) from None

    def read(self) -> Iterator[bytes]:
        """The whole body, from where it starts."""
        if self._start is None:
            yield from pieces_of(self._body)
            return
        self.rewind()
        while True:
            piece = self._body.read(_DRAIN_BYTES)
            if not piece:
                break
            yield piece.encode("utf-8") if isinstance(piece, str) else piece
        self.rewind()

    def rewind(self) -> None:
        """Back to where it starts."""
        if self._start is not None:
            self._body.seek(self._start)


def _answer(response: requests.Response) -> Answer:
    return Answer(
        status=response.status_code,
        method=str(response.request.method),
        url=without_secrets(response.url),
        left_origin=False,
        receipt=x402.receipt_header(response.headers.get),
        get_header=response.headers.get,
        response=response,
    )


def _read_body(answer: Answer) -> bytes:
    try:
        content: bytes = answer.response.content
    except RequestException as error:
        raise SellerFailed() from error
    return content


def _release(response: requests.Response) -> None:
    """Frees the connection; reuses it where what is left to read is short."""
    length = response.headers.get("Content-Length", "")
    try:
        if length.isdigit() and int(length) <= _DRAIN_BYTES:
            response.content  # Reading it gives the connection back to the pool.
    except RequestException:
        pass
    response.close()


def _noting(bought: Bought) -> requests.Response:
    """Notes the payment on the response, and reopens the purchase when the body breaks off."""
    response: requests.Response = bought.answer.response
    response.bursar_payment = bought.info
    if bought.paid is None:
        return response
    read = response.iter_content

    def iter_content(*args: Any, **kwargs: Any) -> Iterator[Any]:
        try:
            yield from read(*args, **kwargs)
            _check_length(response)
        except RequestException as error:
            raise bought.broken_off() from error

    response.iter_content = iter_content
    return response


def _check_length(response: requests.Response) -> None:
    """urllib3 before 2.0 takes a body that is cut short for a whole one."""
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and response.request.method != "HEAD" and response.status_code not in (204, 304):
        got = response.raw.tell()
        if got < int(length):
            raise requests.exceptions.ConnectionError(f"the body broke off after {got} of {length} bytes")
