"""Where a payment was made: how far from home, and how fast the card would have travelled."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from contracts.features import TRAVEL_FLOOR_SECONDS
from spark.transforms.features.frames import SECOND, oldest

_EARTH_RADIUS_KM = 6371.0088


def distance_km(lat_a: Column, lon_a: Column, lat_b: Column, lon_b: Column) -> Column:
    """Return the great-circle distance of two places in kilometres, to the metre.

    The haversine formula on the mean radius of the Earth (IUGG).

    >>> args = [F.lit(float(x)) for x in (0, 0, 0, 1)]
    >>> spark.range(1).select(distance_km(*args).alias("km")).first()
    Row(km=111.195)
    """
    half_lat = F.sin(F.radians(lat_b - lat_a) / 2)
    half_lon = F.sin(F.radians(lon_b - lon_a) / 2)
    across = F.cos(F.radians(lat_a)) * F.cos(F.radians(lat_b)) * half_lon * half_lon
    square = half_lat * half_lat + across
    chord = F.when(square > 1, 1.0).otherwise(square)
    return F.round(2 * _EARTH_RADIUS_KM * F.asin(F.sqrt(chord)), 3)


def home_distance_km() -> Column:
    """Return the distance from the payer's home to the payment."""
    return distance_km(
        F.col("home_lat"), F.col("home_lon"), F.col("transaction_lat"), F.col("transaction_lon")
    )


def located() -> Column:
    """Return time and place of a payment, null without a place."""
    has_place = F.col("transaction_lat").isNotNull() & F.col("transaction_lon").isNotNull()
    place = F.struct(
        "micros", F.col("transaction_lat").alias("lat"), F.col("transaction_lon").alias("lon")
    )
    return F.when(has_place, place)


def travel_speed(before: Column) -> Column:
    """Return the speed in km/h from `before`, the `located` payment before this one.

    The "impossible travel" rule of card and log-in monitoring; no paper's formula. Places are known
    to 0.1 degree only, so that small speeds are rounding; two payments of one instant count as
    `TRAVEL_FLOOR_SECONDS` apart.
    """
    distance = distance_km(
        before["lat"], before["lon"], F.col("transaction_lat"), F.col("transaction_lon")
    )
    elapsed = F.col("micros") - before["micros"]
    hours = F.greatest(elapsed / F.lit(SECOND), F.lit(float(TRAVEL_FLOOR_SECONDS))) / 3600
    return F.when(before["micros"] > oldest(), F.round(distance / hours, 3))
