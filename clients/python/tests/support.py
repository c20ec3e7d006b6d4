"""Shared by the tests: the sandbox, sellers that misbehave, and a way to lose Bursar's answers."""

import atexit
import base64
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Union
from urllib.parse import urlsplit

PACKAGE = Path(__file__).resolve().parent.parent
ROOT = PACKAGE.parent.parent
sys.path.insert(0, str(PACKAGE))

from bursar import Bursar  # noqa: E402

START_SECONDS = 120


class Sandbox:
    """The real service with a local chain, a facilitator and a paid API."""

    def __init__(self, facts: Dict[str, Any]) -> None:
        self.url: str = facts["url"]
        self.admin_token: str = facts["adminToken"]
        self.network: str = facts["chain"]["network"]
        self.asset: str = facts["token"]
        self.facilitator_url: str = facts["facilitatorUrl"]
        self.seller_url: str = facts["sellerUrl"]
        self.rpc_url: str = facts["chain"]["rpcUrl"]

    @property
    def admin(self) -> Bursar:
        return Bursar(self.url, self.admin_token)

    def grant(self, budget: str = "10", **limits: Any) -> Bursar:
        """A root grant's client."""
        limits.setdefault("ttl_seconds", 3600)
        return self.admin.delegate(f"test-{secrets.token_hex(4)}", budget, **limits)

    def balance_of(self, address: str) -> int:
        """The balance of an address in the test token, in atomic units."""
        data = "0x70a08231" + address[2:].lower().rjust(64, "0")
        call = {"to": self.asset, "data": data}
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"]}
        return int(post_json(self.rpc_url, body)["result"], 16)


def post_json(url: str, body: Any, headers: Optional[Dict[str, str]] = None) -> Any:
    data = json.dumps(body).encode()
    request = urllib.request.Request(
        url, data, {"Content-Type": "application/json", **(headers or {})}
    )
    with urllib.request.urlopen(request, timeout=40) as response:
        return json.load(response)


