"""The index template fits the messages of `transactions.rejected`."""

from collections.abc import Sequence
from datetime import datetime
from typing import get_type_hints

from streaming.indexer import TEMPLATE
from streaming.messages import Reject

_TYPES = {
    str: {"keyword", "text"},
    str | None: {"keyword"},
    Sequence[str]: {"keyword"},
    datetime: {"date"},
    datetime | None: {"date"},
    int: {"long"},
    dict[str, str | None]: {"flat_object"},
}


def test_the_index_has_the_fields_of_a_reject_and_accepts_no_other() -> None:
    mappings = TEMPLATE["template"]["mappings"]
    fields = {name: field["type"] for name, field in mappings["properties"].items()}
    expected = get_type_hints(Reject)
    assert list(fields) == list(expected)
    assert [name for name, kind in fields.items() if kind not in _TYPES[expected[name]]] == []
    assert mappings["dynamic"] == "strict"
