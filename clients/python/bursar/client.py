"""The client: `Bursar`."""

import hashlib
import json as jsonlib
import os
import re
import secrets
import ssl
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple, Union
from urllib.parse import urlencode

from . import x402
from ._book import Purchase, checked_key, key_of_intent, request_digest
from ._http import Body, Hop, Response, Seller, checked_body, clean_url, header_of, pieces_of
from ._purchase import (
    DEFAULT_WAIT_SECONDS,
    Answer,
    Bought,
    Payer,
    PurchaseOptions,
    Request,
    SellerFailed,
    Send,
    buy,
    check_options,
    drive,
    sign,
)
from ._service import Service
from ._steering import Amount, Steering, amount_text, segment
from ._token import TokenClaims
from ._transport import origin_of, without_secrets
from .errors import BursarError, InvalidAnswer, InvalidKey, SellerRefused, SellerUnreachable
from .types import Grant, Paid, Payment, PaymentHeader, PaymentInfo, Quote, Waiting

if TYPE_CHECKING:
    from .dpop import HolderKey

DEFAULT_TIMEOUT_SECONDS = 60.0
RECEIPT_TIMEOUT_SECONDS = 5.0

_VISIBLE = re.compile(r"[\x21-\x7e]+")


class Bursar(Payer, Steering):
    """Pays for an agent out of its grant.

        bursar = Bursar("http://127.0.0.1:4020", token)
        response = bursar.request("GET", "https://api.example.com/data/7", max_amount="0.05")
        print(response.json(), response.payment)

    Safe to use from many threads.

    Args:
        url: the service's.
        token: the grant's. It goes to the service alone.
        key: the holder's key, for a key-bound grant (`bursar.dpop.HolderKey`).
        service_timeout: seconds for one call to the service.
        context: TLS settings, for the service and for sellers.
        renew_token: whether to renew the token in the last tenth of its life.
        on_token: is told each renewed token. Store it, since the one before has stopped working.
    """

    def __init__(
        self,
        url: str,
        token: str,
        key: "Optional[HolderKey]" = None,
        *,
        service_timeout: float = 15.0,
        context: Optional[ssl.SSLContext] = None,
        renew_token: bool = True,
        on_token: Optional[Callable[[str], Any]] = None,
    ) -> None:
        if not token:
            raise ValueError("token is empty; give the token of a grant")
        self._service = Service(
            url,
            token,
            key,
            timeout=service_timeout,
            context=context,
            renew_token=renew_token,
            on_token=on_token,
        )
        self._context = context
        self._renews_token = renew_token
        # The grant rather than its token: a renewal must not forget the open purchases.
        holder = TokenClaims.of(token).grant_id or token
        self._account = hashlib.sha256(f"{self._service.url}\n{holder}".encode()).hexdigest()
        self.grant: Optional[Grant] = None

    @classmethod
    def from_env(
        cls,
        environ: Optional[Mapping[str, str]] = None,
        key: "Optional[HolderKey]" = None,
        **options: Any,
    ) -> "Bursar":
        """Reads BURSAR_URL and BURSAR_TOKEN.

        Args:
            options: of the constructor: `service_timeout`, `context`, `renew_token`, `on_token`.

        Raises:
            ValueError: naming the variable that is missing.
        """
        values = os.environ if environ is None else environ
        for name in ("BURSAR_URL", "BURSAR_TOKEN"):
            if not values.get(name):
                raise ValueError(f"{name} is not set; set it to the service's URL and the grant's token")
        return cls(values["BURSAR_URL"], values["BURSAR_TOKEN"], key, **options)

    def __repr__(self) -> str:
        return f"<Bursar {self._service.url}>"

    # Buying

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        headers: Optional[Mapping[str, str]] = None,
        body: Body = None,
        json: Any = None,
        timeout: Optional[float] = DEFAULT_TIMEOUT_SECONDS,
        follow_redirects: bool = True,
        intent: Optional[str] = None,
        max_amount: Optional[Amount] = None,
        allow_free: bool = True,
        confirm: Optional[Callable[[Quote], Any]] = None,
        wait: float = DEFAULT_WAIT_SECONDS,
        wait_for_approval: float = 0.0,
        on_wait: Optional[Callable[[Waiting], Any]] = None,
        memo: Optional[str] = None,
        option: Optional[int] = None,
    ) -> Response:
        """Makes a request, and pays when the seller asks for it with an x402 402 (v1 or v2).

            response = bursar.request("GET", url, intent="page 7", max_amount="0.05")

        One purchase has one key. The key is made of `intent`, else is the Idempotency-Key header, else is
        made of this run, the request and a number. Named purchases survive a restart. Without a name,
        a call that was answered ends its purchase, and a call repeated after a failure continues it.

        Args:
            params: joined to the URL's query.
            body: text, bytes, or a function that gives bytes, a file or an iterable of bytes. A paid
                call sends it twice.
            json: a body to send as JSON.
            timeout: seconds for one step of the connection to the seller.
            intent, max_amount, allow_free, confirm, wait, wait_for_approval, on_wait, memo, option:
                see `PurchaseOptions`.

        Returns:
            The seller's answer, whatever its status. A 402 that is no x402, or of another origin that
            a redirect led to, comes back untouched.

        Raises:
            Problem: Bursar refused; `code` and `next_action` say why and what to do.
            PaymentOutcomeUnknown: call again to continue the same purchase.
            PaidNotDelivered: the seller was paid, and asks for money again.
            ApprovalRequired: call again after the approval, or give `wait_for_approval`.
            AllowanceRequired: the seller answered 412 with payment terms.
            NotConfirmed, PaymentNotRequested: `confirm` or `allow_free` said no.
            SellerUnreachable: the unpaid request failed.
            StreamNeedsFactory, InvalidKey: before anything is sent.
        """
        options = PurchaseOptions(
            intent=intent,
            max_amount=amount_text(max_amount),
            allow_free=allow_free,
            confirm=confirm,
            wait=wait,
            wait_for_approval=wait_for_approval,
            on_wait=on_wait,
            memo=memo,
            option=option,
        )
        hop = _hop(method, url, params, headers, body, json)
        idempotency_key = header_of(hop.headers, "Idempotency-Key")
        check_options(options, idempotency_key)
        digest = ""
        if idempotency_key is None and intent is None:
            digest = self.digest_of(hop.method, hop.url, hop.body)
        seller = Seller(hop, timeout, follow_redirects, self._context)
        steps = buy(self, Request(digest, idempotency_key), options)
        try:
            bought: Bought = drive(steps, seller.send, seller.read_body)
        except SellerFailed as failed:
            raise _unreachable(hop.url, failed) from failed.__cause__
        except BursarError as error:
            if seller.last is not None and getattr(error, "response", None) is not seller.last:
                seller.last.close()
            raise
        response: Response = bought.answer.response
        response.settle(bought)
        return response

    def quote(
        self,
        method: str,
        url: str,
        *,
        terms: Union[None, str, Mapping[str, Any]] = None,
        params: Optional[Mapping[str, Any]] = None,
        headers: Optional[Mapping[str, str]] = None,
        body: Body = None,
        json: Any = None,
        timeout: Optional[float] = DEFAULT_TIMEOUT_SECONDS,
        max_amount: Optional[Amount] = None,
        option: Optional[int] = None,
    ) -> Optional[Quote]:
        """Asks for the price of a request, and what paying it would meet. Nothing is reserved.

            quote = bursar.quote("GET", "https://api.example.com/data/7")
            if quote and quote.decision == "allow":
                print(quote.amount, quote.currency, "of", quote.remaining)

        Without `terms` the request is sent, unpaid. A seller that asks for no money then does what the
        request says.

        Args:
            terms: the seller's 402, when it is known already: the PAYMENT-REQUIRED header or the body.

        Returns:
            The quote, or None when the seller asks for nothing.

        Raises:
            SellerRefused: for an answer of 400 or more that has no terms, such as a 404.
            Problem: as `request`, about Bursar.
        """
        hop = _hop(method, url, params, headers, body, json)
        options = PurchaseOptions(max_amount=amount_text(max_amount), option=option)
        if terms is not None:
            return self.quote_terms(_terms_text(terms), hop.method, hop.url, options)
        seller = Seller(hop, timeout, True, self._context)
        try:
            answer: Answer = seller.send(Send())
            try:
                found = None
                if answer.status == 402 and not answer.left_origin:
                    found = x402.terms_in_header(answer.get_header) or x402.terms_in_body(
                        seller.read_body(answer)
                    )
            finally:
                answer.response.close()
        except SellerFailed as failed:
            raise _unreachable(hop.url, failed) from failed.__cause__
        if found is not None:
            return self.quote_terms(found, answer.method, answer.url, options)
        if answer.status >= 400:
            raise SellerRefused(answer.status)
        return None

    def pay(
        self,
        terms: Union[str, Mapping[str, Any]],
        method: str,
        url: str,
        *,
        idempotency_key: Optional[str] = None,
        intent: Optional[str] = None,
        max_amount: Optional[Amount] = None,
        wait: float = DEFAULT_WAIT_SECONDS,
        wait_for_approval: float = 0.0,
        on_wait: Optional[Callable[[Waiting], Any]] = None,
        memo: Optional[str] = None,
        option: Optional[int] = None,
    ) -> Paid:
        """Has a payment signed, for whoever talks to the seller in another way.

            paid = bursar.pay(terms, "GET", url, intent="page 7", max_amount="0.05")
            headers[paid.header.name] = paid.header.value

        The same key gives the same signature again, however often it is asked.

        Args:
            terms: the seller's 402: the PAYMENT-REQUIRED header, or the body.
            idempotency_key, intent: names the purchase; one of them is required.

        Raises:
            as `request`, about Bursar.
        """
        options = PurchaseOptions(
            intent=intent,
            max_amount=amount_text(max_amount),
            wait=wait,
            wait_for_approval=wait_for_approval,
            on_wait=on_wait,
            memo=memo,
            option=option,
        )
        if idempotency_key is not None:
            purchase = Purchase(checked_key(idempotency_key))
        elif intent is not None:
            purchase = Purchase(key_of_intent(intent))
        else:
            raise InvalidKey("pay needs idempotency_key or intent: one key is one purchase")
        steps = sign(self, _terms_text(terms), method.upper(), clean_url(url), purchase, options)
        return drive(steps, _sends_nothing, _sends_nothing)

    # The grant

    def budget(self) -> Grant:
        """The caller's grant: `remaining` is what could be spent now.

        print(bursar.budget()["remaining"])
        """
        return self._get("/v1/grants/self")  # type: ignore[no-any-return]

    def delegate(
        self,
        holder: str,
        budget: Amount,
        *,
        ttl_seconds: Optional[int] = None,
        expires_at: Optional[str] = None,
        starts_at: Optional[str] = None,
        max_per_payment: Optional[Amount] = None,
        max_payments: Optional[int] = None,
        windows: Optional[List[Mapping[str, Any]]] = None,
        scope: Optional[Mapping[str, List[str]]] = None,
        delegation_depth: Optional[int] = None,
        funding: Optional[str] = None,
        approval_above: Optional[Amount] = None,
        approve_new_payees: Optional[bool] = None,
        breaker: Optional[Mapping[str, Any]] = None,
        purpose: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
        currency: Optional[str] = None,
        key: "Optional[HolderKey]" = None,
        idempotency_key: Optional[str] = None,
        on_token: Optional[Callable[[str], Any]] = None,
    ) -> "Bursar":
        """Gives part of this grant to another agent.

            child = bursar.delegate("worker-1", "1.00", ttl_seconds=3600, max_per_payment="0.05")
            child.request("GET", url)

        Args:
            key: binds the child's grant to this key; its token is useless without it.
            idempotency_key: makes a repeated call return the same grant, also after a restart.
            on_token: is told each token that the child's client renews.
            (others): as the REST contract's `POST /v1/grants` has them.

        Returns:
            A client for the child. `child.grant` is its grant, `child.token` what to hand over.
        """
        members: Dict[str, Any] = {
            "holder": holder,
            "budget": amount_text(budget),
            "ttlSeconds": ttl_seconds,
            "expiresAt": expires_at,
            "startsAt": starts_at,
            "maxPerPayment": amount_text(max_per_payment),
            "maxPayments": max_payments,
            "windows": windows,
            "scope": scope,
            "delegationDepth": delegation_depth,
            "funding": funding,
            "approvalAbove": amount_text(approval_above),
            "approveNewPayees": approve_new_payees,
            "breaker": breaker,
            "purpose": purpose,
            "labels": labels,
            "currency": currency,
            "holderKey": key.public_jwk if key is not None else None,
        }
        body = {name: value for name, value in members.items() if value is not None}
        mint_key = checked_key(idempotency_key) if idempotency_key else secrets.token_hex(16)
        answer = self._service.call("POST", "/v1/grants", body, key=mint_key)[2]
        return self._for(answer, key, on_token)

    @property
    def token(self) -> str:
        """The token in use now, another than the first after a renewal. Keep it out of prompts and logs."""
        return self._service.token

    def grant_of(self, grant_id: str) -> Grant:
        """A grant of the tree below this one."""
        return self._get(f"/v1/grants/{segment(grant_id)}")  # type: ignore[no-any-return]

    def tree(self, grant_id: Optional[str] = None) -> Iterator[Grant]:
        """The grant and all below it, a parent before its children."""
        root = grant_id or self.budget()["id"]
        return self._pages(f"/v1/grants/{segment(root)}/tree", {})

    def revoke(
        self,
        grant_id: str,
        *,
        reason: Optional[str] = None,
        cancel_outstanding: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Ends a grant and all below it, at once. `exposure` of the answer can still be spent."""
        body = {"reason": reason, "cancelOutstanding": cancel_outstanding}
        return self._post(f"/v1/grants/{segment(grant_id)}/revoke", body)

    def suspend(self, grant_id: str, *, reason: Optional[str] = None) -> Grant:
        """Pauses a grant and all below it."""
        return self._steer(grant_id, "suspend", reason)

    def resume(self, grant_id: str, *, reason: Optional[str] = None) -> Grant:
        """Lets a suspended grant go on."""
        return self._steer(grant_id, "resume", reason)

    # Payments

    def payments(self, **filters: Optional[str]) -> Iterator[Payment]:
        """The payments of this grant and the tree below it, page by page.

            for payment in bursar.payments(status="settled"):
                print(payment["amount"], payment["resource"])

        Args:
            filters: as the REST contract's `GET /v1/payments` has them: `status`, `grantId`,
                `idempotencyKey`, and others where the service has them.
        """
        return self._pages("/v1/payments", filters)

    def payment(self, payment_id: str) -> Payment:
        """One payment, as it is now."""
        return self._get(f"/v1/payments/{segment(payment_id)}")  # type: ignore[no-any-return]

    def header(self, payment_id: str) -> PaymentHeader:
        """The header of an open payment of this grant: what an agent needs that lost it."""
        answer = self._get(f"/v1/payments/{segment(payment_id)}/header")
        return _payment_header(answer)

    def cancel(self, payment_id: str) -> Dict[str, Any]:
        """Asks the chain to cancel a payment that is signed and unsettled."""
        return self._post(f"/v1/payments/{segment(payment_id)}/cancel", {})

    # Used by the rules and by the auth objects

    def digest_of(self, method: str, url: str, body: Any) -> str:
        """Identifies a request of this grant, for the key of a purchase that has no name."""
        digest = hashlib.sha256()
        for piece in pieces_of(body() if callable(body) else body):
            digest.update(piece)
        return request_digest(self._account, method, url, digest.hexdigest())

    def quote_terms(self, terms: str, method: str, url: str, options: PurchaseOptions) -> Quote:
        answer = self._service.call(
            "POST", "/v1/payments/quote", _payment_body(terms, method, url, options)
        )[2]
        try:
            return Quote.from_answer(answer)
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidAnswer("the quote has another shape than the contract's") from error

    def pay_once(
        self, terms: str, method: str, url: str, key: str, options: PurchaseOptions
    ) -> Tuple[Optional[Paid], Any, float]:
        status, headers, answer = self._service.call(
            "POST",
            "/v1/payments",
            _payment_body(terms, method, url, options),
            key=key,
            is_payment=True,
        )
        try:
            payment: Payment = answer["payment"]
            if status == 202:
                return None, payment, float(headers.get("Retry-After") or 0)
            paid = Paid(
                key=key,
                payment=payment,
                header=_payment_header(answer),
                remaining=answer["grant"]["remaining"],
                replayed=headers.get("Idempotent-Replayed") == "true",
            )
            return paid, payment, 0.0
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InvalidAnswer("the payment has another shape than the contract's", key=key) from error

    def collect(self, payment_id: str, key: str) -> Paid:
        answer = self._get(f"/v1/payments/{segment(payment_id)}/header")
        header = _payment_header(answer)
        return Paid(key, answer["payment"], header, remaining=None, replayed=True)

    def hand_in(self, paid: Paid, receipt: str) -> None:
        # A hint: the chain is asked either way, so a failure is not worth failing a paid call for.
        path = f"/v1/payments/{segment(paid.payment['id'])}/receipt"
        try:
            self._service.call(
                "POST", path, {"paymentResponse": receipt}, timeout=RECEIPT_TIMEOUT_SECONDS, tries=1
            )
        except BursarError:
            pass

    def _for(
        self,
        minted: Mapping[str, Any],
        key: "Optional[HolderKey]",
        on_token: Optional[Callable[[str], Any]],
    ) -> "Bursar":
        child = Bursar(
            self._service.url,
            minted["token"],
            key,
            context=self._context,
            renew_token=self._renews_token,
            on_token=on_token,
        )
        child.grant = minted["grant"]
        return child

    def _steer(self, grant_id: str, verb: str, reason: Optional[str]) -> Grant:
        answer = self._post(f"/v1/grants/{segment(grant_id)}/{verb}", {"reason": reason})
        grant: Grant = answer["grant"]
        return grant


def payment_of(response: Any) -> Optional[PaymentInfo]:
    """The payment behind a response, of `Bursar.request`, `requests` or `httpx`; None if nothing was paid.

    response = requests.get(url, auth=BursarAuth())
    print(payment_of(response).amount)
    """
    if isinstance(response, Response):
        return response.payment
    info = getattr(response, "bursar_payment", None)
    if info is None:
        info = (getattr(response, "extensions", None) or {}).get("bursar_payment")
    return info if isinstance(info, PaymentInfo) else None


def _hop(
    method: str,
    url: str,
    params: Optional[Mapping[str, Any]],
    headers: Optional[Mapping[str, str]],
    body: Body,
    json_body: Any,
) -> Hop:
    sendable, content_type = checked_body(body, json_body)
    sent = {str(name): str(value) for name, value in (headers or {}).items()}
    if content_type is not None and header_of(sent, "Content-Type") is None:
        sent["Content-Type"] = content_type
    if params:
        fragmentless = url.partition("#")[0]
        joint = "&" if "?" in fragmentless else "?"
        url = f"{fragmentless}{joint}{urlencode(params, doseq=True)}"
    return Hop(method.upper(), clean_url(url), sent, sendable)


def _payment_body(
    terms: str, method: str, url: str, options: PurchaseOptions
) -> Dict[str, Any]:
    members = {"maxAmount": options.max_amount, "memo": options.memo, "option": options.option}
    return {
        "paymentRequired": terms,
        "request": {"method": method, "url": without_secrets(url)},
        **{name: value for name, value in members.items() if value is not None},
    }


def _payment_header(answer: Mapping[str, Any]) -> PaymentHeader:
    """The header of an answer.

    Raises:
        ValueError, KeyError, TypeError: when it is none that pays.
    """
    header = PaymentHeader(answer["header"]["name"], answer["header"]["value"])
    if header.name not in x402.PAYMENT_HEADERS or not _VISIBLE.fullmatch(header.value):
        raise ValueError("this is no payment header")
    return header


def _terms_text(terms: Union[str, Mapping[str, Any]]) -> str:
    return terms if isinstance(terms, str) else jsonlib.dumps(terms)


def _unreachable(url: str, failed: SellerFailed) -> SellerUnreachable:
    # The kind of the error alone: its text may quote the seller, and errors are shown to models.
    cause = failed.__cause__
    if isinstance(cause, SellerUnreachable):
        return cause
    kind = type(getattr(cause, "reason", cause)).__name__
    return SellerUnreachable(f"the request to {origin_of(url)} failed: {kind}")


def _sends_nothing(_: Any) -> Any:
    raise AssertionError("signing sends nothing to a seller")
