"""A Python agent that buys data with `requests`, out of a grant.

It reads three pages that cost a cent each, is refused a report that is too dear for it, and hands a
smaller budget to a helper. Run it against the sandbox (`npm run sandbox`), in a second terminal:

    export BURSAR_URL=...     # the service
    export BURSAR_TOKEN=...   # the token of a grant with delegationDepth 1
    export SELLER=...         # the paid API
    PYTHONPATH=clients/python python3 examples/agent_requests.py
"""

import os

import requests

from bursar import Bursar, Problem, payment_of
from bursar.requests_auth import BursarAuth

SELLER = os.environ["SELLER"]


def main() -> None:
    bursar = Bursar.from_env()
    session = requests.Session()
    session.auth = BursarAuth(bursar, max_amount="0.05")

    for page in (7, 8, 9):
        response = session.get(f"{SELLER}/data/{page}", timeout=30)
        response.raise_for_status()
        paid = payment_of(response)
        rows = len(response.json()["rows"])
        print(f"page {page}: {rows} rows for {paid.amount} {paid.currency}, {paid.remaining} left")

    try:
        session.get(f"{SELLER}/report", timeout=30)
    except Problem as problem:
        # Fit for a model: it says what to do, and quotes no seller.
        print(problem.for_model())

    helper = bursar.delegate("helper", "0.02", ttl_seconds=600, max_per_payment="0.01")
    try:
        for page in range(10):
            response = requests.get(f"{SELLER}/data/{page}", auth=BursarAuth(helper), timeout=30)
            print(f"the helper read page {page}")
    except Problem as problem:
        print(f"the helper stops: {problem.code}, next action: {problem.next_action}")

    print(f"{bursar.budget()['remaining']} of {bursar.budget()['budget']} left")


if __name__ == "__main__":
    main()
