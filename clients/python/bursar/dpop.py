"""Key-bound grants: a token that is useless without its key (RFC 9449, DPoP).

Needs the package `cryptography`:

    key = HolderKey.generate()
    child = bursar.delegate("worker-1", "1.00", key=key)
"""

import base64
import hashlib
import json
import secrets
import time
from typing import Any, Dict, Optional

try:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
except ImportError as error:  # pragma: no cover
    raise ImportError("key-bound grants need the package cryptography: pip install bursar[dpop]") from error

_COORDINATE_BYTES = 32


class HolderKey:
    """The key pair of a grant's holder, on the curve P-256."""

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        if not isinstance(private_key.curve, ec.SECP256R1):
            raise ValueError("a holder key is on the curve P-256")
        self._private = private_key

    @classmethod
    def generate(cls) -> "HolderKey":
        """Makes a new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes, password: Optional[bytes] = None) -> "HolderKey":
        """Reads a private key in PEM.

        Raises:
            ValueError: when it is no private key on P-256.
        """
        private = serialization.load_pem_private_key(pem, password)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ValueError("a holder key is on the curve P-256")
        return cls(private)

    def to_pem(self, password: Optional[bytes] = None) -> bytes:
        """The private key in PEM (PKCS #8), encrypted when there is a password."""
        encryption = (
            serialization.BestAvailableEncryption(password)
            if password
            else serialization.NoEncryption()
        )
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )

    @property
    def public_jwk(self) -> Dict[str, str]:
        """The public key as a JWK: what `holderKey` of a grant wants."""
        numbers = self._private.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": _base64url(numbers.x.to_bytes(_COORDINATE_BYTES, "big")),
            "y": _base64url(numbers.y.to_bytes(_COORDINATE_BYTES, "big")),
        }

    def proof(
        self, method: str, url: str, token: str, *, skew: float = 0.0, nonce: Optional[str] = None
    ) -> str:
        """A DPoP proof for one request.

        Args:
            url: the whole URL; the query and the fragment are left out of the proof.
            skew: how many seconds the service's clock is ahead of this one.
            nonce: the service's last DPoP-Nonce.
        """
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.public_jwk}
        claims: Dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": url.split("#")[0].split("?")[0],
            "iat": int(time.time() + skew),
            "ath": _base64url(hashlib.sha256(token.encode("ascii")).digest()),
        }
        if nonce is not None:
            claims["nonce"] = nonce
        signed = f"{_part(header)}.{_part(claims)}"
        r, s = decode_dss_signature(
            self._private.sign(signed.encode("ascii"), ec.ECDSA(hashes.SHA256()))
        )
        signature = r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")
        return f"{signed}.{_base64url(signature)}"


def _part(value: Dict[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode("utf-8"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
