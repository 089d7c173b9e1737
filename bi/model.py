"""The model of dashboards, from which `bi.to_superset` and `bi.to_powerbi` generate files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

COUNT: Final = ",d"
MONEY: Final = ",.0f"
PERCENT: Final = ".2%"
DECIMAL: Final = ".3f"
FINE: Final = ".4f"
SECONDS: Final = ",.1f"
COLUMNS: Final = 12
"""Width of a dashboard, in the units of a chart's width."""


@dataclass(frozen=True)
class Metric:
    """A metric over any set of rows: an aggregate of a column, or a ratio of sums.

    Without a column it counts rows. The sum of the columns `over` is the denominator of a ratio,
    and `per` its unit.
    """

    name: str
    title: str
    column: str | None
    format: str = COUNT
    over: tuple[str, ...] = ()
    per: int = 1
    function: Literal["SUM", "MIN", "MAX", "AVG"] = "SUM"

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that the metric reads."""
        return (*((self.column,) if self.column else ()), *self.over)

    @property
    def sql(self) -> str:
        """Return the SQL of the metric for both warehouses."""
        if self.column is None:
            return "COUNT(*)"
        if not self.over:
            return f"{self.function}({self.column})"
        whole = " + ".join(f"SUM({name})" for name in self.over)
        return f"{self.per}.0 * SUM({self.column}) / NULLIF({whole}, 0)"


@dataclass(frozen=True)
class Only:
    """The rows that metrics use: those with a text in a column, or with a flag without one."""

    column: str
    text: str | None = None

    @property
    def sql(self) -> str:
        """Return the condition for Superset."""
        return self.column if self.text is None else f"{self.column} = '{self.text}'"

    @property
    def dax(self) -> str:
        """Return what Power BI compares the column with."""
        return "TRUE()" if self.text is None else f'"{self.text}"'


@dataclass(frozen=True)
class Dataset:
    """A table of PRODUCTION, with columns and descriptions from the contracts.

    If a payment is in several rows of the table, sums are wrong, and each chart must filter the
    rows. Metrics use the rows of `only`, except in charts that group by its column.
    """

    table: str
    title: str
    date: str
    metrics: tuple[Metric, ...] = ()
    adds_up: bool = True
    only: Only | None = None


@dataclass(frozen=True)
class Chart:
    """One chart: `params` is what Superset calls form data, without the dataset."""

    name: str
    title: str
    dataset: Dataset
    kind: str
    params: dict[str, Any]
    description: str = ""
    width: int = 6
    height: int = 44


@dataclass(frozen=True)
class Filter:
    """A filter of a dashboard; a filter without a column is the date range.

    A `single` filter always has one value, by default the first: amounts in several currencies
    cannot be added.
    """

    title: str
    column: str | None = None
    dataset: Dataset | None = None
    single: bool = False


@dataclass(frozen=True)
class Dashboard:
    """A page of charts by row; the widths of a row sum to `COLUMNS`."""

    name: str
    title: str
    question: str
    rows: tuple[tuple[Chart, ...], ...]
    filters: tuple[Filter, ...]
    owner: Literal["fraud", "platform"] = "fraud"

    @property
    def slug(self) -> str:
        """Return the name in the URL."""
        return self.name.replace("_", "-")

    @property
    def tables(self) -> list[str]:
        """Return the tables of PRODUCTION that the dashboard reads."""
        return sorted({chart.dataset.table for chart in self.charts})

    @property
    def charts(self) -> tuple[Chart, ...]:
        """Return all charts in reading order."""
        return tuple(chart for row in self.rows for chart in row)
