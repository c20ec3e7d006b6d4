"""The rules of a paid call, without any input or output.

`buy` is a generator. It yields what has to be done next (send the request, read a body, call Bursar,
sleep) and is told the outcome. The drivers (`client`, `requests_auth`, `httpx_auth`) do it, each in
the way of its library, so that all of them follow the same rules.
"""

import email.utils
import time
from dataclasses import dataclass, replace
from typing import Any, Callable, Generator, Generic, Optional, Tuple, TypeVar, Union

from . import x402
from ._book import BOOK, Purchase, checked_key, key_of_intent
from .errors import (
    AllowanceRequired,
    ApprovalRequired,
    BursarError,
    BursarUnreachable,
    NotConfirmed,
    PaidNotDelivered,
    PaymentNotRequested,
    PaymentOutcomeUnknown,
    Problem,
)
from .types import Paid, Payment, PaymentHeader, PaymentInfo, Quote, Waiting

Result = TypeVar("Result")

DEFAULT_WAIT_SECONDS = 10.0

APPROVAL_POLL_SECONDS = 5.0
"""How often an approval is asked for when Bursar does not say."""

MIN_WAIT_SECONDS = 0.1
"""A shorter wait is rounded up, so that `Retry-After: 0` is no busy loop."""


@dataclass(frozen=True)
class PurchaseOptions:
    """How a call may pay.

    Attributes:
        intent: names the purchase across processes and restarts.
        max_amount: refuse what costs more, in currency units ("0.05").
        allow_free: False makes an answer that asked for no payment an error.
        confirm: gets the quote; anything false means: do not pay.
        wait: for how many seconds in all to wait where Bursar or a seller says Retry-After.
        wait_for_approval: for how many seconds to wait for a person's approval.
        on_wait: is told before each wait.
        memo: a note that the payment keeps.
        option: takes this entry of `accepts` instead of the cheapest.
    """

    intent: Optional[str] = None
    max_amount: Optional[str] = None
    allow_free: bool = True
    confirm: Optional[Callable[[Quote], Any]] = None
    wait: float = DEFAULT_WAIT_SECONDS
    wait_for_approval: float = 0.0
    on_wait: Optional[Callable[[Waiting], Any]] = None
    memo: Optional[str] = None
    option: Optional[int] = None


@dataclass(frozen=True)
class Answer:
    """A seller's response, as far as the rules look at it.

    Attributes:
        method, url: what was asked last, after redirects.
        left_origin: whether a redirect led to another origin on the way.
        receipt: the PAYMENT-RESPONSE of the origin that was asked: of this answer, or of a redirect to it.
        response: the library's own response object.
    """

    status: int
    method: str
    url: str
    left_origin: bool
    receipt: Optional[str]
    get_header: x402.GetHeader
    response: Any


@dataclass(frozen=True)
class Send:
    """Send the request; answered with an `Answer`, or `SellerFailed` is thrown.

    With `again`, send what that answer was for: same method and URL, without further redirects.
    """

    header: Optional[PaymentHeader] = None
    again: Optional[Answer] = None


@dataclass(frozen=True)
class ReadBody:
    """Read the answer's body without taking it from the caller; answered with bytes."""

    answer: Answer


@dataclass(frozen=True)
class Call(Generic[Result]):
    """Run a blocking function, on a thread where the driver is asynchronous."""

    run: Callable[[], Result]


@dataclass(frozen=True)
class Sleep:
    """Wait so many seconds."""

    seconds: float


Step = Union[Send, ReadBody, "Call[Any]", Sleep]
Steps = Generator[Step, Any, Result]


class SellerFailed(Exception):
    """The request could not be sent or its answer was lost. `__cause__` is the library's error."""


def drive(
    steps: Steps[Result], send: Callable[[Send], Answer], read_body: Callable[[Answer], bytes]
) -> Result:
    """Does each step, blocking, and gives what the generator returns."""
    try:
        step = next(steps)
        while True:
            outcome: Any = None
            try:
                if isinstance(step, Send):
                    outcome = send(step)
                elif isinstance(step, ReadBody):
                    outcome = read_body(step.answer)
                elif isinstance(step, Call):
                    outcome = step.run()
                else:
                    time.sleep(step.seconds)
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    finally:
        # On Ctrl-C the generator has not ended yet: it leaves the purchase open.
        steps.close()


