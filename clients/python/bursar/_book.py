"""Which purchase a call belongs to, and under which key.

A purchase has one key. The key comes from the Idempotency-Key header, else from `intent`, else from a
random run id, the request and a number. A call that was answered ends its purchase. A call that was
not leaves it open, and the next call of the same request continues it.
"""

import hashlib
import itertools
import os
import re
import secrets
import threading
from dataclasses import dataclass, field
from typing import Dict, List, Optional

from .errors import InvalidKey

_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def checked_key(key: str) -> str:
    """The key itself.

    Raises:
        InvalidKey: unless it is 1 to 255 visible ASCII characters or spaces.
    """
    if not _KEY.fullmatch(key):
        raise InvalidKey("an Idempotency-Key is 1 to 255 visible ASCII characters; shorten or hash it")
    return key


def key_of_intent(intent: str) -> str:
    """The key that an intent stands for: a hash of it alone, the same in every process."""
    if not isinstance(intent, str):
        raise TypeError(f"intent is {intent!r}; give text that names the purchase")
    if not intent:
        raise InvalidKey("intent is empty; name the purchase, or leave intent out")
    return hashlib.sha256(intent.encode("utf-8")).hexdigest()


@dataclass(eq=False)
class Purchase:
    """One purchase of a request. `number` is None where the caller named it."""

    key: str
    request: Optional[str] = None
    number: Optional[int] = None
    has_asked: bool = field(default=False)
    """Whether Bursar was asked to pay, so that there may be a payment."""

    @property
    def is_named(self) -> bool:
        return self.number is None

    def become(self, other: "Purchase") -> None:
        """Goes on as another purchase of the same request, because this one has ended."""
        self.key, self.number, self.has_asked = other.key, other.number, other.has_asked


class PurchaseBook:
    """The open purchases of this process. Safe to use from many threads, and after a fork."""

    def __init__(self) -> None:
        self.begin_run()

    def begin_run(self) -> None:
        """Forgets everything: a new run, whose keys are no other run's."""
        self._lock = threading.Lock()
        self._run_id = secrets.token_hex(16)
        self._numbers = itertools.count(1)
        self._open: Dict[str, List[Purchase]] = {}

    def take(self, request: str) -> Purchase:
        """The oldest open purchase of a request that no running call holds, else a new one."""
        with self._lock:
            waiting = self._open.get(request)
            if waiting:
                purchase = waiting.pop(0)
                if not waiting:
                    del self._open[request]
                return purchase
            number = next(self._numbers)
            name = f"{self._run_id}\n{number}\n{request}"
            return Purchase(hashlib.sha256(name.encode("utf-8")).hexdigest(), request, number)

    def close(self, purchase: Purchase) -> None:
        """Ends a purchase that was answered."""
        with self._lock:
            waiting = self._open.get(purchase.request or "", [])
            if purchase in waiting:
                waiting.remove(purchase)
                if not waiting:
                    del self._open[purchase.request or ""]

    def leave_open(self, purchase: Purchase) -> None:
        """Gives back a purchase that was not answered, for the next call to continue."""
        if purchase.is_named or not purchase.has_asked:
            return
        assert purchase.request is not None
        with self._lock:
            waiting = self._open.setdefault(purchase.request, [])
            if purchase not in waiting:
                waiting.append(purchase)
                waiting.sort(key=lambda each: each.number or 0)


BOOK = PurchaseBook()
"""The one book of the process, so that a new client or auth object continues what another began."""

if hasattr(os, "register_at_fork"):
    # A forked child has its parent's run id and numbers, and would take its parent's keys.
    os.register_at_fork(after_in_child=BOOK.begin_run)


def request_digest(account: str, method: str, url: str, body_digest: str) -> str:
    """Identifies a request of one grant: equal requests have equal digests."""
    text = "\n".join([account, method, url, body_digest])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
