"""The rules of a paid call, as tests. Each way to make calls inherits them all.

Every test has a seller that does what goes wrong for others, and the real service behind it.
"""

import base64
import hashlib
import json
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, List, NamedTuple, Optional
from unittest import mock

from tests.support import DROPPED, Asked, LossyBursar, Reply, Seller, post_json, sandbox

from bursar import (
    AllowanceRequired,
    ApprovalRequired,
    Bursar,
    BursarUnreachable,
    Conflict,
    Denied,
    InvalidAnswer,
    InvalidKey,
    InvalidToken,
    NotConfirmed,
    NotPayable,
    PaidNotDelivered,
    PaymentInfo,
    PaymentNotRequested,
    PaymentOutcomeUnknown,
    TryLater,
    Waiting,
)
from bursar._book import BOOK
from bursar._service import TRIES

SUCCESS = base64.b64encode(b'{"success":true,"transaction":"0x00","network":"eip155:84532"}').decode()
FAILURE = base64.b64encode(b'{"success":false,"errorReason":"x","transaction":""}').decode()


class Result(NamedTuple):
    status: int
    body: bytes
    payment: Optional[PaymentInfo]


class Rules(unittest.TestCase):
    """Inherited, never run by itself."""

    UNREACHABLE: Any = None
    """The error of an unpaid request to nobody."""

    SLEEP = "time.sleep"
    """The function that a waiting call sleeps with."""

    def call(
        self,
        url: str,
        method: str = "GET",
        bursar: Optional[Bursar] = None,
        body: Optional[bytes] = None,
        headers: Any = None,
        timeout: float = 30,
        **options: Any,
    ) -> Result:
        raise NotImplementedError

    @classmethod
    def setUpClass(cls) -> None:
        if cls is Rules:
            raise unittest.SkipTest("the rules run where they are inherited")
        cls.bursar = sandbox().grant("50")

    def seller(self, rule: Any = None) -> Seller:
        seller = Seller(rule)
        self.addCleanup(seller.stop)
        return seller

    def buys(self, seller: Seller) -> List[Any]:
        """The payments that Bursar made to a seller."""
        return [
            payment
            for payment in self.bursar.payments()
            if payment["payTo"].lower() == seller.pay_to.lower()
        ]

    # Paying

    def test_pays_a_v2_seller_exactly_the_price(self) -> None:
        seller = self.seller()
        seller.rule = seller.settling(2)
        result = self.call(f"{seller.url}/data")
        self.assertEqual((result.status, result.body), (200, b"served"))
        self.assertEqual(sandbox().balance_of(seller.pay_to), 10_000)
        self.assertEqual(result.payment.amount, "0.01")
        self.assertEqual(result.payment.currency, "USDC")
        self.assertFalse(result.payment.replayed)
        self.assertTrue(result.payment.receipt["success"])
        self.assertEqual(seller.asked[-1].headers.get("payment-signature"), seller.payments[0])

    def test_pays_a_v1_seller_exactly_the_price(self) -> None:
        seller = self.seller()
        seller.rule = seller.settling(1)
        result = self.call(f"{seller.url}/data")
        self.assertEqual((result.status, result.body), (200, b"served"))
        self.assertEqual(sandbox().balance_of(seller.pay_to), 10_000)
        self.assertTrue(result.payment.receipt["success"])
        self.assertEqual(seller.asked[-1].headers.get("x-payment"), seller.payments[0])

    def test_hands_the_receipt_in(self) -> None:
        seller = self.seller()
        seller.rule = seller.settling(2)
        result = self.call(f"{seller.url}/data")
        receipts = self.bursar.payment(result.payment.id)["receipts"]
        self.assertEqual([receipt["success"] for receipt in receipts], [True])

    def test_pays_nothing_for_what_is_free(self) -> None:
        seller = self.seller()
        result = self.call(f"{seller.url}/data")
        self.assertEqual(result, Result(200, b"served", None))
        self.assertEqual(len(seller.asked), 1)

    def test_sends_the_body_and_the_headers_again_with_the_payment(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        self.call(f"{seller.url}/data?q=1", "POST", body=b'{"a":1}', headers={"X-Mine": "yes"})
        unpaid, paid = seller.asked
        for asked in (unpaid, paid):
            self.assertEqual(
                (asked.method, asked.path, asked.body, asked.headers["x-mine"]),
                ("POST", "/data?q=1", b'{"a":1}', "yes"),
            )

    def test_the_token_never_reaches_a_seller(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        result = self.call(f"{seller.url}/data")
        self.assertNotIn(self.bursar.token, repr(seller.asked))
        self.assertNotIn(self.bursar.token, repr(self.bursar) + repr(result))

    # One purchase, one key

    def test_an_answered_call_ends_its_purchase_so_polling_buys_each_time(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        first = self.call(f"{seller.url}/data")
        second = self.call(f"{seller.url}/data")
        self.assertNotEqual(first.payment.key, second.payment.key)
        self.assertEqual(len(set(seller.payments)), 2)

    def test_a_lost_answer_is_unknown_and_the_next_call_continues_it(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(DROPPED, Reply())
        with self.assertRaises(PaymentOutcomeUnknown) as raised:
            self.call(f"{seller.url}/data")
        self.assertEqual(raised.exception.next_action, "wait")
        # Another client object of the same grant, as an agent may make one a call.
        again = Bursar(sandbox().url, self.bursar.token)
        result = self.call(f"{seller.url}/data", bursar=again)
        self.assertEqual(result.status, 200)
        self.assertEqual(result.payment.key, raised.exception.key)
        self.assertTrue(result.payment.replayed)
        self.assertEqual(len(set(seller.payments)), 1)
        self.assertEqual(len(self.buys(seller)), 1)
        self.call(f"{seller.url}/data")
        self.assertEqual(len(self.buys(seller)), 2)

    def test_a_timeout_is_unknown_and_the_next_call_continues_it(self) -> None:
        seller = self.seller()
        is_over = threading.Event()
        self.addCleanup(is_over.set)

        def hang(asked: Asked) -> Reply:
            is_over.wait(30)
            return DROPPED

        seller.rule = seller.serving(hang, Reply())
        with self.assertRaises(PaymentOutcomeUnknown):
            self.call(f"{seller.url}/data", timeout=1)
        self.assertEqual(self.call(f"{seller.url}/data").status, 200)
        self.assertEqual(len(set(seller.payments)), 1)

    def test_a_refusal_after_payment_comes_back_and_the_next_call_continues_it(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(Reply(403, {}, b"no"), Reply())
        result = self.call(f"{seller.url}/data")
        self.assertEqual((result.status, result.body), (403, b"no"))
        again = self.call(f"{seller.url}/data")
        self.assertEqual(again.payment.id, result.payment.id)
        self.assertEqual(len(set(seller.payments)), 1)

    def test_a_failure_after_payment_is_unknown_and_the_next_call_continues_it(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(Reply(500, {}, b"oops"), Reply())
        with self.assertRaises(PaymentOutcomeUnknown) as raised:
            self.call(f"{seller.url}/data")
        self.assertIsNotNone(raised.exception.response)
        again = self.call(f"{seller.url}/data")
        self.assertEqual(again.payment.key, raised.exception.key)
        self.assertEqual(len(set(seller.payments)), 1)

    def test_a_failure_with_a_receipt_of_success_ends_the_purchase(self) -> None:
        for name in ("PAYMENT-RESPONSE", "X-PAYMENT-RESPONSE"):
            seller = self.seller()
            seller.rule = seller.serving(Reply(404, {name: SUCCESS}, b"no such page"))
            first = self.call(f"{seller.url}/data")
            second = self.call(f"{seller.url}/data")
            self.assertEqual(first.status, 404)
            self.assertNotEqual(first.payment.id, second.payment.id)

    def test_a_body_that_breaks_off_reopens_the_purchase(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(Reply(200, {}, b"x" * 1000, send_bytes=10), Reply())
        with self.assertRaises(PaymentOutcomeUnknown) as raised:
            self.call(f"{seller.url}/data")
        result = self.call(f"{seller.url}/data")
        self.assertEqual((result.body, result.payment.key), (b"served", raised.exception.key))
        self.assertEqual(len(set(seller.payments)), 1)

    def test_another_body_is_another_purchase(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(DROPPED, Reply())
        with self.assertRaises(PaymentOutcomeUnknown) as raised:
            self.call(f"{seller.url}/data", "POST", body=b"one")
        other = self.call(f"{seller.url}/data", "POST", body=b"two")
        self.assertNotEqual(other.payment.key, raised.exception.key)
        same = self.call(f"{seller.url}/data", "POST", body=b"one")
        self.assertEqual(same.payment.key, raised.exception.key)

    def test_another_grant_never_continues_a_purchase(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(DROPPED, Reply())
        with self.assertRaises(PaymentOutcomeUnknown) as raised:
            self.call(f"{seller.url}/data")
        other = self.call(f"{seller.url}/data", bursar=sandbox().grant("1"))
        self.assertNotEqual(other.payment.key, raised.exception.key)

    def test_an_intent_survives_a_restart(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(DROPPED, Reply())
        with self.assertRaises(PaymentOutcomeUnknown) as raised:
            self.call(f"{seller.url}/data", intent=f"page of {seller.url}")
        BOOK.begin_run()
        result = self.call(f"{seller.url}/data", intent=f"page of {seller.url}")
        expected = hashlib.sha256(f"page of {seller.url}".encode()).hexdigest()
        self.assertEqual([raised.exception.key, result.payment.key], [expected, expected])
        self.assertEqual(len(set(seller.payments)), 1)

    def test_an_intent_that_was_bought_is_never_bought_again(self) -> None:
        seller = self.seller()
        seller.rule = seller.settling(2)
        intent = f"once {seller.url}"
        bought = self.call(f"{seller.url}/data", intent=intent)
        self.assertEqual(bought.status, 200)
        payment_id = bought.payment.id
        until(lambda: self.bursar.payment(payment_id)["status"] == "settled")
        with self.assertRaises(PaidNotDelivered):
            self.call(f"{seller.url}/data", intent=intent)
        self.assertEqual(sandbox().balance_of(seller.pay_to), 10_000)
        self.assertEqual(len(self.buys(seller)), 1)

    def test_an_idempotency_key_header_is_the_key(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        key = f"mine {seller.url}"
        result = self.call(f"{seller.url}/data", headers={"idempotency-key": key})
        self.assertEqual(result.payment.key, key)
        self.assertEqual(self.buys(seller)[0]["idempotencyKey"], key)
        intent = f"said {seller.url}"
        result = self.call(f"{seller.url}/data", headers={"Idempotency-Key": key}, intent=intent)
        self.assertEqual(result.payment.key, hashlib.sha256(intent.encode()).hexdigest())

    def test_a_bad_key_is_refused_before_anything_is_sent(self) -> None:
        seller = self.seller()
        for options in ({"headers": {"Idempotency-Key": "x" * 256}}, {"intent": ""}):
            with self.assertRaises(InvalidKey):
                self.call(f"{seller.url}/data", **options)
        self.assertEqual(seller.asked, [])

    def test_equal_calls_in_parallel_are_separate_purchases(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: self.call(f"{seller.url}/data"), range(8)))
        self.assertEqual({result.status for result in results}, {200})
        self.assertEqual(len({result.payment.id for result in results}), 8)

    def test_an_open_purchase_is_continued_by_one_call_at_a_time(self) -> None:
        seller = self.seller()
        both_paid = threading.Barrier(2)

        def together(_: Asked) -> Reply:
            both_paid.wait(20)
            return Reply()

        seller.rule = seller.serving(DROPPED, together)
        with self.assertRaises(PaymentOutcomeUnknown) as raised:
            self.call(f"{seller.url}/data")
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda _: self.call(f"{seller.url}/data"), range(2)))
        keys = {result.payment.key for result in results}
        self.assertEqual(len(keys), 2)
        self.assertIn(raised.exception.key, keys)

    def test_parallel_calls_of_one_intent_are_one_purchase(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        with ThreadPoolExecutor(10) as pool:
            results = list(
                pool.map(
                    lambda _: self.call(f"{seller.url}/data", intent=f"all {seller.url}"),
                    range(50),
                )
            )
        self.assertEqual({result.payment.id for result in results}.__len__(), 1)
        self.assertEqual(len(set(seller.payments)), 1)
        self.assertEqual(len(self.buys(seller)), 1)

    def test_an_interrupt_leaves_the_purchase_open(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(Reply(503, {"Retry-After": "5"}), Reply())

        kept: List[BaseException] = []
        try:
            with mock.patch(self.SLEEP, side_effect=KeyboardInterrupt):
                self.call(f"{seller.url}/data")
        except KeyboardInterrupt as error:
            kept.append(error)  # With its frames, so that nothing is closed by garbage collection.
        self.assertEqual(len(kept), 1)
        self.assertEqual(self.call(f"{seller.url}/data").status, 200)
        self.assertEqual(len(set(seller.payments)), 1)

    # Redirects

    def test_a_stranger_that_a_redirect_leads_to_is_not_paid(self) -> None:
        stranger = self.seller()
        for stranger.rule in (lambda _: stranger.ask(2), lambda _: stranger.ask(1)):
            seller = self.seller(lambda _: Reply(307, {"Location": f"{stranger.url}/data"}))
            result = self.call(f"{seller.url}/data")
            self.assertEqual((result.status, result.payment), (402, None))
            self.assertTrue(result.body)
        self.assertEqual(stranger.payments, [])
        self.assertEqual(self.buys(stranger), [])

    def test_a_stranger_cannot_choose_what_is_paid_on_the_first_origin(self) -> None:
        seller = self.seller()
        stranger = self.seller(lambda _: Reply(307, {"Location": f"{seller.url}/dear"}))

        def rule(asked: Asked) -> Reply:
            if asked.path == "/data":
                return Reply(307, {"Location": f"{stranger.url}/"})
            return seller.ask()

        seller.rule = rule
        result = self.call(f"{seller.url}/data")
        self.assertEqual((result.status, result.payment), (402, None))
        self.assertEqual(self.buys(seller), [])

    def test_a_paid_request_that_is_redirected_shows_a_stranger_no_payment(self) -> None:
        stranger = self.seller(lambda _: Reply(200, {}, b"from the bucket"))
        for version in (1, 2):
            seller = self.seller()
            there = Reply(307, {"Location": f"{stranger.url}/file"})
            seller.rule = seller.serving(there, version=version)
            result = self.call(f"{seller.url}/data", headers={"Authorization": "Basic c2VjcmV0"})
            self.assertEqual((result.status, result.body), (200, b"from the bucket"))
            self.assertEqual(result.payment.amount, "0.01")
            self.assertEqual(len(seller.payments), 1)
        self.assertEqual(len(stranger.asked), 2)
        self.assertEqual(stranger.payments, [])
        self.assertNotIn("c2VjcmV0", repr(stranger.asked))

    def test_a_stranger_that_asks_after_a_paid_redirect_gets_no_payment(self) -> None:
        stranger = self.seller()
        stranger.rule = lambda _: stranger.ask()
        seller = self.seller()
        seller.rule = seller.serving(Reply(302, {"Location": f"{stranger.url}/data"}))
        result = self.call(f"{seller.url}/data")
        self.assertEqual(result.status, 402)
        self.assertEqual(stranger.payments, [])
        self.assertEqual(self.buys(stranger), [])

    def test_a_stranger_that_fails_after_a_paid_redirect_leaves_the_purchase_open(self) -> None:
        stranger = self.seller(lambda _: Reply(500))
        seller = self.seller()
        seller.rule = seller.serving(Reply(302, {"Location": stranger.url}), Reply())
        with self.assertRaises(PaymentOutcomeUnknown):
            self.call(f"{seller.url}/data")
        self.assertEqual(self.call(f"{seller.url}/data").status, 200)
        self.assertEqual(len(set(seller.payments)), 1)

    def test_a_strangers_receipt_says_nothing(self) -> None:
        stranger = self.seller(lambda _: Reply(403, {"PAYMENT-RESPONSE": SUCCESS}))
        seller = self.seller()
        seller.rule = seller.serving(Reply(302, {"Location": stranger.url}), Reply())
        first = self.call(f"{seller.url}/data")
        self.assertEqual((first.status, first.payment.receipt), (403, None))
        self.assertEqual(self.call(f"{seller.url}/data").status, 200)
        self.assertEqual(len(set(seller.payments)), 1)
        self.assertEqual(self.bursar.payment(first.payment.id)["receipts"], [])

    def test_a_redirect_within_the_origin_is_paid_where_it_leads(self) -> None:
        seller = self.seller()

        def rule(asked: Asked) -> Reply:
            if asked.path == "/old":
                return Reply(307, {"Location": "/new"})
            return Reply() if asked.payment else seller.ask()

        seller.rule = rule
        result = self.call(f"{seller.url}/old", "POST", body=b"data")
        self.assertEqual(result.status, 200)
        self.assertEqual(result.payment.payment["resource"], f"{seller.url}/new")
        self.assertEqual(
            [(asked.path, asked.body) for asked in seller.asked if asked.payment],
            [("/new", b"data")],
        )

    def test_a_paid_redirect_within_the_origin_keeps_the_one_payment(self) -> None:
        seller = self.seller()

        def rule(asked: Asked) -> Reply:
            if not asked.payment:
                return seller.ask()
            return Reply(302, {"Location": "/file"}) if asked.path == "/data" else Reply()

        seller.rule = rule
        result = self.call(f"{seller.url}/data")
        self.assertEqual((result.status, result.body), (200, b"served"))
        self.assertEqual(result.payment.amount, "0.01")
        self.assertEqual(len(set(seller.payments)), 1)
        self.assertEqual(len(self.buys(seller)), 1)

    def test_a_receipt_on_a_redirect_counts(self) -> None:
        seller = self.seller()
        there = Reply(302, {"Location": "/file", "PAYMENT-RESPONSE": SUCCESS})

        def rule(asked: Asked) -> Reply:
            if asked.path == "/file":
                return Reply(403)
            return there if asked.payment else seller.ask()

        seller.rule = rule
        first = self.call(f"{seller.url}/data")
        self.assertEqual((first.status, first.payment.receipt["success"]), (403, True))
        receipts = self.bursar.payment(first.payment.id)["receipts"]
        self.assertEqual([receipt["success"] for receipt in receipts], [True])
        second = self.call(f"{seller.url}/data")
        self.assertNotEqual(second.payment.id, first.payment.id)

    def test_a_receipt_behind_a_redirect_counts(self) -> None:
        seller = self.seller()

        def rule(asked: Asked) -> Reply:
            if asked.path == "/file":
                return Reply(200, {"PAYMENT-RESPONSE": SUCCESS})
            return Reply(302, {"Location": "/file"}) if asked.payment else seller.ask()

        seller.rule = rule
        result = self.call(f"{seller.url}/data")
        self.assertTrue(result.payment.receipt["success"])
        self.assertEqual(len(self.bursar.payment(result.payment.id)["receipts"]), 1)

    def test_a_receipt_on_a_redirect_to_a_stranger_ends_the_purchase_whatever_the_stranger_says(self) -> None:
        stranger = self.seller(lambda _: Reply(500, {"PAYMENT-RESPONSE": FAILURE}))
        seller = self.seller()
        there = Reply(302, {"Location": stranger.url, "PAYMENT-RESPONSE": SUCCESS})
        seller.rule = seller.serving(there)
        results = [self.call(f"{seller.url}/data") for _ in range(2)]
        self.assertEqual([result.status for result in results], [500, 500])
        self.assertEqual([result.payment.receipt["success"] for result in results], [True, True])
        self.assertEqual(len({result.payment.id for result in results}), 2)

    def test_a_failure_behind_a_paid_redirect_is_unknown(self) -> None:
        seller = self.seller()

        def rule(asked: Asked) -> Reply:
            if asked.path == "/file":
                return Reply(500)
            return Reply(302, {"Location": "/file"}) if asked.payment else seller.ask()

        seller.rule = rule
        with self.assertRaises(PaymentOutcomeUnknown):
            self.call(f"{seller.url}/data")

    def test_a_receipt_belongs_to_its_own_answer(self) -> None:
        seller = self.seller()
        again = seller.ask()
        again = again._replace(headers={**again.headers, "PAYMENT-RESPONSE": FAILURE})
        seller.rule = seller.serving(again, Reply(403))
        result = self.call(f"{seller.url}/data")
        self.assertEqual((result.status, result.payment.receipt), (403, None))

    # 402s that are no x402, and 412

    def test_a_402_that_is_no_x402_comes_back_untouched(self) -> None:
        replies = [
            Reply(402, {"WWW-Authenticate": "L402 macaroon"}, b"pay by lightning"),
            Reply(402, {"Content-Type": "application/json"}, b'{"error":"subscribe first"}'),
            Reply(402, {"PAYMENT-REQUIRED": "!!not base64!!"}, b"x" * 300_000),
            Reply(402, {"PAYMENT-REQUIRED": base64.b64encode(b"[1]").decode()}, b""),
            Reply(402, {}, b"[" * 100_000),
        ]
        for reply in replies:
            seller = self.seller(lambda _: reply)
            result = self.call(f"{seller.url}/data")
            self.assertEqual(result, Result(402, reply.body, None))
            self.assertEqual(len(seller.asked), 1)

    def test_an_x402_that_cannot_be_paid_is_a_typed_error(self) -> None:
        seller = self.seller()
        seller.rule = lambda _: seller.ask(scheme="deferred")
        with self.assertRaises(NotPayable) as raised:
            self.call(f"{seller.url}/data")
        self.assertEqual(raised.exception.code, "scheme_not_supported")
        self.assertEqual(raised.exception.next_action, "fix_request")

    def test_412_with_terms_is_a_typed_error_and_another_412_is_not(self) -> None:
        seller = self.seller()
        seller.rule = lambda _: seller.ask(status=412)
        with self.assertRaises(AllowanceRequired) as raised:
            self.call(f"{seller.url}/data")
        self.assertEqual(raised.exception.next_action, "ask")
        seller.rule = seller.serving(lambda _: seller.ask(status=412))
        with self.assertRaises(AllowanceRequired) as raised:
            self.call(f"{seller.url}/data")
        self.assertEqual(len(seller.payments), 1)
        self.assertIsNotNone(raised.exception.payment)
        seller.rule = lambda _: Reply(412, {}, b"etag")
        self.assertEqual(self.call(f"{seller.url}/data").body, b"etag")

    # Sellers that ask again

    def test_a_seller_that_asks_again_sees_the_same_payment_once_more(self) -> None:
        for version in (1, 2):
            seller = self.seller()
            again = lambda _: seller.ask(version)  # noqa: E731
            seller.rule = seller.serving(again, Reply(), version=version)
            self.assertEqual(self.call(f"{seller.url}/data").status, 200)
            self.assertEqual(len(seller.payments), 2)
            self.assertEqual(len(set(seller.payments)), 1)

    def test_a_seller_that_keeps_asking_is_never_paid_twice(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(lambda _: seller.ask())
        with self.assertRaises(PaymentOutcomeUnknown) as raised:
            self.call(f"{seller.url}/data")
        self.assertEqual(len(seller.payments), 2)
        self.assertEqual(raised.exception.payment["id"], self.buys(seller)[0]["id"])
        with self.assertRaises(PaymentOutcomeUnknown):
            self.call(f"{seller.url}/data")
        self.assertEqual(len(set(seller.payments)), 1)
        self.assertEqual(len(self.buys(seller)), 1)

    def test_a_seller_that_took_the_money_and_asks_again_has_not_delivered(self) -> None:
        seller = self.seller()
        take = seller.settling(2)

        def take_and_ask(asked: Asked) -> Reply:
            if asked.payment and len(seller.payments) == 1:
                self.assertEqual(take(asked).status, 200)
            return seller.ask()

        seller.rule = take_and_ask
        # The transfer may or may not be known to Bursar yet.
        with self.assertRaises((PaymentOutcomeUnknown, PaidNotDelivered)) as first:
            self.call(f"{seller.url}/data")
        payment_id = first.exception.payment["id"]
        until(lambda: self.bursar.payment(payment_id)["status"] == "settled")
        for _ in range(2):
            with self.assertRaises(PaidNotDelivered) as raised:
                self.call(f"{seller.url}/data")
            self.assertEqual(raised.exception.code, "paid_not_delivered")
            self.assertEqual(raised.exception.next_action, "stop")
            self.assertEqual(raised.exception.payment["status"], "settled")
        self.assertEqual(len(self.buys(seller)), 1)
        self.assertEqual(sandbox().balance_of(seller.pay_to), 10_000)

    def test_a_402_with_a_receipt_of_success_is_an_answer(self) -> None:
        seller = self.seller()
        ask = seller.ask()
        paid = ask._replace(headers={**ask.headers, "PAYMENT-RESPONSE": SUCCESS})
        seller.rule = seller.serving(paid)
        result = self.call(f"{seller.url}/data")
        self.assertEqual((result.status, result.body), (402, b"pay first"))
        self.assertTrue(result.payment.receipt["success"])
        self.assertEqual(len(seller.payments), 1)

    def test_a_seller_that_raises_its_price_after_payment_gets_no_more(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(lambda _: seller.ask(amount="990000"))
        with self.assertRaises(PaymentOutcomeUnknown):
            self.call(f"{seller.url}/data")
        self.assertEqual([payment["amount"] for payment in self.buys(seller)], ["0.01"])
        # The next call shows what was signed, at the old price.
        seller.rule = lambda _: seller.ask(amount="990000")
        with self.assertRaises(PaymentOutcomeUnknown):
            self.call(f"{seller.url}/data")
        self.assertEqual(len(set(seller.payments)), 1)
        seller.rule = lambda asked: Reply() if asked.payment else seller.ask(amount="990000")
        result = self.call(f"{seller.url}/data")
        self.assertEqual((result.status, result.payment.amount), (200, "0.01"))
        self.assertEqual(len(self.buys(seller)), 1)

    def test_a_named_purchase_keeps_to_its_price(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(DROPPED)
        with self.assertRaises(PaymentOutcomeUnknown):
            self.call(f"{seller.url}/data", intent=f"price {seller.url}")
        seller.rule = lambda _: seller.ask(amount="990000")
        with self.assertRaises(Conflict) as raised:
            self.call(f"{seller.url}/data", intent=f"price {seller.url}")
        self.assertEqual(raised.exception.code, "idempotency_mismatch")
        self.assertEqual(raised.exception.next_action, "use_payment")
        self.assertEqual(len(self.buys(seller)), 1)

    def test_a_receipt_of_failure_is_no_answer(self) -> None:
        seller = self.seller()
        failed = seller.ask()
        failed = failed._replace(headers={**failed.headers, "PAYMENT-RESPONSE": FAILURE})
        seller.rule = seller.serving(lambda _: failed)
        with self.assertRaises(PaymentOutcomeUnknown):
            self.call(f"{seller.url}/data")

    # Limits

    def test_max_amount_refuses_what_costs_more(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        with self.assertRaises(Denied) as raised:
            self.call(f"{seller.url}/data", max_amount="0.009")
        self.assertEqual(raised.exception.code, "max_amount_exceeded")
        self.assertEqual(raised.exception.next_action, "choose_cheaper")
        self.assertEqual(seller.payments, [])
        self.assertEqual(self.call(f"{seller.url}/data", max_amount="0.01").status, 200)

    def test_a_denial_names_the_grant_the_limit_and_what_is_left(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(amount="50000")
        bursar = sandbox().grant("1", max_per_payment="0.02")
        with self.assertRaises(Denied) as raised:
            self.call(f"{seller.url}/data", bursar=bursar)
        denied = raised.exception
        self.assertEqual((denied.code, denied.next_action), ("per_payment_exceeded", "ask"))
        self.assertEqual((denied.status, denied.limit), (403, "0.02"))
        self.assertEqual(denied.grant_id, bursar.grant["id"])
        self.assertIn("ask", denied.for_model())

    def test_a_revoked_grant_pays_nothing(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(DROPPED, Reply())
        bursar = sandbox().grant("1")
        with self.assertRaises(PaymentOutcomeUnknown):
            self.call(f"{seller.url}/data", bursar=bursar)
        sandbox().admin.revoke(bursar.grant["id"], reason="test")
        with self.assertRaises((Denied, InvalidToken)):
            self.call(f"{seller.url}/data", bursar=bursar)
        self.assertEqual(len(seller.payments), 1)

    def test_confirm_sees_the_price_and_may_say_no(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        seen: List[Any] = []
        with self.assertRaises(NotConfirmed) as raised:
            self.call(f"{seller.url}/data", confirm=lambda quote: seen.append(quote))
        self.assertEqual((seen[0].decision, seen[0].amount), ("allow", "0.01"))
        self.assertEqual(raised.exception.quote, seen[0])
        self.assertEqual((seller.payments, self.buys(seller)), ([], []))
        lossy, bursar = self.lossy()
        result = self.call(f"{seller.url}/data", bursar=bursar, confirm=lambda quote: True)
        asked = next(json.loads(a.body) for a in lossy.asked if a.path == "/v1/payments")
        # The entry that was agreed to is paid, at its price.
        self.assertEqual((asked["option"], asked["maxAmount"]), (0, "0.01"))
        self.assertEqual((result.status, result.payment.amount), (200, "0.01"))

    def test_confirm_sees_the_price_of_a_payment_that_is_continued(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(DROPPED, Reply())
        # The open payment holds the whole budget, so a new one would be refused.
        bursar = sandbox().grant("0.01")
        seen: List[Any] = []

        def confirm(quote: Any) -> bool:
            seen.append(quote)
            return len(seen) != 2

        with self.assertRaises(PaymentOutcomeUnknown):
            self.call(f"{seller.url}/data", bursar=bursar, confirm=confirm)
        with self.assertRaises(NotConfirmed):
            self.call(f"{seller.url}/data", bursar=bursar, confirm=confirm)
        self.assertEqual(len(seller.payments), 1)
        result = self.call(f"{seller.url}/data", bursar=bursar, confirm=confirm)
        self.assertEqual(result.status, 200)
        self.assertEqual([quote.amount for quote in seen], ["0.01"] * 3)
        self.assertEqual(len(set(seller.payments)), 1)

    def test_confirm_is_not_asked_of_what_is_refused_anyway(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(amount="50000")
        bursar = sandbox().grant("1", max_per_payment="0.02")
        with self.assertRaises(Denied):
            self.call(f"{seller.url}/data", bursar=bursar, confirm=lambda _: self.fail("asked"))

    def test_an_answer_that_asks_for_nothing_can_be_an_error(self) -> None:
        seller = self.seller()
        with self.assertRaises(PaymentNotRequested):
            self.call(f"{seller.url}/data", allow_free=False)
        seller.rule = lambda _: Reply(404)
        self.assertEqual(self.call(f"{seller.url}/data", allow_free=False).status, 404)
        seller.rule = seller.serving()
        self.assertEqual(self.call(f"{seller.url}/data", allow_free=False).status, 200)

    def test_head_is_never_paid(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        self.assertEqual(self.call(f"{seller.url}/data", "HEAD").status, 402)
        self.assertEqual(len(seller.asked), 1)

    # Waiting

    def test_an_approval_is_pending_and_the_same_call_pays_once_it_is_given(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        bursar = sandbox().grant("1", approval_above="0.005")
        with self.assertRaises(ApprovalRequired) as raised:
            self.call(f"{seller.url}/data", bursar=bursar)
        self.assertEqual(raised.exception.next_action, "wait")
        approve(raised.exception.payment["id"])
        result = self.call(f"{seller.url}/data", bursar=bursar)
        self.assertEqual((result.status, result.payment.id), (200, raised.exception.payment["id"]))

    def test_an_approval_is_awaited_up_to_a_given_time(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        bursar = sandbox().grant("1", approval_above="0.005")
        waits: List[Waiting] = []

        def on_wait(waiting: Waiting) -> None:
            waits.append(waiting)
            approve(waiting.payment["id"])

        result = self.call(
            f"{seller.url}/data", bursar=bursar, wait_for_approval=0.3, on_wait=on_wait
        )
        self.assertEqual(result.status, 200)
        self.assertEqual([waiting.reason for waiting in waits], ["approval"])
        self.assertLessEqual(waits[0].seconds, 0.3)

    def test_an_approval_is_awaited_while_the_service_is_away(self) -> None:
        service = LossyBursar()
        self.addCleanup(service.stop)
        granted = sandbox().grant("1", approval_above="0.005")
        seller = self.seller()
        seller.rule = seller.serving()
        asked: List[int] = []

        def lose(call: Asked) -> bool:
            is_payment = call.path == "/v1/payments"
            asked.extend([1] * is_payment)
            # The second question and all its repetitions are lost.
            return is_payment and 1 < len(asked) <= 1 + TRIES

        service.lose = lose
        with mock.patch("bursar._purchase.APPROVAL_POLL_SECONDS", 0.1):
            result = self.call(
                f"{seller.url}/data",
                bursar=Bursar(service.url, granted.token),
                wait_for_approval=30,
                on_wait=lambda waiting: approve(waiting.payment["id"]) if len(asked) == 1 else None,
            )
        self.assertEqual(result.status, 200)
        self.assertGreater(len(asked), 1 + TRIES)

    def test_an_option_of_another_type_is_refused_before_anything_is_sent(self) -> None:
        seller = self.seller()
        for options in ({"intent": 42}, {"wait_for_approval": True}):
            with self.assertRaises(TypeError):
                self.call(f"{seller.url}/data", **options)
        self.assertEqual(seller.asked, [])

    def test_an_approval_that_does_not_come_is_pending(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        bursar = sandbox().grant("1", approval_above="0.005")
        began = time.monotonic()
        with self.assertRaises(ApprovalRequired):
            self.call(f"{seller.url}/data", bursar=bursar, wait_for_approval=0.3)
        self.assertGreaterEqual(time.monotonic() - began, 0.3)

    def test_a_rejection_is_final(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        bursar = sandbox().grant("1", approval_above="0.005")
        with self.assertRaises(ApprovalRequired) as pending:
            self.call(f"{seller.url}/data", bursar=bursar)
        decide(pending.exception.payment["id"], "reject")
        for _ in range(2):
            with self.assertRaises(Conflict) as raised:
                self.call(f"{seller.url}/data", bursar=bursar)
            self.assertEqual(raised.exception.code, "payment_ended")
            self.assertEqual(raised.exception.next_action, "stop")

    def test_a_busy_seller_is_shown_the_same_payment_after_its_retry_after(self) -> None:
        seller = self.seller()
        for retry_after in ("0", "Sun, 06 Nov 1994 08:49:37 GMT"):
            seller.rule = seller.serving(Reply(503, {"Retry-After": retry_after}), Reply())
            seller.asked.clear()
            waits: List[Waiting] = []
            result = self.call(f"{seller.url}/data", on_wait=waits.append)
            self.assertEqual(result.status, 200)
            self.assertEqual([waiting.reason for waiting in waits], ["seller"])
            self.assertEqual((len(seller.payments), len(set(seller.payments))), (2, 1))

    def test_any_status_with_retry_after_is_awaited(self) -> None:
        for status in (402, 404, 409, 425, 429, 500, 502, 503):
            seller = self.seller()
            again = Reply(status, {"Retry-After": "0"})
            seller.rule = seller.serving(again, again, Reply())
            self.assertEqual(self.call(f"{seller.url}/data").status, 200, status)
            self.assertEqual((len(seller.payments), len(set(seller.payments))), (3, 1), status)

    def test_a_busy_seller_is_not_awaited_longer_than_allowed(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(Reply(503, {"Retry-After": "3600"}))
        with self.assertRaises(PaymentOutcomeUnknown):
            self.call(f"{seller.url}/data", wait=5)
        self.assertEqual(len(seller.payments), 1)
        seller.rule = seller.serving(Reply(429, {"Retry-After": "0"}))
        self.assertEqual(self.call(f"{seller.url}/data", wait=0.35).status, 429)
        self.assertLessEqual(len(seller.payments), 6)

    def test_a_busy_bursar_is_awaited(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        lossy, bursar = self.lossy()
        body = {"code": "unavailable", "nextAction": "wait", "retryAfter": 0.1, "status": 503}
        busy = Reply(503, {"Content-Type": "application/problem+json"}, json.dumps(body).encode())
        lossy.overrides = [busy]
        waits: List[Waiting] = []
        result = self.call(f"{seller.url}/data", bursar=bursar, on_wait=waits.append)
        self.assertEqual((result.status, waits[0].reason), (200, "unavailable"))
        lossy.overrides = [busy]
        with self.assertRaises(TryLater) as raised:
            self.call(f"{seller.url}/data", bursar=bursar, wait=0)
        self.assertEqual(raised.exception.retry_after, 0.1)

    # Bursar's own answers

    def lossy(self) -> Any:
        lossy = LossyBursar()
        self.addCleanup(lossy.stop)
        return lossy, Bursar(lossy.url, self.bursar.token)

    def test_a_lost_answer_of_bursar_is_asked_again_under_the_same_key(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        lossy, bursar = self.lossy()
        losses = iter([True])
        lossy.lose = lambda asked: asked.path == "/v1/payments" and next(losses, False)
        result = self.call(f"{seller.url}/data", bursar=bursar)
        self.assertEqual(result.status, 200)
        keys = [a.headers["idempotency-key"] for a in lossy.asked if a.path == "/v1/payments"]
        self.assertEqual((len(keys), len(set(keys))), (2, 1))
        self.assertEqual(len(self.buys(seller)), 1)

    def test_answers_of_bursar_that_stay_lost_are_unknown_and_continued(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        lossy, bursar = self.lossy()
        lossy.lose = lambda asked: asked.path == "/v1/payments"
        with self.assertRaises(PaymentOutcomeUnknown) as raised:
            self.call(f"{seller.url}/data", bursar=bursar)
        self.assertEqual(seller.payments, [])
        lossy.lose = lambda asked: False
        result = self.call(f"{seller.url}/data", bursar=bursar)
        self.assertEqual((result.status, result.payment.key), (200, raised.exception.key))
        self.assertEqual(len(self.buys(seller)), 1)

    def test_a_page_of_something_between_is_no_answer_of_bursar(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        lossy, bursar = self.lossy()
        lossy.overrides = [Reply(302, {"Location": f"{seller.url}/login"})]
        with self.assertRaises(InvalidAnswer):
            self.call(f"{seller.url}/data", bursar=bursar)
        self.assertNotIn(bursar.token, repr(seller.asked))
        lossy.overrides = [Reply(502, {}, b"<html>bad gateway</html>")] * TRIES
        with self.assertRaises(PaymentOutcomeUnknown):
            self.call(f"{seller.url}/data", bursar=bursar)

    def test_a_header_that_pays_for_nothing_is_not_sent(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        lossy, bursar = self.lossy()
        payment = {"id": "pay_1", "amount": "1", "currency": "USDC"}
        for header in ({"name": "Cookie", "value": "x"}, {"name": "X-PAYMENT", "value": "a\r\nb"}):
            body = {"payment": payment, "header": header, "grant": {"remaining": "1"}}
            lossy.overrides = [Reply(201, {}, json.dumps(body).encode())]
            with self.assertRaises(InvalidAnswer):
                self.call(f"{seller.url}/data", bursar=bursar)
        self.assertEqual(len(seller.asked), 2)

    def test_an_unreachable_bursar_is_said_to_be_unreachable(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        nobody = Seller()
        nobody.stop()
        with self.assertRaises(BursarUnreachable) as raised:
            self.call(f"{seller.url}/data", bursar=Bursar(nobody.url, "token"))
        self.assertEqual(raised.exception.next_action, "wait")

    def test_a_receipt_that_cannot_be_handed_in_fails_no_call(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(Reply(200, {"PAYMENT-RESPONSE": SUCCESS}))
        lossy, bursar = self.lossy()
        lossy.lose = lambda asked: asked.path.endswith("/receipt")
        self.assertEqual(self.call(f"{seller.url}/data", bursar=bursar).status, 200)
        self.assertTrue(lossy.asked[-1].path.endswith("/receipt"))

    def test_a_seller_that_cannot_be_reached_costs_nothing(self) -> None:
        nobody = Seller()
        nobody.stop()
        with self.assertRaises(self.UNREACHABLE):
            self.call(f"{nobody.url}/data")
        self.assertEqual(self.buys(nobody), [])

    def test_an_ended_payment_is_replaced_only_where_bursar_says_so(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(DROPPED, DROPPED, Reply())
        with self.assertRaises(PaymentOutcomeUnknown) as derived:
            self.call(f"{seller.url}/data")
        with self.assertRaises(PaymentOutcomeUnknown) as named:
            self.call(f"{seller.url}/data", intent=f"ended {seller.url}")
        for raised in (derived, named):
            self.cancel(raised.exception.payment["id"])
        # A new number for the purchase without a name; nothing was or can be paid under the old one.
        result = self.call(f"{seller.url}/data")
        self.assertEqual(result.status, 200)
        self.assertNotEqual(result.payment.key, derived.exception.key)
        with self.assertRaises(Conflict) as ended:
            self.call(f"{seller.url}/data", intent=f"ended {seller.url}")
        self.assertEqual(ended.exception.code, "payment_ended")
        self.assertEqual(ended.exception.next_action, "new_key")
        self.assertEqual(ended.exception.payment["id"], named.exception.payment["id"])

    def cancel(self, payment_id: str) -> None:
        self.bursar.cancel(payment_id)
        until(lambda: self.bursar.payment(payment_id)["status"] == "cancelled")


def approve(payment_id: str) -> None:
    decide(payment_id, "approve")


def decide(payment_id: str, verdict: str) -> None:
    authorization = {"Authorization": f"Bearer {sandbox().admin_token}"}
    post_json(f"{sandbox().url}/v1/payments/{payment_id}/{verdict}", {}, authorization)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Waits for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"did not come true in {seconds} s")
        time.sleep(0.1)
