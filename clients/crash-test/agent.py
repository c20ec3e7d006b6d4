"""The agent of agent.mjs, with the Python client. Its steps are the calls of urllib, which both sides use."""

import json
import os
import signal
import threading
import urllib.request
from typing import Any

from bursar import Bursar, BursarError

order = json.loads(os.environ["AGENT"])
kill_at = order.get("killAt")
plain_open = urllib.request.OpenerDirector.open
lock = threading.Lock()
step = 0


def mark() -> None:
    global step
    with lock:
        step += 1
        if step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def marked_open(self: Any, *arguments: Any, **options: Any) -> Any:
    mark()
    response = plain_open(self, *arguments, **options)
    mark()
    return response


urllib.request.OpenerDirector.open = marked_open  # type: ignore[method-assign]
bursar = Bursar(order["bursar"], order["token"])


def buy() -> None:
    for _ in range(order.get("tries") or 1):
        try:
            if bursar.request("GET", order["url"], intent=order.get("intent"), wait=2).status == 200:
                return
        except BursarError:
            pass


threads = [threading.Thread(target=buy) for _ in range(order.get("parallel") or 1)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
