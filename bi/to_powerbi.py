"""The Power BI project from the contracts: every table of PRODUCTION, related to its dimensions.

TMDL is Microsoft's text form of a semantic model; `make contracts` writes it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bi.datasets import DATASETS
from bi.model import COUNT, DECIMAL, FINE, MONEY, PERCENT, SECONDS, Dataset, Metric
from contracts.columns import COLUMNS, LogicalType
from contracts.settings import HOST
from contracts.tables import Table, zone

FOLDER: Final = Path("bi/powerbi")
_NAME: Final = "Tollgate"
_MODEL: Final = FOLDER / f"{_NAME}.SemanticModel"
_SCHEMAS: Final = "https://developer.microsoft.com/json-schemas/fabric"
_PORT: Final = 15400
_TYPES: Final = {
    LogicalType.STRING: "string",
    LogicalType.INTEGER: "int64",
    LogicalType.LONG: "int64",
    LogicalType.DOUBLE: "double",
    LogicalType.MONEY: "decimal",
    LogicalType.BOOLEAN: "boolean",
    LogicalType.DATE: "dateTime",
    LogicalType.TIMESTAMP: "dateTime",
}
"""List columns are omitted, because Power BI has no list type."""
_FORMATS: Final = {
    COUNT: "#,0",
    MONEY: "#,0.00##",
    PERCENT: "0.00%",
    DECIMAL: "0.000",
    FINE: "0.0000",
    SECONDS: "#,0.0",
}
_DATES: Final = "dim_dates"
_DATE_COLUMNS: Final = (
    "event_date",
    "delivered_date",
    "checked_date",
    "finished_date",
    "calendar_date",
    "period_start",
)
"""Date columns for the relationship with the calendar: the first that a table has."""


_VERSIONS: Final = {
    "dim_customers": {"valid_from": "customer_valid_from"},
    "dim_merchants": {"valid_from": "merchant_valid_from"},
}
"""Columns of a fact that refer to a dimension's key under another name."""


@dataclass(frozen=True)
class Relationship:
    """A many-to-one relationship of a table to a dimension, by columns with the same names."""

    table: Table
    dimension: Table
    columns: tuple[str, ...]
    to_columns: tuple[str, ...]

    @property
    def key(self) -> str:
        """Return the joining column: Power BI supports relationships by one column only."""
        return _joined(self.dimension) if len(self.columns) > 1 else self.columns[0]

    @property
    def to_key(self) -> str:
        """Return the joining column of the dimension."""
        return _joined(self.dimension) if len(self.columns) > 1 else self.to_columns[0]


def _joined(dimension: Table) -> str:
    return f"{dimension.short_name.removeprefix('dim_').removesuffix('s')}_key"


def relationships() -> list[Relationship]:
    """Return the relationships of tables that have all columns of a dimension's key."""
    tables = zone("production")
    relations = []
    for dimension in (table for table in tables if table.short_name.startswith("dim_")):
        for table in tables:
            if table.short_name.startswith("dim_"):
                continue
            named = _VERSIONS.get(dimension.short_name, {})
            columns = tuple(named.get(name, name) for name in dimension.key)
            if dimension.short_name == _DATES:
                columns = tuple(name for name in _DATE_COLUMNS if name in table.column_names)[:1]
            if columns and set(columns) <= set(table.column_names):
                relations.append(Relationship(table, dimension, columns, dimension.key))
    return relations


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"\w+", name) else "'" + name.replace("'", "''") + "'"


def _dax(table: Table, metric: Metric) -> str:
    def aggregate(function: str, column: str) -> str:
        return f"{function}('{table.short_name}'[{column}])"

    if metric.column is None:
        return f"COUNTROWS('{table.short_name}')"
    function = {"AVG": "AVERAGE"}.get(metric.function, metric.function)
    if not metric.over:
        return aggregate(function, metric.column)
    whole = " + ".join(aggregate("SUM", name) for name in metric.over)
    times = f"{metric.per} * " if metric.per > 1 else ""
    return f"{times}DIVIDE({aggregate('SUM', metric.column)}, {whole})"


