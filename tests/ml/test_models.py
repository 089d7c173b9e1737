"""Champions of a real MLflow: loaded, replaced when the alias moves, kept when one is damaged."""

from dataclasses import replace
from threading import Event

import pytest

from contracts.settings import Settings
from ml import tracking
from ml.champion import Champion
from ml.models import Models, NoModelError
from tests.serving.champions import learnt, registered
from tests.serving.sample import lake

pytestmark = [pytest.mark.stack, pytest.mark.random_order(disabled=True)]


@pytest.fixture(scope="module")
def champion() -> Champion:
    return learnt(*lake())


def test_a_champion_is_replaced_when_its_alias_moves_and_kept_when_the_next_is_damaged(
    mlflow: Settings, champion: Champion
) -> None:
    """It takes 30 s, most of it the start of MLflow, since a model is read from its server."""
    client = tracking.connect(mlflow)
    for name in {model.name for model in client.search_registered_models()}:
        client.delete_registered_model(name)
    models = Models(mlflow)
    with pytest.raises(NoModelError, match="being loaded"):
        models.champion("sparkov")
    models.refresh(client)
    with pytest.raises(NoModelError, match="sparkov has no champion yet: run the DAG"):
        models.champion("sparkov")

    first, second = registered(champion), registered(champion)
    client.set_registered_model_alias(champion.name, tracking.CHAMPION, str(first))
    models.refresh(client)
    assert models.champion("sparkov").version == first
    client.set_registered_model_alias(champion.name, tracking.CHAMPION, str(second))
    models.refresh(client)
    assert models.champion("sparkov").version == second

    damaged = registered(champion, onnx=b"no model")
    client.set_registered_model_alias(champion.name, tracking.CHAMPION, str(damaged))
    models.refresh(client)
    assert models.champion("sparkov").version == second
    state = models.state[champion.name]
    assert not state.is_ready
    assert f"Version {damaged} of the champion cannot be loaded (UnreadableModel)" in state.state

    client.set_registered_model_alias(champion.name, tracking.CHAMPION, str(second))
    models.refresh(client)
    assert models.state[champion.name].is_ready

    both = Models(mlflow, with_challengers=True)
    client.set_registered_model_alias(champion.name, tracking.CHALLENGER, str(first))
    for one in (models, both):
        one.refresh(client)
    challenger = both.challenger("sparkov")
    assert (challenger and challenger.version, models.challenger("sparkov")) == (first, None)
    assert both.state[f"{champion.name} challenger"].state == f"version {first}"
    client.set_registered_model_alias(champion.name, tracking.CHAMPION, str(first))
    both.refresh(client)  # the challenger is promoted
    assert (both.champion("sparkov").version, both.challenger("sparkov")) == (first, None)

    models.refresh(client)
    client.delete_registered_model_alias(champion.name, tracking.CHAMPION)
    models.refresh(client)
    with pytest.raises(NoModelError, match="no champion yet"):
        models.champion("sparkov")


def test_the_reader_of_mlflow_loads_a_champion(mlflow: Settings, champion: Champion) -> None:
    client = tracking.connect(mlflow)
    version = registered(champion)
    client.set_registered_model_alias(champion.name, tracking.CHAMPION, str(version))
    models, stopping = Models(mlflow), Event()
    thread = models.poll(stopping)
    for _ in range(100):
        if models.state["mlflow"].is_ready:
            break
        stopping.wait(0.2)
    stopping.set()
    thread.join(30)
    assert models.champion("sparkov").version == version


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"feature_list_version": "0"}, "reads another version of the feature list"),
        ({"source_features": ("v1",)}, "reads features of the source's files"),
    ],
)
def test_a_champion_that_cannot_score_a_request_is_not_used(
    champion: Champion, change: dict[str, object], cause: str
) -> None:
    from contracts.settings import load_settings

    models = Models(load_settings())
    models.use({"sparkov": replace(champion, passport=replace(champion.passport, **change))})
    with pytest.raises(NoModelError, match=cause):
        models.champion("sparkov")


def test_without_mlflow_a_loaded_champion_stays_and_the_cause_is_named(
    mlflow: Settings, champion: Champion
) -> None:
    nowhere = mlflow.mlflow.model_copy(update={"tracking_uri": "http://127.0.0.1:1/mlflow"})
    models, stopping = Models(mlflow.model_copy(update={"mlflow": nowhere})), Event()
    models.use({"sparkov": champion})
    thread = models.poll(stopping)
    for _ in range(150):
        if "does not answer" in models.state["mlflow"].state:
            break
        stopping.wait(0.2)
    stopping.set()
    thread.join(30)
    tracking.connect(mlflow)
    assert models.champion("sparkov") is champion
    assert not models.state["mlflow"].is_ready
    models.use({})
    with pytest.raises(NoModelError, match="MLflow does not answer"):
        models.champion("sparkov")
