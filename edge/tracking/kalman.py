"""Predicts where a face will be and how large, from how it moved and grew so far. Pure.

A Kalman filter with constant rates (Y. Bar-Shalom, X. R. Li, T. Kirubarajan: Estimation with
Applications to Tracking and Navigation, 2001, section 6.2). Distances are in face widths and sizes
are logarithms, so that near and far people are alike.
"""

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

from edge.geometry import center, square_box
from edge.types import Box

POSITION_NOISE = 0.06
"""Standard deviation of a measured position, face widths."""
SIZE_NOISE = 0.06
"""Standard deviation of a measured size, as a logarithm: 6 %."""
RECOVERED_NOISE = 1.5
"""Factor on the size noise of a face that was recovered near its predicted place."""
HIDDEN_POSITION_NOISE = 6.0
"""Factor on the position noise of a face that another one touches and may hide in part."""
HIDDEN_SIZE_NOISE = 20.0
"""Factor on the size noise of such a face."""

INITIAL_SPEED = 5.0
"""Standard deviation of a new face's speed, face widths per second: a brisk walk is 10."""
ENTRY_SPEED = 4.0
"""Mean speed of a face that has just come in, and its standard deviation, face widths per second.

Chosen on twenty simulated crowds, at 3 frames a second and at 12.
"""
INITIAL_GROWTH = 0.3
"""Standard deviation of a new face's growth, as a logarithm per second: 4 m away, walking up."""
SPEED_NOISE = 1.2
"""Standard deviation of the change of speed in a second, face widths per second."""
GROWTH_NOISE = 0.1
"""Standard deviation of the change of growth in a second, as a logarithm per second."""
MAX_GROWTH_S = 0.5
"""The predicted size of a lost face grows on for at most this long, seconds."""

GATE = 20.0
"""Largest squared distance, in standard deviations, at which a box may be the same face."""
MAX_DISTANCE = 2.0
"""Largest distance from the predicted place at which a box may be the same face, face widths."""

V = TypeVar("V", float, complex)


@dataclass(slots=True)
class _ConstantRate(Generic[V]):
    """One quantity that changes at a nearly constant rate."""

    value: V
    rate: V
    process_noise: float
    """Standard deviation of the rate's change in one second."""
    var: float
    cov: float
    rate_var: float

    def variances_after(self, seconds: float) -> tuple[float, float, float]:
        """The variance of the value, the covariance, and the variance of the rate."""
        q, t = self.process_noise**2, seconds
        return (
            self.var + 2 * t * self.cov + t * t * self.rate_var + q * t**3 / 3,
            self.cov + t * self.rate_var + q * t * t / 2,
            self.rate_var + q * t,
        )

    def update(self, predicted: V, measured: V, seconds: float, noise: float) -> None:
        """Correct the prediction, made for `seconds` after the last update, by a measurement."""
        var, cov, rate_var = self.variances_after(seconds)
        gain = var / (var + noise**2)
        rate_gain = cov / (var + noise**2)
        self.value = predicted + gain * (measured - predicted)
        self.rate = self.rate + rate_gain * (measured - predicted)
        self.var, self.cov = var * (1 - gain), cov * (1 - gain)
        self.rate_var = rate_var - rate_gain * cov


class FaceMotion:
    """How one face moves and grows."""

    def __init__(self, box: Box, mono: float, heading: int = 0) -> None:
        """`heading` is 1 for a face that comes in to the right, -1 to the left, else 0."""
        self.origin = box
        """Where the face was first seen."""
        self.first = mono
        """When that was, seconds."""
        self.latest = box
        """Where it was last seen."""
        self.mono = mono
        """When that was, seconds."""
        speed_deviation = ENTRY_SPEED if heading else INITIAL_SPEED
        self._max_speed = 2 * ENTRY_SPEED if heading else 0.0
        """How far from its predicted place it may be at the second sight, for each second since the
        first: face widths, two standard deviations."""
        self._position = _ConstantRate(
            center(box),
            complex(heading * ENTRY_SPEED * box.w),
            SPEED_NOISE,
            POSITION_NOISE**2,
            0.0,
            speed_deviation**2,
        )
        self._size = _ConstantRate(
            math.log(box.w), 0.0, GROWTH_NOISE, SIZE_NOISE**2, 0.0, INITIAL_GROWTH**2
        )

    @property
    def velocity(self) -> complex:
        """Pixels per second, to the right and, as the imaginary part, downwards."""
        return self._position.rate

    @property
    def width(self) -> float:
        """Pixels, when it was last seen."""
        return math.exp(self._size.value)

    def before_origin(self, seconds: float) -> Box:
        """Where the face was this long before it was first seen, from its speed now."""
        return square_box(center(self.origin) - self.velocity * seconds, self.origin.w)

    def predict(self, mono: float) -> Box:
        """The square box in which the face should be at `mono`, seconds."""
        return square_box(self._center(mono), math.exp(self._log_size(mono)))

    def match_cost(self, box: Box, mono: float) -> float | None:
        """Negative log likelihood of `box` as this face at `mono`; None if it cannot be."""
        seconds = mono - self.mono
        if seconds <= 0:
            return None
        log_size = self._log_size(mono)
        distance = abs(center(box) - self._center(mono)) / math.exp(log_size)
        if distance > max(MAX_DISTANCE, self._max_speed * seconds):
            return None
        var = self._position.variances_after(seconds)[0] + POSITION_NOISE**2
        size_var = self._size.variances_after(seconds)[0] + SIZE_NOISE**2
        squared = distance**2 / var + (math.log(box.w) - log_size) ** 2 / size_var
        if squared > GATE:
            return None
        return squared + 2 * math.log(var) + math.log(size_var)

    def update(self, box: Box, mono: float, *, recovered: bool, hidden: bool) -> None:
        """Take in one more sighting; `hidden` if another face touches it."""
        seconds = mono - self.mono
        position, size = self._center(mono), self._log_size(mono)
        noise = HIDDEN_POSITION_NOISE if hidden else 1.0
        self._position.update(position, center(box), seconds, noise * POSITION_NOISE)
        noise = HIDDEN_SIZE_NOISE if hidden else RECOVERED_NOISE if recovered else 1.0
        self._size.update(size, math.log(box.w), seconds, noise * SIZE_NOISE)
        self.mono, self.latest, self._max_speed = mono, box, 0.0

    def _center(self, mono: float) -> complex:
        return self._position.value + self._position.rate * (mono - self.mono)

    def _log_size(self, mono: float) -> float:
        return self._size.value + self._size.rate * min(mono - self.mono, MAX_GROWTH_S)