def start_sandbox(**environment: str) -> "tuple[Sandbox, Callable[[], None]]":
    """Starts a sandbox; gives it, and a function that stops it."""
    process = subprocess.Popen(
        ["node", str(ROOT / "dist/sandbox.js"), "--json"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )

    def stop() -> None:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        process.stdout.close()

    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    line = process.stdout.readline()
    timer.cancel()
    if not line:
        process.wait()
        raise RuntimeError("the sandbox did not start; run `npm run build` first, and see its log")
    return Sandbox(json.loads(line)), stop


_shared: Optional[Sandbox] = None


def sandbox() -> Sandbox:
    """The sandbox of the whole run: BURSAR_SANDBOX holds its JSON line, else one is started."""
    global _shared
    if _shared is None:
        if os.environ.get("BURSAR_SANDBOX"):
            _shared = Sandbox(json.loads(os.environ["BURSAR_SANDBOX"]))
        else:
            _shared, stop = start_sandbox()
            atexit.register(stop)
    return _shared


class Asked(NamedTuple):
    """A request as a seller got it."""

    method: str
    path: str
    headers: Dict[str, str]
    body: bytes

    @property
    def payment(self) -> Optional[str]:
        return self.headers.get("payment-signature") or self.headers.get("x-payment")


class Reply(NamedTuple):
    """A seller's answer. `drop` closes the connection instead; `send_bytes` cuts the body short."""

    status: int = 200
    headers: Dict[str, str] = {}
    body: bytes = b"served"
    drop: bool = False
    send_bytes: Optional[int] = None


DROPPED = Reply(drop=True)

Rule = Callable[[Asked], Reply]


class Seller:
    """An HTTP server on a free port of 127.0.0.1 that answers as a rule says and keeps what it was asked."""

    def __init__(self, rule: Optional[Rule] = None) -> None:
        self.rule: Rule = rule or (lambda asked: Reply())
        self.asked: List[Asked] = []
        self.pay_to = "0x" + secrets.token_hex(20)
        seller = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    body = b""
                    while True:
                        size = int(self.rfile.readline(), 16)
                        body += self.rfile.read(size)
                        self.rfile.readline()
                        if size == 0:
                            break
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, body)
                seller.asked.append(asked)
                reply = seller.rule(asked)
                if reply.drop:
                    return self.cut()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.body[: reply.send_bytes])
                if reply.send_bytes is not None:
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_WR)
                    self.close_connection = True

            def cut(self) -> None:
                self.close_connection = True
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()

            def log_message(self, *_: Any) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except (OSError, ValueError):
                    pass

            def finish(self) -> None:
                try:
                    super().finish()
                except (OSError, ValueError):
                    pass

        for method in ("GET", "POST", "PUT", "DELETE", "HEAD"):
            setattr(Handler, f"do_{method}", Handler.answer)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def payments(self) -> List[str]:
        """The payment headers it was shown, in order."""
        return [asked.payment for asked in self.asked if asked.payment]

    # Terms

    def terms(self, version: int = 2, amount: str = "10000", **entry: Any) -> Dict[str, Any]:
        """A 402's terms; the amount is in atomic units: 10000 is one cent."""
        shared = sandbox()
        requirement: Dict[str, Any] = {
            "scheme": "exact",
            "network": shared.network if version == 2 else "base-sepolia",
            "asset": shared.asset,
            "payTo": self.pay_to,
            "maxTimeoutSeconds": 300,
            "extra": {"name": "USDC", "version": "2"},
        }
        url = f"{self.url}/data"
        if version == 2:
            requirement.update(amount=amount, **entry)
            return {"x402Version": 2, "resource": {"url": url}, "accepts": [requirement]}
        requirement.update(
            maxAmountRequired=amount, resource=url, description="", mimeType="", **entry
        )
        return {"x402Version": 1, "error": "payment required", "accepts": [requirement]}

    def ask(self, version: int = 2, amount: str = "10000", status: int = 402, **entry: Any) -> Reply:
        """The 402 itself."""
        terms = json.dumps(self.terms(version, amount, **entry)).encode()
        if version == 2:
            header = base64.b64encode(terms).decode()
            return Reply(status, {"PAYMENT-REQUIRED": header}, b"pay first")
        return Reply(status, {"Content-Type": "application/json"}, terms)

    def settling(self, version: int = 2, amount: str = "10000") -> Rule:
        """A real seller: settles each payment through the facilitator before it serves."""

        def rule(asked: Asked) -> Reply:
            if not asked.payment:
                return self.ask(version, amount)
            body = {
                "x402Version": version,
                "paymentPayload": json.loads(base64.b64decode(asked.payment)),
                "paymentRequirements": self.terms(version, amount)["accepts"][0],
            }
            settled = post_json(f"{sandbox().facilitator_url}/settle", body)
            name = "PAYMENT-RESPONSE" if version == 2 else "X-PAYMENT-RESPONSE"
            receipt = base64.b64encode(json.dumps(settled).encode()).decode()
            if not settled["success"]:
                return self.ask(version, amount)._replace(
                    headers={**self.ask(version, amount).headers, name: receipt}
                )
            return Reply(200, {name: receipt})

        return rule

    def serving(self, *replies: Union[Reply, Rule], version: int = 2, amount: str = "10000") -> Rule:
        """Asks unpaid requests for money, and answers paid ones in turn; the last reply stays."""
        left = list(replies) or [Reply()]

        def rule(asked: Asked) -> Reply:
            if not asked.payment:
                return self.ask(version, amount)
            reply = left.pop(0) if len(left) > 1 else left[0]
            return reply(asked) if callable(reply) else reply

        return rule


class LossyBursar(Seller):
    """Stands before the service and passes everything on, but may lose answers.

    `lose(asked)` says whether the answer to that call is lost after the service gave it.
    """

    def __init__(self) -> None:
        super().__init__(self._pass_on)
        self.lose: Callable[[Asked], bool] = lambda asked: False
        self.overrides: List[Reply] = []

    def _pass_on(self, asked: Asked) -> Reply:
        if self.overrides and asked.path == "/v1/payments":
            return self.overrides.pop(0)
        request = urllib.request.Request(
            sandbox().url + asked.path,
            asked.body or None,
            {n: v for n, v in asked.headers.items() if n not in ("host", "connection")},
            method=asked.method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                reply = Reply(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            reply = Reply(error.code, dict(error.headers), error.read())
        if self.lose(asked):
            return DROPPED
        drop = {"content-length", "connection", "transfer-encoding", "keep-alive"}
        headers = {n: v for n, v in reply.headers.items() if n.lower() not in drop}
        return reply._replace(headers=headers)


def host_of(url: str) -> str:
    return urlsplit(url).netloc
