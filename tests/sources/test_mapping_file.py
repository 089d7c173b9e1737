from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.settings import get_settings
from sources import __main__ as command
from sources import registry
from sources.declaration import FixedDelay, StatedTime
from sources.errors import MappingError, UnknownSourceError
from sources.inspect import inspect
from sources.mapping_file import read
from sources.number_format import NumberFormat
from sources.rules import Coded, Constant, Precision, RowNumber, Steps, Take, TimePattern
from sources.text import CsvForm

REPO = Path(__file__).resolve().parents[2]
EXAMPLE = REPO / "docs/examples/corner_shop.yaml"


def written(folder: Path, **changes: Any) -> Path:
    """Write the worked example with changes at its top level, or in its version."""
    document = yaml.safe_load(EXAMPLE.read_text())
    for name, value in changes.items():
        is_of_version = name in ("mapping", "columns", "features")
        part = document["versions"][0] if is_of_version else document
        both = isinstance(part.get(name), dict) and isinstance(value, dict)
        part[name] = {**part[name], **value} if both else value
    path = folder / "corner_shop.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def test_the_worked_example_declares_a_source() -> None:
    shop = read(EXAMPLE)
    (version,) = shop.versions

    assert (shop.name, shop.csv.delimiter, shop.suffixes) == ("corner_shop", ";", (".csv",))
    assert shop.absurd_amount == Decimal(5000)
    assert shop.labels == FixedDelay(30 * 86_400)
    assert version.mapping["event_id"] == Take("receipt", "R-")
    assert version.mapping["merchant_category"] == Coded("shelf", {"Obst": "food", "Buch": "books"})
    # What goes without saying.
    assert version.mapping["source_sequence"] == RowNumber()
    assert version.mapping["transaction_type"] == Constant("purchase")
    precision = version.mapping["event_at_precision"]
    assert isinstance(precision, Precision)
    assert precision.instant.patterns[1] == TimePattern("dd.MM.yyyy HH:mm", "minute")
    assert shop.ranges.sometimes_null == {"counterparty_id", "merchant_category", "country"}
    assert [one.name for one in version.layout if not one.required] == ["complaint"]


