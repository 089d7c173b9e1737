import csv
import io
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources import text
from sources.text import CsvForm

HEADER = b"id,name,amount\n"


def read(
    body: bytes,
    kind: str = "csv",
    wanted: tuple[str, ...] = ("id", "amount"),
    quoted_line_breaks: bool = False,
) -> list[Any]:
    rows = text.rows(io.BytesIO(body), kind, wanted, CsvForm(",", quoted_line_breaks))
    return [(row.position, row.is_readable, *row.values) for row in rows]


def test_rows_of_a_sound_file_keep_their_text_and_their_line() -> None:
    body = HEADER + b'007,"Last, First",1.50\r\n\n8,"say ""hi""",2e3\n'

    assert read(body, wanted=("id", "name", "amount", "absent")) == [
        (0, True, "007", "Last, First", "1.50", None),
        (2, True, "8", 'say "hi"', "2e3", None),
    ]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        (b"1,ann", ("1", None)),  # cut in or after the name
        (b"1,ann,", ("1", None)),  # cut before the amount
        (b"1", (None, None)),  # cut in the identifier
        (b'1,"ann', (None, None)),  # cut inside quotes
        (b"1,ann,1,50\n", (None, None)),  # a comma too many
        (b'1,"a"nn,1.50\n', (None, None)),  # a quote where none may be
        (b"1,\xff\xfe,1.50\n", ("1", "1.50")),  # not UTF-8
    ],
)
def test_a_damaged_line_is_not_readable_and_spoils_no_other(
    line: bytes, values: tuple[str | None, ...]
) -> None:
    first, last = read(HEADER + b"0,bob,9.99\n" + line)

    assert first == (0, True, "0", "9.99")
    assert last == (1, False, *values)


BROKEN = b'1,"An\r\n\n""n""",1.50\n\n2,bob,2.50\n'


def test_a_quoted_field_spans_lines_where_that_is_declared() -> None:
    names = ("id", "name", "amount")

    assert read(HEADER + BROKEN, wanted=names, quoted_line_breaks=True) == [
        (0, True, "1", 'An\r\n\n"n"', "1.50"),
        (2, True, "2", "bob", "2.50"),
    ]
    # Undeclared, each line is a row.
    assert read(HEADER + BROKEN, wanted=names) == [
        (0, False, None, None, None),
        (2, False, None, None, None),
        (4, True, "2", "bob", "2.50"),
    ]


def test_a_header_may_have_a_quoted_line_break_where_that_is_declared() -> None:
    body = b'\xef\xbb\xbf"the\nid",amount\n1,2.50\n'

    assert text.columns(io.BytesIO(body), "csv", CsvForm(",", True)) == ["the\nid", "amount"]
    assert read(body, wanted=("the\nid", "amount"), quoted_line_breaks=True) == [
        (0, True, "1", "2.50")
    ]
    with pytest.raises(ValueError, match="its first line is no header"):
        text.columns(io.BytesIO(body), "csv")


@pytest.mark.parametrize(
    ("damaged", "refused"),
    [
        (b'1,"ann,1.50\n', 1),  # a quote that nothing closes
        (b'1,"a"nn",1.50\n', 1),  # a quote too many
        (b'1,"an\nn",1.50,7\n', 1),  # a comma too many in a record of two lines
        (b'1,"an\nn,1.50\n', 2),  # two lines of a field that nothing closes
    ],
)
def test_a_damaged_record_spoils_no_other(damaged: bytes, refused: int) -> None:
    """Wherever it is: before records of a line, before one of two lines, or at the end."""
    for rest, expected in (
        (b"2,bob,2.50\n3,cy,3.50", [(0, True, "2", "2.50"), (1, True, "3", "3.50")]),
        (b'2,"b\nb",2.50\n3,cy,3.50\n', [(0, True, "2", "2.50"), (1, True, "3", "3.50")]),
        (b"", []),
    ):
        first, *others = read(HEADER + b"0,al,0.50\n" + damaged + rest, quoted_line_breaks=True)

        assert first == (0, True, "0", "0.50")
        assert [row[:2] for row in others[:refused]] == [(1 + n, False) for n in range(refused)]
        assert others[refused:] == [(one[0] + 1 + refused, *one[1:]) for one in expected]