@dataclass(frozen=True)
class Request:
    """The request that is bought.

    Attributes:
        digest: equal for equal requests of one grant.
        idempotency_key: the caller's own header.
    """

    digest: str
    idempotency_key: Optional[str]


class Payer:
    """The calls to Bursar that the rules make. `client.Bursar` is one."""

    def quote_terms(self, terms: str, method: str, url: str, options: PurchaseOptions) -> Quote:
        """Asks what a payment would meet."""
        raise NotImplementedError

    def pay_once(
        self, terms: str, method: str, url: str, key: str, options: PurchaseOptions
    ) -> Tuple[Optional[Paid], Any, float]:
        """Asks once for a payment: what was signed or None, the payment, seconds until asking again."""
        raise NotImplementedError

    def collect(self, payment_id: str, key: str) -> Paid:
        """Fetches what was signed for an open purchase."""
        raise NotImplementedError

    def payment(self, payment_id: str) -> Payment:
        """One payment, as it is now."""
        raise NotImplementedError

    def hand_in(self, paid: Paid, receipt: str) -> None:
        """Hands in a receipt. Never fails."""
        raise NotImplementedError


@dataclass
class Bought:
    """How a call ended.

    Attributes:
        answer: the seller's last.
        info: the payment behind it, or None.
        purchase: the purchase that the call belonged to.
        paid: the payment that this call made or continued, or None.
    """

    answer: Answer
    info: Optional[PaymentInfo]
    purchase: Purchase
    paid: Optional[Paid]

    def moved_on(self, answer: Answer) -> "Bought":
        """The library followed a redirect of the paid answer to another origin."""
        is_paid = self.info is not None and x402.says_success(self.info.receipt)
        if answer.status >= 400 and not is_paid:
            BOOK.leave_open(self.purchase)
            if answer.status >= 500 and self.paid is not None:
                raise seller_failed(self.paid, answer)
        return replace(self, answer=answer)

    def broken_off(self) -> PaymentOutcomeUnknown:
        """The body of a paid answer broke off: the next call continues the purchase.

        Returns:
            the error to raise.
        """
        assert self.paid is not None
        BOOK.leave_open(self.purchase)
        return outcome_unknown(self.paid)


def check_options(options: PurchaseOptions, idempotency_key: Optional[str]) -> None:
    """Raises what is wrong with the options before anything is sent."""
    if isinstance(options.wait_for_approval, bool):
        raise TypeError("wait_for_approval is a number of seconds")
    if options.intent is not None:
        key_of_intent(options.intent)
    elif idempotency_key is not None:
        checked_key(idempotency_key)


def purchase_of(request: Request, options: PurchaseOptions) -> Purchase:
    """The purchase of a call, by its intent, its header, or its request."""
    if options.intent is not None:
        return Purchase(key_of_intent(options.intent))
    if request.idempotency_key is not None:
        return Purchase(checked_key(request.idempotency_key))
    return BOOK.take(request.digest)


def buy(
    payer: Payer, request: Request, options: PurchaseOptions, begun: Optional[Bought] = None
) -> Steps[Bought]:
    """Makes one call, and pays if the seller asks for it.

    Args:
        begun: a call whose payment led to a redirect that the library followed: its payment is shown
            again, and nothing new is bought.

    Raises:
        BursarError: see `errors`. Errors of the unpaid request are the library's own.
    """
    answer: Answer = yield Send()
    purchase = begun.purchase if begun else purchase_of(request, options)
    is_answered = False
    try:
        terms = yield from _read_terms(answer)
        if terms is None or answer.left_origin:
            # Redirects say nothing yet about whether the call was answered.
            is_answered = answer.status < 300 or answer.status == 304
            if is_answered and not options.allow_free and not begun and not purchase.has_asked:
                raise PaymentNotRequested(
                    "the answer asked for no payment, and allow_free is False",
                    response=answer.response,
                )
            info = begun.info if begun else None
            if begun and begun.paid and info:
                if answer.receipt is not None:
                    yield Call(_hand_in(payer, begun.paid, answer.receipt))
                    info = replace(info, receipt=x402.read_receipt(answer.receipt))
                is_answered = is_answered or x402.says_success(info.receipt)
                if answer.status >= 500 and not is_answered:
                    raise seller_failed(begun.paid, answer)
            return Bought(answer, info, purchase, None)
        if answer.status == 412:
            raise _allowance_required(answer, purchase.key, None)
        waits = _Waits(options)
        if begun and begun.paid:
            paid, showings = begun.paid, 1
        else:
            paid = yield from _pay(payer, request, options, purchase, answer, terms, waits)
            showings = 0
        while True:
            try:
                answer = yield Send(paid.header, answer)
            except SellerFailed as error:
                raise outcome_unknown(paid) from error.__cause__
            if answer.receipt is not None:
                yield Call(_hand_in(payer, paid, answer.receipt))
            decoded = x402.read_receipt(answer.receipt)
            showings += 1
            if answer.status < 400 or x402.says_success(decoded):
                is_answered = True
            elif not answer.left_origin and (yield from _is_shown_again(answer, showings, waits, paid)):
                continue
            elif answer.status == 402 and not answer.left_origin:
                now = yield Call(_looked_up(payer, paid))
                raise _asked_again(paid, now, answer)
            elif answer.status == 412 and not answer.left_origin and x402.terms_in_header(answer.get_header):
                raise _allowance_required(answer, paid.key, paid)
            if answer.status >= 500 and not is_answered:
                raise seller_failed(paid, answer)
            return Bought(answer, _info(paid, decoded), purchase, paid)
    finally:
        if is_answered:
            BOOK.close(purchase)
        else:
            BOOK.leave_open(purchase)


