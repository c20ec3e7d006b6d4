"""Pays for calls made with `httpx`, sync and async.

    import httpx
    from bursar.httpx_auth import BursarAuth

    response = httpx.get("https://api.example.com/data/7", auth=BursarAuth(max_amount="0.05"))

It is an auth flow, as the library's own digest authentication is. `bursar.payment_of(response)` says
what was paid.
"""

import sys
import time
from typing import Any, AsyncGenerator, AsyncIterator, Generator, Iterator, Optional

import anyio.to_thread
import httpx

from . import x402
from ._auth import Auth
from ._purchase import (
    Answer,
    Bought,
    Call,
    ReadBody,
    Request,
    SellerFailed,
    Send,
    Sleep,
    Step,
    buy,
    check_options,
)
from ._transport import origin_of, without_secrets
from .types import PaymentHeader


class BursarAuth(Auth, httpx.Auth):
    """Pays with a grant: `httpx.get(url, auth=BursarAuth())`, `AsyncClient(auth=BursarAuth())`.

    Raises, beside what `httpx` raises, the errors of `Bursar.request`. A streamed body is read into
    memory before it is sent, because a paid call sends it twice. Asynchronous clients call Bursar on
    a thread, so nothing blocks the loop; `confirm` and `on_wait` run on the loop.
    """

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        request.read()
        call = _PaidCall(self, request)
        try:
            while call.step is not None:
                step = call.step
                if isinstance(step, Send):
                    response: Optional[httpx.Response]
                    try:
                        response = yield call.request_for(step)
                    except GeneratorExit:
                        response = None
                    if response is None:
                        call.lose(sys.exc_info()[1])
                        return
                    call.answered(response)
                    continue
                outcome: Any = None
                try:
                    if isinstance(step, ReadBody):
                        outcome = step.answer.response.read()
                    elif isinstance(step, Call):
                        outcome = step.run()
                    else:
                        _sleep(step)
                except Exception as error:
                    call.fail(error)
                else:
                    call.go_on(outcome)
        finally:
            call.close()

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        await request.aread()
        call = _PaidCall(self, request)
        try:
            while call.step is not None:
                step = call.step
                if isinstance(step, Send):
                    response: Optional[httpx.Response]
                    try:
                        response = yield call.request_for(step)
                    except GeneratorExit:
                        response = None
                    if response is None:
                        call.lose(sys.exc_info()[1])
                        return
                    call.answered(response)
                    continue
                outcome: Any = None
                try:
                    if isinstance(step, ReadBody):
                        outcome = await step.answer.response.aread()
                    elif isinstance(step, Call):
                        outcome = await anyio.to_thread.run_sync(step.run)
                    else:
                        await anyio.sleep(step.seconds)
                except Exception as error:
                    call.fail(error)
                else:
                    call.go_on(outcome)
        finally:
            call.close()


