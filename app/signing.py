"""Signatures of webhooks by the Standard Webhooks specification 1.0.0.

A subscription's secret is derived from the service's own, so that none is stored: whoever reads the database cannot
sign. A new generation is a new secret; the one before it signs too until its day is over.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

from standardwebhooks import Webhook

from app.tables import SubscriptionRow


class Signing:
    """Derives the secrets of subscriptions from the service's secret, and signs with them."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def secret(self, subscription_id: str, generation: int) -> str:
        """The secret as a receiver is given it: `whsec_` and 256 bits in base64."""
        derived = hmac.digest(self._secret, f"webhook|{subscription_id}|{generation}".encode(), hashlib.sha256)
        return "whsec_" + base64.b64encode(derived).decode()

    def headers(self, row: SubscriptionRow, event_id: str, body: bytes, now: datetime) -> dict[str, str]:
        """The three headers; with two signatures while an earlier secret still holds."""
        generations = [row.generation]
        if row.generation > 1 and row.previous_until is not None and now < row.previous_until:
            generations.append(row.generation - 1)
        text = body.decode()
        signatures = [Webhook(self.secret(row.id, one)).sign(event_id, now, text) for one in generations]
        return {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.replace(tzinfo=UTC).timestamp())),
            "webhook-signature": " ".join(signatures),
        }
