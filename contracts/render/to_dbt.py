"""Generated files for dbt: sources, contracts of the marts, and the data dictionary."""

import json
import re
from pathlib import Path
from typing import Final

from contracts.columns import LABEL_SOURCES, Column, PersonalData
from contracts.evaluation import CALIBRATION_EDGES, CARDS_A_DAY, DRIFT_LIMITS
from contracts.render import to_postgres, to_snowflake
from contracts.tables import TABLES, Table, zone

BEGIN: Final = "    # generated from contracts/ by `make contracts`: do not edit from here"
END: Final = "    # to here"
_MODELS: Final = Path("dbt_project/models")
_SOURCES: Final = _MODELS / "staging/_sources.yml"
_EVALUATION: Final = Path("dbt_project/macros/evaluation.sql")
_DICTIONARY: Final = Path("docs/data-dictionary.md")
_ZONES: Final = {
    "processed": "Lake, PROCESSED: typed, validated, pseudonymised",
    "sandbox": "Lake, SANDBOX: features and a masked sample",
    "staging": "Warehouse, STAGING: the lake's rows as loaded, scores, the run ledger",
    "production": "Warehouse, PRODUCTION: the marts that dashboards and analysts read",
    "serving": "Warehouse, SERVING: what the decision API reads and records",
}


def _text(value: str) -> str:
    # A JSON string is a valid YAML string.
    return json.dumps(value, ensure_ascii=False)


def _type(column: Column) -> str:
    """Return the type for a contract: one name, or one for each warehouse."""
    postgres, snowflake = to_postgres.TYPES[column.type], to_snowflake.TYPES[column.type]
    if postgres == snowflake:
        return postgres
    return f"\"{{{{ '{snowflake}' if target.type == 'snowflake' else '{postgres}' }}}}\""


def _checks(column: Column) -> list[str]:
    checks = []
    if column.allowed:
        values = ", ".join(f"'{value}'" for value in column.allowed)
        checks.append(f"{column.name} in ({values})")
    if column.minimum is not None:
        checks.append(f"{column.name} >= {column.minimum:g}")
    if column.maximum is not None:
        checks.append(f"{column.name} <= {column.maximum:g}")
    return checks


def contract_block(table: Table) -> str:
    """Return the constraints and columns of a mart for its YAML file."""
    lines = [
        BEGIN,
        "    constraints:",
        "      - type: primary_key",
        f"        columns: [{', '.join(table.key)}]",
        "    columns:",
    ]
    for column in table.columns:
        lines += [
            f"      - name: {column.name}",
            f"        data_type: {_type(column)}",
            f"        description: {_text(column.description)}",
        ]
        constraints = [] if table.is_nullable(column.name) else ["          - type: not_null"]
        constraints += [
            line
            for check in _checks(column)
            for line in ("          - type: check", f"            expression: {_text(check)}")
        ]
        if constraints:
            lines += ["        constraints:", *constraints]
    return "\n".join([*lines, END]) + "\n"


def staging_block(table: Table) -> str:
    """Return the columns of a staging model, as they stand in its YAML."""
    lines = [BEGIN, "    columns:"]
    for column in table.columns:
        lines += [
            f"      - name: {column.name}",
            f"        description: {_text(column.description)}",
        ]
    return "\n".join([*lines, END]) + "\n"


def source_of(model: Path) -> Table:
    """Return the table that a staging model reads, by its SQL."""
    (name,) = re.findall(r"source\('staging', '(\w+)'\)", model.read_text())
    return TABLES[f"staging.{name}"]


def sources() -> str:
    """Return the source file: every table of STAGING that the loader writes."""
    lines = [
        "# generated from contracts/ by `make contracts`: do not edit",
        "version: 2",
        "",
        "sources:",
        "  - name: staging",
        "    schema: staging",
        "    description: Filled by the loader; dbt's staging views are the only readers.",
        "    tables:",
    ]
    for table in zone("staging"):
        lines += [
            f"      - name: {table.short_name}",
            f"        description: {_text(f'One row per {table.grain}.')}",
            "        columns:",
        ]
        for column in table.columns:
            lines += [
                f"          - name: {column.name}",
                f"            data_type: {_type(column)}",
                f"            description: {_text(column.description)}",
            ]
    return "\n".join(lines) + "\n"


def evaluation() -> str:
    """Return the macros with the constants of the model metrics."""
    constants = {
        "calibration_edges": list(CALIBRATION_EDGES),
        "cards_a_day": CARDS_A_DAY,
        "drift_limits": list(DRIFT_LIMITS),
        "label_sources": list(LABEL_SOURCES),
    }
    macros = (
        f"{{% macro {name}() -%}}\n    {{{{ return({value}) }}}}\n{{%- endmacro %}}\n"
        for name, value in constants.items()
    )
    head = "{# generated from contracts/ by `make contracts`: do not edit #}\n\n"
    return head + "\n\n".join(macros)


def _limits(column: Column) -> str:
    parts = [f"one of {', '.join(column.allowed)}"] if column.allowed else []
    if column.minimum is not None:
        parts.append(f"from {column.minimum:g}")
    if column.maximum is not None:
        parts.append(f"to {column.maximum:g}")
    if column.unit:
        parts.append(f"in {column.unit}")
    return " ".join(parts)


def dictionary() -> str:
    """Return the data dictionary: every table and column, by zone."""
    lines = [
        "# Data dictionary",
        "",
        "Generated from `contracts/` by `make contracts`; a test fails when it is stale.",
    ]
    for zone_name, title in _ZONES.items():
        lines += ["", f"## {title}"]
        for table in zone(zone_name):
            key = ", ".join(f"`{name}`" for name in table.key)
            by = f" Partitioned by day of `{table.partition_by}`." if table.partition_by else ""
            by = " Merged by key." if table.interval else by
            lines += [
                "",
                f"### {table.name}",
                "",
                f"One row per {table.grain}. Key: {key}.{by}",
                "",
                "| column | type | null | limits | personal data | meaning |",
                "|---|---|---|---|---|---|",
            ]
            for column in table.columns:
                personal = "" if column.personal is PersonalData.NONE else column.personal.value
                null = "yes" if table.is_nullable(column.name) else ""
                lines.append(
                    f"| `{column.name}` | {column.type.value} | {null} | {_limits(column)} |"
                    f" {personal} | {column.description} |"
                )
    return "\n".join(lines) + "\n"


def _with_block(text: str, block: str, path: Path) -> str:
    before, begin, rest = text.partition(BEGIN + "\n")
    _, end, after = rest.partition(END + "\n")
    if not begin or not end:
        raise ValueError(f"{path} lacks the marker lines around its generated contract.")
    return before + block + after


def generated(repo: Path) -> dict[Path, str]:
    """Return every generated file, relative to the repository, with its expected content.

    Raises:
        ValueError: when the YAML of a model lacks the markers around what is generated.
    """
    files = {_SOURCES: sources(), _EVALUATION: evaluation(), _DICTIONARY: dictionary()}
    for file in sorted((repo / _MODELS / "marts").rglob("*.yml")):
        table = TABLES.get(f"production.{file.stem}")
        if table is not None:
            path = file.relative_to(repo)
            files[path] = _with_block(file.read_text(), contract_block(table), path)
    for model in sorted((repo / _MODELS / "staging").glob("*.sql")):
        path = model.relative_to(repo).with_suffix(".yml")
        block = staging_block(source_of(model))
        files[path] = _with_block((repo / path).read_text(), block, path)
    return files
