"""The README and the example do what they say."""

import contextlib
import io
import os
import re
import subprocess
import sys
import unittest
from unittest import mock

from tests.support import PACKAGE, ROOT, sandbox
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
