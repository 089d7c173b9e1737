"""Places of payments: the distance from home, and the speed of travel."""

from typing import Final

import numpy as np
import pyarrow as pa

from contracts.features import TRAVEL_FLOOR_SECONDS
from spark.transforms.features.groups import HISTORY, SECOND, Floats, Groups

_EARTH_RADIUS_KM: Final = 6371.0088


def distance_km(lat_a: Floats, lon_a: Floats, lat_b: Floats, lon_b: Floats) -> Floats:
    """Return the great-circle distance of two places in kilometres, rounded to metres.

    The haversine formula with the mean radius of the Earth (IUGG); NaN without a place.

    >>> distance_km(*(np.array([float(x)]) for x in (0, 0, 0, 1))).tolist()
    [111.195]
    """
    half_lat = np.sin(np.radians(lat_b - lat_a) / 2)
    half_lon = np.sin(np.radians(lon_b - lon_a) / 2)
    across = np.cos(np.radians(lat_a)) * np.cos(np.radians(lat_b)) * half_lon * half_lon
    chord = np.minimum(half_lat * half_lat + across, 1.0)
    distance: Floats = np.round(2 * _EARTH_RADIUS_KM * np.arcsin(np.sqrt(chord)), 3)
    return distance


def home_distance_km(home_lat: Floats, home_lon: Floats, lat: Floats, lon: Floats) -> pa.Array:
    """Return the distance from the payer's home to the payment, null without a place.

    >>> home_distance_km(*(np.array([x]) for x in (0.0, 0.0, 0.0, 1.0))).to_pylist()
    [111.195]
    """
    distance = distance_km(home_lat, home_lon, lat, lon)
    return pa.array(distance, mask=np.isnan(distance))


def travel_speed(groups: Groups, all_lat: Floats, all_lon: Floats) -> pa.Array:
    """Return the speed in km/h since the customer's previous payment with a place.

    The "impossible travel" rule of card and log-in monitoring; not from a paper. Places have a
    precision of 0.1 degree, so small speeds are rounding errors. Payments at the same instant count
    as `TRAVEL_FLOOR_SECONDS` apart.

    >>> groups = Groups.of(np.array([0, 0]), np.array([0, 3_600 * SECOND]))
    >>> travel_speed(groups, np.array([0.0, 0.0]), np.array([0.0, 1.0])).to_pylist()
    [None, 111.195]
    """
    lat, lon = all_lat[groups.order], all_lon[groups.order]
    has_place = ~(np.isnan(lat) | np.isnan(lon))
    here = np.arange(len(lat))
    placed_so_far = np.maximum.accumulate(np.where(has_place, here, -1)) if len(lat) else here
    before = np.concatenate([[-1], placed_so_far[:-1]])[: len(lat)]
    is_known = has_place & (before >= 0)
    before = np.maximum(before, 0)
    elapsed = groups.micros - groups.micros[before]
    is_known &= (groups.codes[before] == groups.codes) & (elapsed < HISTORY)
    hours = np.maximum(elapsed / SECOND, float(TRAVEL_FLOOR_SECONDS)) / 3600
    speed = np.round(distance_km(lat[before], lon[before], lat, lon) / hours, 3)
    return groups.placed_where(is_known, speed)
