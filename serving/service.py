"""The decision service, which answers also when a part is away."""

from __future__ import annotations

import logging
import time
import uuid
from datetime import UTC, datetime
from threading import Event

import psycopg

from contracts.fraud_rules import fraud_rules
from contracts.settings import Settings
from ml.champion import Champion
from ml.models import Dependency, Models, NoModelError
from serving.database import Database
from serving.decision import Decision, answer, decide
from serving.decision_log import DecisionLog, OtherContentError
from serving.features import Figures, figures_alone, figures_of
from serving.metrics import Metrics
from serving.request import BadRequestError, Mistake, Reader
from serving.store import Payment, PostgresStore
from serving.tokens import Tokens
from spark.jobs.column_coverage import columns_filled

_log = logging.getLogger(__name__)


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
        self.database = Database(settings, "api")
        self.models = Models(settings)
        self.metrics = Metrics()

    def start(self, stopping: Event) -> None:
        """Load the champions, and look for new ones until `stopping` is set."""
        self.models.poll(stopping)

    def detect(self, body: bytes, caller: str) -> Decision:
        """Return the decision on the payment of a request of a user.

        Raises:
            BadRequestError: when the request has no valid payment.
        """
        began, arrived = time.perf_counter(), datetime.now(UTC)
        payment = self._reader.payment(body, arrived)
        request_hash = self._reader.hash_of(payment)
        champion, causes = self._champion(payment["source_system"])

        def decided(figures: Figures, *, recorded: bool) -> Decision:
            verdict = decide(payment, figures, champion, self._rules)
            return answer(
                payment,
                figures,
                verdict,
                champion,
                self._rules.version,
                causes,
                request_id=str(uuid.uuid4()),
                recorded=recorded,
                decided_at=datetime.now(UTC),
                duration_ms=round((time.perf_counter() - began) * 1_000, 3),
            )

        def with_history(connection: psycopg.Connection) -> tuple[Decision, bool]:
            store, log = PostgresStore(connection), DecisionLog(connection)
            if known := log.find(payment, request_hash):
                return known, True
            figures = figures_of(payment, store, self._filled_of(payment))
            decision = decided(figures, recorded=True)
            if not log.add(payment, request_hash, decision, caller):
                # Another request has decided the payment since.
                return log.find(payment, request_hash) or decision, True
            store.add(payment)
            return decision, False

        try:
            decision, is_repeat = self.database.run(with_history)
        except OtherContentError as error:
            sentence = (
                "transaction_id: a payment with this id and other content was decided before. Use"
                " another id for each payment."
            )
            raise BadRequestError([Mistake("transaction_id", sentence)], 409) from error
        except psycopg.Error as error:
            _log.warning("a payment is decided without its history: %s", error)
            # A model that has learnt from history gives no meaningful score without it.
            champion = None
            causes = [
                f"The online store is away ({type(error).__name__}): only the rules that need no"
                " other payment were applied. The decision is not recorded, and later decisions do"
                " not know this payment."
            ]
            figures = figures_alone(payment, self._filled_of(payment))
            decision, is_repeat = decided(figures, recorded=False), False
            self.metrics.degraded.labels("store").inc()
        if is_repeat:
            self.metrics.repeats.inc()
        else:
            self.metrics.decided(decision, time.perf_counter() - began)
        return decision

    def dependencies(self) -> dict[str, Dependency]:
        """Return the state of each dependency by name."""
        try:
            self.database.run(lambda connection: connection.execute("select 1"))
            postgres = Dependency(True, "answers")
        except psycopg.Error as error:
            postgres = Dependency(False, f"does not answer ({type(error).__name__})")
        return {"postgres": postgres, **self.models.state}

    def _champion(self, source: str) -> tuple[Champion | None, list[str]]:
        try:
            return self.models.champion(source), []
        except NoModelError as error:
            self.metrics.degraded.labels("model").inc()
            return None, [f"No model has scored the payment: {error}"]

    def _filled_of(self, payment: Payment) -> dict[str, frozenset[str]]:
        source: str = payment["source_system"]
        if source not in self._filled:
            self._filled[source] = {source: columns_filled(source)}
        return self._filled[source]
