"""Calls to the Bursar service: authorization, proofs, retries and errors."""

import email.utils
import json
import re
import ssl
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Tuple

from ._token import RENEWED, TokenClaims
from ._transport import TRANSPORT_ERRORS, make_opener, origin_of, was_never_sent
from .errors import BursarError, BursarUnreachable, InvalidAnswer, PaymentOutcomeUnknown, problem_from

if TYPE_CHECKING:
    from .dpop import HolderKey

TIMEOUT_SECONDS = 15.0
TRIES = 4
PAUSES_SECONDS = (0.1, 0.4, 1.5)
MAX_ANSWER_BYTES = 16 * 1_048_576
RENEWAL_PAUSE_SECONDS = 5.0
"""How long a renewal that failed is left alone."""

LEAST_SKEW_SECONDS = 2.0
"""Smaller differences are the Date header's own resolution and the network."""


class Service:
    """One Bursar service, as the holder of one grant."""

    def __init__(
        self,
        url: str,
        token: str,
        key: "Optional[HolderKey]" = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        context: Optional[ssl.SSLContext] = None,
        renew_token: bool = True,
        on_token: Optional[Callable[[str], Any]] = None,
    ) -> None:
        origin_of(url)
        # Some write the version of the API behind the address.
        self.url = re.sub(r"(/v1)?/*$", "", url)
        self.token = RENEWED.newest(token)
        self.key = key
        self._timeout = timeout
        self._opener = make_opener(context)
        self._lock = threading.Lock()
        self._skew = 0.0
        self._nonce: Optional[str] = None
        self._on_token = on_token
        self._renewal = threading.Lock()
        self._renew_at = TokenClaims.of(self.token).renew_at if renew_token else None

    def call(
        self,
        method: str,
        path: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        key: Optional[str] = None,
        is_payment: bool = False,
        timeout: Optional[float] = None,
        tries: int = TRIES,
    ) -> Tuple[int, Mapping[str, str], Any]:
        """Makes one call; repeats it after a lost answer, so it must be idempotent.

        Args:
            key: the Idempotency-Key.
            is_payment: whether a lost answer leaves a payment's outcome unknown.

        Returns:
            The status, the headers and the JSON of an answer below 400.

        Raises:
            Problem: what Bursar says is wrong.
            BursarUnreachable: when no connection could be made, so that nothing was done.
            PaymentOutcomeUnknown: when the answer to a payment was lost.
            InvalidAnswer: when the answer was lost, or is no answer of a Bursar.
        """
        failure: Optional[BaseException] = None
        is_unsent = True
        for attempt in range(tries):
            if attempt > 0:
                time.sleep(PAUSES_SECONDS[min(attempt, len(PAUSES_SECONDS)) - 1])
            try:
                status, headers, data = self._proven(method, path, body, key, timeout)
            except TRANSPORT_ERRORS as error:
                failure = error
                is_unsent = is_unsent and was_never_sent(error)
                continue
            is_unsent = False
            answer = _json(data)
            if status < 300 and isinstance(answer, dict):
                return status, headers, answer
            if status >= 400 and isinstance(answer, dict) and "code" in answer:
                raise problem_from(status, answer, key)
            failure = self._unreadable(status, key)
            if 300 <= status < 500:
                raise failure
        if is_unsent:
            raise BursarUnreachable(
                f"no connection to {self.url}; check the address, or make the call again: {failure}", key=key
            ) from failure
        if is_payment:
            raise PaymentOutcomeUnknown(
                f"the answer of {self.url} was lost {tries} times", key=key
            ) from failure
        if isinstance(failure, BursarError):
            raise failure
        raise InvalidAnswer(f"the answer of {self.url} was lost: {failure}", key=key) from failure

    def open_stream(self, path: str, headers: Mapping[str, str], timeout: float) -> Any:
        """Opens an answer that lasts. Nothing is repeated: its reader knows where to go on.

        Args:
            timeout: seconds of silence after which reading fails.

        Returns:
            The response, for the caller to read and close.

        Raises:
            Problem, InvalidAnswer: for every answer but 200.
            OSError, HTTPException: when none came.
        """
        self.renew_in_time()
        for is_last in (False, True):
            used = (self.token, self._skew, self._nonce)
            accept = {"Accept": "text/event-stream", **headers}
            response = self._opener.open(self._request("GET", path, accept), timeout=timeout)
            self._learn(response.status, response.headers)
            content_type = response.headers.get("Content-Type") or ""
            if response.status == 200 and content_type.startswith("text/event-stream"):
                return response
            with response:
                answer = _json(_read_bounded(response))
            is_corrected = (self.token, self._skew, self._nonce) != used
            if response.status == 401 and is_corrected and not is_last:
                continue
            if isinstance(answer, dict) and "code" in answer:
                raise problem_from(response.status, answer)
            error = self._unreadable(response.status)
            if response.status < 500 and response.status != 429:
                error.next_action = "fix_request"
            raise error
        raise AssertionError("unreachable")

    def _proven(
        self,
        method: str,
        path: str,
        body: Optional[Mapping[str, Any]],
        key: Optional[str],
        timeout: Optional[float],
    ) -> Tuple[int, Mapping[str, str], bytes]:
        """Sends once, and once more when a credential was refused that has changed in the meantime."""
        self.renew_in_time()
        used = (self.token, self._skew, self._nonce)
        answer = self._send(method, path, body, key, timeout)
        if answer[0] == 401 and (self.token, self._skew, self._nonce) != used:
            answer = self._send(method, path, body, key, timeout)
        return answer

    def renew_in_time(self) -> None:
        """Renews the token if its end is near. Threads share one renewal."""
        if not self._is_due():
            return
        with self._renewal:
            if not self._is_due():
                return
            # Another client of this process may have renewed it.
            old = self.token
            renewed = RENEWED.newest(old)
            if renewed == old:
                successor = self._successor()
                if successor is None:
                    return
                renewed = successor
                RENEWED.put(old, renewed)
            self.token = renewed
            self._renew_at = TokenClaims.of(renewed).renew_at
            if self._is_due():
                # No token outlives its grant: another renewal would gain nothing.
                self._renew_at = None
        if self._on_token is not None:
            self._on_token(renewed)

    def _is_due(self) -> bool:
        return self._renew_at is not None and time.time() + self._skew >= self._renew_at

    def _successor(self) -> Optional[str]:
        """Asks for a new token. None where that failed: the old one works until its end."""
        path = f"/v1/grants/{TokenClaims.of(self.token).grant_id}/token"
        try:
            status, _, data = self._send("POST", path, None, None, None)
        except TRANSPORT_ERRORS:
            status, data = 0, b""
        answer = _json(data)
        if status < 300 and isinstance(answer, dict) and isinstance(answer.get("token"), str):
            token: str = answer["token"]
            return token
        is_over = isinstance(answer, dict) and answer.get("nextAction") == "stop"
        # A grant that has ended gets no new token: do not ask again.
        self._renew_at = None if is_over else time.time() + self._skew + RENEWAL_PAUSE_SECONDS
        return None

    def _send(
        self,
        method: str,
        path: str,
        body: Optional[Mapping[str, Any]],
        key: Optional[str],
        timeout: Optional[float],
    ) -> Tuple[int, Mapping[str, str], bytes]:
        headers = {"Accept": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode("ascii")
        request = self._request(method, path, headers, data)
        with self._opener.open(request, timeout=timeout or self._timeout) as response:
            self._learn(response.status, response.headers)
            return response.status, response.headers, _read_bounded(response)

    def _unreadable(self, status: int, key: Optional[str] = None) -> InvalidAnswer:
        return InvalidAnswer(
            f"{self.url} answered {status} without Bursar's JSON; check the URL", key=key
        )

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], data: Optional[bytes] = None
    ) -> urllib.request.Request:
        """A request that proves who asks."""
        url = self.url + path
        token = self.token
        proven = {**headers, "Authorization": f"Bearer {token}"}
        if self.key is not None:
            proven["Authorization"] = f"DPoP {token}"
            proven["DPoP"] = self.key.proof(method, url, token, skew=self._skew, nonce=self._nonce)
        return urllib.request.Request(url, data, proven, method=method)

    def _learn(self, status: int, headers: Mapping[str, str]) -> None:
        """Keeps the service's nonce, and its clock's skew when it refused a proof."""
        if self.key is None:
            return
        with self._lock:
            self._nonce = headers.get("DPoP-Nonce") or self._nonce
            if status == 401 and headers.get("Date"):
                try:
                    theirs = email.utils.parsedate_to_datetime(headers["Date"]).timestamp()
                except (TypeError, ValueError):
                    return
                if abs(theirs - time.time() - self._skew) >= LEAST_SKEW_SECONDS:
                    self._skew = theirs - time.time()


def _read_bounded(response: Any) -> bytes:
    data: bytes = response.read(MAX_ANSWER_BYTES + 1)
    if len(data) > MAX_ANSWER_BYTES:
        raise OSError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    if response.length:
        raise OSError(f"the answer broke off {response.length} bytes early")
    return data


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