def _is_shown_again(answer: Answer, showings: int, waits: "_Waits", paid: Paid) -> Steps[bool]:
    """Whether to show a seller the same payment once more: after its Retry-After, and once if it asks again."""
    seconds = _retry_after(answer)
    if seconds is not None and (yield from waits.wait("seller", seconds, paid.payment)):
        return True
    return answer.status == 402 and showings < 2


def outcome_unknown(paid: Paid) -> PaymentOutcomeUnknown:
    """The error for a paid request whose answer was lost."""
    return PaymentOutcomeUnknown(
        f"the seller's answer to payment {paid.payment['id']} was lost",
        key=paid.key,
        payment=paid.payment,
    )


def seller_failed(paid: Paid, answer: Answer) -> PaymentOutcomeUnknown:
    """The error for a paid request that was answered with a status of 500 or more."""
    return PaymentOutcomeUnknown(
        f"the seller answered {answer.status} to payment {paid.payment['id']}",
        key=paid.key,
        payment=paid.payment,
        response=answer.response,
    )


def _asked_again(paid: Paid, now: Payment, answer: Answer) -> BursarError:
    """The error for a seller that was shown the payment twice and still asks for money."""
    members: Any = {"key": paid.key, "payment": now, "response": answer.response}
    # `seen` is a transfer in a block that is not final yet.
    if now["status"] == "settled" or now.get("seen"):
        return PaidNotDelivered(
            f"payment {now['id']} reached the seller and it asks for money again; "
            "to buy again on purpose, name another intent",
            **members,
        )
    return PaymentOutcomeUnknown(
        f"the seller asks again, and no transfer for payment {now['id']} is known yet", **members
    )


def _looked_up(payer: Payer, paid: Paid) -> Callable[[], Payment]:
    """The payment as Bursar knows it now, or as it was signed where Bursar cannot be asked."""

    def look_up() -> Payment:
        try:
            return payer.payment(paid.payment["id"])
        except BursarError:
            return paid.payment

    return look_up


def _read_terms(answer: Answer) -> Steps[Optional[str]]:
    if answer.status not in (402, 412) or answer.method == "HEAD":
        # Paying for HEAD would buy an answer without its content.
        return None
    terms = x402.terms_in_header(answer.get_header)
    if terms is None and answer.status == 402 and not answer.left_origin:
        terms = x402.terms_in_body((yield ReadBody(answer)))
    return terms


def _pay(
    payer: Payer,
    request: Request,
    options: PurchaseOptions,
    purchase: Purchase,
    answer: Answer,
    terms: str,
    waits: "_Waits",
) -> Steps[Paid]:
    """Has Bursar sign under the purchase's key, or under a new one where Bursar says that is safe."""
    is_confirmed = options.confirm is None
    if not is_confirmed:
        quote: Quote = yield Call(
            lambda: payer.quote_terms(terms, answer.method, answer.url, options)
        )
        if quote.selected is not None:
            _confirm(quote, options, purchase.key)
            # Pay what was agreed to: this entry of the same terms, at this price.
            options = replace(options, option=quote.selected, max_amount=quote.amount)
            is_confirmed = True
    while True:
        is_new = not purchase.has_asked
        try:
            paid = yield from sign(
                payer, terms, answer.method, answer.url, purchase, options, waits
            )
            break
        except Problem as problem:
            if purchase.is_named or is_new:
                raise
            payment_id = (problem.payment or {}).get("id")
            if problem.next_action == "use_payment" and payment_id:
                # The seller changed its terms since this purchase was signed: show what was signed.
                key = purchase.key
                paid = yield Call(lambda: payer.collect(str(payment_id), key))
                break
            if problem.next_action != "new_key":
                raise
            # Bursar says that nothing was or can be paid under this key: it is done with.
            purchase.become(BOOK.take(request.digest))
    if not is_confirmed:
        # A quote counts what this very purchase holds already, and so may refuse what is paid for.
        _confirm(Quote.of_payment(paid), options, purchase.key)
    return paid


