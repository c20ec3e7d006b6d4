"""Tests particular to `requests` or to `httpx`. The rules of both are in `test_rules`."""

import asyncio
import io
import os
import unittest
from typing import Any, List
from unittest import mock

from tests.support import DROPPED, Reply, Seller, sandbox
from tests.test_rules import httpx, requests

from bursar import PaymentOutcomeUnknown, StreamNeedsFactory, payment_of

if requests is not None:
    from bursar.requests_auth import BursarAuth as RequestsAuth
if httpx is not None:
    from bursar.httpx_auth import BursarAuth as HttpxAuth


class AuthTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.bursar = sandbox().grant("5")

    def seller(self, rule: Any = None) -> Seller:
        seller = Seller(rule)
        self.addCleanup(seller.stop)
        return seller

    def environment(self) -> Any:
        values = {"BURSAR_URL": sandbox().url, "BURSAR_TOKEN": self.bursar.token}
        return mock.patch.dict(os.environ, values)


@unittest.skipIf(requests is None, "python3-requests is not installed")
class ForRequests(AuthTest):
    def test_one_line_pays(self) -> None:
        with self.environment():
            response = requests.get(f"{sandbox().seller_url}/data/7", auth=RequestsAuth())
        self.assertEqual(response.json()["page"], "7")
        self.assertEqual(payment_of(response).amount, "0.01")

    def test_a_new_auth_object_continues_what_another_began(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(DROPPED, Reply())
        with self.environment():
            with self.assertRaises(PaymentOutcomeUnknown):
                requests.get(seller.url, auth=RequestsAuth())
            self.assertEqual(requests.get(seller.url, auth=RequestsAuth()).status_code, 200)
        self.assertEqual(len(set(seller.payments)), 1)

    def test_a_session_pays_each_call_and_keeps_the_connection(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        with requests.Session() as session:
            session.auth = RequestsAuth(self.bursar)
            paid = [payment_of(session.get(seller.url)) for _ in range(3)]
        self.assertEqual(len({each.id for each in paid}), 3)

    def test_files_and_forms_are_sent_again_whole(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        auth = RequestsAuth(self.bursar)
        file = io.BytesIO(b"skipped, sent")
        file.seek(9)
        requests.post(seller.url, data=file, auth=auth, timeout=10)
        requests.post(seller.url, data={"a": "1"}, auth=auth)
        requests.post(seller.url, files={"f": b"content"}, auth=auth)
        bodies = [asked.body for asked in seller.asked]
        self.assertEqual(bodies[:4], [b"sent", b"sent", b"a=1", b"a=1"])
        self.assertIn(b"content", bodies[4])
        self.assertEqual(bodies[4], bodies[5])

    def test_a_generator_is_refused_before_anything_is_sent(self) -> None:
        seller = self.seller()
        with self.assertRaises(StreamNeedsFactory):
            requests.post(seller.url, data=(b for b in [b"x"]), auth=RequestsAuth(self.bursar))
        self.assertEqual(seller.asked, [])

    def test_a_streamed_body_that_breaks_off_reopens_the_purchase(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(Reply(200, {}, b"x" * 1000, send_bytes=10), Reply())
        auth = RequestsAuth(self.bursar)
        response = requests.get(seller.url, auth=auth, stream=True)
        with self.assertRaises(PaymentOutcomeUnknown) as raised:
            list(response.iter_content(4))
        again = requests.get(seller.url, auth=auth)
        self.assertEqual(payment_of(again).key, raised.exception.key)

    def test_a_prepared_request_that_is_sent_again_is_a_new_call(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        with requests.Session() as session:
            prepared = session.prepare_request(
                requests.Request("GET", seller.url, auth=RequestsAuth(self.bursar))
            )
            paid = [payment_of(session.send(prepared)) for _ in range(2)]
        self.assertEqual(len({each.id for each in paid}), 2)

    def test_a_prepared_request_forgets_where_its_last_sending_led(self) -> None:
        stranger = self.seller()
        seller = self.seller()
        away = Reply(302, {"Location": stranger.url})
        replies = iter([away, seller.ask(), away, seller.ask(), Reply()])
        seller.rule = lambda _: next(replies)
        with requests.Session() as session:
            prepared = session.prepare_request(
                requests.Request("GET", seller.url, auth=RequestsAuth(self.bursar))
            )
            self.assertIsNone(payment_of(session.send(prepared)))
            first = payment_of(session.send(prepared, allow_redirects=False))
            second = payment_of(session.send(prepared))
        self.assertNotEqual(first.id, second.id)
        self.assertEqual(len(set(seller.payments)), 2)

    def test_the_next_request_of_a_redirect_carries_no_payment(self) -> None:
        stranger = self.seller()
        seller = self.seller()
        seller.rule = seller.serving(Reply(302, {"Location": stranger.url}))
        with requests.Session() as session:
            response = session.get(
                seller.url, auth=RequestsAuth(self.bursar), allow_redirects=False
            )
            self.assertEqual(response.status_code, 302)
            session.send(response.next)
        self.assertEqual((len(stranger.asked), stranger.payments), (1, []))

    def test_cookies_of_the_402_go_back_with_the_payment(self) -> None:
        seller = self.seller()
        asks = seller.ask()
        asks = asks._replace(headers={**asks.headers, "Set-Cookie": "basket=1"})
        seller.rule = lambda asked: Reply() if asked.payment else asks
        requests.get(seller.url, auth=RequestsAuth(self.bursar))
        self.assertEqual(seller.asked[-1].headers.get("cookie"), "basket=1")


@unittest.skipIf(httpx is None, "python3-httpx is not installed")
class ForHttpx(AuthTest):
    def test_one_line_pays(self) -> None:
        with self.environment():
            response = httpx.get(f"{sandbox().seller_url}/data/7", auth=HttpxAuth())
        self.assertEqual(response.json()["page"], "7")
        self.assertEqual(payment_of(response).amount, "0.01")

    def test_streamed_bodies_are_sent_again_whole(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()
        with httpx.Client(auth=HttpxAuth(self.bursar)) as client:
            client.post(seller.url, content=(piece for piece in [b"one ", b"two"]))
            client.post(seller.url, json={"a": 1})
            client.post(seller.url, files={"f": io.BytesIO(b"content")})
        bodies = [asked.body for asked in seller.asked]
        self.assertEqual(bodies[:2], [b"one two"] * 2)
        for unpaid, paid in zip(bodies[::2], bodies[1::2]):
            self.assertEqual(unpaid, paid)

    def test_a_streamed_answer_that_breaks_off_reopens_the_purchase(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving(Reply(200, {}, b"x" * 1000, send_bytes=10), Reply())
        with httpx.Client(auth=HttpxAuth(self.bursar)) as client:
            with self.assertRaises(PaymentOutcomeUnknown) as raised:
                with client.stream("GET", seller.url) as response:
                    for _ in response.iter_bytes():
                        pass
            self.assertEqual(payment_of(client.get(seller.url)).key, raised.exception.key)

    def test_a_next_request_that_httpx_prepares_carries_no_payment(self) -> None:
        stranger = self.seller()
        seller = self.seller()
        seller.rule = seller.serving(Reply(302, {"Location": stranger.url}))
        with httpx.Client() as client:
            response = client.get(seller.url, auth=HttpxAuth(self.bursar))
            self.assertEqual(response.status_code, 302)
            client.send(response.next_request)
        self.assertEqual((len(stranger.asked), stranger.payments), (1, []))

    def test_cookies_of_the_402_go_back_with_the_payment(self) -> None:
        seller = self.seller()
        asks = seller.ask()
        asks = asks._replace(headers={**asks.headers, "Set-Cookie": "basket=1"})
        seller.rule = lambda asked: Reply() if asked.payment else asks
        httpx.get(seller.url, auth=HttpxAuth(self.bursar))
        self.assertEqual(seller.asked[-1].headers.get("cookie"), "basket=1")

    def test_an_error_of_an_unpaid_request_stays_httpxs(self) -> None:
        seller = self.seller(lambda _: DROPPED)
        with self.assertRaises(httpx.TransportError):
            httpx.get(seller.url, auth=HttpxAuth(self.bursar))

    def test_many_asynchronous_calls_run_at_once(self) -> None:
        seller = self.seller()
        seller.rule = seller.serving()

        async def run() -> List[Any]:
            async with httpx.AsyncClient(auth=HttpxAuth(self.bursar), timeout=30) as client:
                return await asyncio.gather(*(client.get(seller.url) for _ in range(10)))

        paid = [payment_of(response) for response in asyncio.run(run())]
        self.assertEqual(len({each.id for each in paid}), 10)

    def test_a_cancelled_call_is_cancelled_and_leaves_the_purchase_open(self) -> None:
        seller = self.seller()

        async def run() -> int:
            is_paid, loop = asyncio.Event(), asyncio.get_running_loop()

            def hang(_: Any) -> Reply:
                loop.call_soon_threadsafe(is_paid.set)
                return Reply(503, {"Retry-After": "20"})

            seller.rule = seller.serving(hang, Reply())
            async with httpx.AsyncClient(auth=HttpxAuth(self.bursar), timeout=30) as client:
                task = asyncio.create_task(client.get(seller.url))
                await is_paid.wait()
                await asyncio.sleep(0)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                return (await client.get(seller.url)).status_code

        self.assertEqual(asyncio.run(run()), 200)
        self.assertEqual(len(set(seller.payments)), 1)

    def test_a_call_cancelled_while_the_seller_is_asked_is_cancelled(self) -> None:
        import threading

        seller = self.seller()
        may_go = threading.Event()
        self.addCleanup(may_go.set)

        async def run() -> int:
            is_paid, loop = asyncio.Event(), asyncio.get_running_loop()

            def hang(_: Any) -> Reply:
                loop.call_soon_threadsafe(is_paid.set)
                may_go.wait(30)
                return DROPPED

            seller.rule = seller.serving(hang, Reply())
            async with httpx.AsyncClient(auth=HttpxAuth(self.bursar), timeout=30) as client:
                task = asyncio.create_task(client.get(seller.url))
                await is_paid.wait()
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                may_go.set()
                return (await client.get(seller.url)).status_code

        self.assertEqual(asyncio.run(run()), 200)
        self.assertEqual(len(set(seller.payments)), 1)
