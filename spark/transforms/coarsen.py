"""Coarsen quasi-identifiers: places to a tenth of a degree, addresses to the region."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_REGION_LETTERS = 30
"""The longest name of a state or province is shorter; an address is longer."""
_PLACES = ("transaction_lat", "transaction_lon", "home_lat", "home_lon")


def region(location_text: Column) -> Column:
    """Return what stands after the last comma of an address, if it can be a region's name.

    >>> spark.range(1).select(region(F.lit("Miami, FL")).alias("region")).first()
    Row(region='FL')
    """
    last = F.trim(F.substring_index(location_text, ",", -1))
    has_region = location_text.contains(",") & F.length(last).between(1, _REGION_LETTERS)
    return F.when(has_region, last)


def coarsen(df: DataFrame) -> DataFrame:
    """Round places to 0.1 degree (11 km) and keep only the region of the address."""
    rounded = {name: F.round(F.col(name), 1) for name in _PLACES}
    return df.withColumns({"region": region(F.col("location_text")), **rounded}).drop(
        "location_text"
    )
