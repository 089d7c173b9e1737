"""Bad rows among good ones: each is set aside with its reason, the others arrive untouched."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from contracts.reasons import RejectReason
from contracts.stages import Stage
from contracts.windows import Window
from sources import registry
from sources.declaration import FileColumn
from sources.rules import Take

if TYPE_CHECKING:
    from tests.faults.conftest import Watched

pytestmark = [
    pytest.mark.spark,
    pytest.mark.stack,
    pytest.mark.random_order(disabled=True),
]
DAY = Window.parse("sparkov@2024-08-04")
# Rows at the end of the delivery, each a copy of its first row with these changes.
BAD: list[tuple[RejectReason, dict[str, Any]]] = [
    (RejectReason.MISSING_EVENT_ID, {"trans_num": None}),
    (RejectReason.MISSING_CUSTOMER, {"acct_num": " "}),
    (RejectReason.UNREADABLE_TIME, {"trans_time": "25:61:00"}),
    (RejectReason.FUTURE_TIME, {"trans_date": "2093-01-01"}),
    (RejectReason.UNREADABLE_AMOUNT, {"amt": None}),
    (RejectReason.NEGATIVE_AMOUNT, {"amt": -12.5}),
    (RejectReason.ABSURD_AMOUNT, {"amt": 250_000.0}),
    (RejectReason.UNKNOWN_CURRENCY, {"currency": "U$D"}),
    (RejectReason.UNKNOWN_CURRENCY, {"currency": None}),
    (RejectReason.IMPOSSIBLE_PLACE, {"merch_lat": 91.0}),
    (RejectReason.UNKNOWN_CODE, {"category": "time_travel"}),
    (RejectReason.DAMAGED_IDENTIFIER, {"cc_num": "4.77948E+18"}),
    (RejectReason.EXCESS_DECIMALS, {"amt": 1.005}),
    (RejectReason.UNPRINTABLE_TEXT, {"trans_num": "e1\x00"}),
    (RejectReason.UNPRINTABLE_TEXT, {"merchant": "fraud_m\x00"}),
    (RejectReason.OVERLONG_TEXT, {"trans_num": secrets.token_hex(2_000)}),
    (RejectReason.IMPLAUSIBLE_TIME, {"trans_date": "0001-01-01"}),
    (RejectReason.IMPLAUSIBLE_TIME, {"trans_date": "1970-01-01"}),
]


@dataclass
class Delivered:
    """A line after a delivery with bad rows, and what pandas alone says of that delivery."""

    line: "Watched"
    good: pd.DataFrame
    bad: pd.DataFrame


def in_currency(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(currency="USD")


@pytest.fixture(scope="module")
def delivered(new_line: Callable[[], "Watched"]) -> Any:
    """Take the day through the line up to STAGING, from a source that states its currency."""
    line = new_line()
    (first, *others) = registry.SOURCES["sparkov"].versions
    with_currency = replace(
        first,
        layout=(*first.layout, FileColumn("currency")),
        mapping={**first.mapping, "currency": Take("currency")},
    )
    stated = replace(registry.SOURCES["sparkov"], versions=(with_currency, *others))
    kept: list[pd.DataFrame] = []

    def poisoned(rows: pd.DataFrame) -> pd.DataFrame:
        good = in_currency(rows)
        first, second = good.iloc[0], good.iloc[1]
        bad = pd.DataFrame(
            [
                *(
                    {**first, "trans_num": f"bad{n}", **changes}
                    for n, (_, changes) in enumerate(BAD)
                ),
                {**first, "amt": first["amt"] + 1},  # a known id with other content
                second,  # a repeat
            ]
        )
        kept.extend((good, bad))
        return pd.concat([good, bad], ignore_index=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.SOURCES, "sparkov", stated)
        line.deliver(DAY.span, poisoned)
        line.run(DAY, Stage.LAND, Stage.PROCESS, Stage.PREPARE, Stage.LOAD)
    return Delivered(line, *kept)


def cents(amounts: pd.Series) -> Decimal:
    """Sum money as decimals: 1.005 is no amount, and counts as nothing."""
    read = [Decimal(str(amount)) for amount in amounts.dropna()]
    return sum((one for one in read if one == round(one, 2)), Decimal("0.00"))


def test_each_bad_row_is_in_quarantine_with_its_reason(delivered: Delivered) -> None:
    found = delivered.line.ask(
        "select raw_position, reasons, amount from staging.quarantine order by raw_position"
    )
    first = len(delivered.good)
    expected = [[str(reason)] for reason, _ in BAD] + [["conflicting_duplicate"]]
    assert [(position, reasons) for position, reasons, _ in found] == [
        (first + number, reasons) for number, reasons in enumerate(expected)
    ]
    assert {reason for reasons in expected for reason in reasons} == {
        str(reason)
        for reason in RejectReason
        # Parquet has no row that was cut: text has, in tests/sources and tests/spark. Sparkov has
        # no source features: see spark/test_source_features. An operator withdraws payments: see
        # test_redrive.
        if reason
        not in (
            RejectReason.UNREADABLE_ROW,
            RejectReason.UNREADABLE_FEATURE,
            RejectReason.WITHDRAWN,
        )
    }
    assert found[5][2] == Decimal("-12.50")


def test_the_good_rows_are_unchanged(
    delivered: Delivered, new_line: Callable[[], "Watched"]
) -> None:
    """Slow: takes the same day without bad rows to STAGING."""
    marks = ("ingested_at", "raw_object")
    columns = f"select (to_jsonb(t) - array{list(marks)})::text from"
    tables = ("transactions", "labels", "features", "customers", "merchants")
    poisoned = {
        name: sorted(delivered.line.ask(f"{columns} staging.{name} as t")) for name in tables
    }
    clean = new_line()
    clean.run(DAY, Stage.LAND, Stage.PROCESS, Stage.PREPARE, Stage.LOAD)
    for name in tables:
        assert poisoned[name] == sorted(clean.ask(f"{columns} staging.{name} as t")), name
    assert len(poisoned["transactions"]) == len(delivered.good)


def test_the_ledger_balances_to_the_cent(delivered: Delivered) -> None:
    found = delivered.line.ask(
        "select sum(rows_in), sum(rows_out), sum(rows_quarantined), sum(rows_duplicate),"
        " sum(amount_in), sum(amount_out), sum(amount_quarantined), sum(amount_duplicate)"
        " from staging.run_balances where stage = 'process'"
    )
    good, bad = delivered.good, delivered.bad
    repeat, refused = bad.tail(1), bad.iloc[:-1]
    assert found == [
        (
            len(good) + len(bad),
            len(good),
            len(refused),
            1,
            cents(good["amt"]) + cents(bad["amt"]),
            cents(good["amt"]),
            cents(refused["amt"]),
            cents(repeat["amt"]),
        )
    ]
    by_currency = delivered.line.ask(
        "select currency, rows_in, rows_out, amount_in, amount_quarantined"
        " from staging.run_balances where stage = 'process' order by currency"
    )
    unknown = bad[bad["currency"] != "USD"]
    assert by_currency[1] == ("XXX", 2, 0, cents(unknown["amt"]), cents(unknown["amt"]))
