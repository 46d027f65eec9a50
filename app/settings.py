"""Everything that can be set from outside. The only reader of the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from matching import ILLUSTRATIVE_CATALOGUE


class Settings(BaseSettings):
    """Settings, each also an environment variable with the prefix DUKOU_, such as DUKOU_HOME.

    `model` is "bundled", "hashing" (no model, for trials and tests), a folder, or a model's name; `model_prefix` is
    what that model wants before every text. `catalogue` is the file that offers are screened against.
    """

    model_config = SettingsConfigDict(env_prefix="DUKOU_", extra="ignore", protected_namespaces=())

    home: Path = Path("var")
    database_url: str = ""
    model: str = "bundled"
    model_prefix: str = "passage: "
    catalogue: Path = ILLUSTRATIVE_CATALOGUE
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)

    @property
    def url(self) -> str:
        """The database: `database_url`, or an SQLite file under `home`."""
        return self.database_url or f"sqlite:///{self.home / 'dukou.db'}"

    @property
    def cache(self) -> Path:
        """Where models are kept."""
        return self.home / "models"
