"""HTTP over the standard library: no redirects are followed and no status is an error."""

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from typing import Any, Optional
from urllib.parse import urlsplit

RawResponse = http.client.HTTPResponse

TRANSPORT_ERRORS = (OSError, http.client.HTTPException)
"""The errors of sending and reading. `URLError`, timeouts and TLS errors are kinds of OSError."""


class _TakeAsItIs(urllib.request.HTTPErrorProcessor):
    """Gives back every response, instead of raising and instead of following."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response

    https_response = http_response


def make_opener(context: Optional[ssl.SSLContext] = None) -> urllib.request.OpenerDirector:
    """An opener for http and https alone, which honours the proxies of the environment."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        _TakeAsItIs(),
    ):
        opener.add_handler(handler)
    return opener


def was_never_sent(error: BaseException) -> bool:
    """Whether an error says that no connection could be made."""
    reason = getattr(error, "reason", error)
    return isinstance(reason, (ConnectionRefusedError, socket.gaierror))


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, in one spelling.

    Raises:
        ValueError: for what is no absolute http(s) URL.
    """
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError(f"not an absolute http or https URL: {without_secrets(url)}")
    scheme = parts.scheme.lower()
    port = parts.port or (443 if scheme == "https" else 80)
    return f"{scheme}://{parts.hostname.lower()}:{port}"


def without_secrets(url: str) -> str:
    """A URL without user, password and fragment: what Bursar may record."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, fragment="").geturl()
