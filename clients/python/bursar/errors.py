"""The errors of this package.

Every error has a `code` to branch on and a `next_action` that says what an agent should do:

    try:
        response = bursar.request("GET", url, max_amount="0.05")
    except bursar.PaymentOutcomeUnknown:
        ...                       # call again: the same purchase continues
    except bursar.Problem as problem:
        if problem.next_action == "ask":
            print(problem.for_model())
"""

from typing import Any, Dict, Mapping, Optional, Type

from .types import Payment, Quote


class BursarError(Exception):
    """Base class of every error of this package.

    Attributes:
        code: a stable word to branch on, such as `budget_exceeded`.
        next_action: `stop`, `wait` (then make the same call again), `ask`, `choose_cheaper`,
            `fix_request`, `renew_token`, `use_payment` or `new_key` (only this says that buying anew
            cannot pay twice).
        key: the idempotency key of the purchase, where there is one.
        payment: the payment as Bursar showed it last, where there is one.
        retry_after: seconds to wait before the next try, where that is known.
    """

    code = "bursar_error"
    next_action = "stop"

    def __init__(
        self,
        message: str,
        *,
        key: Optional[str] = None,
        payment: Optional[Payment] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(message)
        self.key = key
        self.payment = payment
        self.retry_after = retry_after

    def for_model(self) -> str:
        """One sentence for a language model. It holds no text that a seller wrote, and no token."""
        advice = _ADVICE.get(self.next_action, _ADVICE["stop"])
        if self.next_action == "wait" and self.retry_after is not None:
            advice = f"wait {self.retry_after:g} seconds, then make the same call again"
        return f"Payment problem ({self.code}): {self}; {advice}."


_ADVICE = {
    "stop": "do not try again",
    "wait": "make the same call again; that cannot pay twice",
    "ask": "ask whoever gave you this budget for approval or a higher limit",
    "choose_cheaper": "choose something cheaper",
    "fix_request": "correct the request",
    "renew_token": "ask for a new token",
    "use_payment": "the purchase has a payment already, so do not pay again",
    "new_key": "nothing was paid, so it is safe to buy again as a new purchase",
}


class Problem(BursarError):
    """Bursar refused a call. Attributes are the members of its problem+json answer.

    Attributes:
        status: the HTTP status.
        detail: one sentence about what is wrong.
        grant_id: the grant of the chain that said no, for a denial.
        limit, remaining: the limit that was hit and what is left of it, for the caller's own grant.
        body: the whole answer.
    """

    def __init__(self, status: int, body: Mapping[str, Any], *, key: Optional[str] = None) -> None:
        self.status = status
        self.code = str(body.get("code", "unknown"))
        self.next_action = str(body.get("nextAction", "stop"))
        self.detail = str(body.get("detail", ""))
        self.grant_id: Optional[str] = body.get("grantId")
        self.limit: Optional[str] = body.get("limit")
        self.remaining: Optional[str] = body.get("remaining")
        self.body: Dict[str, Any] = dict(body)
        retry_after = body.get("retryAfter")
        super().__init__(
            self.detail or self.code,
            key=key,
            payment=body.get("payment"),
            retry_after=float(retry_after) if isinstance(retry_after, (int, float)) else None,
        )


class InvalidRequest(Problem):
    """400, 413 or 415: the call itself is wrong."""


class InvalidToken(Problem):
    """401: `invalid_token` or `invalid_dpop_proof`."""


class Denied(Problem):
    """403: a grant of the chain, or the caller's own `max_amount`, refuses the payment."""


class NotFound(Problem):
    """404: it does not exist, or this caller may not see it."""


class Conflict(Problem):
    """409: `idempotency_mismatch`, `payment_ended`, `payment_expiring`, `conflict` and the like."""


class NotPayable(Problem):
    """422: nothing in the seller's 402 can be paid."""


class TryLater(Problem):
    """429, 500 or 503: the same call can succeed later."""


_CLASS_BY_STATUS: Dict[int, Type[Problem]] = {
    400: InvalidRequest,
    401: InvalidToken,
    403: Denied,
    404: NotFound,
    409: Conflict,
    413: InvalidRequest,
    415: InvalidRequest,
    422: NotPayable,
    429: TryLater,
    500: TryLater,
    503: TryLater,
}


def problem_from(status: int, body: Mapping[str, Any], key: Optional[str] = None) -> Problem:
    """Builds the error for a problem+json answer: a subclass chosen by status, `code` inside."""
    return _CLASS_BY_STATUS.get(status, Problem)(status, body, key=key)


class BursarUnreachable(BursarError):
    """No connection to Bursar could be made, so this call paid for nothing."""

    code = "unreachable"
    next_action = "wait"


class SellerUnreachable(BursarError):
    """The seller could not be reached, or broke off its answer. This call paid for nothing."""

    code = "seller_unreachable"
    next_action = "wait"


class SellerRefused(BursarError):
    """`quote` met an answer of 400 or more without terms that can be paid, such as a 404: it is no price."""

    code = "seller_refused"
    next_action = "fix_request"

    def __init__(self, status: int) -> None:
        super().__init__(f"the seller answered {status} without x402 terms")
        self.status = status
        if status >= 500:
            self.next_action = "wait"


class InvalidAnswer(BursarError):
    """Bursar, or something between, answered what no Bursar answers."""

    code = "invalid_answer"
    next_action = "wait"


class PaymentOutcomeUnknown(BursarError):
    """Nobody knows whether the payment was made: an answer was lost, the seller failed (5xx), or it asks
    again for a payment that it has not taken yet.

    Make the same call again. It continues the purchase `key` with the same signature, so nothing is
    paid twice. Across a restart this holds for calls that name an `intent` or an Idempotency-Key.
    `response` is the seller's answer, where there was one.
    """

    code = "payment_outcome_unknown"
    next_action = "wait"

    def __init__(self, message: str, *, response: Any = None, **members: Any) -> None:
        super().__init__(message, **members)
        self.response = response


class PaidNotDelivered(BursarError):
    """The seller was paid, did not deliver, and asks for money again although it was shown the payment.

    Nothing is paid a second time, now or when the call is repeated. To buy anew all the same, name
    another `intent`. `payment` is the payment that reached the seller; `response` is its last answer.
    """

    code = "paid_not_delivered"
    next_action = "stop"

    def __init__(self, message: str, *, response: Any = None, **members: Any) -> None:
        super().__init__(message, **members)
        self.response = response


class ApprovalRequired(BursarError):
    """The payment waits for a person's approval. The same call pays once it is approved."""

    code = "approval_required"
    next_action = "wait"


class NotConfirmed(BursarError):
    """`confirm` said no to the quote. Nothing was paid."""

    code = "declined"
    next_action = "stop"

    def __init__(self, message: str, *, quote: Quote, **members: Any) -> None:
        super().__init__(message, **members)
        self.quote = quote


class PaymentNotRequested(BursarError):
    """The seller answered without asking for money, and `allow_free` is False."""

    code = "payment_not_requested"
    next_action = "stop"

    def __init__(self, message: str, *, response: Any = None, **members: Any) -> None:
        super().__init__(message, **members)
        self.response = response


class AllowanceRequired(BursarError):
    """The seller answered 412 with payment terms: the treasury must approve a contract first."""

    code = "allowance_required"
    next_action = "ask"

    def __init__(self, message: str, *, response: Any = None, **members: Any) -> None:
        super().__init__(message, **members)
        self.response = response


class StreamNeedsFactory(BursarError, TypeError):
    """The body can be read only once, and a paid call sends it twice. Nothing was sent."""

    code = "stream_needs_factory"
    next_action = "fix_request"


class InvalidKey(BursarError, ValueError):
    """An Idempotency-Key is not 1 to 255 visible ASCII characters. Nothing was sent."""

    code = "invalid_key"
    next_action = "fix_request"