def sign(
    payer: Payer,
    terms: str,
    method: str,
    url: str,
    purchase: Purchase,
    options: PurchaseOptions,
    waits: Optional["_Waits"] = None,
) -> Steps[Paid]:
    """Has Bursar sign under one key, waiting as long as the options allow."""
    waits = waits or _Waits(options)
    waiting: Optional[Payment] = None
    while True:
        purchase.has_asked = True
        try:
            paid, payment, seconds = yield Call(
                lambda: payer.pay_once(terms, method, url, purchase.key, options)
            )
        except Problem as problem:
            if problem.next_action != "wait" or problem.retry_after is None:
                raise
            if not (yield from waits.wait(problem.code, problem.retry_after, problem.payment)):
                raise
            continue
        except (BursarUnreachable, PaymentOutcomeUnknown):
            # A service that restarts keeps what waits for an approval.
            if waiting is None or not (yield from waits.wait("approval", APPROVAL_POLL_SECONDS, waiting)):
                raise
            continue
        if paid is not None:
            signed: Paid = paid
            return signed
        waiting = payment
        if not (yield from waits.wait("approval", seconds or APPROVAL_POLL_SECONDS, payment)):
            raise ApprovalRequired(
                f"payment {payment['id']} waits for an approval",
                key=purchase.key,
                payment=payment,
                retry_after=seconds or APPROVAL_POLL_SECONDS,
            )


def _confirm(quote: Quote, options: PurchaseOptions, key: str) -> None:
    if options.confirm is not None and not options.confirm(quote):
        raise NotConfirmed("confirm did not agree to the quote", quote=quote, key=key)


class _Waits:
    """The rest of the time that a call may wait."""

    def __init__(self, options: PurchaseOptions) -> None:
        self._options = options
        self._left = max(options.wait, 0.0)
        self._left_for_approval = max(options.wait_for_approval, 0.0)

    def wait(self, reason: str, seconds: float, payment: Any) -> Steps[bool]:
        """Waits, or says that the time does not suffice."""
        is_approval = reason == "approval"
        left = self._left_for_approval if is_approval else self._left
        seconds = max(seconds, MIN_WAIT_SECONDS)
        if is_approval:
            # The last look is at the end of the time, not one interval before it.
            seconds = min(seconds, left)
        if seconds > left or left <= 0:
            return False
        if is_approval:
            self._left_for_approval -= seconds
        else:
            self._left -= seconds
        if self._options.on_wait is not None:
            self._options.on_wait(Waiting(reason, seconds, payment))
        yield Sleep(seconds)
        return True


def _retry_after(answer: Answer) -> Optional[float]:
    """The seconds of a Retry-After header: a number, or a date (RFC 9110, section 10.2.3)."""
    value = (answer.get_header("Retry-After") or "").strip()
    if value.isascii() and value.isdigit() and len(value) < 9:
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _hand_in(payer: Payer, paid: Paid, receipt: str) -> Callable[[], None]:
    return lambda: payer.hand_in(paid, receipt)


def _allowance_required(answer: Answer, key: str, paid: Optional[Paid]) -> BursarError:
    return AllowanceRequired(
        "the seller wants a payment through a contract that the treasury has not approved (412)",
        key=key,
        payment=paid.payment if paid else None,
        response=answer.response,
    )


def _info(paid: Paid, receipt: Any) -> PaymentInfo:
    payment = paid.payment
    return PaymentInfo(
        id=payment["id"],
        amount=payment["amount"],
        currency=payment["currency"],
        remaining=paid.remaining,
        replayed=paid.replayed,
        receipt=receipt,
        key=paid.key,
        payment=payment,
        header=paid.header,
    )
