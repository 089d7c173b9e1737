import numpy as np

from simulator.days import payments_of
from simulator.labels import labels_of
from simulator.payments import HONEST
from simulator.world import World


def test_most_frauds_are_known_in_a_week_and_all_in_ninety_days(world: World) -> None:
    days = []
    for day in range(12, 32):
        rows = payments_of(world, day)
        labels = labels_of(world, day, rows)
        true = (labels.is_fraud == 1) & (rows.typology[labels.row] != HONEST)
        days.append((labels.known_second - rows.second[labels.row])[true] / 86_400)
    delay = np.concatenate(days)
    assert delay.min() > 0
    assert 0.8 < (delay <= 7).mean() < 0.95
    assert 7 < delay.max() <= 90


def test_some_frauds_are_never_reported_and_false_alarms_are_withdrawn(world: World) -> None:
    frauds = reported = 0
    for day in range(12, 32):
        rows = payments_of(world, day)
        labels = labels_of(world, day, rows)
        is_fraud = rows.typology != HONEST
        frauds += int(is_fraud.sum())
        reported += int(is_fraud[labels.row].sum())
        mistaken = labels.row[~is_fraud[labels.row] & (labels.is_fraud == 1)]
        withdrawn = labels.row[labels.is_fraud == 0]
        assert np.array_equal(mistaken, withdrawn)
        for row in withdrawn:
            claimed, corrected = labels.known_second[labels.row == row]
            assert claimed < corrected
    assert 0.9 < reported / frauds < 1
