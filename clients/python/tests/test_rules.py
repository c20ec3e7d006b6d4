"""The rules (see `rules`), over each way to make calls. Libraries that are missing are skipped."""

import asyncio
import unittest
from typing import Any

from tests.rules import Result, Rules

from bursar import SellerUnreachable, payment_of

try:
    import requests

    from bursar.requests_auth import BursarAuth as RequestsAuth
except ImportError:
    requests = None

try:
    import httpx

    from bursar.httpx_auth import BursarAuth as HttpxAuth
except ImportError as error:
    if error.name != "httpx":
        raise
    httpx = None


class WithBursarRequest(Rules):
    """`Bursar.request`, on the standard library alone."""

    UNREACHABLE = SellerUnreachable

    def call(self, url: str, method: str = "GET", bursar: Any = None, **options: Any) -> Result:
        response = (bursar or self.bursar).request(method, url, **options)
        return Result(response.status, response.content, payment_of(response))


@unittest.skipIf(requests is None, "python3-requests is not installed")
class WithRequests(Rules):
    """`requests.get(url, auth=BursarAuth())`."""

    UNREACHABLE = requests and requests.ConnectionError

    def call(
        self,
        url: str,
        method: str = "GET",
        bursar: Any = None,
        body: Any = None,
        headers: Any = None,
        timeout: float = 30,
        **options: Any,
    ) -> Result:
        response = requests.request(
            method,
            url,
            data=body,
            headers=headers,
            timeout=timeout,
            auth=RequestsAuth(bursar or self.bursar, **options),
        )
        return Result(response.status_code, response.content, payment_of(response))


@unittest.skipIf(httpx is None, "python3-httpx is not installed")
class WithHttpx(Rules):
    """`httpx.Client(auth=BursarAuth())`."""

    UNREACHABLE = httpx and httpx.ConnectError

    def call(
        self,
        url: str,
        method: str = "GET",
        bursar: Any = None,
        body: Any = None,
        headers: Any = None,
        timeout: float = 30,
        **options: Any,
    ) -> Result:
        auth = HttpxAuth(bursar or self.bursar, **options)
        with httpx.Client(follow_redirects=True, timeout=timeout, auth=auth) as client:
            response = client.request(method, url, content=body, headers=headers)
            return Result(response.status_code, response.content, payment_of(response))


@unittest.skipIf(httpx is None, "python3-httpx is not installed")
class WithAsyncHttpx(Rules):
    """`httpx.AsyncClient(auth=BursarAuth())`."""

    UNREACHABLE = httpx and httpx.ConnectError
    SLEEP = "anyio.sleep"

    def call(
        self,
        url: str,
        method: str = "GET",
        bursar: Any = None,
        body: Any = None,
        headers: Any = None,
        timeout: float = 30,
        **options: Any,
    ) -> Result:
        auth = HttpxAuth(bursar or self.bursar, **options)

        async def run() -> Result:
            async with httpx.AsyncClient(
                follow_redirects=True, timeout=timeout, auth=auth
            ) as client:
                response = await client.request(method, url, content=body, headers=headers)
                return Result(response.status_code, response.content, payment_of(response))

        return asyncio.run(run())


del Rules  # Inherited only: unittest would run it here by itself.
