"""OpenID Connect: code with PKCE, at whatever provider the city has.

Source: OpenID Connect Core 1.0 §3.1; RFC 7636 (PKCE); RFC 9207 (`iss` in the answer); RFC 9700.
What is under way is kept in this server's memory: each state is good for one answer, to the browser
that it was made for, within ten minutes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

import httpx
import structlog
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from core.limits import SIGN_ON_UNDER_WAY_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.commit import Clock
    from webdesk.services import SignOnSettings

_ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"]
_SECRET_BYTES: Final = 32
_UNDER_WAY_S: Final = 600
_ANSWER_S: Final = 5.0
_METADATA_S: Final = 3_600.0
_KEYS_AGAIN_S: Final = 60.0  # how soon the keys are fetched anew for one that is unknown
_LEEWAY_S: Final = 60
_TEXT_CHARS_MAX: Final = 4_000
_BYTES_MAX: Final = 1_000_000
_LOG: Final = structlog.get_logger("webdesk.oidc")


class SignOnFault(Exception):
    """It did not work; `kind` is `unavailable`, `used`, `refused` or `untrusted`."""

    def __init__(self, kind: str, why: str = "") -> None:
        self.kind = kind
        super().__init__(why or kind)


@dataclass(frozen=True, slots=True)
class Pending:
    """Somebody who is at the provider's page. `cookie`: of the session that it began in."""

    nonce: str
    verifier: str
    browser: bytes
    begun_at: datetime
    wanted: str
    unlock: bool
    cookie: str | None

    def __repr__(self) -> str:
        return "Pending(…)"


@dataclass(frozen=True, slots=True)
class _Metadata:
    document: Mapping[str, Any]
    keys: KeySet
    fetched_at: datetime