def test_times_may_be_counted_and_labels_state_their_own(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        labels={"stated": True, "after_days": None},
        columns={"known": None, "hour": None},
        mapping={
            "event_at": {"steps": "hour", "base": "2024-01-01", "seconds": 3600},
            "event_at_precision": {"constant": "hour"},
            "label_known_at": {"time": "known"},
        },
    )
    shop = read(path)

    assert isinstance(shop.labels, StatedTime)
    assert isinstance(shop.versions[0].mapping["event_at"], Steps)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mapping": {"event_id": {"take": "bon"}}},
         "event_id reads bon, which columns does not list"),
        ({"mapping": {"event_it": {"take": "receipt"}}},
         "event_it is not a column that a mapping fills"),
        ({"mapping": {"event_id": {"grab": "receipt"}}},
         "versions.0.mapping.event_id: a rule has exactly one of take, constant"),
        ({"mapping": {"event_id": {"take": "receipt", "strip": "R"}}},
         "versions.0.mapping.event_id.strip: Extra inputs are not permitted"),
        ({"mapping": {"channel": {"constant": "phone"}}}, "channel is one of web, app, pos"),
        ({"mapping": {"currency": {"constant": "EURO"}}}, "currency EURO is not in ISO 4217"),
        ({"mapping": {"country": {"constant": "QQ"}}}, "country QQ is not in ISO 3166"),
        ({"mapping": {"amount": {"constant": 1}}}, "amount is taken from one column"),
        ({"mapping": {"event_at": {"take": "paid"}}}, "event_at is a time: fill it by time"),
        ({"mapping": {"source_flags": {"take": "shelf"}}}, "source_flags is filled by flags"),
        ({"labels": None}, "fills is_fraud, but no labels are declared"),
        ({"labels": {"stated": True}}, "either after_days, or stated: true"),
        ({"codes": {"colour": ["red"]}}, "codes lists colour, which is not a mapped column"),
        ({"ranges": {"fraud_sharing": [0, 1]}}, "ranges has no fraud_sharing"),
        ({"name": "Corner Shop"}, "name: String should match pattern"),
        ({"formats": ["xlsx"]}, "formats.0: Input should be"),
        ({"formats": ["jsonl"], "quoted_line_breaks": True}, "quoted_line_breaks is for csv"),
        ({"plausible_dates": {"last": "9999-12-31"}}, "plausible dates are from 1900-01-01 to"),
        ({"plausible_dates": {"first": "2024-01-02", "last": "2024-01-01"}}, "the first one first"),
        ({"mapping": {"customer_id": {"constant": "a\x00"}}},
         "the constant of customer_id has the control character U+0000"),
        ({"mapping": {"customer_id": {"constant": "x" * 300}}}, "is longer than the 256"),
        ({"mapping": {"customer_id": {"constant": " a"}}}, "the constant of customer_id has"),
        ({"mapping": {"amount": {"take": "total", "strip_prefix": "EUR"}}},
         "amount is taken as it stands, without strip_prefix"),
        ({"absurd_amount": -1}, "absurd_amount: Input should be greater than 0"),
        ({"mapping": {"event_at": {"time": "paid", "patterns": ["YYYY"]}}}, "the year is y"),
        ({"mapping": {"event_at": {"time": "paid", "patterns": []}}}, "patterns: lists nothing"),
        ({"mapping": {"event_at": {"time": "paid", "patterns": [{"pattern": "%Y"}]}}},
         "in Python's letters"),
        ({"columns": {"a`b": None}}, "the column 'a`b' is called by nothing, or has a backtick"),
        ({"columns": {" ": None}}, "the column ' ' is called by nothing"),
        ({"columns": {"Total": None}}, "the columns total and Total differ in case only"),
        ({"columns": {"Raw_Object": None}}, "has a name that the reader uses"),
        ({"columns": {"total": {"types": ["boolean"]}}},
         "amount is taken from a column with the type boolean, which holds no money"),
        ({"columns": {"total": {"types": ["other"]}}}, "Input should be 'string', 'long'"),
        ({"mapping": {"customer_id": {"flags": {"shelf": "x"}}}}, "fill it by another rule"),
        ({"mapping": {"event_id": {"row_number": True}}}, "fill it by another rule"),
        ({"mapping": {"country": {"constant": False}}}, "write it in quotes"),
        ({"mapping": {"country": {"constant": 1.5}}}, "write it in quotes"),
        ({"mapping": {"event_at": {"steps": "paid", "base": "2024-01-01", "seconds": 10**30}}},
         "should be less than or equal to"),
        ({"delimiter": '"'}, "a delimiter is no quote"),
        ({"zone": "Berlin"}, "Berlin is not a time zone of the IANA database, as Europe/Berlin"),
        ({"zone": "CET"}, "CET is not a time zone of the IANA database, as Europe/Berlin"),
        ({"numbers": {"decimal_sign": ","}, "formats": ["jsonl"], "skip_lines": 3},
         "skip_lines is for csv, which formats does not list"),
        ({"formats": ["parquet"], "encoding": "iso-8859-1"}, "encoding is for csv, which formats"),
        ({"encoding": "utf-16"}, "encoding: Input should be 'utf-8', 'iso-8859-1'"),
        ({"skip_lines": -1}, "skip_lines: Input should be greater than or equal to 0"),
        ({"numbers": {"decimal_sign": ",", "thousands_sign": ","}},
         "numbers: decimal_sign and thousands_sign are the same"),
        ({"numbers": {"decimal_sign": ";"}}, "numbers.decimal_sign: Input should be '.' or ','"),
        ({"negative_amounts": "chargeback"}, "negative_amounts: Input should be 'refused' or"),
        ({"mapping": {"currency": {"code": "currency", "codes": {"€": "EURO"}}}},
         "currency EURO is not in ISO 4217"),
        ({"mapping": {"currency": {"affix": "currency", "otherwise": "EUR"}}},
         "currency is taken or coded from one column, or constant"),
        ({"ranges": {"early_share": "much"}}, "ranges.early_share: Input should be a valid number"),
        ({"delimiter": "\n"}, "a delimiter is no quote"),
        ({"ranges": {"late_share": "much"}}, "ranges.late_share: Input should be a valid number"),
        ({"rows_per_day": {"fewest": 9, "most": 8}}, "fewest is more than most"),
        ({"versions": []}, "versions: lists nothing"),
        ({"features": {"V1": "total"}}, "the feature V1 has no valid name: use at most 40 small"),
        ({"features": {"v" * 41: "total"}}, "has no valid name"),
        ({"features": {"amount": "total"}}, "the feature amount has the name of a column"),
        ({"features": {"is_night": "total"}}, "the feature is_night has the name of a column"),
        ({"features": {"v1": "V1"}}, "the feature v1 reads V1, which columns does not list"),
        ({"features": {"v1": None}}, "versions.0.features.v1: Input should be a valid string"),
        ({"features": {"v1": "total"}, "columns": {"total": {"types": ["double", "date"]}}},
         "the feature v1 is taken from a column with the type date, which has no numbers"),
        ({"features": {f"v{n}": "total" for n in range(101)}},
         "versions declare 101 features: a source has at most 100"),
        ({"closed_days": ["sonntag"]}, "closed_days.0"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(MappingError) as error:
        read(written(tmp_path, **changes))
    assert said in str(error.value)


def test_closed_days_and_part_files_are_declared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, closed_days=["sunday", date(2024, 12, 25)], part_files=True)
    shop = read(path)

    assert command.main(["check", str(path)]) == 0
    said = capsys.readouterr().out
    assert "a folder of files may stand for a file" in said
    assert "closed on sunday, 2024-12-25" in said

    assert shop.part_files
    closed = [day for day in range(20, 31) if shop.is_closed(date(2024, 12, day))]
    assert closed == [22, 25, 29]


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"channel": {"constant": "x"}}, "channel is one of"),
        ({"event_at": {"time": "when"}}, "event_at reads when, which columns does not list"),
        ({"event_at": {"take": "paid"}}, "event_at is a time: fill it by time, steps or epoch"),
        ({"event_at": {"steps": "paid", "base": "2024-01-01", "seconds": 60}},
         "nothing fills event_at_precision"),
        ({"amount": {"take": "sum"}}, "amount reads sum, which columns does not list"),
        ({"currency": {"constant": "EURO"}}, "currency EURO is not in ISO 4217"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_version_brings_no_false_one(
    mapping: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(MappingError) as error:
        read(written(tmp_path, mapping=mapping))
    (line,) = str(error.value).split("\n- ")[1:]
    assert line.startswith(f"versions.0: {said}")
    assert "; " not in line.removeprefix("versions.0: ").replace("ISO 4217; write XXX", "")


def test_what_is_missing_is_said_once(tmp_path: Path) -> None:
    path = written(tmp_path)
    document = yaml.safe_load(path.read_text())
    document["versions"][0]["mapping"] = {"country": {"constant": "DE"}}
    document["labels"] = None
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(MappingError) as error:
        read(path)
    needed = ("amount", "currency", "customer_id", "event_at", "event_id")
    said = "; ".join(f"nothing fills {name}" for name in needed)
    assert str(error.value).endswith(f"\n- versions.0: {said}")


def test_the_european_example_declares_its_formats() -> None:
    shop = read(EXAMPLE.with_name("european_shop.yaml"))

    assert (shop.zone, shop.negative_amounts) == ("Europe/Berlin", "refund")
    assert shop.csv == CsvForm(";", False, 2, "windows-1252")
    assert shop.numbers == NumberFormat(",", ".")
    assert shop.versions[0].currency == Coded("Währung", {"€": "EUR", "978": "EUR", "756": "CHF"})


def test_numeric_columns_are_declared_as_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, features={"basket_total": "total"})
    shop = read(path)

    assert shop.versions[0].features == {"basket_total": "total"}
    assert "source_features" in shop.fills & shop.ranges.sometimes_null
    assert command.main(["check", str(path)]) == 0
    assert "Features: basket_total." in capsys.readouterr().out
    assert "source_features" not in read(EXAMPLE).fills
    for name, count in (("credit_card", 28), ("ieee_cis", 11)):
        (layout,) = read(EXAMPLE.with_name(f"{name}.yaml")).versions
        assert layout.features == {f"v{n}": f"V{n}" for n in range(1, count + 1)}


def test_minor_units_are_checked_unless_a_file_declares_otherwise(tmp_path: Path) -> None:
    assert read(EXAMPLE).checks_minor_units
    assert not read(written(tmp_path, checks_minor_units=False)).checks_minor_units


@pytest.mark.parametrize(
    ("yaml_text", "value"), [("NO", "NO"), ("yes", "yes"), ("12:30", "12:30"), ("7", "7")]
)
def test_a_plain_scalar_is_the_text_that_yaml_1_2_says(
    yaml_text: str, value: str, tmp_path: Path
) -> None:
    path = tmp_path / EXAMPLE.name
    rule = f"device_id: {{constant: {yaml_text}}}"
    path.write_text(EXAMPLE.read_text().replace("country: {constant: DE}", rule))
    assert read(path).versions[0].mapping["device_id"] == Constant(value)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, mapping={"channel": {"constant": "x"}, "event_id": {"take": "y"}})

    with pytest.raises(MappingError) as error:
        read(path)
    assert "channel is one of" in str(error.value)
    assert "event_id reads y" in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name: [", "is not valid YAML"),
        ("just text", "is not a YAML mapping"),
        ("{}", "has mistakes"),
        (EXAMPLE.read_text() + "name: corner_shop\n", 'found duplicate key "name"'),
        ("[" * 3000, "is not valid YAML"),
        ("a: \x00", "is not valid YAML"),
        (EXAMPLE.read_text().replace("name: corner_shop", "name: other_shop", 1),
         "call the file other_shop.yaml"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_mapping_says_so(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "corner_shop.yaml"
    path.write_text(content)

    with pytest.raises(MappingError, match=said):
        read(path)


@pytest.fixture
def mappings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder where mapping files are looked for."""
    settings = get_settings().model_copy(update={"mappings_dir": tmp_path})
    monkeypatch.setattr(registry, "get_settings", lambda: settings)
    return tmp_path


def test_a_mapping_file_in_its_folder_is_a_source_beside_ours(mappings: Path) -> None:
    assert "corner_shop" not in registry.names()
    written(mappings)

    assert "corner_shop" in registry.names()
    assert registry.source("corner_shop") == read(EXAMPLE)


def test_a_broken_mapping_file_hides_no_other_source(
    mappings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(mappings, name="other")

    assert registry.source("sparkov").name == "sparkov"
    with pytest.raises(MappingError):
        registry.source("corner_shop")
    assert command.main(["list"]) == 0
    assert "corner_shop    corner_shop.yaml declares the source other" in capsys.readouterr().out


def test_a_mapping_file_cannot_take_the_name_of_one_of_ours(
    mappings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(mappings, name="sparkov").rename(mappings / "sparkov.yaml")

    assert registry.source("sparkov") is registry.SOURCES["sparkov"]
    assert command.main(["check", str(mappings / "sparkov.yaml")]) == 1
    assert "sparkov is a built-in source" in capsys.readouterr().err


def test_an_unknown_source_names_those_of_files_too(mappings: Path) -> None:
    written(mappings)
    with pytest.raises(UnknownSourceError, match="corner_shop"):
        registry.source("nope")


def test_check_says_what_a_file_declares(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["check", str(EXAMPLE)]) == 0
    said = capsys.readouterr().out
    assert "labels: known 30 days after the payment" in said
    assert "lacks device_id" in said
    assert "span lines" not in said


def test_quoted_line_breaks_are_declared_checked_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, quoted_line_breaks=True)
    delivery = tmp_path / "2024-03-01.csv"
    delivery.write_bytes(
        b"receipt;paid;loyalty_card;shelf;total;currency;means\n"
        b'1;01.03.2024 08:00;c1;"Obst\n& Gem\xc3\xbcse";2.50;EUR;EC\n'
        b"2;01.03.2024 08:01;c2;Obst;1.25;EUR;EC\n"
    )

    assert command.main(["check", str(path)]) == 0
    assert "a quoted field may span lines" in capsys.readouterr().out
    found = inspect(delivery, read(path))
    assert (found.rows, found.amounts) == (2, {"EUR": Decimal("3.75")})
    undeclared = inspect(delivery, read(EXAMPLE))
    assert (undeclared.rows, undeclared.row_counts) == (3, {"EUR": 1, "XXX": 2})


def test_a_file_that_is_not_there_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["check", "nowhere.yaml"]) == 1
    assert "nowhere.yaml cannot be read" in capsys.readouterr().err
