"""Signing in at an OpenID provider: OpenID Connect Core 1.0, authorization code flow with PKCE (RFC 7636).

What must be remembered between leaving for the provider and coming back (state, nonce, code verifier, where to go
on) travels in a cookie that only this service can read or make (JWE, RFC 7516) and that holds ten minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.integrations.httpx_client import OAuth2Client, OAuthError
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry
from joserfc.jwk import KeySet, OctKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from app.errors import FieldError, ProviderFailed, SignInLost, Unusable
from app.settings import Settings

ON_THE_WAY = timedelta(minutes=10)
PATIENCE = 5.0  # seconds for each request to the provider
SKEW = 60  # seconds that the provider's clock may differ
SIGNATURES = ["RS256", "PS256", "ES256", "EdDSA"]  # with the provider's own key: never "none", never a shared secret
SEALED = {"alg": "dir", "enc": "A256GCM"}
CLEAR = ("127.0.0.1", "localhost")  # hosts that need no TLS


@dataclass(frozen=True, slots=True)
class Journey:
    """What the browser carries while it is at the provider."""

    state: str
    nonce: str
    verifier: str
    next: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider names. `email` is None unless the provider has verified it."""

    issuer: str
    subject: str
    email: str | None


class Provider:
    """One provider, at which this service is registered as a client."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, name: str, secret: bytes) -> None:
        self.issuer, self.name = issuer, name
        self._client_id, self._client_secret = client_id, client_secret
        self._key = OctKey.import_key(hmac.digest(secret, b"dukou openid", hashlib.sha256))

    def leave(self, redirect_uri: str, next_path: str, now: datetime) -> tuple[str, str]:
        """Where to send the browser, and the cookie for the way. Raises ProviderFailed."""
        journey = Journey(_random(), _random(), _random(), next_path)
        with self._client(redirect_uri) as client:
            endpoint = _metadata(client, self.issuer)["authorization_endpoint"]
            url, _ = client.create_authorization_url(
                endpoint, state=journey.state, nonce=journey.nonce, code_verifier=journey.verifier
            )
        return str(url), self._sealed(journey, now)

    def back(self, redirect_uri: str, answer: dict[str, str], cookie: str, now: datetime) -> tuple[Identity, str]:
        """Whom the provider's answer names, and where to go on. Raises SignInLost, ProviderFailed.

        The answer must belong to the journey in the cookie, and come from this issuer where it says so (RFC 9207).
        """
        journey = self._opened(cookie, now)
        if not hmac.compare_digest(answer.get("state", "").encode(), journey.state.encode()):
            raise SignInLost("the answer does not belong to a sign-in that this browser has begun")
        if answer.get("iss", self.issuer) != self.issuer:
            raise SignInLost("the answer comes from another provider")
        if "code" not in answer:
            raise SignInLost(f"the provider did not sign you in: {answer.get('error', 'no code')!r:.60}")
        with self._client(redirect_uri) as client:
            return self._identity(client, answer, journey), journey.next

    def _identity(self, client: Any, answer: dict[str, str], journey: Journey) -> Identity:
        metadata = _metadata(client, self.issuer)
        if metadata.get("authorization_response_iss_parameter_supported") is True and "iss" not in answer:
            raise SignInLost("the answer does not say which provider it comes from")
        try:
            token = client.fetch_token(metadata["token_endpoint"], code=answer["code"], code_verifier=journey.verifier)
        except OAuthError as error:
            raise SignInLost(f"the provider does not accept its own code: {error.error!r:.60}") from error
        except (httpx2.HTTPError, ValueError) as error:
            raise ProviderFailed("the sign-in provider does not answer") from error
        claims = self._claims(client, metadata, token, journey)
        if "email" not in claims and "userinfo_endpoint" in metadata:
            claims = _with_userinfo(client, metadata["userinfo_endpoint"], claims)
        email = claims.get("email")
        verified = claims.get("email_verified") is True and isinstance(email, str)
        return Identity(self.issuer, claims["sub"], email if verified else None)

    def _claims(self, client: Any, metadata: dict[str, Any], token: dict[str, Any], journey: Journey) -> dict[str, Any]:
        """The claims of the ID token, after all checks of OpenID Connect Core 1.0, section 3.1.3.7."""
        keys = _json(client, metadata["jwks_uri"])
        expected = {"iss": self.issuer, "aud": self._client_id}
        wanted = {name: {"essential": True, "value": value} for name, value in expected.items()}
        about = {"nonce": journey.nonce, "client_id": self._client_id, "access_token": token.get("access_token")}
        try:
            registry = JWSRegistry(algorithms=SIGNATURES, strict_check_header=False)
            read = jwt.decode(str(token.get("id_token")), KeySet.import_key_set(keys), registry=registry)  # type: ignore[arg-type]
            claims = CodeIDToken(read.claims, read.header, wanted, about)
            claims.validate(leeway=SKEW)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise ProviderFailed("the sign-in provider sent an ID token that does not hold") from error
        if not isinstance(claims["sub"], str) or not claims["sub"]:
            raise ProviderFailed("the sign-in provider sent an ID token without a subject")
        return dict(claims)

    def _client(self, redirect_uri: str) -> Any:
        return OAuth2Client(
            self._client_id,
            self._client_secret,
            scope="openid email",
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=PATIENCE,
        )

    def _sealed(self, journey: Journey, now: datetime) -> str:
        claims = asdict(journey) | {"exp": _seconds(now + ON_THE_WAY)}
        return jwt.encode(SEALED, claims, self._key, registry=JWERegistry(algorithms=list(SEALED.values())))

    def _opened(self, cookie: str, now: datetime) -> Journey:
        try:
            claims = jwt.decode(cookie, self._key, registry=JWERegistry(algorithms=list(SEALED.values()))).claims
            JWTClaimsRegistry(now=_seconds(now), exp={"essential": True}).validate(claims)
        except (JoseError, ValueError) as error:
            raise SignInLost("the sign-in was begun too long ago, or in another browser") from error
        return Journey(**{name: claims[name] for name in Journey.__dataclass_fields__})


def provider(settings: Settings) -> Provider | None:
    """The provider that the settings name, if any. Raises Unusable for one that is named by half."""
    issuer, secret = settings.oidc_issuer, settings.oidc_client_secret.get_secret_value()
    if not issuer:
        return None
    place = urlsplit(issuer)
    if place.scheme != "https" and not (place.scheme == "http" and place.hostname in CLEAR):
        fix = "must be an https:// address, exactly as the provider calls itself"
        raise Unusable(f"DUKOU_OIDC_ISSUER: {fix}", [FieldError("DUKOU_OIDC_ISSUER", fix)])
    for name, value in (("DUKOU_OIDC_CLIENT_ID", settings.oidc_client_id), ("DUKOU_OIDC_CLIENT_SECRET", secret)):
        if not value:
            fix = "is needed with DUKOU_OIDC_ISSUER; the provider gives it to its clients"
            raise Unusable(f"{name}: {fix}", [FieldError(name, fix)])
    return Provider(issuer, settings.oidc_client_id, secret, settings.oidc_name, settings.secret_bytes)


def _metadata(client: Any, issuer: str) -> dict[str, Any]:
    """What the provider says of itself (OpenID Connect Discovery 1.0). It must call itself what we call it."""
    found = _json(client, issuer.rstrip("/") + "/.well-known/openid-configuration")
    needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    if found.get("issuer") != issuer or not all(isinstance(found.get(name), str) for name in needed):
        raise ProviderFailed("the sign-in provider's description of itself does not fit DUKOU_OIDC_ISSUER")
    return found


def _with_userinfo(client: Any, endpoint: str, claims: dict[str, Any]) -> dict[str, Any]:
    """The claims with those of the userinfo endpoint, which must speak of the same subject (Core, section 5.3.2)."""
    found = _json(client, endpoint, withhold_token=False)
    if found.get("sub") != claims["sub"]:
        raise ProviderFailed("the sign-in provider speaks of two different people")
    return claims | {name: found[name] for name in ("email", "email_verified") if name in found}


def _json(client: Any, url: str, *, withhold_token: bool = True) -> dict[str, Any]:
    """One JSON object from the provider. Raises ProviderFailed."""
    try:
        response = client.request("GET", url, withhold_token=withhold_token)
        response.raise_for_status()
        found = response.json()
    except (httpx2.HTTPError, httpx2.InvalidURL, OAuthError, ValueError) as error:
        raise ProviderFailed("the sign-in provider does not answer") from error
    if not isinstance(found, dict):
        raise ProviderFailed("the sign-in provider does not answer with a JSON object")
    return found


def _random() -> str:
    return secrets.token_urlsafe(32)


def _seconds(at: datetime) -> int:
    return int(at.replace(tzinfo=UTC).timestamp())
