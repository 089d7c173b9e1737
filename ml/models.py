"""The champions of all sources, loaded in the background and replaced when an alias moves."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from ml import tracking
from ml.champion import Champion, load_champion

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from contracts.settings import Settings

_log = logging.getLogger(__name__)
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
    """The loaded champions by source system.

    A champion that is loaded stays in use while MLflow is away, and when its successor cannot be
    loaded.
    """

    def __init__(self, settings: Settings) -> None:
        """Read models of the MLflow of `settings`, as its reader."""
        self._settings = settings
        self._champions: dict[str, Champion] = {}
        self._problems: dict[str, str] = {}
        self._away: str | None = "The champions are being loaded."
        self.has_looked = Event()
        """Set when MLflow has answered once, or has not."""

    def champion(self, source: str) -> Champion:
        """Return the champion of a source.

        Raises:
            NoModelError: when it is not loaded, or cannot score payments of the API.
        """
        champion = self._champions.get(source)
        if champion is None:
            raise NoModelError(self._problems.get(source) or self._away or _none(source))
        if not champion.passport.is_current:
            raise NoModelError(
                f"{champion.title} reads another version of the feature list: run"
                " train_fraud_model."
            )
        if champion.passport.source_features:
            raise NoModelError(
                f"{champion.title} reads features of the source's files, which a request has not."
            )
        return champion

    @property
    def state(self) -> Mapping[str, Dependency]:
        """Return the state of MLflow and of each champion."""
        mlflow = Dependency(self._away is None, self._away or "answers")
        loaded = {
            one.name: Dependency(True, f"version {one.version}") for one in self._champions.values()
        }
        failed = {
            tracking.model_name(source): Dependency(False, text)
            for source, text in self._problems.items()
        }
        return {"mlflow": mlflow, **loaded, **failed}

    def use(self, champions: Mapping[str, Champion]) -> None:
        """Score with these champions by source, as long as no refresh replaces them."""
        self._champions = dict(champions)

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
        """Load each champion whose version changed, and forget those without an alias."""
        prefix = tracking.model_name("")
        versions = {
            model.name.removeprefix(prefix): int(model.aliases[tracking.CHAMPION])
            for model in client.search_registered_models(f"name LIKE '{prefix}%'")
            if tracking.CHAMPION in model.aliases
        }
        for source, version in versions.items():
            loaded = self._champions.get(source)
            if loaded is not None and loaded.version == version:
                continue
            try:
                self._champions[source] = load_champion(client, source)
                self._problems.pop(source, None)
            except Exception as error:  # a model that cannot be read must not stop the others
                _log.exception("the champion of %s was not loaded", source)
                self._problems[source] = (
                    f"Version {version} of the champion cannot be loaded ({type(error).__name__})."
                )
        for source in self._champions.keys() - versions.keys():
            del self._champions[source]
        self._away = None


def _none(source: str) -> str:
    return f"{source} has no champion yet: run the DAG train_fraud_model for it."
