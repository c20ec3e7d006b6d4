"""`events()`: one connection after another, without a gap and without a double."""

import json
import socket
import threading
import time
import unittest
from typing import Any, List, Optional
from unittest import mock
from urllib.parse import urlsplit

from tests.support import Reply, Seller, sandbox

from bursar import Bursar, BursarUnreachable, InvalidAnswer, InvalidRequest, InvalidToken
from bursar._events import Follower

try:
    import cryptography
except ImportError:
    cryptography = None


class Relay:
    """Stands before the service as a TCP proxy whose connections a test can break."""

    def __init__(self, port: int = 0) -> None:
        self._upstream = urlsplit(sandbox().url)
        self._listener = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.accepted = 0
        self._sockets: List[socket.socket] = []
        self._is_closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                caller = self._listener.accept()[0]
            except OSError:
                return
            self.accepted += 1
            service = socket.create_connection((self._upstream.hostname, self._upstream.port))
            self._sockets += [caller, service]
            for source, sink in ((caller, service), (service, caller)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while True:
                data = source.recv(65_536)
                if not data:
                    break
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self) -> None:
        """Breaks every connection."""
        for each in self._sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._sockets.clear()

    def close(self) -> None:
        # shutdown wakes the thread that waits in accept; close alone would leave the port open.
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.cut()


class Collector:
    """Collects events on a thread of its own."""

    def __init__(self, bursar: Bursar, types: Optional[List[str]] = None, **options: Any) -> None:
        self.events: List[Any] = []
        self.error: Optional[BaseException] = None
        self.opened: List[str] = []
        self._changed = threading.Condition()
        self._options = {"types": types, "on_open": self._open, **options}
        self._bursar = bursar
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _open(self, cursor: str) -> None:
        with self._changed:
            self.opened.append(cursor)
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            for event in self._bursar.events(**self._options):
                with self._changed:
                    self.events.append(event)
                    self._changed.notify_all()
                    if self._is_stopped:
                        return
        except BaseException as error:
            with self._changed:
                self.error = error
                self._changed.notify_all()

    def until(self, condition: Any, seconds: float = 60) -> None:
        """Waits until a condition holds, or the events end by an error."""
        with self._changed:
            met = self._changed.wait_for(lambda: condition() or self.error, seconds)
        if self.error is not None:
            raise self.error
        if not met:
            raise AssertionError(f"it did not come; there were {[each['kind'] for each in self.events]}")

    def stop(self) -> None:
        self._is_stopped = True


