"""The dashboards, a module each."""

from typing import Final

from bi.dashboards import (
    data_quality,
    feature_insights,
    fraud_overview,
    model_performance,
    pattern_analysis,
    platform_health,
)
from bi.model import Dashboard

DASHBOARDS: Final[tuple[Dashboard, ...]] = (
    fraud_overview.DASHBOARD,
    pattern_analysis.DASHBOARD,
    model_performance.DASHBOARD,
    feature_insights.DASHBOARD,
    data_quality.DASHBOARD,
    platform_health.DASHBOARD,
)
