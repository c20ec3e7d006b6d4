"""The common part of the auth objects for `requests` and `httpx`."""

from typing import Any, Callable, Optional

from ._purchase import DEFAULT_WAIT_SECONDS, PurchaseOptions
from ._steering import Amount, amount_text
from .client import Bursar
from .types import Quote, Waiting


class Auth:
    """A client and how it may pay.

    Args:
        bursar: the client; left out, BURSAR_URL and BURSAR_TOKEN say which.
        intent, max_amount, allow_free, confirm, wait, wait_for_approval, on_wait, memo, option:
            see `PurchaseOptions`. With `intent`, use one auth object a purchase.
    """

    def __init__(
        self,
        bursar: Optional[Bursar] = None,
        *,
        intent: Optional[str] = None,
        max_amount: Optional[Amount] = None,
        allow_free: bool = True,
        confirm: Optional[Callable[[Quote], Any]] = None,
        wait: float = DEFAULT_WAIT_SECONDS,
        wait_for_approval: float = 0.0,
        on_wait: Optional[Callable[[Waiting], Any]] = None,
        memo: Optional[str] = None,
        option: Optional[int] = None,
    ) -> None:
        self.bursar = bursar if bursar is not None else Bursar.from_env()
        self.options = PurchaseOptions(
            intent=intent,
            max_amount=amount_text(max_amount),
            allow_free=allow_free,
            confirm=confirm,
            wait=wait,
            wait_for_approval=wait_for_approval,
            on_wait=on_wait,
            memo=memo,
            option=option,
        )
