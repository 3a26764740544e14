"""Requests to an HTTP endpoint: several at a time, sent again when the failure may pass, given up with a clear word.

lm-eval's own sending (`TemplateAPI`, 0.4.13) is not used: it repeats what can't succeed, does not hear Retry-After,
asks draws with different seeds one after the other, and logs the headers of a failed request, key included.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import aiohttp
import tenacity

from assay.harness.backends.base import BackendError

T = TypeVar("T")
PASSING = (408, 425, 429, 500, 502, 503, 504, 529)
"""HTTP statuses that may be gone at the next try; 529 is "overloaded"."""
BACKOFF = tenacity.wait_exponential(multiplier=0.5, max=30)
"""Seconds before each further try, where the endpoint names none: 0.5, 1, 2, 4, ... 30."""
LONGEST_WAIT_S = 120.0
"""Most of a Retry-After that is heeded."""
REMEDIES = {
    401: "set $OPENAI_API_KEY to a key that this endpoint takes",
    403: "set $OPENAI_API_KEY to a key that may use this model",
    404: "check the URL and, after its '#', the model's name",
}
SAID = 300
"""Characters of an endpoint's own words that a message quotes."""


class Rejected(BackendError):
    """The endpoint answered, and will not do this."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Gone(BackendError):
    """The endpoint failed at every try. `status` is its last answer's, None where there was none."""

    passing = True

    def __init__(self, message: str, status: int | None) -> None:
        super().__init__(message)
        self.status = status


class _PassingError(Exception):
    def __init__(self, said: str, status: int | None = None, wait_s: float = 0.0) -> None:
        super().__init__(said)
        self.status, self.wait_s = status, wait_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """How an endpoint is asked.

    Attributes:
        url: of the endpoint.
        key: sent as a bearer token where it is not empty; never shown.
        concurrency: requests under way at a time.
        timeout_s: most seconds for one try, from connecting to the answer's last byte.
        retries: tries after the first.
    """

    url: str
    key: str = field(repr=False)
    concurrency: int
    timeout_s: float
    retries: int

    def post(self, bodies: Sequence[Mapping[str, Any]], read: Callable[[Any], T]) -> list[T]:
        """Answers to these bodies, in order, as `read` makes them of the JSON.

        Raises:
            Rejected: the endpoint will not do it; the rest is not asked.
            Gone: one request failed at every try. An answer that `read` calls a ValueError is such a failure.
        """
        return asyncio.run(self._all("POST", self.url, bodies, read))

    def get(self, url: str) -> Any:
        """The JSON at another address of the same server; raises as `post` does."""
        return asyncio.run(self._all("GET", url, [None], lambda found: found))[0]

    async def _all(
        self, method: str, url: str, bodies: Sequence[Mapping[str, Any] | None], read: Callable[[Any], T]
    ) -> list[T]:
        gate = asyncio.Semaphore(self.concurrency)
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        timeout = aiohttp.ClientTimeout(total=self.timeout_s)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=headers, trust_env=True) as session,
                asyncio.TaskGroup() as group,
            ):
                asked = [group.create_task(self._persist(session, gate, method, url, b, read)) for b in bodies]
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        return [task.result() for task in asked]

    async def _persist(
        self,
        session: aiohttp.ClientSession,
        gate: asyncio.Semaphore,
        method: str,
        url: str,
        body: Mapping[str, Any] | None,
        read: Callable[[Any], T],
    ) -> T:
        """One request until it is answered. It keeps its place while it waits, which slows the rest down too."""
        tries = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self.retries + 1),
            wait=_wait_s,
            retry=tenacity.retry_if_exception_type(_PassingError),
            reraise=True,
        )
        async with gate:
            try:
                return await tries(self._once, session, method, url, body, read)
            except _PassingError as error:
                raise Gone(
                    f"{url}: gave up after {self.retries + 1} tries: {error}. See to the endpoint, then run the same "
                    "command again: what was answered is kept (--retries, --timeout, --concurrency)",
                    error.status,
                ) from error

    async def _once(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: str,
        body: Mapping[str, Any] | None,
        read: Callable[[Any], T],
    ) -> T:
        try:
            async with session.request(method, url, json=body, allow_redirects=False) as reply:
                status, headers, content = reply.status, reply.headers, await reply.read()
        except TimeoutError:
            raise _PassingError(f"no answer within {self.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _PassingError(f"{type(error).__name__}: {error}") from None
        said = self._quote(content)
        if status in PASSING:
            raise _PassingError(f"HTTP {status}: {said}", status, _retry_after_s(headers))
        if not 200 <= status < 300:
            remedy = REMEDIES.get(status, "the endpoint does not take this request")
            raise Rejected(f"{url}: HTTP {status}: {said}; {remedy}", status)
        try:
            return read(json.loads(content))
        except ValueError as error:
            fault = " ".join(str(error).split())[:SAID]
            raise _PassingError(f"an answer that can't be read ({fault}): {said}", status) from None

    def _quote(self, content: bytes) -> str:
        said = content.decode(errors="replace")
        shown = said.replace(self.key, "***") if self.key else said
        return " ".join(shown.split())[:SAID] or "(nothing)"


def _wait_s(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(BACKOFF(state), error.wait_s if isinstance(error, _PassingError) else 0.0)


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds, from either form that RFC 9110 allows; 0 where there is none or it means nothing."""
    value = headers.get("Retry-After", "")
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return min(float(value), LONGEST_WAIT_S)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(0.0, (aware - datetime.now(UTC)).total_seconds()), LONGEST_WAIT_S)
