"""Rate limits of users and addresses."""

import pytest
from fastapi import HTTPException

from contracts.settings import Api
from serving.access.rate_limits import RateLimits


def test_a_user_over_the_limit_waits_and_others_do_not() -> None:
    limits = RateLimits(Api(url="", decisions_per_minute=10))
    limits.decide("payments", 9)
    limits.decide("payments")
    with pytest.raises(HTTPException) as refused:
        limits.decide("payments")
    assert refused.value.status_code == 429
    headers = refused.value.headers or {}
    assert 1 <= int(headers["Retry-After"]) <= 60
    assert refused.value.detail.startswith("More than 10 payments decided in a minute: retry after")
    limits.decide("others", 10)
    limits.sign_in("payments")


def test_a_batch_larger_than_the_limit_is_refused() -> None:
    limits = RateLimits(Api(url="", decisions_per_minute=10))
    with pytest.raises(HTTPException):
        limits.decide("payments", 11)


@pytest.mark.parametrize("number", [0, -1])
def test_a_limit_is_positive(number: int) -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Api(url="", sign_ins_per_minute=number)
