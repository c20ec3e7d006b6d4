"""The README and the example do what they say."""

import contextlib
import io
import os
import re
import subprocess
import sys
import unittest
from unittest import mock

from tests.support import PACKAGE, ROOT, Reply, Seller, sandbox
from tests.test_rules import httpx, requests

try:
    import cryptography
except ImportError:
    cryptography = None

IS_COMPLETE = requests is not None and httpx is not None and cryptography is not None


class Docs(unittest.TestCase):
    def environment(self) -> "dict[str, str]":
        grant = sandbox().grant("1", delegation_depth=1)
        return {
            "BURSAR_URL": sandbox().url,
            "BURSAR_TOKEN": grant.token,
            "SELLER": sandbox().seller_url,
        }

    @unittest.skipUnless(IS_COMPLETE, "python3-requests, -httpx or -cryptography is not installed")
    def test_the_readmes_code_runs_from_top_to_bottom(self) -> None:
        text = (PACKAGE / "README.md").read_text()
        blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        self.assertGreater(len(blocks), 7)
        names: dict = {}
        with mock.patch.dict(os.environ, self.environment()):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                for block in blocks:
                    code = block.replace("https://api.example.com", sandbox().seller_url)
                    exec(compile(code, "README.md", "exec"), names)
        self.assertIn("alpha", printed.getvalue())
        self.assertNotIn(names["bursar"].token, printed.getvalue())

    def test_the_client_in_plain_python_pays_and_shows_no_stranger_the_payment(self) -> None:
        text = (ROOT / "docs" / "agents-http.md").read_text()
        code = next(b for b in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "pay.py" in b)
        seller, stranger = Seller(), Seller()
        for each in (seller, stranger):
            self.addCleanup(each.stop)
        environment = {**os.environ, **self.environment()}

        def pay(name: str) -> "subprocess.CompletedProcess[str]":
            command = [sys.executable, "-c", code, f"{seller.url}/data", name]
            return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

        seller.rule = seller.settling()
        bought = pay("a")
        self.assertEqual((bought.returncode, bought.stdout), (0, "served"))
        self.assertIn("cost 0.01 left 0.99", bought.stderr)
        seller.rule = seller.serving(Reply(302, {"Location": stranger.url}, b""))
        led_away = pay("b")
        self.assertEqual(led_away.returncode, 1)
        self.assertIn(stranger.url, led_away.stderr)
        self.assertEqual(stranger.asked, [])

    @unittest.skipIf(requests is None, "python3-requests is not installed")
    def test_the_example_buys_is_refused_and_delegates(self) -> None:
        ran = subprocess.run(
            [sys.executable, str(ROOT / "examples" / "agent_requests.py")],
            env={**os.environ, **self.environment(), "PYTHONPATH": str(PACKAGE)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        lines = ran.stdout.splitlines()
        self.assertEqual(lines[0], "page 7: 3 rows for 0.01 USDC, 0.99 left")
        self.assertIn("max_amount_exceeded", lines[3])
        self.assertEqual(lines[4:6], ["the helper read page 0", "the helper read page 1"])
        self.assertIn("budget_exceeded, next action: ask", lines[6])
        self.assertEqual(lines[7], "0.95 of 1.00 left")
