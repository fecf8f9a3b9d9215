"""Where a face should be by now: place and size, each going on as it did. Pure.

A Kalman filter with constant rates (Y. Bar-Shalom, X. R. Li, T. Kirubarajan: Estimation with
Applications to Tracking and Navigation, 2001, section 6.2). Distances are in face widths and sizes
are logarithms, so that near and far people are alike.
"""

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

from edge.geometry import center, square_box
from edge.types import Box

PLACE_NOISE = 0.06
"""How far one sighting lies from the true place, face widths."""
SIZE_NOISE = 0.06
"""How far one sighting is from the true size, as a logarithm: 6 %."""
HELD_NOISE = 1.5
"""A size that was only looked for is so many times less certain."""
HIDDEN_PLACE_NOISE = 6.0
HIDDEN_SIZE_NOISE = 20.0
"""And a face that another one touches, which may hide a part of it."""

FIRST_SPEED = 5.0
"""How fast a face may be when it is first seen, face widths per second: a brisk walk is 10."""
FIRST_GROWTH = 0.3
"""And how fast it may grow, as a logarithm per second: somebody 4 m away who walks up."""
SPEEDING = 1.2
"""How much the speed changes in a second, face widths per second."""
GROWING = 0.1
"""How much the growth changes in a second."""
GROWS_ON_S = 0.5
"""A lost face is expected to grow on for no longer than this, seconds."""

GATE = 20.0
"""Largest squared distance, in standard deviations, at which a sighting may be the same face."""
MAX_DISTANCE = 2.0
"""And largest distance, face widths."""
RESUME_DISTANCE = 3.5
"""Farthest from where it was lost or should be that a face comes to light again, face widths."""
RESUME_RATIO = 1.5
"""Largest ratio between its sizes then."""

V = TypeVar("V", float, complex)


@dataclass(slots=True)
class _ConstantRate(Generic[V]):
    """One quantity that changes at a nearly constant rate."""

    value: V
    rate: V
    unrest: float
    """Spread of the rate's changes in one second."""
    var: float
    cov: float
    rate_var: float

    def after(self, seconds: float) -> tuple[float, float, float]:
        """The variances of value, both and rate once `seconds` have passed."""
        q, t = self.unrest**2, seconds
        return (
            self.var + 2 * t * self.cov + t * t * self.rate_var + q * t**3 / 3,
            self.cov + t * self.rate_var + q * t * t / 2,
            self.rate_var + q * t,
        )

    def see(self, expected: V, seen: V, seconds: float, noise: float) -> None:
        var, cov, rate_var = self.after(seconds)
        share = var / (var + noise**2)
        rate_share = cov / (var + noise**2)
        self.value = expected + share * (seen - expected)
        self.rate = self.rate + rate_share * (seen - expected)
        self.var, self.cov = var * (1 - share), cov * (1 - share)
        self.rate_var = rate_var - rate_share * cov


class FaceMotion:
    """How one face moves and grows."""

    def __init__(self, box: Box, mono: float) -> None:
        self._mono = mono
        self._last = box
        self._place = _ConstantRate(center(box), 0j, SPEEDING, PLACE_NOISE**2, 0.0, FIRST_SPEED**2)
        self._size = _ConstantRate(
            math.log(box.w), 0.0, GROWING, SIZE_NOISE**2, 0.0, FIRST_GROWTH**2
        )

    @property
    def velocity(self) -> complex:
        """To the right and, as the imaginary part, downwards, pixels per second."""
        return self._place.rate

    def expected(self, mono: float) -> Box:
        """Where it should be at `mono`."""
        return square_box(self._middle(mono), math.exp(self._log_size(mono)))

    def cost(self, box: Box, mono: float) -> float | None:
        """How badly `box` continues it, as a negative log likelihood; None where it cannot."""
        seconds = mono - self._mono
        if seconds <= 0:
            return None
        log_size = self._log_size(mono)
        distance = abs(center(box) - self._middle(mono)) / math.exp(log_size)
        if distance > MAX_DISTANCE:
            return None
        var = self._place.after(seconds)[0] + PLACE_NOISE**2
        size_var = self._size.after(seconds)[0] + SIZE_NOISE**2
        squared = distance**2 / var + (math.log(box.w) - log_size) ** 2 / size_var
        if squared > GATE:
            return None
        return squared + 2 * math.log(var) + math.log(size_var)

    def resumes(self, box: Box, mono: float) -> float | None:
        """How far `box` is from where the face was lost or should be; None where too far."""
        width = math.exp(self._log_size(mono))
        if max(box.w / width, width / box.w) > RESUME_RATIO:
            return None
        places = center(self._last), self._middle(mono)
        distance = min(abs(center(box) - place) for place in places) / width
        return distance if distance <= RESUME_DISTANCE else None

    def see(self, box: Box, mono: float, *, held: bool, hidden: bool) -> None:
        """One more sighting; `hidden` where another face touches it."""
        seconds = mono - self._mono
        place, size = self._middle(mono), self._log_size(mono)
        noise = HIDDEN_PLACE_NOISE if hidden else 1.0
        self._place.see(place, center(box), seconds, noise * PLACE_NOISE)
        noise = HIDDEN_SIZE_NOISE if hidden else HELD_NOISE if held else 1.0
        self._size.see(size, math.log(box.w), seconds, noise * SIZE_NOISE)
        self._mono, self._last = mono, box

    def _middle(self, mono: float) -> complex:
        return self._place.value + self._place.rate * (mono - self._mono)

    def _log_size(self, mono: float) -> float:
        return self._size.value + self._size.rate * min(mono - self._mono, GROWS_ON_S)
