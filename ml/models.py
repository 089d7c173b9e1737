"""The champions and challengers of all sources, loaded in the background as their aliases move."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from ml import tracking
from ml.champion import Champion, load_champion

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from contracts.settings import Settings

_log = logging.getLogger(__name__)
_Key = tuple[str, str]
"""An alias and a source system."""
POLL_SECONDS: Final = 10.0
"""Longest time from the move of an alias to the use of the new champion, besides its loading."""


@dataclass(frozen=True)
class Dependency:
    """The state of a part that decisions need."""

    is_ready: bool
    state: str


class NoModelError(LookupError):
    """Raised when no champion can score a payment; the message is the cause, a sentence."""


class Models:
    """The loaded champions, and challengers if asked for, by source system.

    A model that is loaded stays in use while MLflow is away, and when its successor cannot be
    loaded.
    """

    def __init__(self, settings: Settings, *, with_challengers: bool = False) -> None:
        """Read models of the MLflow of `settings`, as its reader."""
        self._settings = settings
        self._aliases = (tracking.CHAMPION, *((tracking.CHALLENGER,) * with_challengers))
        self._loaded: dict[_Key, Champion] = {}
        self._problems: dict[_Key, str] = {}
        self._away: str | None = "The champions are being loaded."
        self.has_looked = Event()
        """Set when MLflow has answered once, or has not."""

    def champion(self, source: str) -> Champion:
        """Return the champion of a source.

        Raises:
            NoModelError: when it is not loaded, or cannot score payments of the API.
        """
        key = (tracking.CHAMPION, source)
        champion = self._loaded.get(key)
        if champion is None:
            raise NoModelError(self._problems.get(key) or self._away or _none(source))
        if problem := _cannot_score(champion):
            raise NoModelError(problem)
        return champion

    def challenger(self, source: str) -> Champion | None:
        """Return the challenger of a source, None if none is loaded that can score payments."""
        challenger = self._loaded.get((tracking.CHALLENGER, source))
        return None if challenger is None or _cannot_score(challenger) else challenger

    @property
    def state(self) -> Mapping[str, Dependency]:
        """Return the state of MLflow and of each model."""
        mlflow = Dependency(self._away is None, self._away or "answers")
        loaded = {
            _title(key): Dependency(True, f"version {one.version}")
            for key, one in self._loaded.items()
        }
        failed = {_title(key): Dependency(False, text) for key, text in self._problems.items()}
        return {"mlflow": mlflow, **loaded, **failed}

    @property
    def champions(self) -> Sequence[Champion]:
        """Return the loaded champions."""
        return tuple(one for (alias, _), one in self._loaded.items() if alias == tracking.CHAMPION)

    def use(
        self, champions: Mapping[str, Champion], challengers: Mapping[str, Champion] | None = None
    ) -> None:
        """Score with these models by source, as long as no refresh replaces them."""
        self._loaded = {
            (alias, source): model
            for alias, models in (
                (tracking.CHAMPION, champions),
                (tracking.CHALLENGER, challengers or {}),
            )
            for source, model in models.items()
        }

    def poll(self, stopping: Event) -> Thread:
        """Start a thread that refreshes the champions until `stopping` is set."""

        def loop() -> None:
            client: MlflowClient | None = None
            while not stopping.is_set():
                try:
                    client = client or tracking.connect(self._settings, reads_only=True)
                    self.refresh(client)
                except Exception as error:  # the thread must outlive any answer of MLflow
                    _log.warning("the champions were not refreshed: %s", error)
                    self._away = f"MLflow does not answer ({type(error).__name__})."
                self.has_looked.set()
                stopping.wait(POLL_SECONDS)

        thread = Thread(target=loop, name="champions", daemon=True)
        thread.start()
        return thread

    def refresh(self, client: MlflowClient) -> None:
        """Load each model whose version changed, and forget those without an alias.

        A challenger that was promoted is the champion, and no challenger any more.
        """
        prefix = tracking.model_name("")
        versions = {
            (alias, model.name.removeprefix(prefix)): int(model.aliases[alias])
            for model in client.search_registered_models(f"name LIKE '{prefix}%'")
            for alias in self._aliases
            if alias in model.aliases
            and (
                alias == tracking.CHAMPION
                or model.aliases[alias] != model.aliases.get(tracking.CHAMPION)
            )
        }
        for key, version in versions.items():
            loaded = self._loaded.get(key)
            if loaded is not None and loaded.version == version:
                self._problems.pop(key, None)
                continue
            alias, source = key
            try:
                self._loaded[key] = load_champion(client, source, alias)
                self._problems.pop(key, None)
            except Exception as error:  # a model that cannot be read must not stop the others
                _log.exception("the %s of %s was not loaded", alias, source)
                self._problems[key] = (
                    f"Version {version} of the {alias} cannot be loaded ({type(error).__name__})."
                )
        for models in (self._loaded, self._problems):
            for key in models.keys() - versions.keys():
                del models[key]
        self._away = None


def _cannot_score(model: Champion) -> str | None:
    if not model.passport.is_current:
        return f"{model.title} reads another version of the feature list: run train_fraud_model."
    if model.passport.source_features:
        return f"{model.title} reads features of the source's files, which a request has not."
    return None


def _title(key: _Key) -> str:
    alias, source = key
    name = tracking.model_name(source)
    return name if alias == tracking.CHAMPION else f"{name} {alias}"


def _none(source: str) -> str:
    return f"{source} has no champion yet: run the DAG train_fraud_model for it."
