"""The chart types, with their Superset settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Literal

from bi.model import COUNT, PERCENT, Chart, Dataset, Metric
from contracts.columns import COLUMNS, LogicalType
from contracts.values import MONEY_DECIMALS

_ROWS: Final = 10_000
Period = Literal["day", "week", "month"]
_PERIODS: Final[dict[Period, tuple[str | None, str]]] = {
    "day": ("P1D", "%d %b"),
    "week": ("P1W", "%d %b"),
    "month": ("P1M", "%b %Y"),
}
"""Time grains of a series, and their date formats."""
_FORMATS: Final = {LogicalType.DOUBLE: ",.3f", LogicalType.MONEY: f",.{MONEY_DECIMALS}~f"}
"""Formats of single values in a list of rows.

Currencies differ in decimals, so no amount is rounded; `~` omits zeros at the end.
"""


def _metric(dataset: Dataset, name: str) -> Metric:
    metrics = [metric for metric in dataset.metrics if metric.name == name]
    if not metrics:
        raise KeyError(f"{dataset.table} has no metric {name}")
    return metrics[0]


def _where(
    dataset: Dataset, conditions: tuple[str, ...] = (), by: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Return the filters of a chart: its date range, which dashboards change, and conditions."""
    dates = {
        "clause": "WHERE",
        "expressionType": "SIMPLE",
        "subject": dataset.date,
        "operator": "TEMPORAL_RANGE",
        "comparator": "No filter",
    }
    if dataset.only and dataset.only.column not in by:
        conditions = (dataset.only.sql, *conditions)
    given = [
        {"clause": "WHERE", "expressionType": "SQL", "sqlExpression": text} for text in conditions
    ]
    return [dates, *given]


def _series(dataset: Dataset, metrics: tuple[str, ...], each: Period) -> dict[str, Any]:
    grain, time_format = _PERIODS[each]
    form = _metric(dataset, metrics[0]).format
    return {
        "x_axis": dataset.date,
        "time_grain_sqla": grain,
        "x_axis_time_format": time_format,
        "y_axis_format": form,
        "tooltipTimeFormat": time_format,
        "row_limit": _ROWS,
        "truncate_metric": True,
        "rich_tooltip": True,
        "legendOrientation": "top",
        "legendType": "scroll",
        # The axis of shares ends at 1.
        "truncateYAxis": form == PERCENT and len(metrics) > 1,
        "y_axis_bounds": [0, 1] if form == PERCENT and len(metrics) > 1 else [None, None],
    }


def number(
    name: str,
    title: str,
    dataset: Dataset,
    metric: str,
    *,
    note: str = "",
    where: tuple[str, ...] = (),
    width: int = 3,
) -> Chart:
    """Return a chart with one big number."""
    params = {
        "metric": metric,
        "adhoc_filters": _where(dataset, where),
        "y_axis_format": _metric(dataset, metric).format,
        "subtitle": note,
        "header_font_size": 0.4,
        "subtitle_font_size": 0.125,
    }
    return Chart(name, title, dataset, "big_number_total", params, note, width, height=20)


def over_time(
    name: str,
    title: str,
    dataset: Dataset,
    metrics: tuple[str, ...],
    *,
    by: tuple[str, ...] = (),
    kind: str = "line",
    stack: bool = False,
    each: Period = "day",
    where: tuple[str, ...] = (),
    note: str = "",
    width: int = 6,
    height: int = 44,
) -> Chart:
    """Return a line or bar chart (`kind` is line or bar) over the dates of the dataset."""
    params = {
        **_series(dataset, metrics, each),
        "metrics": list(metrics),
        "groupby": list(by),
        "adhoc_filters": _where(dataset, where),
        "show_legend": len(metrics) > 1 or bool(by),
        "stack": "Stack" if stack else None,
        "markerEnabled": False,
    }
    kind = f"echarts_timeseries_{kind}"
    return Chart(name, title, dataset, kind, params, note, width, height)


def bars_and_lines(
    name: str,
    title: str,
    dataset: Dataset,
    bars: tuple[str, ...],
    lines: tuple[str, ...],
    *,
    second_axis: bool = False,
    each: Period = "day",
    where: tuple[str, ...] = (),
    note: str = "",
    width: int = 6,
    height: int = 44,
) -> Chart:
    """Return bars with lines over them, on a second axis when the units differ."""
    second = int(second_axis)
    params = {
        **_series(dataset, bars, each),
        "metrics": list(bars),
        "groupby": [],
        "adhoc_filters": _where(dataset, where),
        "seriesType": "bar",
        "yAxisIndex": 0,
        "metrics_b": list(lines),
        "groupby_b": [],
        "adhoc_filters_b": _where(dataset, where),
        "row_limit_b": _ROWS,
        "truncate_metric_b": True,
        "seriesTypeB": "line",
        "yAxisIndexB": second,
        "y_axis_format_secondary": _metric(dataset, lines[0]).format,
        "show_legend": True,
        "opacity": 0.2,
    }
    return Chart(name, title, dataset, "mixed_timeseries", params, note, width, height)


