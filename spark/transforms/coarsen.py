"""Coarsening of quasi-identifiers: places to 0.1 degree, addresses to the region."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark.transforms.text import is_unprintable

_REGION_LETTERS = 30
"""Maximum length of the name of a state or province; addresses are longer."""
_PLACES = ("transaction_lat", "transaction_lon", "home_lat", "home_lon")


def region(location_text: Column) -> Column:
    """Return the text after the last comma of an address, if it can be the name of a region.

    >>> spark.range(1).select(region(F.lit("Miami, FL")).alias("region")).first()
    Row(region='FL')
    """
    last = F.trim(F.substring_index(location_text, ",", -1))
    has_region = location_text.contains(",") & F.length(last).between(1, _REGION_LETTERS)
    return F.when(has_region & ~is_unprintable(last), last)


def coarsen(df: DataFrame) -> DataFrame:
    """Round places to 0.1 degree (11 km) and replace the address by its region.

    >>> payment = spark.sql(
    ...     "SELECT 'Miami, FL' location_text, 25.77D home_lat, -80.19D home_lon,"
    ...     " 25.81D transaction_lat, -80.13D transaction_lon"
    ... )
    >>> coarsen(payment).select("region", "home_lat", "home_lon").first()
    Row(region='FL', home_lat=25.8, home_lon=-80.2)
    """
    rounded = {name: F.round(F.col(name), 1) for name in _PLACES}
    return df.withColumns({"region": region(F.col("location_text")), **rounded}).drop(
        "location_text"
    )
