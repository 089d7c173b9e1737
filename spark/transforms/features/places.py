"""Where a payment was made: how far from home, and how fast the card would have travelled."""

from typing import Final

import numpy as np
import pyarrow as pa

from contracts.features import TRAVEL_FLOOR_SECONDS
from spark.transforms.features.groups import HISTORY, SECOND, Floats, Groups

_EARTH_RADIUS_KM: Final = 6371.0088


def distance_km(lat_a: Floats, lon_a: Floats, lat_b: Floats, lon_b: Floats) -> Floats:
    """Return the great-circle distance of two places in kilometres, to the metre.

    The haversine formula on the mean radius of the Earth (IUGG); not a number where a place is not.

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
    """Return the distance from the payer's home to the payment."""
    distance = distance_km(home_lat, home_lon, lat, lon)
    return pa.array(distance, mask=np.isnan(distance))


def travel_speed(groups: Groups, all_lat: Floats, all_lon: Floats) -> pa.Array:
    """Return the speed in km/h from the customer's last payment with a place before this one.

    The "impossible travel" rule of card and log-in monitoring; no paper's formula. Places are known
    to 0.1 degree only, so that small speeds are rounding; two payments of one instant count as
    `TRAVEL_FLOOR_SECONDS` apart.
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
