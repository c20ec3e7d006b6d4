"""Bursar's client: three lines to a paid call.

    from bursar import Bursar

    bursar = Bursar.from_env()
    print(bursar.request("GET", "https://api.example.com/data/7", max_amount="0.05").text)
"""

from ._http import Response
from ._purchase import PurchaseOptions
from .client import Bursar, payment_of
from .errors import (
    AllowanceRequired,
    ApprovalRequired,
    BursarError,
    BursarUnreachable,
    Conflict,
    Denied,
    InvalidAnswer,
    InvalidKey,
    InvalidRequest,
    InvalidToken,
    NotConfirmed,
    NotFound,
    NotPayable,
    PaidNotDelivered,
    PaymentNotRequested,
    PaymentOutcomeUnknown,
    Problem,
    SellerRefused,
    SellerUnreachable,
    StreamNeedsFactory,
    TryLater,
)
from .types import (
    Event,
    Grant,
    Paid,
    Payment,
    PaymentHeader,
    PaymentInfo,
    Quote,
    RaiseRequest,
    ServiceListing,
    SpendItem,
    Waiting,
)

__version__ = "0.1.0"

__all__ = [
    "AllowanceRequired",
    "ApprovalRequired",
    "Bursar",
    "BursarError",
    "BursarUnreachable",
    "Conflict",
    "Denied",
    "Event",
    "Grant",
    "InvalidAnswer",
    "InvalidKey",
    "InvalidRequest",
    "InvalidToken",
    "NotConfirmed",
    "NotFound",
    "NotPayable",
    "Paid",
    "PaidNotDelivered",
    "Payment",
    "PaymentHeader",
    "PaymentInfo",
    "PaymentNotRequested",
    "PaymentOutcomeUnknown",
    "Problem",
    "PurchaseOptions",
    "Quote",
    "RaiseRequest",
    "Response",
    "SellerRefused",
    "SellerUnreachable",
    "ServiceListing",
    "SpendItem",
    "StreamNeedsFactory",
    "TryLater",
    "Waiting",
    "payment_of",
]
