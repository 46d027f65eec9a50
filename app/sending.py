"""One request to a receiver, and what came of it. The receiver is a stranger: slow, huge, malicious or gone."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from app.destinations import Allowed, Destination, Refused, check_destination

CONNECT = 5.0  # seconds
TOTAL = 15.0  # seconds for all of it: the name, the connection, the request, the head of the answer
GONE = 410
BUSY = (429, 503)
LONGEST_ERROR = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """The status of the answer, None where there was none; what was wrong; the seconds of a Retry-After."""

    status: int | None
    error: str | None
    wait: float | None = None

    @property
    def delivered(self) -> bool:
        return self.error is None


class Sender:
    """Posts to checked addresses only. `tls` says whose certificates are trusted."""

    def __init__(
        self,
        allowed: Allowed,
        tls: ssl.SSLContext | None = None,
        *,
        connect: float = CONNECT,
        total: float = TOTAL,
    ) -> None:
        self.allowed = allowed
        self._tls = tls if tls is not None else httpx.create_ssl_context()
        self._connect, self._total = connect, total

    def send(self, url: str, body: bytes, headers: Mapping[str, str], now: datetime) -> Outcome:
        """Post a body. Every failure is an outcome; nothing of the answer's body is read or kept.

        An event loop of its own makes the time limit hold however the receiver drips its answer.
        """
        try:
            return asyncio.run(self._send(url, body, headers, now))
        except Refused as error:
            return Outcome(None, f"the address is refused: {error}"[:LONGEST_ERROR])
        except (TimeoutError, httpx.TimeoutException):
            return Outcome(None, f"no answer within {self._total:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Outcome(None, (str(error) or type(error).__name__)[:LONGEST_ERROR])

    async def _send(self, url: str, body: bytes, headers: Mapping[str, str], now: datetime) -> Outcome:
        async with asyncio.timeout(self._total):
            destination = await asyncio.to_thread(check_destination, url, self.allowed)
            return await self._post(destination, body, headers, now)

    async def _post(self, to: Destination, body: bytes, headers: Mapping[str, str], now: datetime) -> Outcome:
        """To the very address that was checked, under the name that was given: no second lookup, no proxy."""
        named = {**headers, "Host": to.url.netloc.decode(), "Content-Type": "application/cloudevents+json"}
        limits = httpx.Timeout(self._total, connect=self._connect)
        async with httpx.AsyncClient(verify=self._tls, timeout=limits, trust_env=False) as client:
            request = client.build_request("POST", to.pinned, content=body, headers={**named, "User-Agent": "Dukou"})
            request.extensions["sni_hostname"] = to.url.raw_host.decode()
            response = await client.send(request, stream=True, follow_redirects=False)
            await response.aclose()
        return _judged(response, now)


def _judged(response: httpx.Response, now: datetime) -> Outcome:
    status = response.status_code
    if response.is_success:
        return Outcome(status, None)
    if response.is_redirect:
        return Outcome(status, f"answered {status}; redirects are not followed, give the final address")
    wait = retry_after(response.headers.get("retry-after", ""), now) if status in BUSY else None
    return Outcome(status, f"answered {status}", wait)


def retry_after(text: str, now: datetime) -> float | None:
    """The seconds of a Retry-After (RFC 9110, 10.2.3): a number or a date; None for anything else."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        then = parsedate_to_datetime(text).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (then - now).total_seconds())