class _PaidCall:
    """One call: the rules' generator, and what it yields in httpx's terms."""

    def __init__(self, auth: BursarAuth, request: httpx.Request) -> None:
        self._first = request
        self._sent = request
        self._origin = origin_of(str(request.url))
        self._has_paid = False
        key: Optional[str] = request.headers.get("Idempotency-Key")
        check_options(auth.options, key)
        digest = ""
        if key is None and auth.options.intent is None:
            url = without_secrets(str(request.url))
            digest = auth.bursar.digest_of(request.method, url, request.content)
        self._steps = buy(auth.bursar, Request(digest, key), auth.options)
        self.step: Optional[Step] = next(self._steps)

    def request_for(self, step: Send) -> httpx.Request:
        """The request to yield."""
        if step.again is None or step.header is None:
            self._sent = self._first
            return self._first
        previous: httpx.Response = step.again.response
        asked = previous.request
        paid = httpx.Request(
            asked.method,
            asked.url,
            headers=asked.headers,
            stream=asked.stream,
            extensions=asked.extensions,
        )
        if previous.cookies:
            httpx.Cookies(previous.cookies).set_cookie_header(paid)
        paid.headers = _HeadersForOneHop(paid.headers, step.header)
        self._has_paid = True
        self._sent = paid
        return paid

    def answered(self, response: httpx.Response) -> None:
        """Goes on with a response, redirects followed."""
        hops = [*response.history, response]
        strays = [origin_of(str(hop.request.url)) != self._origin for hop in hops]
        receipt: Optional[str] = None
        for hop, strayed in zip(hops, strays):
            if hop.request is self._sent:
                receipt = None  # The hops before it answered an earlier request of this flow.
            if strayed:
                break
            receipt = x402.receipt_header(hop.headers.get) or receipt
        self.go_on(
            Answer(
                status=response.status_code,
                method=response.request.method,
                url=without_secrets(str(response.request.url)),
                left_origin=any(strays),
                receipt=receipt,
                get_header=response.headers.get,
                response=response,
            )
        )

    def go_on(self, outcome: Any) -> None:
        """Tells the rules an outcome; `step` is the next one, or None at the end."""
        try:
            self.step = self._steps.send(outcome)
        except StopIteration as stop:
            self._finish(stop.value)

    def fail(self, error: Exception) -> None:
        """Tells the rules an error, which usually comes back."""
        try:
            self.step = self._steps.throw(error)
        except StopIteration as stop:
            self._finish(stop.value)

    def lose(self, error: Optional[BaseException]) -> None:
        """httpx closes the flow when sending fails, while its error is on the way to the caller.

        Args:
            error: that error: what the closing code is handling just now.

        Raises:
            PaymentOutcomeUnknown: in its place, when the request had a payment.
        """
        if self._has_paid and isinstance(error, httpx.RequestError):
            failed = SellerFailed()
            failed.__cause__ = error
            self._steps.throw(failed)

    def close(self) -> None:
        """Ends the call; an unfinished purchase stays open."""
        self._steps.close()

    def _finish(self, bought: Bought) -> None:
        self.step = None
        response: httpx.Response = bought.answer.response
        if bought.info is not None:
            response.extensions = {**response.extensions, "bursar_payment": bought.info}
        if bought.paid is None:
            return
        if isinstance(response.stream, httpx.AsyncByteStream) and not isinstance(
            response.stream, httpx.SyncByteStream
        ):
            response.stream = _AsyncWatched(response.stream, bought)
        elif isinstance(response.stream, httpx.SyncByteStream) and not isinstance(
            response.stream, httpx.AsyncByteStream
        ):
            response.stream = _Watched(response.stream, bought)


class _HeadersForOneHop(httpx.Headers):
    """Headers with a payment that is sent, but that a copy of them lacks.

    httpx copies a request's headers when it follows a redirect, and drops Authorization alone when that
    leads to a stranger. The transport sends `raw`; the copy does not have it.
    """

    def __init__(self, headers: httpx.Headers, payment: PaymentHeader) -> None:
        super().__init__(headers)
        self._payment = payment

    @property
    def raw(self) -> Any:
        payment = (self._payment.name.encode("ascii"), self._payment.value.encode("ascii"))
        return [*super().raw, payment]

    def __getitem__(self, name: str) -> str:
        if name.lower() == self._payment.name.lower():
            return self._payment.value
        return super().__getitem__(name)


def _check_httpx() -> None:
    """Fails with a version of httpx in which a redirect would carry the payment to a stranger."""
    probe = PaymentHeader("PAYMENT-SIGNATURE", "probe")
    headers = _HeadersForOneHop(httpx.Headers({"accept": "*/*"}), probe)
    sends = any(name.upper() == b"PAYMENT-SIGNATURE" for name, _ in headers.raw)
    if not sends or "PAYMENT-SIGNATURE" in httpx.Headers(headers):
        raise ImportError(f"bursar.httpx_auth does not know httpx {httpx.__version__}")


class _Watched(httpx.SyncByteStream):
    """A response's body; reopens the purchase when it breaks off."""

    def __init__(self, stream: httpx.SyncByteStream, bought: Bought) -> None:
        self._stream = stream
        self._bought = bought

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except httpx.RequestError as error:
            raise self._bought.broken_off() from error

    def close(self) -> None:
        self._stream.close()


class _AsyncWatched(httpx.AsyncByteStream):
    """The asynchronous counterpart of `_Watched`."""

    def __init__(self, stream: httpx.AsyncByteStream, bought: Bought) -> None:
        self._stream = stream
        self._bought = bought

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                yield piece
        except httpx.RequestError as error:
            raise self._bought.broken_off() from error

    async def aclose(self) -> None:
        await self._stream.aclose()


def _sleep(step: Sleep) -> None:
    time.sleep(step.seconds)


_check_httpx()
