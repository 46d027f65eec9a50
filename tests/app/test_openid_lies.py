"""What a provider could send that is not so. A certified one sends none of it; this one lies on demand."""

from __future__ import annotations

import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from app.clock import utc_now
from app.errors import ProviderFailed
from app.openid import Identity, Provider, _seconds

BACK = "https://dukou.example/sign-in/openid/back"
CLIENT, CLIENT_SECRET = "dukou", "a client secret of the tests, long enough for HS256"
KEY, OTHER_KEY = (RSAKey.generate_key(2048, auto_kid=True) for _ in range(2))
Lie = Callable[[dict[str, Any]], dict[str, Any]]


class Liar(ThreadingHTTPServer):
    """A provider whose ID token, and answers, are what a test makes of them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.token = ""
        self.userinfo: dict[str, Any] = {}
        self.described: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/me",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }

    def answer(self, path: str) -> Any:
        """What is sent for a path."""
        return {
            "/jwks": {"keys": [KEY.as_dict(private=False)]},
            "/token": {"access_token": "t", "token_type": "Bearer", "id_token": self.token},
            "/me": self.userinfo,
        }.get(path, self.described)


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Liar)
        body = json.dumps(self.server.answer(self.path)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def liar() -> Iterator[Liar]:
    server = Liar()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def told(liar: Liar, sign: Callable[[dict[str, Any]], str]) -> Identity:
    """Whom the service believes to see when the ID token is what `sign` makes of true claims."""
    now = utc_now()
    provider = Provider(liar.issuer, CLIENT, CLIENT_SECRET, "liar", b"x" * 32)
    url, cookie = provider.leave(BACK, "/", now)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    true = {"iss": liar.issuer, "aud": CLIENT, "sub": "s", "nonce": asked["nonce"]}
    true |= {"iat": _seconds(now), "exp": _seconds(now) + 60, "email": "a@example.org", "email_verified": True}
    liar.token = sign(true)
    return provider.back(BACK, {"state": asked["state"], "code": "c"}, cookie, now)[0]


def signed(claims: dict[str, Any]) -> str:
    """An ID token by the provider's own key."""
    return jwt.encode({"alg": "RS256", "kid": KEY.kid}, claims, KEY)


def unsigned(claims: dict[str, Any]) -> str:
    """One that nobody has signed, and says so."""
    head, body = (
        urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "none"}, claims)
    )
    return f"{head}.{body}."


def test_the_truth_is_believed(liar: Liar) -> None:
    assert told(liar, signed) == Identity(liar.issuer, "s", "a@example.org")


@pytest.mark.parametrize(
    "lie",
    [
        {"iss": "https://other.example"},
        {"aud": "somebody else"},
        {"aud": ["dukou", "somebody else"], "azp": "somebody else"},
        {"nonce": "of another request"},
        {"nonce": None},
        {"exp": 1_700_000_000},
        {"iat": 4_000_000_000},
        {"sub": ""},
        {"sub": 7},
        {"at_hash": "of-another-token"},
    ],
    ids=str,
)
def test_a_claim_that_is_not_so_is_not_believed(liar: Liar, lie: dict[str, Any]) -> None:
    with pytest.raises(ProviderFailed):
        told(liar, lambda true: signed({name: value for name, value in (true | lie).items() if value is not None}))


@pytest.mark.parametrize(
    "sign",
    [
        lambda true: jwt.encode({"alg": "RS256", "kid": KEY.kid}, true, OTHER_KEY),
        lambda true: jwt.encode({"alg": "RS256", "kid": "unknown"}, true, OTHER_KEY),
        lambda true: jwt.encode({"alg": "HS256"}, true, OctKey.import_key(CLIENT_SECRET)),
        lambda true: signed(true)[:-4] + "AAAA",
        lambda true: ".".join((*signed(true).split(".")[:2], "")),
        unsigned,
        lambda _: "no token",
        lambda _: "",
    ],
    ids=["another key", "unknown key", "shared secret", "changed", "no signature", "unsigned", "nonsense", "nothing"],
)
def test_a_token_that_the_provider_has_not_signed_is_not_believed(
    liar: Liar, sign: Callable[[dict[str, Any]], str]
) -> None:
    with pytest.raises(ProviderFailed):
        told(liar, sign)


def without_address(true: dict[str, Any]) -> str:
    return signed({name: value for name, value in true.items() if not name.startswith("email")})


def test_an_address_from_the_userinfo_counts_only_for_the_same_subject(liar: Liar) -> None:
    liar.userinfo = {"sub": "s", "email": "b@example.org", "email_verified": True}
    assert told(liar, without_address).email == "b@example.org"
    liar.userinfo = {"sub": "another", "email": "b@example.org", "email_verified": True}
    with pytest.raises(ProviderFailed, match="two different people"):
        told(liar, without_address)


@pytest.mark.parametrize(
    "change", [{"issuer": "https://other.example"}, {"token_endpoint": None}, {"jwks_uri": "no address"}]
)
def test_a_description_that_does_not_fit_is_not_followed(liar: Liar, change: dict[str, Any]) -> None:
    liar.described |= change
    with pytest.raises(ProviderFailed):
        told(liar, signed)
