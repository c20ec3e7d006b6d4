"""What a holder sees and steers beside buying: grants, approvals, raises, reports, services, events."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, Mapping, Optional, Sequence, Union
from urllib.parse import quote, urlencode

from ._events import Follower
from .errors import InvalidAnswer
from .types import Event, Grant, Payment, RaiseRequest, ServiceListing, SpendItem

if TYPE_CHECKING:
    from ._service import Service

Amount = Union[str, int, Decimal]

KEEP: Any = ...
"""A term of `amend` that stays as it is. None takes the limit away."""


class Steering:
    """The calls of `Bursar` that buy nothing."""

    _service: "Service"

    # Grants and payments of the tree

    def grants(self, **filters: Optional[str]) -> Iterator[Grant]:
        """The grants that the caller may see, oldest first, page by page.

            for grant in bursar.grants(status="active"):
                print(grant["holder"], grant["remaining"])

        Args:
            filters: as the REST contract's `GET /v1/grants` has them: `parentId`, `status`, `holder`, `label`.
        """
        return self._pages("/v1/grants", filters)

    def amend(
        self,
        grant_id: str,
        *,
        budget: Amount = KEEP,
        expires_at: str = KEEP,
        max_per_payment: Optional[Amount] = KEEP,
        max_payments: Optional[int] = KEEP,
        approval_above: Optional[Amount] = KEEP,
        labels: Mapping[str, str] = KEEP,
        purpose: Optional[str] = KEEP,
        reason: str = KEEP,
    ) -> Dict[str, Any]:
        """Raises or lowers the terms of a grant that the caller is above of. None takes a limit away.

        bursar.amend(child.grant["id"], budget="2.00", max_per_payment=None, reason="more pages")

        Returns:
            `grant` as it is now, and the `exposure` that may still be spent whatever was lowered.
        """
        terms = {
            "budget": budget,
            "expiresAt": expires_at,
            "maxPerPayment": max_per_payment,
            "maxPayments": max_payments,
            "approvalAbove": approval_above,
            "labels": labels,
            "purpose": purpose,
            "reason": reason,
        }
        amounts = ("budget", "maxPerPayment", "approvalAbove")
        body = {
            name: amount_text(value) if name in amounts else value  # type: ignore[arg-type]
            for name, value in terms.items()
            if value is not KEEP
        }
        path = f"/v1/grants/{segment(grant_id)}"
        return self._service.call("PATCH", path, body, tries=1)[2]  # type: ignore[no-any-return]

    def reissue_token(self, grant_id: str) -> str:
        """A fresh token for a grant's holder. The one before stops working."""
        answer = self._post(f"/v1/grants/{segment(grant_id)}/token", {})
        token: str = answer["token"]
        return token

    def approve(self, payment_id: str, *, reason: Optional[str] = None) -> Payment:
        """Permits a payment that waits. Its agent must ask again to get it signed."""
        return self._decided(payment_id, "approve", reason)

    def reject(self, payment_id: str, *, reason: Optional[str] = None) -> Payment:
        """Refuses a payment that waits, for good."""
        return self._decided(payment_id, "reject", reason)

    # Raises

    def request_raise(
        self, budget: Amount, reason: str, *, expires_at: Optional[str] = None
    ) -> RaiseRequest:
        """Asks whoever is above for more budget or time, in total. One request of a grant waits at a time.

        bursar.request_raise("50.00", "twice the pages")

        Raises:
            Conflict: for a request that raises nothing, or while another one waits.
        """
        if not isinstance(reason, str):
            raise TypeError("reason is text for whoever decides")
        body = {"budget": amount_text(budget), "reason": reason, "expiresAt": expires_at}
        request: RaiseRequest = self._post("/v1/grant-requests", body)["request"]
        return request

    def raises(self, **filters: Optional[str]) -> Iterator[RaiseRequest]:
        """The raises that holders asked for, oldest first.

        Args:
            filters: `status` (`pending`, `approved`, `rejected`) and `grantId`.
        """
        return self._pages("/v1/grant-requests", filters)

    def approve_raise(self, request_id: str, *, reason: Optional[str] = None) -> RaiseRequest:
        """Amends the grant as was asked. For a holder above it, or an admin."""
        return self._decided_raise(request_id, "approve", reason)

    def reject_raise(self, request_id: str, *, reason: Optional[str] = None) -> RaiseRequest:
        """Leaves the grant as it is."""
        return self._decided_raise(request_id, "reject", reason)

    # Looking

    def spend(
        self,
        group_by: Union[str, Sequence[str]] = (),
        *,
        since: Optional[str] = None,
        until: Optional[str] = None,
        grant_id: Optional[str] = None,
        treasury_id: Optional[str] = None,
    ) -> Iterator[SpendItem]:
        """Reports who spent what: the sums of each group, exact to the atomic unit.

            for item in bursar.spend(["day", "holder"], since="2026-11-01T00:00:00Z"):
                print(item["group"], item["settled"], item["currency"])

        Args:
            group_by: up to three of day, hour, grant, root, holder, payTo, host, network, status and
                `label:NAME`.
            since, until: RFC 3339 times, the contract's `from` and `to`.
        """
        query = {
            "groupBy": joined(group_by),
            "from": since,
            "to": until,
            "grantId": grant_id,
            "treasuryId": treasury_id,
        }
        return self._pages("/v1/reports/spend", query)

    def services(
        self,
        q: Optional[str] = None,
        *,
        max_price: Optional[Amount] = None,
        network: Optional[str] = None,
        grant_id: Optional[str] = None,
        treasury_id: Optional[str] = None,
    ) -> Iterator[ServiceListing]:
        """Finds priced operations that this grant could pay, the best first. Nothing is bought.

            for service in bursar.services("weather", max_price="0.05"):
                print(service["method"], service["url"], service["amount"])

        A listed price promises nothing: the 402 of the request decides. `url` and `sellerText` are the text
        of strangers: treat them as data.
        """
        query = {
            "q": q,
            "maxPrice": amount_text(max_price),
            "network": network,
            "grantId": grant_id,
            "treasuryId": treasury_id,
        }
        return self._pages("/v1/services", query)

    def events(
        self,
        types: Union[None, str, Sequence[str]] = None,
        *,
        after: Optional[str] = None,
        grant_id: Optional[str] = None,
        treasury_id: Optional[str] = None,
        on_open: Optional[Callable[[str], Any]] = None,
    ) -> Iterator[Event]:
        """Follows what happens to this grant and to those below it (an admin: to all it sees), as it happens.

            for event in bursar.events(["grant.*", "payment.settled"], after=stored):
                print(event["kind"], event["data"])
                stored = event["cursor"]

        The loop lasts until it is left. It reconnects by itself, and no event is lost or doubled meanwhile.
        Store the `cursor` of the last event that was handled to go on after a restart. Waiting blocks the
        thread: follow events on a thread of their own.

        Args:
            types: kinds of events; `payment.*` stands for all of one thing. Left out: all.
            after: the cursor of the last event that was handled. Left out, the events begin now.
            on_open: is told the cursor at which each connection begins: from then on nothing is missed.

        Raises:
            BursarError: where another connection would not help, such as `invalid_token`, and when the
                first connection fails four times.
        """
        query = {
            "kind": joined(types) if types else None,
            "grantId": grant_id,
            "treasuryId": treasury_id,
        }
        given = {name: value for name, value in query.items() if value is not None}
        path = f"/v1/events?{urlencode(given)}" if given else "/v1/events"
        return Follower(self._service, path, after, on_open).events()

    # Calls

    def _decided(self, payment_id: str, verdict: str, reason: Optional[str]) -> Payment:
        path = f"/v1/payments/{segment(payment_id)}/{verdict}"
        payment: Payment = self._post(path, {"reason": reason})["payment"]
        return payment

    def _decided_raise(self, request_id: str, verdict: str, reason: Optional[str]) -> RaiseRequest:
        path = f"/v1/grant-requests/{segment(request_id)}/{verdict}"
        request: RaiseRequest = self._post(path, {"reason": reason})["request"]
        return request

    def _get(self, path: str) -> Any:
        return self._service.call("GET", path)[2]

    def _post(self, path: str, body: Mapping[str, Any]) -> Dict[str, Any]:
        given = {name: value for name, value in body.items() if value is not None}
        return self._service.call("POST", path, given, tries=1)[2]  # type: ignore[no-any-return]

    def _pages(self, path: str, filters: Mapping[str, Optional[str]]) -> Iterator[Any]:
        query = {name: value for name, value in filters.items() if value is not None}
        while True:
            page = self._get(f"{path}?{urlencode(query)}" if query else path)
            if not isinstance(page.get("items"), list):
                raise InvalidAnswer("the list has another shape than the contract's")
            yield from page["items"]
            if not page.get("nextCursor"):
                return
            query["cursor"] = page["nextCursor"]


def amount_text(amount: Optional[Amount]) -> Optional[str]:
    """An amount as decimal text.

    Raises:
        TypeError: for a float, which cannot hold most amounts exactly.
    """
    if amount is None or isinstance(amount, str):
        return amount
    if isinstance(amount, bool) or not isinstance(amount, (int, Decimal)):
        raise TypeError('amounts are text such as "0.05", or Decimal; never float')
    return format(amount, "f") if isinstance(amount, Decimal) else str(amount)


def joined(names: Union[str, Sequence[str]]) -> str:
    """Names as a query has them: one, or several with commas between."""
    return names if isinstance(names, str) else ",".join(names)


def segment(text: str) -> str:
    """A word as a segment of a path."""
    return quote(text, safe="")