class Events(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.bursar = sandbox().grant("50", delegation_depth=2)

    def collect(self, bursar: Bursar, *types: str, **options: Any) -> Collector:
        collector = Collector(bursar, list(types) or None, **options)
        self.addCleanup(collector.stop)
        return collector

    def relay(self, port: int = 0) -> Relay:
        relay = Relay(port)
        self.addCleanup(relay.close)
        return relay

    def pay(self) -> str:
        seller = Seller()
        self.addCleanup(seller.stop)
        return self.bursar.pay(seller.terms(), "GET", seller.url, intent=seller.pay_to).payment["id"]

    def test_they_tell_what_happens_to_the_grant_and_below_it(self) -> None:
        collector = self.collect(self.bursar, "payment.*", "grant.delegated")
        collector.until(lambda: collector.opened)
        child = self.bursar.delegate("reader", "1", ttl_seconds=600)
        payment_id = self.pay()
        collector.until(lambda: len(collector.events) >= 2)
        self.assertEqual(
            [(each["kind"], each["grantId"]) for each in collector.events][0],
            ("grant.delegated", child.grant["id"]),
        )
        paid = collector.events[1]
        self.assertEqual((paid["kind"], paid["paymentId"]), ("payment.authorized", payment_id))
        for event in collector.events:
            self.assertNotIn("version", event)
            self.assertTrue(event["cursor"])

    def test_a_cursor_goes_on_behind_it_after_a_restart(self) -> None:
        live = self.collect(self.bursar, "payment.authorized")
        live.until(lambda: live.opened)
        first, second = self.pay(), self.pay()
        live.until(lambda: len(live.events) >= 2)
        # Both are sealed by now: a stream that begins now would tell of neither.
        self.assertEqual(live.events[0]["paymentId"], first)
        later = self.collect(self.bursar, "payment.authorized", after=live.events[0]["cursor"])
        later.until(lambda: later.events, 20)
        self.assertEqual([each["paymentId"] for each in later.events], [second])

    def test_nothing_is_lost_or_doubled_over_broken_connections(self) -> None:
        relay = self.relay()
        collector = self.collect(
            Bursar(relay.url, self.bursar.token), "payment.authorized", after="0-0"
        )
        paid = []
        for number in range(8):
            paid.append(self.pay())
            if number % 2 == 1:
                collector.until(lambda: len(collector.opened) > number // 2)
                relay.cut()

        def mine() -> List[str]:
            return [each["paymentId"] for each in collector.events if each["paymentId"] in paid]

        collector.until(lambda: len(mine()) >= len(paid))
        self.assertEqual(mine(), paid)
        self.assertGreater(relay.accepted, 3)

    def test_a_service_that_is_away_is_awaited(self) -> None:
        relay = Relay()
        port = urlsplit(relay.url).port
        relay.close()
        collector = self.collect(Bursar(relay.url, self.bursar.token), after="0-0")
        self.relay(port)
        collector.until(lambda: collector.events)

    def test_a_busy_service_is_awaited_as_long_as_it_says(self) -> None:
        busy = {"code": "unavailable", "nextAction": "wait", "retryAfter": 7, "status": 503}
        server = Seller(lambda _: Reply(503, {}, json.dumps(busy).encode()))
        self.addCleanup(server.stop)
        with mock.patch("time.sleep", side_effect=InterruptedError) as slept:
            with self.assertRaises(InterruptedError):
                next(Bursar(server.url, "token").events())
        slept.assert_called_once_with(7.0)

    def test_an_address_where_no_service_ever_was_is_an_error(self) -> None:
        with mock.patch("time.sleep") as slept:
            with self.assertRaisesRegex(BursarUnreachable, "no events from http://127.0.0.1:9"):
                next(Bursar("http://127.0.0.1:9", "token").events())
        self.assertEqual(slept.call_count, 3)
        page = Seller(lambda _: Reply(200, {"Content-Type": "text/html"}, b"<html>"))
        self.addCleanup(page.stop)
        with self.assertRaisesRegex(InvalidAnswer, "check the URL"):
            next(Bursar(page.url, "token").events())

    def test_one_kind_needs_no_list(self) -> None:
        event = next(sandbox().grant("1").events("grant.*", after="0-0"))
        self.assertEqual(event["kind"], "grant.minted")

    def test_a_filter_that_is_wrong_and_a_token_that_ended_are_errors(self) -> None:
        with self.assertRaises(InvalidRequest):
            next(self.bursar.events(["payment.nothing"]))
        ended = sandbox().grant("1")
        sandbox().admin.reissue_token(ended.budget()["id"])
        with self.assertRaises(InvalidToken):
            next(Bursar(sandbox().url, ended.token).events())

    def test_a_redirect_gets_no_token(self) -> None:
        stranger = Seller()
        self.addCleanup(stranger.stop)
        server = Seller(lambda _: Reply(307, {"Location": stranger.url}))
        self.addCleanup(server.stop)
        with self.assertRaisesRegex(Exception, "answered 307"):
            next(Bursar(server.url, "token").events())
        self.assertEqual(stranger.asked, [])

    @unittest.skipIf(cryptography is None, "python3-cryptography is not installed")
    def test_a_key_bound_grant_proves_its_key(self) -> None:
        from bursar.dpop import HolderKey

        bound = sandbox().grant("1", key=HolderKey.generate())
        events = bound.events(after="0-0")
        self.assertEqual(next(events)["kind"], "grant.minted")
        events.close()

    def test_a_token_that_is_about_to_end_is_renewed(self) -> None:
        grant = sandbox().grant("1")
        renewed: List[str] = []
        bursar = Bursar(sandbox().url, grant.token, on_token=renewed.append)
        collector = self.collect(bursar, after="0-0")
        collector.until(lambda: collector.events)
        # Its end is near from now on. No event comes: the open stream must see to it by itself.
        bursar._service._renew_at = time.time()
        collector.until(lambda: len(collector.opened) > 1)
        self.assertEqual((len(renewed), bursar.token), (1, renewed[0]))
        sandbox().admin.suspend(grant.grant["id"])
        collector.until(lambda: collector.events[-1]["kind"] == "grant.suspended")
        ids = [each["id"] for each in collector.events]
        self.assertEqual(len(ids), len(set(ids)))


class Blocks(unittest.TestCase):
    """What a stream may hold, without a service."""

    def taken(self, *lines: str) -> "tuple[Optional[str], Follower]":
        follower = Follower(None, "/v1/events", None, None)  # type: ignore[arg-type]
        return follower._take(list(lines)), follower

    def test_comments_retries_and_ids_are_no_events(self) -> None:
        data, follower = self.taken(":", ": going away", "retry: 250", "id: 0-7")
        self.assertIsNone(data)
        self.assertEqual((follower._cursor, follower._retry_seconds), ("0-7", 0.25))

    def test_lines_of_data_are_joined(self) -> None:
        data, _ = self.taken("event: payment.settled", 'data: {"a":', "data:1}", "data: ")
        self.assertEqual(data, '{"a":\n1}\n')
