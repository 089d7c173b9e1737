"""Each kind of dirt from its delivery to the tables: mended, or set aside with its reason."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contracts.results import Balance, ConservationError
from contracts.stage_results import ProcessResult
from contracts.tables import zone
from sources import registry
from sources.declaration import Source
from sources.manifest import Manifest
from sources.mapping_file import read
from tests.spark.times import utc

if TYPE_CHECKING:
    from tests.spark.conftest import Line

pytestmark = [
    pytest.mark.spark,
    pytest.mark.stack,
    pytest.mark.random_order(disabled=True),
]

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "corner_shop.yaml"
# The Kaggle edition: an unnamed index first, renamed columns, a second clock seven years behind.
KAGGLE = (
    ",trans_date_trans_time,cc_num,merchant,category,amt,first,last,gender,street,city,state,zip,"
    "lat,long,city_pop,job,dob,trans_num,unix_time,merch_lat,merch_long,is_fraud"
)
SOUND = {
    "time": "2020-06-21 12:14:25",
    "card": "2291163933867244",
    "amt": "2.86",
    "zip": "01001",
    "fraud": "0",
}
ROWS: list[tuple[str, dict[str, str]]] = [
    ("sound", {}),
    ("spreadsheet_date", {"time": "6/21/20 12:15"}),
    ("zip_without_zero", {"zip": "1001"}),
    ("rounded_card", {"card": "2.29116E+15"}),
    ("same_second", {}),
    ("out_of_order", {"time": "2020-06-21 00:00:01"}),
    ("no_label", {"fraud": ""}),
    ("third_label", {"fraud": "2"}),
    ("fraud", {"fraud": "1"}),
    ("sound", {}),
    ("sound", {"amt": "3.00"}),
]
PAYSIM = """\
step,type,amount,nameOrig,oldbalanceOrg,newbalanceOrig,nameDest,oldbalanceDest,newbalanceDest,\
isFraud,isFlaggedFraud
1,PAYMENT,9839.64,C1000000001,170136.0,160296.36,M2000000001,0.0,0.0,0,0
1,PAYMENT,9839.64,C1000000001,170136.0,160296.36,M2000000001,0.0,0.0,0,0
2,CASH_OUT,829885.13,C1000000001,829885.13,0.0,C1000000002,13300000.0,14100000.0,1,0
2,TRANSFER,8.30E+05,C1000000001,829885.13,0.0,C1000000002,0.0,0.0,1,0
2,TRANSFER,10.00,C1000000001,829885.13,0.0,C1000000002,0.0,0.0,1,0
3,PAYMENT,5.00,C1000000001,170
"""


def kaggle() -> str:
    """Return a delivery of the rows, its last one cut in mid-field."""
    lines = [KAGGLE]
    for number, (name, changes) in enumerate([*ROWS, ("cut", {})]):
        row = SOUND | changes
        fields = (
            *(str(number), row["time"], row["card"], "fraud_Kirlin and Sons", "personal_care"),
            *(row["amt"], "Ada", "Example", "M", "351 Main Street", "Agawam", "MA", row["zip"]),
            *("33.9659", "-80.9355", "333497", "Engineer", "1968-03-19", name, "1371816865"),
            *("33.986391", "-81.200714", row["fraud"]),
        )
        lines.append(",".join(fields))
    return "\n".join(lines)[:-30]


@dataclass
class Processed:
    """A window that was published, and what it was landed from."""

    manifest: Manifest
    result: ProcessResult

    @property
    def key(self) -> str:
        """Return the Raw object of the window."""
        return self.manifest.objects[0].key


def processed(line: "Line", manifest: Manifest, run_id: str) -> Processed:
    from lake.publish import publish

    return Processed(manifest, publish(line.spark, line.process(manifest, run_id)))


def of(line: "Line", window: Processed, table: str) -> list[dict[str, Any]]:
    """Return the published rows that came from a window, as they stand in its file."""
    rows = line.rows(f"processed.{table}", "event_id")
    mine = [row for row in rows if row["raw_object"] == window.key]
    return sorted(mine, key=lambda row: row.get("raw_position", 0))


@pytest.fixture(scope="module")
def sparkov(line: "Line") -> Processed:
    return processed(line, line.land_text("sparkov@2020-06-21", kaggle()), "sparkov")


@pytest.fixture(scope="module")
def paysim(line: "Line") -> Processed:
    return processed(line, line.land_text("paysim1@2017-01-01", PAYSIM), "paysim")


def test_what_can_be_mended_arrives(line: "Line", sparkov: Processed) -> None:
    rows = {row["event_id"]: row for row in of(line, sparkov, "transactions")}
    names = [name for name, _ in ROWS if name != "rounded_card"]
    assert list(rows) == list(dict.fromkeys(names))
    at = {name: utc(row["event_at"]) for name, row in rows.items()}
    assert at["sound"] == at["same_second"] == datetime(2020, 6, 21, 12, 14, 25, tzinfo=UTC)
    assert at["spreadsheet_date"] == datetime(2020, 6, 21, 12, 15, tzinfo=UTC)
    assert at["out_of_order"] == datetime(2020, 6, 21, 0, 0, 1, tzinfo=UTC)
    minutes = [n for n, row in rows.items() if row["event_at_precision"] == "minute"]
    assert minutes == ["spreadsheet_date"]
    assert {(row["counterparty_id"], row["schema_version"]) for row in rows.values()} == {
        ("Kirlin and Sons", 2)
    }
    assert rows["zip_without_zero"]["customer_id"] == rows["sound"]["customer_id"]


def test_a_label_that_is_empty_or_a_third_value_is_none(line: "Line", sparkov: Processed) -> None:
    labels = {row["event_id"]: row["is_fraud"] for row in of(line, sparkov, "labels")}
    assert {"no_label", "third_label"} & labels.keys() == set()
    assert [name for name, is_fraud in labels.items() if is_fraud] == ["fraud"]


def test_what_cannot_be_mended_is_set_aside(line: "Line", sparkov: Processed) -> None:
    refused = of(line, sparkov, "quarantine")
    assert [(row["raw_position"], row["reasons"], row["amount"]) for row in refused] == [
        (3, ["damaged_identifier"], Decimal("2.86")),
        (10, ["conflicting_duplicate"], Decimal("3.00")),
        (11, ["unreadable_row"], Decimal("2.86")),
    ]
    assert {row["window_key"] for row in refused} == {"sparkov@2020-06-21"}
    (balance,) = sparkov.result.balances
    assert (balance.rows_in, balance.rows_out, balance.rows_duplicate) == (12, 8, 1)


def test_rows_that_are_alike_without_a_key_are_payments_each(
    line: "Line", paysim: Processed
) -> None:
    rows = of(line, paysim, "transactions")
    assert [(row["raw_position"], row["amount"]) for row in rows] == [
        (0, Decimal("9839.64")),
        (1, Decimal("9839.64")),
        (2, Decimal("829885.13")),
        (4, Decimal("10.00")),
    ]
    assert len({row["event_id"] for row in rows}) == 4


def test_a_balance_that_a_spreadsheet_rounded_is_flagged(line: "Line", paysim: Processed) -> None:
    flags = [row["source_flags"] for row in of(line, paysim, "transactions")]
    assert [bool(flag and "rounded_balance" in flag) for flag in flags] == [
        *(False, False, True, False),
    ]
    assert [(row["raw_position"], row["reasons"]) for row in of(line, paysim, "quarantine")] == [
        (3, ["unreadable_amount"]),
        (5, ["unreadable_row"]),
    ]


TILL = """\
receipt;paid;loyalty_card;shelf;total;currency;means;complaint
R-1;01.03.2024 09:12:44;L-77;Obst;12.50;EUR;EC;no
R-2;01.03.2024 09:15;L-78;Buch;30.00;EURO;bar;
R-3;2024-03-01 09:31:02;L-79;garden;7.25;EUR;EC;no
R-4;01.03.2024 10:02:10;L-77;food;2,50;EURO;EC;yes
R-5;01.03.2024 10:03:10;L-77;food;9,999;EUR;EC;yes
"""
MENDED = {
    "currency: {take: currency}": "currency: {constant: EUR}",
    'patterns: ["dd.MM.yyyy HH:mm:ss",': 'patterns: ["dd.MM.yyyy HH:mm:ss", "yyyy-MM-dd HH:mm:ss",',
}


def declared(line: "Line", changes: dict[str, str]) -> Source:
    """Return the source that the example declares, with its mapping changed."""
    text = EXAMPLE.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = line.folder / EXAMPLE.name
    path.write_text(text)
    return read(path)


def test_rows_of_a_mended_mapping_move_and_their_money_is_restated(
    line: "Line", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The till wrote EURO, and one day another form of date.

    Slow: process, rehearsal and redrive of a window.
    """
    from lake.publish import publish
    from spark.jobs.redrive import redrive, rehearse

    monkeypatch.setitem(registry.SOURCES, "corner_shop", declared(line, {}))
    window = processed(line, line.land_text("corner_shop@2024-03-01", TILL), "till")
    assert [row["reasons"] for row in of(line, window, "quarantine")] == [
        ["unknown_currency"],
        ["unreadable_time"],
        ["unreadable_amount", "unknown_currency"],
        ["unreadable_amount"],
    ]

    monkeypatch.setitem(registry.SOURCES, "corner_shop", declared(line, MENDED))
    given = {
        "manifests": [window.manifest],
        "raw_bucket": line.settings.s3.raw_bucket,
        "key_file": line.settings.pseudonym_key_file,
    }
    said = [str(outcome) for outcome in rehearse(line.spark, window.result, **given)]
    assert said == [
        "unknown_currency: 1 row would pass, worth 30.00 EUR (in quarantine 30.00 XXX)",
        "unreadable_amount: 1 row would be refused again (unreadable_amount), worth 0.00 EUR"
        " (in quarantine 0.00 EUR)",
        "unreadable_amount, unknown_currency: 1 row would be refused again (unreadable_amount),"
        " worth 0.00 EUR (in quarantine 0.00 XXX)",
        "unreadable_time: 1 row would pass, worth 7.25 EUR (in quarantine 7.25 EUR)",
    ]

    result = publish(line.spark, redrive(line.spark, window.result, run_id="mended", **given))
    euros, unknown = result.balances
    money = {"amount_in": Decimal("19.75"), "amount_out": Decimal("49.75")}
    assert euros == Balance(
        *("corner_shop", "EUR", 3, 3, 2),
        **money,
        rows_restated=2,
        amount_restated=Decimal("30.00"),
    )
    assert unknown == Balance(
        *("corner_shop", "XXX", 2, 0),
        amount_in=Decimal("30.00"),
        rows_restated=-2,
        amount_restated=Decimal("-30.00"),
    )
    assert [row["event_id"] for row in of(line, window, "transactions")] == ["1", "2", "3"]

    redriven = content(line)
    with pytest.raises(ConservationError, match="land the window again"):
        line.process(window.manifest, "till")
    again = processed(line, line.land_text("corner_shop@2024-03-01", TILL), "till")
    assert content(line) == redriven
    assert again.result.balances == (
        Balance(
            *("corner_shop", "EUR", 5, 3, 2),
            amount_in=Decimal("49.75"),
            amount_out=Decimal("49.75"),
        ),
    )


def content(line: "Line") -> dict[str, list[str]]:
    """Return the published rows of each table."""
    return {
        table.name: sorted(
            repr(row.asDict()) for row in line.spark.table(f"lake.{table.name}").collect()
        )
        for table in zone("processed")
    }
