"""Following the audit log: server-sent events over any number of connections."""

import json
import random
import re
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from ._service import Service
from ._transport import TRANSPORT_ERRORS
from .errors import BursarUnreachable, InvalidAnswer, Problem
from .types import Event

SILENCE_SECONDS = 45.0
"""The service sends something every 15 s: a connection that is silent for longer is dead."""

RENEWAL_CHECK_SECONDS = 1.0
"""How often an open connection looks whether its token is about to end."""

RETRY_SECONDS = 1.0
"""How long to wait for a service that ended a stream in order and did not say."""

BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Waits before a new connection after 1, 2, 3 failures in a row."""

MAX_FIRST_FAILURES = 3
"""How often a reader that never had a connection tries again: a wrong address is told in seconds."""

MAX_LINE_BYTES = 4 * 1_048_576

_FIELD = re.compile(r"([a-z]+):? ?(.*)")


class Follower:
    """The place in the log, which outlives a connection."""

    def __init__(
        self,
        service: Service,
        path: str,
        after: Optional[str],
        on_open: Optional[Callable[[str], Any]],
    ) -> None:
        self._service = service
        self._path = path
        self._cursor = after
        self._on_open = on_open
        self._retry_seconds = RETRY_SECONDS
        self._failures = 0
        self._has_begun = False

    def events(self) -> Iterator[Event]:
        """Every event from the place on, until the caller stops asking.

        Raises:
            BursarError: where another connection would not help, or none was ever open.
        """
        while True:
            try:
                yield from self._connection()
                # The service ended the stream in order, as one that restarts does.
                time.sleep(self._retry_seconds)
            except TRANSPORT_ERRORS as failure:
                if self._is_given_up():
                    raise BursarUnreachable(f"no events from {self._service.url}: {failure}") from failure
                time.sleep(self._backoff())
            except (InvalidAnswer, Problem) as error:
                if self._is_given_up():
                    raise
                status = getattr(error, "status", None) or 0
                if error.next_action != "wait" and status < 500:
                    raise
                backoff = self._backoff()
                time.sleep(backoff if error.retry_after is None else error.retry_after)

    def _is_given_up(self) -> bool:
        return not self._has_begun and self._failures == MAX_FIRST_FAILURES

    def _backoff(self) -> float:
        seconds = BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS) - 1)]
        self._failures += 1
        # Spread, so that the readers of a service that restarts do not all come at once.
        return seconds * (0.5 + random.random())

    def _connection(self) -> Iterator[Event]:
        """The events of one connection."""
        headers = {} if self._cursor is None else {"Last-Event-ID": self._cursor}
        response = self._service.open_stream(self._path, headers, SILENCE_SECONDS)
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew_until, args=(ended,), daemon=True)
        renewing.start()
        is_open = False
        try:
            for block in _blocks(response):
                self._failures = 0
                self._has_begun = True
                data = self._take(block)
                if data is not None:
                    yield self._event(data)
                if not is_open and self._cursor is not None and self._on_open is not None:
                    self._on_open(self._cursor)
                is_open = True
        finally:
            ended.set()
            response.close()

    def _renew_until(self, ended: threading.Event) -> None:
        """Renews the token in time, since nothing may come in its last seconds.

        A new token ends the stream, and the next connection brings it.
        """
        while not ended.wait(RENEWAL_CHECK_SECONDS):
            self._service.renew_in_time()

    def _take(self, block: List[str]) -> Optional[str]:
        """Reads one block of lines (HTML, "Server-sent events"). None where it is no event."""
        data: List[str] = []
        for line in block:
            match = _FIELD.fullmatch(line)
            field, value = match.groups() if match else ("", "")
            if field == "id":
                self._cursor = value
            elif field == "retry" and value.isdigit():
                self._retry_seconds = int(value) / 1000
            elif field == "data":
                data.append(value)
        return "\n".join(data) if data else None

    def _event(self, data: str) -> Event:
        try:
            record: Mapping[str, Any] = json.loads(data)
            kept: Dict[str, Any] = {name: record[name] for name in record if name != "version"}
        except (ValueError, TypeError, RecursionError) as error:
            unreadable = InvalidAnswer("an event is no JSON object")
            unreadable.next_action = "stop"  # Another connection would begin behind it.
            raise unreadable from error
        return {**kept, "cursor": self._cursor or ""}  # type: ignore[typeddict-item]


def _blocks(response: Any) -> Iterator[List[str]]:
    """The blocks of lines of a stream, each without the empty line that ends it."""
    block: List[str] = []
    while True:
        line: bytes = response.readline(MAX_LINE_BYTES)
        if not line.endswith(b"\n"):
            if len(line) == MAX_LINE_BYTES:
                raise OSError(f"a line of the stream is longer than {MAX_LINE_BYTES} bytes")
            return  # A block that was cut off is none: the next connection brings it whole.
        text = line.decode("utf-8").rstrip("\r\n")
        if text:
            block.append(text)
        elif block:
            yield block
            block = []
