"""Shapes of the service's answers, as its OpenAPI document has them, and of what calls return."""

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, TypedDict


class Payment(TypedDict, total=False):
    """A payment. Amounts are decimal strings in currency units, times are RFC 3339."""

    id: str
    grantId: str
    status: str
    amount: str
    paid: Optional[str]
    currency: str
    network: str
    scheme: str
    payTo: str
    asset: str
    idempotencyKey: str
    wallet: Optional[str]
    nonce: Optional[str]
    validBefore: Optional[str]
    resource: str
    declaredResource: Optional[str]
    resourceMismatch: bool
    memo: Optional[str]
    transaction: Optional[str]
    seen: Optional[Dict[str, Any]]
    createdAt: str
    settledAt: Optional[str]
    approval: Dict[str, Optional[str]]


class Grant(TypedDict, total=False):
    """A grant. `remaining` is what could be spent now, every grant above included."""

    id: str
    treasuryId: str
    parentId: Optional[str]
    rootId: str
    depth: int
    status: str
    suspendedBy: Optional[str]
    holder: str
    currency: str
    budget: str
    maxPerPayment: Optional[str]
    maxPayments: Optional[int]
    windows: List[Dict[str, Any]]
    approvalAbove: Optional[str]
    approveNewPayees: bool
    breaker: Optional[Dict[str, int]]
    scope: Dict[str, List[str]]
    startsAt: str
    expiresAt: str
    delegationDepth: int
    funding: str
    holderKey: Optional[Dict[str, str]]
    purpose: Optional[str]
    labels: Dict[str, str]
    createdAt: str
    reserved: str
    spent: str
    allocated: str
    remaining: str
    limitedBy: Dict[str, Any]
    payments: int


class RaiseRequest(TypedDict, total=False):
    """A raise that a holder asked for. Its `reason` is the holder's: untrusted."""

    id: str
    treasuryId: str
    grantId: str
    status: str
    budget: str
    currency: str
    expiresAt: Optional[str]
    reason: str
    createdAt: str
    lapsesAt: str
    decidedAt: Optional[str]
    decidedBy: Optional[str]
    decidedReason: Optional[str]


class SpendItem(TypedDict, total=False):
    """One group of a report. Amounts are decimal strings in currency units."""

    group: Dict[str, Optional[str]]
    currency: str
    payments: int
    settled: str
    open: str
    released: str
    refused: int


class ServiceListing(TypedDict, total=False):
    """A priced operation that the grant could pay. `url` and `sellerText` are a stranger's text."""

    method: str
    url: str
    amount: str
    currency: str
    network: Optional[str]
    payTo: Optional[str]
    decision: str
    outcomes: Dict[str, int]
    catalogId: str
    firstHand: bool
    seenAt: str
    sellerText: Dict[str, str]


class Event(TypedDict, total=False):
    """An event of the audit log. Hand `cursor` back as `after` to go on with the next event."""

    id: str
    kind: str
    at: str
    actor: str
    treasuryId: str
    grantId: Optional[str]
    paymentId: Optional[str]
    reason: Optional[str]
    requestId: Optional[str]
    data: Dict[str, Any]
    cursor: str


@dataclass(frozen=True)
class PaymentHeader:
    """The header that pays: `PAYMENT-SIGNATURE` (x402 v2) or `X-PAYMENT` (v1)."""

    name: str
    value: str


@dataclass(frozen=True)
class Paid:
    """A signed payment of one purchase.

    Attributes:
        key: the idempotency key of the purchase.
        payment: the payment as the service shows it.
        header: what to send the request again with.
        remaining: what the grant can still spend; None where Bursar did not say.
        replayed: whether this key had the payment already.
    """

    key: str
    payment: Payment
    header: PaymentHeader
    remaining: Optional[str]
    replayed: bool


@dataclass(frozen=True)
class Quote:
    """The price of a payment and the decision it would meet now. Nothing is reserved.

    Attributes:
        decision: `allow`, `require_approval` or `deny`.
        selected: the index in `accepts` of the option that would be paid; None if none would be.
        amount, currency, pay_to, network: of the option that would be paid; None if none would be.
        remaining: what the grant could still spend now.
        options: every entry of the seller's `accepts` with its decision and reasons.
    """

    decision: str
    selected: Optional[int]
    amount: Optional[str]
    currency: Optional[str]
    pay_to: Optional[str]
    network: Optional[str]
    remaining: Optional[str]
    options: List[Dict[str, Any]]

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> "Quote":
        """Reads the service's answer."""
        options = list(answer.get("options", []))
        selected = answer.get("selected")
        chosen: Dict[str, Any] = next((o for o in options if o.get("index") == selected), {})
        return cls(
            decision=str(answer["decision"]),
            selected=selected,
            amount=chosen.get("amount"),
            currency=chosen.get("currency"),
            pay_to=chosen.get("payTo"),
            network=chosen.get("network"),
            remaining=answer.get("grant", {}).get("remaining"),
            options=options,
        )

    @classmethod
    def of_payment(cls, paid: Paid) -> "Quote":
        """The price of a payment that is signed already."""
        payment = paid.payment
        return cls(
            decision="allow",
            selected=None,
            amount=payment["amount"],
            currency=payment["currency"],
            pay_to=payment["payTo"],
            network=payment["network"],
            remaining=paid.remaining,
            options=[],
        )


@dataclass(frozen=True)
class PaymentInfo:
    """The payment behind a response, see `payment_of`.

    Attributes:
        id, amount, currency: of the payment.
        remaining: what the grant could still spend after it.
        replayed: whether the payment existed before this call.
        receipt: what the seller says of its settlement (untrusted), or None.
        key: the idempotency key of the purchase.
        payment: the payment as the service showed it when it was signed.
        header: the header that was sent.
    """

    id: str
    amount: str
    currency: str
    remaining: Optional[str]
    replayed: bool
    receipt: Optional[Dict[str, Any]]
    key: str
    payment: Payment
    header: PaymentHeader


@dataclass(frozen=True)
class Waiting:
    """Why a call waits: `approval`, `seller` or a code of Bursar's, and for how many seconds."""

    reason: str
    seconds: float
    payment: Optional[Payment] = None
