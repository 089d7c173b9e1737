"""The decision service, which answers also when a part is away."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from itertools import groupby
from threading import Event
from typing import Any, Final, NamedTuple, TypeVar

import psycopg

from contracts.fraud_rules import fraud_rules
from contracts.settings import Settings
from ml.champion import Champion
from ml.models import Dependency, Models, NoModelError
from serving.database import Database
from serving.decision import Decision, Outcome, Shadow, answer, decide_with_rollout, inputs_of
from serving.decision_log import DecisionLog, Entry
from serving.features import Figures, figures_alone, figures_of
from serving.metrics import Metrics
from serving.micro_batches import MOST, MicroBatches
from serving.redis_store import ANSWER_SECONDS, OnlineStoreError, redis_store
from serving.request import LARGEST_BODY, BadRequestError, Mistake, Reader, too_large
from serving.store import Payment, PostgresStore
from serving.tokens import Tokens
from spark.jobs.column_coverage import columns_filled

_log = logging.getLogger(__name__)
_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")
LIMIT_SECONDS: Final = 1.0
"""Time after which a caller gets an answer by rules alone, when Postgres gives none."""
_LIMIT_SECONDS_OF_MANY: Final = 10.0
"""The same for a request with several payments."""
_NO_HISTORY: Final = "only the rules that need no other payment were applied."
_NOT_RECORDED: Final = "The decision is not recorded, and later decisions do not know this payment."
_KNOWN_LATER: Final = "Later decisions know this payment after the next fill of the store."
_TOO_LATE: Final = f"Postgres gave no answer in time: {_NO_HISTORY} {_NOT_RECORDED}"
_TOO_MANY: Final = (
    f"More payments arrive than the API decides in time: {_NO_HISTORY} {_NOT_RECORDED}"
)


class DecisionRequest(NamedTuple):
    """A payment to decide on, with the hash over its content, its user, and when it arrived."""

    payment: Payment
    request_hash: str
    caller: str
    began: float


class DecisionService:
    """Decides on the payments of requests."""

    def __init__(self, settings: Settings) -> None:
        """Prepare the parts; `start` begins to load the champions.

        Raises:
            KeyFileError: when the key of the tokens cannot be read.
            FraudRulesError: when the file of rules has mistakes.
            SettingsError: when a password is missing.
        """
        self._reader = Reader(Tokens(settings.pseudonym_key_file))
        self._rules = fraud_rules()
        self._filled: dict[str, dict[str, frozenset[str]]] = {}
        self._redis = redis_store(settings.api, ANSWER_SECONDS)
        self._batches = MicroBatches[DecisionRequest, Decision](self._decided)
        self._without_history = MicroBatches[tuple[DecisionRequest, str, str], Decision](
            self._decided_without_history
        )
        self.database = Database(settings, "api")
        self.models = Models(settings, with_challengers=True)
        self._challenger_percent = settings.api.challenger_percent
        self.metrics = Metrics()

    def start(self, stopping: Event) -> None:
        """Load the champions, and look for new ones until `stopping` is set."""
        self.models.poll(stopping)

    def read(self, body: bytes, caller: str, position: int = 0) -> DecisionRequest:
        """Return the payment of a request of a user.

        `position` is that of the payment among those that arrive in one request.

        Raises:
            BadRequestError: when the request has no valid payment.
        """
        began, arrived = time.perf_counter(), datetime.now(UTC) + timedelta(microseconds=position)
        payment = self._reader.payment(body, arrived)
        return DecisionRequest(payment, self._reader.hash_of(payment), caller, began)

    def submit(self, request: DecisionRequest) -> Future[Decision]:
        """Return the decision, once it is there; several requests are decided together.

        When too many requests wait, the rules alone decide. The future has a `BadRequestError` when
        the payment was decided with other content.
        """
        if self._batches.is_full:
            return self._without_history.submit((request, "load", _TOO_MANY))
        return self._batches.submit(request)

    def submit_late(self, request: DecisionRequest) -> Future[Decision]:
        """Return the decision by rules alone on a request that was not answered in time."""
        return self._without_history.submit((request, "store", _TOO_LATE))

    def detect(self, body: bytes, caller: str) -> Decision:
        """Return the decision on the payment of a request of a user.

        Raises:
            BadRequestError: when the request has no valid payment.
        """
        (decision,) = self.detect_all([body], caller)
        if isinstance(decision, BadRequestError):
            raise decision
        return decision

    def detect_all(self, bodies: Sequence[bytes], caller: str) -> list[Decision | BadRequestError]:
        """Return the decision on each payment of a request of a user, or its mistakes."""
        answers: list[Decision | BadRequestError] = []
        deadline = time.monotonic() + _LIMIT_SECONDS_OF_MANY
        for first in range(0, len(bodies), MOST):
            asked: list[tuple[DecisionRequest, Future[Decision]] | BadRequestError] = []
            for position, body in enumerate(bodies[first : first + MOST], first):
                try:
                    if len(body) > LARGEST_BODY:
                        raise too_large()
                    request = self.read(body, caller, position)
                    asked.append((request, self.submit(request)))
                except BadRequestError as error:
                    asked.append(error)
            answers += [
                one if isinstance(one, BadRequestError) else self._result(*one, deadline)
                for one in asked
            ]
        return answers

    def _result(
        self, request: DecisionRequest, future: Future[Decision], deadline: float
    ) -> Decision | BadRequestError:
        try:
            return future.result(max(0.0, deadline - time.monotonic()))
        except BadRequestError as error:
            return error
        except TimeoutError:
            future.cancel()
            return self.submit_late(request).result()

    def dependencies(self) -> dict[str, Dependency]:
        """Return the state of each dependency by name."""
        try:
            self.database.run(lambda connection: connection.execute("select 1"))
            postgres = Dependency(True, "answers")
        except psycopg.Error as error:
            postgres = Dependency(False, f"does not answer ({type(error).__name__})")
        return {"postgres": postgres, **self._redis_state(), **self.models.state}

    def _redis_state(self) -> dict[str, Dependency]:
        if self._redis is None:
            return {}
        try:
            self._redis.check()
        except OnlineStoreError as error:
            return {"redis": Dependency(False, str(error))}
        return {"redis": Dependency(True, "answers")}

    def _decided(self, requests: Sequence[DecisionRequest]) -> list[Decision | BadRequestError]:
        """Return the decision on each request, or its error."""

        def of_source(own: Sequence[DecisionRequest]) -> Sequence[Decision | BadRequestError]:
            try:
                return self._of_source(own)
            except psycopg.Error as error:
                _log.warning("payments are decided without their history: %s", error)
                part = "store" if self._redis is None else "log"
                name = "online store" if self._redis is None else "decision log"
                cause = f"The {name} is away ({type(error).__name__}): {_NO_HISTORY}"
                return self._alone(own, part, f"{cause} {_NOT_RECORDED}")

        return _in_groups(requests, _source, of_source)

    def _of_source(self, requests: Sequence[DecisionRequest]) -> list[Decision | BadRequestError]:
        """Decide on payments of a source in a transaction.

        Redis gets the payments after the commit: its store has no payment without a decision.

        Raises:
            psycopg.Error: when Postgres is away; no decision is stored.
        """
        source = _source(requests[0])
        first: dict[str, DecisionRequest] = {}
        for request in requests:
            first.setdefault(request.payment["event_id"], request)

        def with_history(connection: psycopg.Connection) -> tuple[dict[str, Entry], set[str]]:
            in_postgres, log = PostgresStore(connection), DecisionLog(connection)
            known = log.find(source, list(first))
            new = [first[event_id] for event_id in sorted(first.keys() - known)]
            if not new:
                return known, set()
            payments = [request.payment for request in new]
            try:
                figures = figures_of(payments, self._redis or in_postgres, self._filled_of(source))
                champion, causes = self._champion(source, len(new))
            except OnlineStoreError as error:
                figures = figures_alone(payments, self._filled_of(source))
                cause = f"The online store is away ({error}): {_NO_HISTORY} {_KNOWN_LATER}"
                champion, causes = None, [cause]
                self.metrics.degraded.labels("store").inc(len(new))
            answers = self._answers(new, figures, champion, causes, recorded=True)
            entries = [
                (request.payment, Entry(request.request_hash, decision, shadow), request.caller)
                for request, (decision, shadow) in zip(new, answers, strict=True)
            ]
            added = log.add(entries)
            if self._redis is None:
                in_postgres.add([one for one in payments if one["event_id"] in added])
            known |= {
                payment["event_id"]: entry
                for payment, entry, _ in entries
                if payment["event_id"] in added
            }
            if missing := list(first.keys() - known):  # another process has decided them since
                known |= log.find(source, missing)
            return known, added

        found, added = self.database.run(with_history)
        self._add_to_redis([first[event_id].payment for event_id in sorted(added)])
        decisions: list[Decision | BadRequestError] = []
        for request in requests:
            event_id = request.payment["event_id"]
            request_hash, decision, _ = found[event_id]
            if request_hash != request.request_hash:
                decisions.append(_other_content())
                continue
            decisions.append(decision)
            if event_id in added:
                added.remove(event_id)
                self.metrics.decided(decision, time.perf_counter() - request.began)
            else:
                self.metrics.repeats.inc()
        return decisions

    def _add_to_redis(self, payments: Sequence[Payment]) -> None:
        if self._redis is None or not payments:
            return
        try:
            self._redis.add(payments)
        except OnlineStoreError as error:
            _log.warning("payments wait for the next fill of the online store: %s", error)
            self.metrics.not_in_store.inc(len(payments))

    def _decided_without_history(
        self, requests: Sequence[tuple[DecisionRequest, str, str]]
    ) -> list[Decision]:
        """Decide on requests with the part of the platform that is away, and the cause."""

        def kind(one: tuple[DecisionRequest, str, str]) -> tuple[str, str, str]:
            request, part, cause = one
            return _source(request), part, cause

        def of_kind(own: Sequence[tuple[DecisionRequest, str, str]]) -> list[Decision]:
            _, part, cause = own[0]
            return self._alone([request for request, _, _ in own], part, cause)

        return _in_groups(requests, kind, of_kind)

    def _alone(self, requests: Sequence[DecisionRequest], part: str, cause: str) -> list[Decision]:
        """Decide by the rules that need no other payment.

        A model that has learnt from history gives no meaningful score without it.
        """
        payments = [request.payment for request in requests]
        figures = figures_alone(payments, self._filled_of(_source(requests[0])))
        answers = self._answers(requests, figures, None, [cause], recorded=False)
        decisions = [decision for decision, _ in answers]
        self.metrics.degraded.labels(part).inc(len(requests))
        for request, decision in zip(requests, decisions, strict=True):
            self.metrics.decided(decision, time.perf_counter() - request.began)
        return decisions

    def _answers(
        self,
        requests: Sequence[DecisionRequest],
        figures: Figures,
        champion: Champion | None,
        causes: Sequence[str],
        *,
        recorded: bool,
    ) -> list[tuple[Decision, Shadow | None]]:
        outcomes, failed = self._outcomes(requests, figures, champion)
        causes = [*causes, *failed]
        decided_at, now = datetime.now(UTC), time.perf_counter()
        decisions = [
            answer(
                request.payment,
                inputs,
                verdict,
                model,
                self._rules.version,
                causes,
                request_id=str(uuid.uuid4()),
                recorded=recorded,
                decided_at=decided_at,
                duration_ms=round((now - request.began) * 1_000, 3),
            )
            for request, inputs, (verdict, model, _) in zip(
                requests, inputs_of(figures), outcomes, strict=True
            )
        ]
        return [(one, outcome.shadow) for one, outcome in zip(decisions, outcomes, strict=True)]

    def _outcomes(
        self, requests: Sequence[DecisionRequest], figures: Figures, champion: Champion | None
    ) -> tuple[list[Outcome], list[str]]:
        """Return the outcome of each request, and the cause if the champion failed.

        A challenger that fails scores no payment of the micro-batch.
        """
        payments = [request.payment for request in requests]
        challenger = self.models.challenger(_source(requests[0]))
        rules, percent = self._rules, self._challenger_percent
        if champion is not None:
            for other in (challenger, None) if challenger else (None,):
                try:
                    return decide_with_rollout(
                        payments, figures, champion, other, rules, percent
                    ), []
                except Exception:  # the error of any library; without models only rules are left
                    _log.exception("a model does not score")
        outcomes = decide_with_rollout(payments, figures, None, None, rules, percent)
        if champion is None:
            return outcomes, []
        self.metrics.degraded.labels("model").inc(len(requests))
        return outcomes, [f"No model has scored the payment: {champion.title} fails."]

    def _champion(self, source: str, payments: int) -> tuple[Champion | None, list[str]]:
        try:
            return self.models.champion(source), []
        except NoModelError as error:
            self.metrics.degraded.labels("model").inc(payments)
            return None, [f"No model has scored the payment: {error}"]

    def _filled_of(self, source: str) -> dict[str, frozenset[str]]:
        if source not in self._filled:
            self._filled[source] = {source: columns_filled(source)}
        return self._filled[source]


def _in_groups(
    requests: Sequence[_Request],
    key: Callable[[_Request], Any],
    answer: Callable[[Sequence[_Request]], Sequence[_Answer]],
) -> list[_Answer]:
    """Answer the requests of each key together, and return the answers in their order."""
    answers: dict[int, _Answer] = {}
    places = sorted(range(len(requests)), key=lambda at: key(requests[at]))
    for _, group in groupby(places, key=lambda at: key(requests[at])):
        at = list(group)
        answers |= zip(at, answer([requests[place] for place in at]), strict=True)
    return [answers[at] for at in range(len(requests))]


def _source(request: DecisionRequest) -> str:
    return str(request.payment["source_system"])


def _other_content() -> BadRequestError:
    sentence = (
        "transaction_id: a payment with this id and other content was decided before. Use another"
        " id for each payment."
    )
    return BadRequestError([Mistake("transaction_id", sentence)], 409)
