"""What a token says about itself, and which tokens this process has renewed."""

import base64
import binascii
import json
import threading
from dataclasses import dataclass
from typing import Any, Dict, Optional


@dataclass(frozen=True)
class TokenClaims:
    """The claims of a grant's token. All are None for what is no such token.

    Attributes:
        grant_id: whose token it is.
        renew_at: when to renew it, in seconds of the service's clock.
    """

    grant_id: Optional[str] = None
    renew_at: Optional[float] = None

    @classmethod
    def of(cls, token: str) -> "TokenClaims":
        """Reads a token. The service verifies it; this only reads."""
        claims = _claims(token)
        grant_id = claims.get("sub")
        if not isinstance(grant_id, str) or not grant_id.startswith("grt_"):
            return cls()
        issued, ends = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, (int, float)) or not isinstance(ends, (int, float)):
            return cls(grant_id)
        # In the last tenth of its life, so that an agent that calls now and then does not miss it.
        return cls(grant_id, ends - (ends - issued) / 10)


class RenewedTokens:
    """The successor of each token that this process renewed.

    `requests.get(url, auth=BursarAuth())` makes a client for each call, out of an environment that still
    holds the first token.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._successors: Dict[str, str] = {}

    def put(self, token: str, successor: str) -> None:
        """Notes a renewal."""
        with self._lock:
            self._successors[token] = successor

    def newest(self, token: str) -> str:
        """The token that works now in place of a given one."""
        with self._lock:
            while token in self._successors:
                token = self._successors[token]
        return token


RENEWED = RenewedTokens()


def _claims(token: str) -> Dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        payload = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.urlsafe_b64decode(payload))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
