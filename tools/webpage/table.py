"""Hours as a table to download."""

from collections.abc import Iterator, Mapping

from edge.delivery.messages import DWELL_BINS
from edge.types import AGES
from tools.collection.hourly import HOUR_S, Sums
from tools.webpage.calendar import Calendar

HEADER = (
    "site", "device", "hour", "people", "women", "men", "unknown", "withheld", "watched_share",
    "most_at_once", "dwell_mean_s", "attention_mean_s",
    *(f"dwell_{name}_s" for name in DWELL_BINS), *(f"age_{name}" for name in AGES),
)  # fmt: skip
"""`withheld` are people in windows that show nothing but their number."""

Cell = str | int | float | None


def rows(
    hours: Mapping[tuple[str, str, int], Sums], calendar: Calendar
) -> Iterator[tuple[Cell, ...]]:
    """One line for each hour of each device; what is not published stays empty."""
    for (site, device, hour), sums in hours.items():
        is_told = sums.told or not sums.people
        genders = (sums.female, sums.male, sums.told - sums.female - sums.male)
        yield (
            site, device, calendar.local(hour).isoformat(), sums.people,
            *(genders if is_told else (None,) * 3), sums.people - sums.told,
            round(min(1.0, sums.seen / HOUR_S), 3), sums.peak,
            _mean(sums.dwell_total, sums.dwell_people),
            _mean(sums.attention_total, sums.attention_people),
            *(sums.dwell_bins if sums.dwell_people else (None,) * len(DWELL_BINS)),
            *(sums.ages if sums.aged else (None,) * len(AGES)),
        )  # fmt: skip


def _mean(total: float, people: int) -> float | None:
    return round(total / people, 1) if people else None
