"""Requests that arrive together are answered together, and fail alone."""

from collections.abc import Sequence
from concurrent.futures import Future
from threading import Event

import pytest

from serving.micro_batches import MOST, MicroBatches


class Work:
    """Doubles numbers, fails for a three, and returns an error for a five; it waits at first."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_begin = Event()

    def __call__(self, numbers: Sequence[int]) -> list[int | Exception]:
        assert self.may_begin.wait(10)
        self.batches.append(list(numbers))
        if 3 in numbers:
            raise ArithmeticError("three")
        return [ValueError("five") if one == 5 else one * 2 for one in numbers]


@pytest.fixture
def work() -> Work:
    return Work()


def begun(batches: MicroBatches[int, int], numbers: Sequence[int]) -> list[Future[int]]:
    """Submit numbers, of which the first is a batch that the others wait for."""
    futures = [batches.submit(numbers[0])]
    while not futures[0].running():
        pass
    return [*futures, *map(batches.submit, numbers[1:])]


def test_requests_that_wait_are_one_batch_up_to_a_limit(work: Work) -> None:
    batches = MicroBatches[int, int](work)
    futures = begun(batches, [0, *range(10, 10 + MOST + 2)])
    assert not batches.is_full
    work.may_begin.set()
    assert [one.result(10) for one in futures] == [0, *range(20, 20 + 2 * (MOST + 2), 2)]
    assert [len(one) for one in work.batches] == [1, MOST, 2]


def test_batches_are_full_when_two_wait(work: Work) -> None:
    batches = MicroBatches[int, int](work)
    futures = begun(batches, range(2 * MOST))
    assert not batches.is_full
    futures.append(batches.submit(7))
    assert batches.is_full
    work.may_begin.set()
    assert futures[-1].result(10) == 14
    assert not batches.is_full


def test_a_request_that_fails_does_not_fail_the_others(work: Work) -> None:
    futures = begun(MicroBatches[int, int](work), [0, 1, 3, 5])
    work.may_begin.set()
    assert futures[1].result(10) == 2
    with pytest.raises(ArithmeticError, match="three"):
        futures[2].result(10)
    with pytest.raises(ValueError, match="five"):
        futures[3].result(10)


def test_a_cancelled_request_is_not_answered(work: Work) -> None:
    futures = begun(MicroBatches[int, int](work), [0, 1, 2])
    assert futures[1].cancel()
    assert not futures[0].cancel()
    work.may_begin.set()
    assert futures[2].result(10) == 4
    assert work.batches == [[0], [2]]