def ranking(
    name: str,
    title: str,
    dataset: Dataset,
    by: str,
    metric: str,
    *,
    limit: int = 20,
    where: tuple[str, ...] = (),
    note: str = "",
    width: int = 6,
    height: int = 44,
) -> Chart:
    """Return horizontal bars, longest first."""
    params = {
        "x_axis": by,
        "metrics": [metric],
        "groupby": [],
        "adhoc_filters": _where(dataset, where),
        "orientation": "horizontal",
        "x_axis_sort": metric,
        "x_axis_sort_asc": True,
        "timeseries_limit_metric": metric,
        "order_desc": True,
        "row_limit": limit,
        "truncate_metric": True,
        "y_axis_format": _metric(dataset, metric).format,
        "show_legend": False,
        "show_value": True,
        "rich_tooltip": True,
    }
    return Chart(name, title, dataset, "echarts_timeseries_bar", params, note, width, height)


def along(
    name: str,
    title: str,
    dataset: Dataset,
    x: str,
    metrics: tuple[str, ...],
    *,
    kind: str = "bar",
    by: tuple[str, ...] = (),
    stack: bool = False,
    x_title: str = "",
    dated: bool = True,
    where: tuple[str, ...] = (),
    note: str = "",
    width: int = 6,
    height: int = 44,
) -> Chart:
    """Return bars or lines along an ordered column, filtered by date if `dated`."""
    params = {
        "x_axis": x,
        "xAxisForceCategorical": True,
        "x_axis_sort": x,
        "x_axis_sort_asc": True,
        "x_axis_title": x_title,
        "x_axis_title_margin": 30 if x_title else 0,
        "metrics": list(metrics),
        "groupby": list(by),
        "adhoc_filters": _where(dataset, where)[0 if dated else 1 :],
        "row_limit": _ROWS,
        "truncate_metric": True,
        "y_axis_format": _metric(dataset, metrics[0]).format,
        "show_legend": len(metrics) > 1 or bool(by),
        "legendOrientation": "top",
        "legendType": "scroll",
        "rich_tooltip": True,
        "stack": "Stack" if stack else None,
        "markerEnabled": kind == "line",
    }
    kind = f"echarts_timeseries_{kind}"
    return Chart(name, title, dataset, kind, params, note, width, height)


def heatmap(
    name: str,
    title: str,
    dataset: Dataset,
    x: str,
    y: str,
    metric: str,
    *,
    each: Period | None = None,
    where: tuple[str, ...] = (),
    note: str = "",
    width: int = 6,
    height: int = 50,
) -> Chart:
    """Return a heat map of two columns and a metric; `each` is the time grain of a date `x`."""
    grain, time_format = _PERIODS[each] if each else (None, "")
    params = {
        "time_grain_sqla": grain,
        "x_axis_time_format": time_format,
        "x_axis": x,
        "groupby": y,
        "metric": metric,
        "adhoc_filters": _where(dataset, where),
        "row_limit": _ROWS,
        "sort_x_axis": "alpha_asc",
        "sort_y_axis": "alpha_desc",
        "normalize_across": "heatmap",
        "legend_type": "continuous",
        "linear_color_scheme": "schemeOranges",
        "xscale_interval": -1,
        "yscale_interval": -1,
        "left_margin": 100,
        "bottom_margin": 50,
        "value_bounds": [None, None],
        "y_axis_format": _metric(dataset, metric).format,
        "show_legend": True,
        "show_percentage": False,
    }
    return Chart(name, title, dataset, "heatmap_v2", params, note, width, height)


def table(
    name: str,
    title: str,
    dataset: Dataset,
    by: tuple[str, ...],
    metrics: tuple[str, ...],
    *,
    order_by: str,
    ascending: bool = False,
    limit: int = 100,
    where: tuple[str, ...] = (),
    note: str = "",
    width: int = 12,
    height: int = 50,
) -> Chart:
    """Return a table of metrics by columns, sorted by `order_by`, descending by default."""
    formats = {
        name: {"d3NumberFormat": _metric(dataset, name).format}
        for name in metrics
        if _metric(dataset, name).format != COUNT
    }
    params = {
        "query_mode": "aggregate",
        "groupby": list(by),
        "metrics": list(metrics),
        "timeseries_limit_metric": order_by,
        "order_desc": not ascending,
        "adhoc_filters": _where(dataset, where, by),
        "row_limit": limit,
        "server_page_length": 10,
        "page_length": 0,
        "table_timestamp_format": "%Y-%m-%d %H:%M",
        "column_config": formats,
        "show_cell_bars": True,
        "color_pn": False,
    }
    return Chart(name, title, dataset, "table", params, note, width, height)


def rows(
    name: str,
    title: str,
    dataset: Dataset,
    columns: tuple[str, ...],
    *,
    newest_by: str,
    dated: bool = True,
    limit: int = 1000,
    where: tuple[str, ...] = (),
    note: str = "",
    width: int = 12,
    height: int = 50,
) -> Chart:
    """Return a list of single rows, newest first; without `dated` it ignores the date filter.

    It has no metric, so it also has the rows that metrics leave out.
    """
    params = {
        "query_mode": "raw",
        "all_columns": list(columns),
        "order_by_cols": [f'["{newest_by}", false]'],
        "column_config": {
            name: {"d3NumberFormat": _FORMATS[COLUMNS[name].type]}
            for name in columns
            if COLUMNS[name].type in _FORMATS
        },
        "adhoc_filters": _where(replace(dataset, only=None), where)[0 if dated else 1 :],
        "row_limit": limit,
        "page_length": 0,
        "table_timestamp_format": "%Y-%m-%d %H:%M",
        "show_cell_bars": False,
    }
    return Chart(name, title, dataset, "table", params, note, width, height)
