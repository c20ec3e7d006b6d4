"""Reading what x402 sellers send. Bursar judges the terms; this module only recognises them."""

import base64
import binascii
import json
from typing import Any, Callable, Dict, Optional

PAYMENT_HEADERS = ("PAYMENT-SIGNATURE", "X-PAYMENT")
"""The headers that carry a payment. They never go to another origin."""

_RECEIPT_HEADERS = ("PAYMENT-RESPONSE", "X-PAYMENT-RESPONSE")

MAX_TERMS_BYTES = 1_048_576
"""A longer body of a 402 is not looked at."""

GetHeader = Callable[[str], Optional[str]]


def terms_in_header(get_header: GetHeader) -> Optional[str]:
    """The x402 v2 terms of a response: the PAYMENT-REQUIRED header's value, or None."""
    value = get_header("PAYMENT-REQUIRED")
    return value if value and _are_terms(_decode(value)) else None


def terms_in_body(body: bytes) -> Optional[str]:
    """The x402 terms in a 402's JSON body (v1, and v2 sellers that send them there), or None."""
    if len(body) > MAX_TERMS_BYTES:
        return None
    try:
        text = body.decode("utf-8")
        return text if _are_terms(json.loads(text)) else None
    except (ValueError, RecursionError):
        return None


def receipt_header(get_header: GetHeader) -> Optional[str]:
    """The value of the PAYMENT-RESPONSE or X-PAYMENT-RESPONSE header, or None."""
    return next((value for value in map(get_header, _RECEIPT_HEADERS) if value), None)


def read_receipt(value: Optional[str]) -> Optional[Dict[str, Any]]:
    """Decodes a PAYMENT-RESPONSE header. None for one that cannot be read. Never believe it."""
    receipt = _decode(value) if value else None
    return receipt if isinstance(receipt, dict) else None


def says_success(receipt: Optional[Dict[str, Any]]) -> bool:
    """Whether a seller says that it was paid."""
    return receipt is not None and receipt.get("success") is True


def _are_terms(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("accepts"), list)
        and value.get("x402Version") in (1, 2)
    )


def _decode(value: str) -> Any:
    """The JSON inside base64, or None. Some sellers send it bare."""
    try:
        if value.lstrip().startswith("{"):
            return json.loads(value)
        standard = value.strip().rstrip("=").replace("-", "+").replace("_", "/")
        padded = standard + "=" * (-len(standard) % 4)
        return json.loads(base64.b64decode(padded, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