def test_a_quoted_field_that_the_end_of_the_file_cuts_is_refused_with_its_position() -> None:
    body = HEADER + b'0,al,0.50\n1,"an\nn",1.50\n2,"bo\nb, 2.5'

    assert read(body, quoted_line_breaks=True) == [
        (0, True, "0", "0.50"),
        (1, True, "1", "1.50"),
        (2, False, None, None),
        (3, False, "b", None),
    ]


def test_a_file_may_end_without_a_line_end() -> None:
    assert read(HEADER + b"1,ann,1.50") == [(0, True, "1", "1.50")]


def test_a_mark_of_byte_order_and_another_delimiter_are_read() -> None:
    body = b"\xef\xbb\xbfid;amount\n1;2,50\n"

    assert text.columns(io.BytesIO(body), "csv", CsvForm(";")) == ["id", "amount"]
    (row,) = text.rows(io.BytesIO(body), "csv", ("amount",), CsvForm(";"))
    assert row.values == ["2,50"]


def test_lines_before_the_header_are_skipped_whatever_they_hold() -> None:
    body = b'\xef\xbb\xbfExport, of "May\n\xff\n' + HEADER + b"1,ann,1.50\n2,bob,2.50\n"

    for spans in (False, True):
        form = CsvForm(",", spans, skip_lines=2)
        assert text.columns(io.BytesIO(body), "csv", form) == ["id", "name", "amount"]
        rows = text.rows(io.BytesIO(body), "csv", ("id",), form)
        assert [(row.position, *row.values) for row in rows] == [(0, "1"), (1, "2")]
    with pytest.raises(ValueError, match="line 9 is no header"):
        text.columns(io.BytesIO(body), "csv", CsvForm(skip_lines=8))
    with pytest.raises(ValueError, match="line 2 is not UTF-8 text"):
        text.columns(io.BytesIO(body), "csv", CsvForm(skip_lines=1))


@pytest.mark.parametrize("encoding", ["iso-8859-1", "iso-8859-15", "windows-1252"])
def test_a_declared_encoding_is_read(encoding: str) -> None:
    sign = "¤" if encoding == "iso-8859-1" else "€"
    body = f"id;Währung\nMüller;{sign}\n".encode(encoding)
    form = CsvForm(";", encoding=encoding)

    assert text.columns(io.BytesIO(body), "csv", form) == ["id", "Währung"]
    (row,) = text.rows(io.BytesIO(body), "csv", ("id", "Währung"), form)
    assert (row.is_readable, row.values) == (True, ["Müller", sign])
    # 81 is no character of windows-1252, and a control character of the others.
    (row,) = text.rows(io.BytesIO(body.replace(b"M\xfcller", b"\x81")), "csv", ("id",), form)
    assert row.is_readable == (encoding != "windows-1252")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "its first line is no header"),
        (b"\xfe,a\n", "its first line is not UTF-8 text"),
        (b"a,b,a\n", "its header has two columns called a"),
    ],
)
def test_a_file_without_a_usable_header_says_why(body: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        text.columns(io.BytesIO(body), "csv")


def test_json_lines_keep_numbers_as_written_and_flatten_objects() -> None:
    body = (
        b'{"id": 7, "amount": 12.50, "place": {"city": "Bern", "at": {"lat": 1.10}}}\n'
        b'{"id": "8", "amount": 1e2, "ok": true, "tags": ["a", 1], "none": null}\n'
        b"[1]\n"
        b'{"id": "9", "amou'
    )
    columns = text.columns(io.BytesIO(body), "jsonl")

    assert columns == ["id", "amount", "place.city", "place.at.lat", "ok", "tags", "none"]
    assert read(body, "jsonl", tuple(columns)) == [
        (0, True, "7", "12.50", "Bern", "1.10", None, None, None),
        (1, True, "8", "1e2", None, None, "true", '["a", "1"]', None),
        (2, False, *[None] * 7),
        (3, False, *[None] * 7),
    ]


def test_a_json_array_is_read_whole_or_not_at_all() -> None:
    assert read(b'[{"id": 1, "amount": 2}, 3]', "json") == [
        (0, True, "1", "2"),
        (1, False, None, None),
    ]
    for body, said in ((b'[{"id": 1}', "not one whole JSON array"), (b"{}", "not a JSON array")):
        with pytest.raises(ValueError, match=said):
            text.columns(io.BytesIO(body), "json")


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
TABLES = st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=30)


