"""What is seen and steered beside buying: grants, approvals, raises, reports, services."""

import json
import unittest
from decimal import Decimal
from typing import Any

from tests.rules import until
from tests.support import Reply, Seller, sandbox

from bursar import ApprovalRequired, Bursar, Conflict, Denied, InvalidToken

OPENAPI = {
    "openapi": "3.1.0",
    "info": {"title": "Weather of the tests", "version": "1"},
    "paths": {
        path: {
            "get": {
                "summary": summary,
                "x-payment-info": {"price": {"mode": "fixed", "currency": "USD", "amount": amount}},
                "responses": {"200": {"description": "the answer"}},
            }
        }
        for path, summary, amount in (
            ("/forecast", "Forecast of a city", "0.02"),
            ("/archive", "Archive of forecasts", "0.30"),
        )
    },
}


class Steering(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.bursar = sandbox().grant("5", delegation_depth=2)

    def child(self, budget: str = "1", **limits: Any) -> Bursar:
        limits.setdefault("ttl_seconds", 600)
        return self.bursar.delegate("child", budget, **limits)

    def seller(self) -> Seller:
        seller = Seller()
        self.addCleanup(seller.stop)
        return seller

    def test_grants_are_listed(self) -> None:
        child = self.child()
        parent_id = self.bursar.grant["id"]
        listed = [each["id"] for each in self.bursar.grants(parentId=parent_id, limit="1")]
        self.assertIn(child.grant["id"], listed)
        self.assertNotIn(parent_id, listed)

    def test_a_grant_is_amended_and_null_takes_a_limit_away(self) -> None:
        child = self.child("1", max_per_payment="0.05", max_payments=3)
        amended = self.bursar.amend(
            child.grant["id"], budget=Decimal("1.50"), max_per_payment=None, reason="more"
        )
        grant = amended["grant"]
        self.assertEqual((grant["budget"], grant["maxPerPayment"], grant["maxPayments"]), ("1.50", None, 3))
        self.assertEqual(amended["exposure"]["payments"], 0)
        with self.assertRaises(TypeError):
            self.bursar.amend(child.grant["id"], budget=1.5)
        with self.assertRaises(Denied):
            child.amend(child.grant["id"], budget="2")

    def test_a_new_token_ends_the_one_before(self) -> None:
        child = self.child()
        token = self.bursar.reissue_token(child.grant["id"])
        self.assertEqual(Bursar(sandbox().url, token).budget()["id"], child.grant["id"])
        with self.assertRaises(InvalidToken):
            child.budget()

    def test_a_raise_is_asked_for_once_and_decided_above(self) -> None:
        child = self.child("1")
        asked = child.request_raise("2.00", "twice the pages")
        self.assertEqual((asked["status"], asked["budget"]), ("pending", "2.00"))
        with self.assertRaises(Conflict):
            child.request_raise("3.00", "thrice")
        waiting = list(self.bursar.raises(status="pending", grantId=child.grant["id"]))
        self.assertEqual([each["id"] for each in waiting], [asked["id"]])
        self.assertEqual(self.bursar.approve_raise(asked["id"], reason="fine")["status"], "approved")
        self.assertEqual(child.budget()["budget"], "2.00")
        again = child.request_raise("3.00", "thrice")
        self.assertEqual(self.bursar.reject_raise(again["id"])["status"], "rejected")
        self.assertEqual(child.budget()["budget"], "2.00")

    def test_approvals_are_given_and_refused(self) -> None:
        child = self.child("1", approval_above="0.005")
        seller = self.seller()
        seller.rule = seller.serving()
        for verdict in ("approve", "reject"):
            url = f"{seller.url}/{verdict}"
            with self.assertRaises(ApprovalRequired) as waiting:
                child.request("GET", url, intent=url)
            payment_id = waiting.exception.payment["id"]
            decided = getattr(self.bursar, verdict)(payment_id, reason="looked at")
            self.assertEqual(decided["id"], payment_id)
        self.assertEqual(child.request("GET", f"{seller.url}/approve", intent=f"{seller.url}/approve").status, 200)
        with self.assertRaises(Conflict):
            child.request("GET", f"{seller.url}/reject", intent=f"{seller.url}/reject")

    def test_spend_is_reported_by_group(self) -> None:
        child = self.child("1")
        seller = self.seller()
        for number in range(3):
            child.pay(seller.terms(), "GET", f"{seller.url}/{number}", intent=f"{seller.url}/{number}")
        items = list(self.bursar.spend(["holder", "payTo"], grant_id=child.grant["id"]))
        self.assertEqual(len(items), 1)
        self.assertEqual(items[0]["group"]["holder"], "child")
        self.assertEqual(items[0]["group"]["payTo"].lower(), seller.pay_to)
        self.assertEqual((items[0]["payments"], items[0]["open"], items[0]["settled"]), (3, "0.03", "0.00"))
        past = self.bursar.spend(grant_id=child.grant["id"], until="2020-01-01T00:00:00Z")
        self.assertEqual([each for each in past if each["payments"]], [])

    def test_services_are_what_the_grant_could_pay(self) -> None:
        seller = self.seller()
        document = json.dumps({**OPENAPI, "servers": [{"url": seller.url}]}).encode()

        def rule(asked: Any) -> Reply:
            if asked.path == "/openapi.json":
                return Reply(200, {"Content-Type": "application/json"}, document)
            return Reply(404)

        seller.rule = rule
        catalog = sandbox().admin._post("/v1/catalogs", {"url": seller.url})["catalog"]
        self.assertEqual(catalog["services"], 0)

        def found(bursar: Bursar, **query: Any) -> "list[str]":
            listed = bursar.services("forecast", **query)
            return [each["url"] for each in listed if each["url"].startswith(seller.url)]

        until(lambda: len(found(self.bursar)) == 2)
        self.assertEqual(found(self.bursar)[0], f"{seller.url}/forecast")
        self.assertEqual(found(self.bursar, max_price=Decimal("0.05")), [f"{seller.url}/forecast"])
        self.assertEqual(found(self.child("1", max_per_payment="0.1")), [f"{seller.url}/forecast"])
        first = next(self.bursar.services("forecast", grant_id=self.bursar.grant["id"]))
        self.assertEqual((first["decision"], first["currency"]), ("allow", "USDC"))
        self.assertIn("Forecast", json.dumps(first["sellerText"]))
