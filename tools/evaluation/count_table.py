"""The counts of many clips against the truth: one table, their distribution, and limits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tools.evaluation.count_metrics import Figures

RESAMPLES = 2000
"""Draws of clips with replacement behind each interval."""
INTERVAL = (2.5, 97.5)
"""Percentiles of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A ratio whose parts add up over clips."""

    name: str
    parts: Callable[[Figures], tuple[float, float]]
    text: str
    """The format of a value."""
    of_people: bool = True
    """Whether it is a fraction of the people; clips without people then count as with one."""

    def of(self, figures: list[Figures]) -> float | None:
        """Its value over clips; None if there is nothing to compare."""
        parts = [self.parts(one) for one in figures]
        above, below = (sum(numbers) for numbers in zip(*parts, strict=True))
        if not below and not self.of_people:
            return None
        return float(above / (below or 1))

    def show(self, value: float | None) -> str:
        return "-" if value is None else format(value, self.text)


RATES = (
    Rate("error", lambda f: (f.counted - f.people, f.people), "+.1%"),
    Rate("missed", lambda f: (f.missed, f.people), ".1%"),
    Rate("doubled", lambda f: (f.doubled, f.people), ".1%"),
    Rate("invented", lambda f: (f.invented, f.people), ".1%"),
    Rate("gender", lambda f: (f.gender_right, f.with_gender), ".1%", of_people=False),
    Rate("dwell", lambda f: _weighted(f.dwell_error_s, f), ".2f", of_people=False),
    Rate("attention", lambda f: _weighted(f.attention_error_s, f), ".2f", of_people=False),
)
"""`error` is of the number of people, `gender` is right among visits with one, `dwell` and
`attention` are mean errors in seconds."""


@dataclass(frozen=True, slots=True)
class Spread:
    """One rate over clips."""

    all: float | None
    """Of all clips taken together."""
    interval: tuple[float, float] | None
    """95 %, from clips drawn with replacement; None for fewer than two clips."""
    median: float | None
    """Of the clips."""
    range: tuple[float, float] | None
    """Lowest and highest of a clip."""


def spreads(figures: list[Figures]) -> dict[str, Spread]:
    """The distribution of each of `RATES` over one or more clips."""
    draws = np.random.default_rng(0).integers(len(figures), size=(RESAMPLES, len(figures)))
    return {rate.name: _spread(rate, figures, draws) for rate in RATES}


def _spread(rate: Rate, figures: list[Figures], draws: np.ndarray[Any, Any]) -> Spread:
    values = [value for one in figures if (value := rate.of([one])) is not None]
    parts = np.array([rate.parts(one) for one in figures], float)[draws].sum(axis=1)
    if rate.of_people:
        parts[:, 1] = np.maximum(parts[:, 1], 1)
    ratios = parts[parts[:, 1] > 0]
    interval = None
    if len(figures) > 1 and len(ratios):
        low, high = np.percentile(ratios[:, 0] / ratios[:, 1], INTERVAL)
        interval = (float(low), float(high))
    return Spread(
        rate.of(figures),
        interval,
        float(np.median(values)) if values else None,
        (min(values), max(values)) if values else None,
    )


def lines(clips: Sequence[tuple[str, Figures]]) -> list[str]:
    """A row for each clip, and the distribution of each rate over all of them."""
    width = max(len(name) for name, _ in (*clips, ("attention", None)))
    head = f"{'clip':<{width}} people counted  missed doubled invented  gender   dwell attention"
    rows = [head, *(_row(name.ljust(width), figures) for name, figures in clips)]
    rows += ["", f"{f'{len(clips)} clips':<{width}}     all  95 %                median  range"]
    for name, spread in spreads([figures for _, figures in clips]).items():
        rate = next(rate for rate in RATES if rate.name == name)
        rows.append(
            f"{name:<{width}} {rate.show(spread.all):>7}  {_pair(rate, spread.interval):<18} "
            f"{rate.show(spread.median):>7}  {_pair(rate, spread.range)}"
        )
    return rows


def _row(name: str, figures: Figures) -> str:
    gender = f"{figures.gender_right}/{figures.with_gender}" if figures.with_gender else "-"
    dwell, attention = (
        "-" if error is None else f"{error:.2f} s"
        for error in (figures.dwell_error_s, figures.attention_error_s)
    )
    return (
        f"{name} {figures.people:6} {figures.counted:7} {figures.missed:7} {figures.doubled:7} "
        f"{figures.invented:8} {gender:>7} {dwell:>7} {attention:>9}"
    )


def shown(name: str, spread: Spread) -> str:
    """One rate of all clips together and its interval, in words."""
    rate = next(rate for rate in RATES if rate.name == name)
    return f"{rate.show(spread.all)} ({_pair(rate, spread.interval)})"


def _pair(rate: Rate, pair: tuple[float, float] | None) -> str:
    return "-" if pair is None else " to ".join(map(rate.show, pair))


def _weighted(error_s: float | None, figures: Figures) -> tuple[float, float]:
    """A mean error by the number of visits that it is of."""
    return (0.0, 0.0) if error_s is None else (error_s * figures.matched, figures.matched)


def as_json(clips: Sequence[tuple[str, Figures]]) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "clips": [{"clip": name, **asdict(figures)} for name, figures in clips],
        "all": {
            name: asdict(spread)
            for name, spread in spreads([figures for _, figures in clips]).items()
        },
    }


def excesses(figures: list[Figures], limits: Mapping[str, float]) -> list[str]:
    """Which limits all clips taken together exceed, in words.

    `limits` has the largest value of a rate by its name; for `gender` it is the smallest. The sign
    of the error does not matter.
    """
    texts = []
    for rate in RATES:
        limit = limits.get(rate.name)
        if limit is None:
            continue
        value = rate.of(figures)
        if value is None:
            texts.append(f"{rate.name}: nothing to compare")
        elif rate.name == "gender" and value < limit:
            texts.append(f"gender {rate.show(value)} right, below {limit:.1%}")
        elif rate.name != "gender" and abs(value) > limit:
            texts.append(f"{rate.name} {rate.show(value)}, above {limit:.1%}")
    return texts