@given(TABLES)
def test_what_pythons_own_writer_wrote_is_read_back(table: list[tuple[str, str, str]]) -> None:
    out, names = io.StringIO(), ("id", "name", "amount")
    csv.writer(out, lineterminator="\n").writerows([names, *table])

    batches = list(
        text.batches(text.rows(io.BytesIO(out.getvalue().encode()), "csv", names), names)
    )
    read_back = pa.Table.from_batches(batches).to_pylist()

    # A line of blanks is no row.
    kept = [(n, row) for n, row in enumerate(table) if ",".join(row).strip()]
    assert [(one["raw_position"], one["is_readable"]) for one in read_back] == [
        (n, True) for n, _ in kept
    ]
    assert [(one["id"], one["name"], one["amount"]) for one in read_back] == [r for _, r in kept]


LINES = st.text(st.sampled_from('a",\n\r '), min_size=1, max_size=6)
SPANNING = st.lists(st.tuples(CELLS, LINES, LINES), min_size=1, max_size=12)


def written(table: list[tuple[str, str, str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("id", "name", "amount"), *table])
    return out.getvalue().encode()


@given(SPANNING)
def test_line_breaks_that_pythons_own_writer_quoted_are_read_back(
    table: list[tuple[str, str, str]],
) -> None:
    rows = read(written(table), wanted=("id", "name", "amount"), quoted_line_breaks=True)

    assert rows == [(n, True, *row) for n, row in enumerate(table)]


@given(SPANNING, st.data())
def test_a_file_of_quoted_line_breaks_that_is_cut_anywhere_keeps_what_is_before(
    table: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    body, whole = written(table), data.draw(st.integers(0, len(table) - 1))
    start = len(written(table[:whole]))
    cut = data.draw(st.integers(start, len(written(table[: whole + 1])) - 3))

    rows = read(body[:cut], wanted=("id", "name", "amount"), quoted_line_breaks=True)

    assert rows[:whole] == [(n, True, *row) for n, row in enumerate(table[:whole])]
    assert [row[0] for row in rows[whole:]] == sorted({row[0] for row in rows[whole:]})


@given(st.lists(st.sampled_from([b"a", b'"', b",", b"\n", b"\r\n", b"\xff"]), max_size=40))
def test_quoted_line_breaks_change_nothing_in_a_file_without_quotes(parts: list[bytes]) -> None:
    body = HEADER + b"".join(parts).replace(b'"', b"")

    assert read(body, quoted_line_breaks=True) == read(body)


@given(TABLES, st.data())
def test_a_file_cut_anywhere_spoils_at_most_its_last_line(
    table: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    lines = [json.dumps(dict(zip("abc", row, strict=True))) for row in table]
    body = "\n".join(lines).encode() + b"\n"
    cut = data.draw(st.integers(0, len(body)))

    rows = list(text.rows(io.BytesIO(body[:cut]), "jsonl", ("a", "b", "c")))

    whole = body[:cut].count(b"\n")
    assert [tuple(row.values) for row in rows[:whole]] == table[:whole]
    assert all(row.is_readable for row in rows[:whole])
    assert len(rows) - whole in (0, 1)


def test_batches_hold_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "BATCH_ROWS", 2)
    body = HEADER + b"".join(b"%d,n,1.00\n" % n for n in range(5))

    batches = list(text.batches(text.rows(io.BytesIO(body), "csv", ("id",)), ("id",)))

    assert [batch.num_rows for batch in batches] == [2, 2, 1]


DEEP = [
    b'{"id": %s%s}' % (opening * levels, closing * levels)
    for levels in (text.DEEPEST, 500, 3000)
    for opening, closing in ((b"[", b"]"), (b'{"a":[', b"]}"))
]


@pytest.mark.parametrize("deep", DEEP, ids=range(len(DEEP)))
def test_a_row_that_nests_too_deep_is_refused_and_spoils_no_other(deep: bytes) -> None:
    lines = [b'{"id": "1,]}", "amount": 2.5}', deep, b'{"id": "\\"[", "amount": 3}']

    for kind, body in (("jsonl", b"\n".join(lines)), ("json", b"[" + b",".join(lines) + b"]")):
        assert read(body, kind) == [
            (0, True, "1,]}", "2.5"),
            (1, False, None, None),
            (2, True, '"[', "3"),
        ]
    assert text.columns(io.BytesIO(b"[" + b",".join(lines) + b"]"), "json") == ["id", "amount"]


def test_a_row_that_nests_as_deep_as_allowed_is_read() -> None:
    levels = text.DEEPEST - 1
    (row,) = read(b'{"id": %s%s}' % (b"[" * levels, b"]" * levels), "jsonl")
    assert row[:2] == (0, True)


@pytest.mark.parametrize(
    "body", [b"[1," * 3000, b'{"a":' * 3000 + b"[]" + b"}" * 3000, b"[" * 3000]
)
def test_a_deep_text_that_is_no_array_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(ValueError, match="not one whole JSON array"):
        text.columns(io.BytesIO(body), "json")


def test_half_of_a_surrogate_pair_refuses_its_row_alone() -> None:
    lines = [
        rb'{"id": "pizza \ud83c", "amount": 1}',
        rb'{"id": "\ud83c\udf55", "amount": 2}',
        rb'{"\uDC00": 1, "id": "a", "amount": 3}',
    ]

    for kind, body in (("jsonl", b"\n".join(lines)), ("json", b"[" + b",".join(lines) + b"]")):
        assert read(body, kind) == [
            (0, False, None, "1"),
            (1, True, "\U0001f355", "2"),
            (2, False, "a", "3"),
        ]
        assert text.columns(io.BytesIO(body), kind) == ["id", "amount"]
        assert [
            batch.num_rows
            for batch in text.batches(text.rows(io.BytesIO(body), kind, ["id"]), ["id"])
        ] == [3]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_utf_16_is_named(encoding: str, kind: str) -> None:
    body = '[{"id": "1", "amount": "2"}]\n'.encode(encoding)
    with pytest.raises(ValueError, match="UTF-16 text"):
        text.columns(io.BytesIO(body), kind)


FEW = settings(max_examples=30, deadline=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec=None)), inner),
)


@FEW
@given(st.lists(JSON, min_size=1), st.integers(1, 1500))
def test_any_json_is_rows_that_arrow_takes_and_lines_and_array_agree(
    elements: list[Any], levels: int
) -> None:
    texts = ['{"id": 1}', *map(json.dumps, elements)]
    texts.append('{"id": ' + "[" * levels + "]" * levels + "}")
    lines, array = "\n".join(texts).encode(), f"[{','.join(texts)}]".encode()

    found = read(lines, "jsonl")
    assert found == read(array, "json")
    assert [position for position, *_ in found] == list(range(len(texts)))
    assert found[-1][1] == (levels < text.DEEPEST)
    for body, kind in ((lines, "jsonl"), (array, "json")):
        names = text.columns(io.BytesIO(body), kind)
        batches = text.batches(text.rows(io.BytesIO(body), kind, names), names)
        assert sum(batch.num_rows for batch in batches) == len(texts)