def _only(table: Table, dataset: Dataset, measure: str) -> str:
    """Return a measure of the rows that the metrics of the dataset use."""
    only = dataset.only
    if only is None:
        return measure
    return f"CALCULATE({measure}, KEEPFILTERS('{table.short_name}'[{only.column}] = {only.dax}))"


def _measures(table: Table, taken: set[str]) -> list[str]:
    """Return the measures of a table; a name that the model uses already gets a table suffix."""
    lines: list[str] = []
    metrics = [
        (metric, _only(table, data, _dax(table, metric)))
        for data in DATASETS
        if data.table == table.short_name and data.adds_up
        for metric in data.metrics
    ]
    for metric, measure in metrics:
        name = metric.title
        if name.lower() in taken or name.lower() in table.column_names:
            name = f"{name} ({table.short_name})"
        taken.add(name.lower())
        lines += [
            f"\tmeasure {_quoted(name)} = {measure}",
            f"\t\tformatString: {_FORMATS[metric.format]}",
            "",
        ]
    return lines


def _columns(table: Table, keys: list[str]) -> list[str]:
    lines: list[str] = []
    for column in table.columns:
        if column.type not in _TYPES:
            continue
        lines += [
            f"\t/// {column.description}",
            f"\tcolumn {column.name}",
            f"\t\tdataType: {_TYPES[column.type]}",
            *(["\t\tformatString: yyyy-mm-dd"] if column.type is LogicalType.DATE else []),
            "\t\tsummarizeBy: none",
            f"\t\tsourceColumn: {column.name}",
            "",
        ]
    for key in keys:
        lines += [
            "\t/// Joins it to a dimension; combined from the joining columns of the warehouse.",
            f"\tcolumn {key}",
            "\t\tdataType: string",
            "\t\tisHidden",
            "\t\tsummarizeBy: none",
            f"\t\tsourceColumn: {key}",
            "",
        ]
    return lines


