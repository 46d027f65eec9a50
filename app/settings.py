"""Everything that can be set from outside. The only reader of the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.errors import Unusable
from matching import ILLUSTRATIVE_CATALOGUE

SECRET_LENGTH = 32


class Settings(BaseSettings):
    """Settings, each also an environment variable, with the prefix DUKOU_ but for one: DUKOU_HOME is `home`.

    `model` is "bundled", "hashing" (no model, for trials and tests), a folder, or a model's name; `model_prefix` is
    what that model wants before every text. `catalogue` is the file that offers are screened against.
    `secret` signs and keys what must not be forged; the limits are of requests by an address without an account, by a
    person or key, and of attempts to sign in. `oidc_*` is the OpenID provider at which people may sign in, if there is
    one: its issuer, this service as its client, its name on the page. `webhook_allow` lists,
    with commas between, the own platforms inside the network that webhooks may go to: host:port or an address range.
    `embedding_sites` lists the origins, with commas between, whose pages may hold the widget; `*` is all.
    `night_at` is when the worker runs the night, UTC, HH:MM; empty: it does not. `cap` and `cap_organisation` bound in
    how many proposals of a night a listing, and all listings of an organisation on one side, may be. `cluster` is the
    address of a Ray cluster over which a night is spread; empty: this machine does it.
    `metrics_token` is what a monitoring program reads the metrics with. `otlp_endpoint` is where traces are sent; its
    variable is the one that all programs share, OTEL_EXPORTER_OTLP_ENDPOINT.
    """

    model_config = SettingsConfigDict(
        env_prefix="DUKOU_", extra="ignore", protected_namespaces=(), validate_by_name=True, validate_by_alias=True
    )

    home: Path = Path("var")
    database_url: str = ""
    model: str = "bundled"
    model_prefix: str = "passage: "
    catalogue: Path = ILLUSTRATIVE_CATALOGUE
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    secret: SecretStr = Field(default=SecretStr(""))
    public_limit: str = "120/minute"
    known_limit: str = "1200/minute"
    sign_in_limit: str = "10/minute"
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr = Field(default=SecretStr(""))
    oidc_name: str = "OpenID"
    webhook_allow: str = ""
    embedding_sites: str = ""
    night_at: str = Field(default="18:00", pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9])?$")
    cap: int = Field(default=25, ge=1)
    cap_organisation: int | None = Field(default=None, ge=1)
    cluster: str = ""
    metrics_token: SecretStr = Field(default=SecretStr(""))
    otlp_endpoint: str = Field(default="", validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")

    @property
    def secret_bytes(self) -> bytes:
        """The service's own secret. Raises Unusable for one that is missing or can be guessed."""
        secret = self.secret.get_secret_value().encode()
        if len(secret) < SECRET_LENGTH:
            raise Unusable(
                f"DUKOU_SECRET must hold at least {SECRET_LENGTH} random characters; "
                "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        return secret

    @property
    def metrics_token_bytes(self) -> bytes:
        """What a monitoring program shows; empty: none may. Raises Unusable for one that can be guessed."""
        token = self.metrics_token.get_secret_value().encode()
        if 0 < len(token) < SECRET_LENGTH:
            raise Unusable(f"DUKOU_METRICS_TOKEN must hold at least {SECRET_LENGTH} random characters, or be left out")
        return token

    @property
    def url(self) -> str:
        """The database: `database_url`, or an SQLite file under `home`."""
        return self.database_url or f"sqlite:///{self.home / 'dukou.db'}"

    @property
    def cache(self) -> Path:
        """Where models are kept."""
        return self.home / "models"