class Provider:
    """One provider, asked over HTTPS (on loopback HTTP will do)."""

    def __init__(
        self, settings: SignOnSettings, clock: Clock, entropy: Callable[[int], bytes]
    ) -> None:
        self.settings = settings
        self._clock, self._entropy = clock, entropy
        self._tls = ssl.create_default_context(cafile=settings.ca_file)
        self._pending: OrderedDict[str, Pending] = OrderedDict()
        self._metadata: _Metadata | None = None

    async def begin(
        self, redirect_uri: str, wanted: str, *, unlock: bool = False, cookie: str | None = None
    ) -> tuple[str, str]:
        """The provider's page to go to, and what the browser's cookie holds meanwhile.

        Raises: SignOnFault.
        """
        metadata = await self._described()
        state, browser, nonce, verifier = (self._secret() for _ in range(4))
        pending = Pending(nonce, verifier, _digest(browser), self._clock(), wanted, unlock, cookie)
        self._pending[state] = pending
        while len(self._pending) > SIGN_ON_UNDER_WAY_MAX:
            self._pending.popitem(last=False)
        more = {"max_age": "0", "prompt": "login"} if unlock else {}
        url = prepare_grant_uri(
            metadata.document["authorization_endpoint"], self.settings.client_id, "code",
            redirect_uri, "openid", state, nonce=nonce, code_challenge_method="S256",
            code_challenge=create_s256_code_challenge(verifier), **more,
        )  # fmt: skip
        return str(url), browser

    async def finish(
        self, redirect_uri: str, given: Mapping[str, str], browser: str
    ) -> tuple[str, Pending]:
        """Who signed in there (the claim `sub`), and what was begun. Raises: SignOnFault."""
        pending = self._pending.pop(given.get("state", ""), None)
        late = pending and self._clock() >= pending.begun_at + timedelta(seconds=_UNDER_WAY_S)
        if pending is None or late or not hmac.compare_digest(_digest(browser), pending.browser):
            raise SignOnFault("used")
        if given.get("iss", self.settings.issuer) != self.settings.issuer:
            raise SignOnFault("untrusted", "another issuer answered")
        if "error" in given or not given.get("code"):
            raise SignOnFault("refused")
        metadata = await self._described()
        token = await self._fetched(metadata, redirect_uri, given["code"], pending)
        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            raise SignOnFault("untrusted", "no ID token")
        claims = await self._claims(id_token, pending)
        return str(claims["sub"]), pending

    async def left(self, back_to: str) -> str | None:
        """The provider's page that ends its own session; None where it has none."""
        endpoint = (await self._described()).document.get("end_session_endpoint")
        if not isinstance(endpoint, str):
            return None
        asked = {"client_id": self.settings.client_id, "post_logout_redirect_uri": back_to}
        return f"{endpoint}?{urlencode(asked)}"

    async def _fetched(
        self, metadata: _Metadata, redirect_uri: str, code: str, pending: Pending
    ) -> Mapping[str, Any]:
        settings = self.settings
        form = {
            "grant_type": "authorization_code", "code": code[:_TEXT_CHARS_MAX],
            "redirect_uri": redirect_uri, "code_verifier": pending.verifier,
        }  # fmt: skip
        if settings.secret is None:
            form["client_id"] = settings.client_id
            proof = None
        else:  # both are encoded before they are joined: RFC 6749, 2.3.1
            proof = (quote(settings.client_id, safe=""), quote(settings.secret, safe=""))
        try:
            async with httpx.AsyncClient(**self._http()) as client:
                answer = await client.post(
                    metadata.document["token_endpoint"],
                    data=form,
                    auth=httpx.USE_CLIENT_DEFAULT if proof is None else proof,
                )
                found = _object(answer)
        except (httpx.HTTPError, ValueError) as e:
            raise SignOnFault("unavailable", type(e).__name__) from e
        if answer.is_client_error:
            raise SignOnFault("refused", "the code is not good")
        if not answer.is_success:
            raise SignOnFault("unavailable", "the token endpoint failed")
        return found

    async def _claims(self, id_token: str, pending: Pending) -> Mapping[str, Any]:
        """The claims of an ID token that is the provider's, for us, for now and for this asking."""
        now = self._clock()
        keys = (await self._described()).keys
        try:
            try:
                token = jwt.decode(id_token, keys, algorithms=_ALGORITHMS)
            except (JoseError, ValueError):  # signed with a key that is newer than ours, perhaps
                keys = (await self._described(newer_keys=True)).keys
                token = jwt.decode(id_token, keys, algorithms=_ALGORITHMS)
            registry = jwt.JWTClaimsRegistry(
                now=int(now.timestamp()), leeway=_LEEWAY_S,
                iss={"essential": True, "value": self.settings.issuer},
                aud={"essential": True, "value": self.settings.client_id},
                exp={"essential": True}, iat={"essential": True}, sub={"essential": True},
                nonce={"essential": True, "value": pending.nonce},
            )  # fmt: skip
            registry.validate(token.claims)
        except (JoseError, ValueError) as e:
            raise SignOnFault("untrusted", type(e).__name__) from e
        self._party(token.claims)
        if pending.unlock:
            at = token.claims.get("auth_time")
            fresh = pending.begun_at.timestamp() - _LEEWAY_S
            if not isinstance(at, int) or at < fresh:
                raise SignOnFault("untrusted", "nobody proved who it is anew")
        return token.claims

    def _party(self, claims: Mapping[str, Any]) -> None:
        """Where a token is for several, or names its party, that is us. Raises: SignOnFault."""
        party, audience = claims.get("azp"), claims.get("aud")
        several = isinstance(audience, list) and len(audience) > 1
        if (party is not None or several) and party != self.settings.client_id:
            raise SignOnFault("untrusted", "the token is for another")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise SignOnFault("untrusted", "no subject")

    async def _described(self, *, newer_keys: bool = False) -> _Metadata:
        """The provider's description of itself and its keys. Raises: SignOnFault."""
        now, known = self._clock(), self._metadata
        after_s = _KEYS_AGAIN_S if newer_keys else _METADATA_S
        if known is not None and now < known.fetched_at + timedelta(seconds=after_s):
            return known
        address = self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
        try:
            async with httpx.AsyncClient(**self._http()) as client:
                document = await _json(client, address)
                self._check(document)
                keys = KeySet.import_key_set(_signing(await _json(client, document["jwks_uri"])))
        except (httpx.HTTPError, JoseError, ValueError, KeyError) as e:
            _LOG.warning("sign_on.unavailable", error=type(e).__name__)
            if known is not None:
                return known
            raise SignOnFault("unavailable", type(e).__name__) from e
        self._metadata = _Metadata(document, keys, now)
        return self._metadata

    def _check(self, document: Mapping[str, Any]) -> None:
        """Raises: ValueError, KeyError where the description is of another, or not over TLS."""
        if document["issuer"] != self.settings.issuer:
            raise ValueError("the description is of another issuer")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            scheme = urlsplit(document[name]).scheme
            if scheme != "https" and scheme != urlsplit(self.settings.issuer).scheme:
                raise ValueError(f"{name} is not over TLS")

    def _http(self) -> dict[str, Any]:
        return {"verify": self._tls, "timeout": _ANSWER_S, "trust_env": False}

    def _secret(self) -> str:
        made = self._entropy(_SECRET_BYTES)
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


async def _json(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    """Raises: httpx.HTTPError, ValueError."""
    answer = await client.get(address)
    answer.raise_for_status()
    return _object(answer)


def _object(answer: httpx.Response) -> dict[str, Any]:
    if len(answer.content) > _BYTES_MAX:
        raise ValueError("the answer is too large")
    found = answer.json()
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 -- of what came, not of our own types
    return found


def _signing(document: Mapping[str, Any]) -> Any:
    """The keys for signatures: those of kinds and uses that we do not know are left out."""
    keys = [
        key
        for key in document.get("keys", ())
        if key.get("kty") in {"RSA", "EC"} and key.get("use", "sig") == "sig"
    ]
    if not keys:
        raise ValueError("no keys")
    return {"keys": keys}


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
