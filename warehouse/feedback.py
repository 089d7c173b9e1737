"""Feedback of analysts, as files of labels for the windows that landed its payments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Final

import psycopg

from contracts.windows import Window

_STATEMENTS: Final = """
select landed.window_key, given.event_date, given.event_id, given.feedback_outcome, given.known_at
from serving.feedback as given
cross join lateral (
    select ledger.window_key from staging.run_ledger as ledger
    where ledger.stage = 'land' and split_part(ledger.window_key, '@', 1) = given.source_system
        and given.event_date = any(ledger.dates_touched)
    order by ledger.finished_at desc limit 1
) as landed
order by landed.window_key, given.event_date, given.known_at, given.feedback_id
"""


def label_files(dsn: str) -> Mapping[Window, Mapping[date, bytes]]:
    """Return the file of labels of each date with feedback, by the window that landed the date.

    Feedback on a payment of a date that has not landed is left out. A file has all feedback on the
    payments of its date, in the order in which it was given.
    """
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(_STATEMENTS.encode()).fetchall()
    files: dict[Window, dict[date, bytes]] = {}
    for key, day, event, outcome, known_at in rows:
        of_window = files.setdefault(Window.parse(key), {})
        of_window[day] = of_window.get(day, b"") + _line(event, outcome, known_at)
    return files


def _line(event: str, outcome: str, known_at: datetime) -> bytes:
    label = {
        "transaction_id": event,
        "is_fraud": int(outcome == "confirmed_fraud"),
        "known_at": f"{known_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        "label_source": "analyst",
    }
    return json.dumps(label).encode() + b"\n"
