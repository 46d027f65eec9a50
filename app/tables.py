"""What is stored. These classes are never a request's body: SQLModel does not validate tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, DateTime
from sqlmodel import Field, SQLModel


class ListingRow(SQLModel, table=True):
    """One listing; `record` is what its author sent, original text included. Times are UTC."""

    __tablename__ = "listing"

    id: str = Field(primary_key=True)
    side: str = Field(index=True)
    record: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    text_hash: str = Field(index=True)
    sample: bool = False
    revision: int = Field(default=0, index=True)  # the write that made it what it is
    created_at: datetime = Field(sa_column=Column(DateTime, nullable=False))
    updated_at: datetime = Field(sa_column=Column(DateTime, nullable=False, index=True))


class RevisionRow(SQLModel, table=True):
    """One row: how often listings have been written. Equal numbers mean equal contents, whatever the clocks say."""

    __tablename__ = "revision"

    id: int = Field(primary_key=True)
    number: int


class EmbeddingRow(SQLModel, table=True):
    """The stored vectors of a text, by what made them (`matching.embedding_key`): computed once for each text."""

    __tablename__ = "embedding"

    encoder: str = Field(primary_key=True)
    text_hash: str = Field(primary_key=True)
    body: bytes
