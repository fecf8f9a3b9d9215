"""Weeks of windows that no camera saw, drawn by seed, for a demo of the dashboard."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

import numpy as np
import numpy.typing as npt

from edge.counting import DWELL_EDGES
from edge.delivery.messages import Messages
from edge.types import Message, People, Totals, Window

EPOCH = "00000000"
"""Marks these windows in the database; no device draws it in practice."""
OPEN_HOURS = range(9, 20)
RATES = (0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 16, 25, 38, 34, 27, 30, 37, 48, 41, 20, 0, 0, 0, 0)
"""People per hour of the day."""
BY_WEEKDAY = (0.75, 0.8, 0.9, 0.95, 1.15, 1.7, 1.2)
"""Monday first."""
AGE_SHARES = (0.02, 0.04, 0.06, 0.12, 0.36, 0.17, 0.11, 0.09, 0.03)
UNKNOWN_SHARE = 0.03
BLIND_SHARE = 0.004
"""Of the opening hours' windows, those in which the camera was covered."""
MIN_PEOPLE, MAX_HOLD_S = 3, 900.0
"""As the daemon's `privacy` has them."""


def past(
    messages: Messages,
    start: float,
    end: float,
    *,
    seconds: float = 900.0,
    seed: int = 1,
    busy: float = 1.0,
    women: float = 0.54,
    ages: bool = True,
    zone: tzinfo | None = None,
) -> Iterator[Message]:
    """Windows of `seconds` from `start` to `end`, seconds since 1970, counted in epoch `EPOCH`.

    `busy` times the usual people come; `women` is the share of the women among them.
    Opening hours are those of `zone`, by default this machine's.
    """
    rng = np.random.default_rng(seed)
    ever, seq = People(), 0
    held = _Held.empty()
    count = int((end - start) // seconds)
    for number in range(count):
        begin = end - seconds * (count - number)
        local = datetime.fromtimestamp(begin, UTC).astimezone(zone)
        is_open = local.hour in OPEN_HOURS
        blind = rng.random() < BLIND_SHARE
        rate = busy * RATES[local.hour] * BY_WEEKDAY[local.weekday()] * seconds / 3600
        total = int(rng.poisson(rate * rng.gamma(6, 1 / 6))) if is_open and not blind else 0
        unknown = int(rng.binomial(total, UNKNOWN_SHARE))
        female = int(rng.binomial(total - unknown, women))
        people = People(female, total - unknown - female, unknown)
        ever += people
        held.windows += 1
        held.people += people
        stays = rng.lognormal(1.9, 0.8, total)
        held.stays += list(stays)
        held.looks += list(stays * rng.beta(5, 2, total))
        held.ages += rng.multinomial(total, AGE_SHARES)
        length = held.windows * seconds
        few = 0 < held.people.total < MIN_PEOPLE
        if few and length <= MAX_HOLD_S:
            continue
        seq += 1
        coverage = 0.1 if blind else 0.998 if is_open else 0.0
        window = held.window(begin + seconds, length, coverage, few=few, ages=ages)
        totals = Totals(ever, local.date().isoformat(), People())
        yield messages.window(window, epoch=EPOCH, seq=seq, totals=totals, time_synced=True)
        held = _Held.empty()


@dataclass
class _Held:
    """Windows that are joined until enough people came."""

    windows: int
    people: People
    stays: list[float]
    """How long each person was in view, seconds."""
    looks: list[float]
    """How long each faced the camera meanwhile, seconds."""
    ages: npt.NDArray[np.int64]

    @classmethod
    def empty(cls) -> "_Held":
        return cls(0, People(), [], [], np.zeros(len(AGE_SHARES), np.int64))

    def window(
        self, end: float, seconds: float, coverage: float, *, few: bool, ages: bool
    ) -> Window:
        total = self.people.total
        stays, looks = np.array(self.stays), np.array(self.looks)
        means = (float(stays.mean()), float(looks.mean())) if total and not few else (None, None)
        return Window(
            start=end - seconds, end=end, seconds=seconds,
            people=People(unknown=total) if few else self.people, broken_down=not few,
            dwell_mean=means[0], dwell_bins=_bins(stays),
            attention_mean=means[1], attention_bins=_bins(looks),
            presence_peak=min(total, 1 + total // 3), presence_mean=sum(self.stays) / seconds,
            coverage=coverage,
            ages=tuple(map(int, self.ages)) if ages and not few else None,
        )  # fmt: skip


def _bins(seconds: npt.NDArray[np.float64]) -> tuple[int, ...]:
    bins = np.bincount(np.searchsorted(DWELL_EDGES, seconds), minlength=len(DWELL_EDGES) + 1)
    return tuple(map(int, bins))
