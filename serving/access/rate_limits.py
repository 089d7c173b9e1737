"""Rate limits: decisions of a user and sign-ins of an address, in each minute."""

from __future__ import annotations

import math
import time

from fastapi import HTTPException
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from contracts.settings import Api


class RateLimits:
    """Counts what one process of the API is asked; a second process counts separately."""

    def __init__(self, limits: Api) -> None:
        """Use the numbers of the settings."""
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._decisions = RateLimitItemPerMinute(limits.decisions_per_minute, namespace="decisions")
        self._sign_ins = RateLimitItemPerMinute(limits.sign_ins_per_minute, namespace="sign-ins")

    def decide(self, user: str, payments: int = 1) -> None:
        """Count decisions of a user.

        Raises:
            HTTPException: with the status 429 and Retry-After, when they are more than the limit.
        """
        self._hit(self._decisions, user, payments, "payments decided")

    def sign_in(self, address: str) -> None:
        """Count an attempt of an address to sign in or to refresh a token.

        Raises:
            HTTPException: with the status 429 and Retry-After, when they are more than the limit.
        """
        self._hit(self._sign_ins, address, 1, "attempts to sign in")

    def _hit(self, limit: RateLimitItem, who: str, count: int, what: str) -> None:
        if self._limiter.hit(limit, who, cost=count):
            return
        reset_at = self._limiter.get_window_stats(limit, who).reset_time
        seconds = max(1, math.ceil(reset_at - time.time()))
        sentence = f"More than {limit.amount} {what} in a minute: retry after {seconds} seconds."
        raise HTTPException(429, sentence, {"Retry-After": str(seconds)})
