"""Work on the requests of several callers at once, for what one query and one commit cost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Generic, TypeVar

MOST: Final = 64
"""Requests in a batch: more would wait longer for each other and gain little."""
_FULL: Final = 2 * MOST
_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")


class MicroBatches(Generic[_Request, _Answer]):
    """Gives the requests that wait, in their order, to a function that answers them all.

    One thread works. The requests that arrive meanwhile are the next batch, so that batches grow
    with the load, and a request that is alone waits for no other.
    """

    def __init__(
        self, answer: Callable[[Sequence[_Request]], Sequence[_Answer | Exception]]
    ) -> None:
        """Answer with `answer`, which returns an answer or an error for each request."""
        self._answer = answer
        self._waiting: deque[tuple[_Request, Future[_Answer]]] = deque()
        self._worker = ThreadPoolExecutor(1, "micro-batches")

    @property
    def is_full(self) -> bool:
        """Return whether so many requests wait that one more would wait for several batches."""
        return len(self._waiting) >= _FULL

    def submit(self, request: _Request) -> Future[_Answer]:
        """Return the answer to a request, once it is there. A request can be cancelled until then.

        The future has the error that `answer` returns for the request, or raises for it alone.
        """
        future: Future[_Answer] = Future()
        self._waiting.append((request, future))
        self._worker.submit(self._work)
        return future

    def _work(self) -> None:
        batch: list[tuple[_Request, Future[_Answer]]] = []
        while self._waiting and len(batch) < MOST:
            request, future = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                batch.append((request, future))
        if not batch:
            return  # an earlier batch had the request
        answers = self._answers([request for request, _ in batch])
        for (_, future), answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _answers(self, requests: list[_Request]) -> Sequence[_Answer | Exception]:
        try:
            return self._answer(requests)
        except Exception as error:
            if len(requests) == 1:
                return [error]
            # The others do not fail with the request that caused the error.
            return [self._answers([request])[0] for request in requests]