def _partition(table: Table, keys: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the query of a table: its declared columns, amounts as currency, and joining keys."""
    chosen = [column for column in table.columns if column.type in _TYPES]
    names = ", ".join(f'"{column.name}"' for column in chosen)
    money = [column.name for column in chosen if column.type is LogicalType.MONEY]
    types = ", ".join(f'{{"{name}", Currency.Type}}' for name in money)
    steps = [
        "Source = PostgreSQL.Database(Server, Database)",
        f'Rows = Source{{[Schema = "production", Item = "{table.short_name}"]}}[Data]',
        f"Chosen = Table.SelectColumns(Rows, {{{names}}})",
        f"Typed = Table.TransformColumnTypes(Chosen, {{{types}}})",
    ]
    last = "Typed"
    for key, columns in keys.items():
        parts = [
            f"[{name}]" if COLUMNS[name].type is LogicalType.STRING else f"Text.From([{name}])"
            for name in columns
        ]
        step = f"With_{key}"
        text = ' & "|" & '.join(parts)
        steps.append(f'{step} = Table.AddColumn({last}, "{key}", each {text}, type text)')
        last = step
    return [
        f"\tpartition {table.short_name} = m",
        "\t\tmode: import",
        "\t\tsource =",
        "\t\t\t\tlet",
        *(f"\t\t\t\t\t{step}," for step in steps[:-1]),
        f"\t\t\t\t\t{steps[-1]}",
        "\t\t\t\tin",
        f"\t\t\t\t\t{last}",
        "",
    ]


def _keys(table: Table) -> dict[str, tuple[str, ...]]:
    """Return the joining columns to add to a table, with the columns that each combines."""
    keys = {}
    for related in relationships():
        if len(related.columns) > 1 and table in (related.table, related.dimension):
            side = related.columns if table is related.table else related.to_columns
            keys[related.key] = side
    return keys


def _table(table: Table, taken: set[str]) -> str:
    keys = _keys(table)
    lines = [
        f"/// One row per {table.grain}.",
        f"table {table.short_name}",
        *(["\tdataCategory: Time"] if table.short_name == _DATES else []),
        "",
        *_measures(table, taken),
        *_columns(table, list(keys)),
        *_partition(table, keys),
    ]
    return "\n".join(lines)


def _relationships() -> str:
    lines: list[str] = []
    for related in relationships():
        table, dimension = related.table.short_name, related.dimension.short_name
        lines += [
            f"relationship {table}_{dimension}",
            f"\tfromColumn: {table}.{related.key}",
            f"\ttoColumn: {dimension}.{related.to_key}",
            "",
        ]
    return "\n".join(lines)


def _parameter(name: str, value: str, meaning: str) -> str:
    required = 'IsParameterQuery=true, Type="Text", IsParameterQueryRequired=true'
    return (
        f'/// {meaning}\nexpression {name} = "{value}" meta [{required}]\n\n'
        "\tannotation PBI_ResultType = Text\n"
    )


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _model() -> str:
    lines = [
        "model Model",
        "\tculture: en-US",
        "\tdefaultPowerBIDataSourceVersion: powerBI_V3",
        "\tdiscourageImplicitMeasures",
        "\tsourceQueryCulture: en-US",
        "",
        "annotation __PBI_TimeIntelligenceEnabled = 0",
        "",
        *(f"ref table {table.short_name}" for table in zone("production")),
        "",
    ]
    return "\n".join(lines)


def _report() -> dict[Path, str]:
    """Return a report with one empty page over the model, for analysts to fill."""
    folder = FOLDER / f"{_NAME}.Report"
    page = {
        "name": "page1",
        "displayName": "Page 1",
        "displayOption": 1,
        "width": 1280,
        "height": 720,
        "config": "{}",
        "filters": "[]",
        "visualContainers": [],
    }
    return {
        folder / "definition.pbir": _json(
            {
                "$schema": f"{_SCHEMAS}/item/report/definitionProperties/1.0.0/schema.json",
                "version": "1.0",
                "datasetReference": {"byPath": {"path": f"../{_MODEL.name}"}},
            }
        ),
        folder / "report.json": _json(
            {"config": '{"version": "5.55"}', "layoutOptimization": 0, "sections": [page]}
        ),
    }


def generated() -> dict[Path, str]:
    """Return every file of the project, relative to the repository, with its content."""
    server = f"{HOST}:{_PORT}"
    address = {"server": server, "database": "warehouse"}
    connection = {"details": {"protocol": "postgresql", "address": address}, "mode": "Import"}
    taken: set[str] = set()
    definition = _MODEL / "definition"
    return {
        FOLDER / "tollgate.pbids": _json({"version": "0.1", "connections": [connection]}),
        FOLDER / f"{_NAME}.pbip": _json(
            {
                "$schema": f"{_SCHEMAS}/pbip/pbipProperties/1.0.0/schema.json",
                "version": "1.0",
                "artifacts": [{"report": {"path": f"{_NAME}.Report"}}],
                "settings": {"enableAutoRecovery": True},
            }
        ),
        **_report(),
        _MODEL / "definition.pbism": _json(
            {
                "$schema": f"{_SCHEMAS}/item/semanticModel/definitionProperties/1.0.0/schema.json",
                "version": "4.2",
                "settings": {},
            }
        ),
        definition / "database.tmdl": "database\n\tcompatibilityLevel: 1600\n",
        definition / "model.tmdl": _model(),
        definition / "expressions.tmdl": "\n".join(
            (
                _parameter("Server", server, "Host and port of the warehouse, from `make env`."),
                _parameter("Database", "warehouse", "Database of the warehouse."),
            )
        ),
        definition / "relationships.tmdl": _relationships(),
        **{
            definition / "tables" / f"{table.short_name}.tmdl": _table(table, taken)
            for table in zone("production")
        },
    }
