"""Key-bound grants."""

import base64
import json
import time
import unittest
from types import SimpleNamespace
from typing import Any, Dict, List
from unittest import mock

from tests.support import Asked, Reply, Seller, sandbox

from bursar import Bursar, InvalidToken

try:
    from bursar.dpop import HolderKey
except ImportError:
    HolderKey = None


def claims_of(proof: str) -> Dict[str, Any]:
    part = proof.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@unittest.skipIf(HolderKey is None, "python3-cryptography is not installed")
class KeyBoundGrants(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.parent = sandbox().grant("1", delegation_depth=1)

    def seller(self, rule: Any = None) -> Seller:
        seller = Seller(rule)
        self.addCleanup(seller.stop)
        return seller

    def test_the_key_pays_and_the_token_alone_does_not(self) -> None:
        child = self.parent.delegate("bound", "0.1", ttl_seconds=600, key=HolderKey.generate())
        seller = self.seller()
        seller.rule = seller.serving()
        self.assertEqual(child.request("GET", seller.url).status, 200)
        self.assertEqual(child.budget()["payments"], 1)
        self.assertEqual(len(list(child.payments(status="authorized"))), 1)
        with self.assertRaises(InvalidToken):
            Bursar(sandbox().url, child.token).budget()
        with self.assertRaises(InvalidToken) as raised:
            Bursar(sandbox().url, child.token, HolderKey.generate()).budget()
        self.assertEqual(raised.exception.code, "invalid_dpop_proof")

    def test_a_key_survives_in_pem(self) -> None:
        key = HolderKey.generate()
        child = self.parent.delegate("bound", "0.1", ttl_seconds=600, key=key)
        for pem, password in ((key.to_pem(), None), (key.to_pem(b"secret"), b"secret")):
            same = HolderKey.from_pem(pem, password)
            self.assertEqual(same.public_jwk, key.public_jwk)
            self.assertEqual(Bursar(sandbox().url, child.token, same).budget()["holder"], "bound")

    def test_every_call_has_a_proof_of_its_own(self) -> None:
        proofs: List[str] = []
        service = self.seller()

        def rule(asked: Asked) -> Reply:
            proofs.append(asked.headers["dpop"])
            self.assertEqual(asked.headers["authorization"], "DPoP token")
            return Reply(200, {}, b'{"id":"grt_1"}')

        service.rule = rule
        bursar = Bursar(service.url, "token", HolderKey.generate())
        bursar.budget()
        bursar.budget()
        claims = [claims_of(proof) for proof in proofs]
        self.assertEqual(len({each["jti"] for each in claims}), 2)
        self.assertEqual(claims[0]["htu"], f"{service.url}/v1/grants/self")
        self.assertEqual(claims[0]["htm"], "GET")

    def test_a_wrong_clock_is_corrected_from_the_services_date(self) -> None:
        child = self.parent.delegate("bound", "0.1", ttl_seconds=600, key=HolderKey.generate())
        for hours in (-5, 5):
            clock = SimpleNamespace(time=lambda: time.time() + hours * 3600, sleep=time.sleep)
            bursar = Bursar(sandbox().url, child.token, child._service.key)
            with mock.patch("bursar.dpop.time", clock), mock.patch("bursar._service.time", clock):
                self.assertEqual(bursar.budget()["holder"], "bound")
                self.assertEqual(bursar.budget()["holder"], "bound")

    def test_a_nonce_that_the_service_asks_for_is_used(self) -> None:
        service = self.seller()

        def rule(asked: Asked) -> Reply:
            nonce = claims_of(asked.headers["dpop"]).get("nonce")
            if nonce != f"n{len(service.asked) // 2}":
                body = json.dumps({"code": "invalid_dpop_proof", "nextAction": "renew_token"})
                return Reply(401, {"DPoP-Nonce": f"n{(len(service.asked) + 1) // 2}"}, body.encode())
            return Reply(200, {}, b'{"id":"grt_1"}')

        service.rule = rule
        bursar = Bursar(service.url, "token", HolderKey.generate())
        self.assertEqual(bursar.budget()["id"], "grt_1")
        self.assertEqual(len(service.asked), 2)

    def test_a_proof_that_stays_refused_is_tried_once_more_only(self) -> None:
        body = json.dumps({"code": "invalid_dpop_proof", "nextAction": "renew_token"}).encode()
        service = self.seller(lambda _: Reply(401, {"DPoP-Nonce": f"n{len(service.asked)}"}, body))
        with self.assertRaises(InvalidToken):
            Bursar(service.url, "token", HolderKey.generate()).budget()
        self.assertEqual(len(service.asked), 2)
