"""The filter of one face, compared with the same filter written with matrices."""

import math
from random import Random

import numpy as np
import numpy.typing as npt
import pytest

from edge.geometry import center, square_box
from edge.tracking import kalman
from edge.tracking.kalman import FaceMotion
from edge.types import Box


class Textbook:
    """Bar-Shalom, Li, Kirubarajan, section 6.2: value and rate, of which the value is measured."""

    def __init__(
        self, value: float, noise: float, rate_noise: float, process_noise: float, rate: float = 0.0
    ) -> None:
        self.x = np.array([value, rate])
        self.p = np.diag([noise**2, rate_noise**2])
        self.q = process_noise**2

    def predicted(self, t: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        f = np.array([[1, t], [0, 1]])
        q = self.q * np.array([[t**3 / 3, t**2 / 2], [t**2 / 2, t]])
        return f @ self.x, f @ self.p @ f.T + q

    def update(self, measured: float, t: float, noise: float) -> None:
        x, p = self.predicted(t)
        gain = p[:, 0] / (p[0, 0] + noise**2)
        self.x = x + gain * (measured - x[0])
        self.p = p - np.outer(gain, p[0])


class Reference:
    """Three such filters, for x, y and the logarithm of the width."""

    def __init__(self, box: Box, heading: int) -> None:
        self.width = box.w
        # positions in widths of the first box; only their variances are in face widths
        speed_noise = 4.0 if heading else 5.0
        self.x = Textbook(box.cx / box.w, 0.06, speed_noise, 1.2, rate=4.0 * heading)
        self.y = Textbook(box.cy / box.w, 0.06, speed_noise, 1.2)
        self.size = Textbook(math.log(box.w), 0.06, 0.3, 0.1)

    def update(self, box: Box, t: float, *, recovered: bool, hidden: bool) -> None:
        for axis, value in ((self.x, box.cx), (self.y, box.cy)):
            axis.update(value / self.width, t, 0.06 * (6 if hidden else 1))
        factor = 20 if hidden else 1.5 if recovered else 1
        self.size.update(math.log(box.w), t, 0.06 * factor)

    def box(self, t: float) -> Box:
        x, y = (axis.predicted(t)[0][0] * self.width for axis in (self.x, self.y))
        return square_box(complex(x, y), math.exp(self.size.predicted(t)[0][0]))

    def cost(self, box: Box, t: float) -> float:
        should = self.box(t)
        var = self.x.predicted(t)[1][0, 0] + 0.06**2
        size_var = self.size.predicted(t)[1][0, 0] + 0.06**2
        distance = math.hypot(box.cx - should.cx, box.cy - should.cy) / should.w
        growth = math.log(box.w / should.w)
        squared = distance**2 / var + growth**2 / size_var
        return float(squared + 2 * math.log(var) + math.log(size_var))


@pytest.mark.parametrize("heading", [0, 1, -1])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_filter_of_the_textbook(seed: int, heading: int) -> None:
    random = Random(seed)
    box = square_box(100 + 150j, 50)
    motion, reference, mono = FaceMotion(box, 0.0, heading), Reference(box, heading), 0.0
    for _ in range(40):
        elapsed = random.uniform(0.05, 0.5)  # the predicted growth ends after half a second
        mono += elapsed
        should = motion.predict(mono)
        expected = reference.box(elapsed)
        assert (should.cx, should.cy, should.w) == pytest.approx(
            (expected.cx, expected.cy, expected.w)
        )
        noise = complex(random.gauss(0, 0.06), random.gauss(0, 0.06)) * should.w
        box = square_box(center(should) + noise, should.w * math.exp(random.gauss(0, 0.06)))
        assert motion.match_cost(box, mono) == pytest.approx(reference.cost(box, elapsed))
        recovered, hidden = random.random() < 0.3, random.random() < 0.3
        motion.update(box, mono, recovered=recovered, hidden=hidden)
        reference.update(box, elapsed, recovered=recovered, hidden=hidden)
        assert motion.velocity.real == pytest.approx(reference.x.x[1] * reference.width)


def at(x: float, width: float = 50) -> Box:
    return square_box(complex(x, 150), width)


def test_a_box_too_far_or_too_unlike_does_not_match() -> None:
    motion = FaceMotion(at(300), 0.0)
    assert motion.match_cost(at(300), 0.0) is None, "two faces of one frame"
    assert motion.match_cost(at(399), 1.0) is not None
    assert motion.match_cost(at(401), 1.0) is None
    # of a face that is known better, the gate is narrower
    for step in range(1, 30):
        motion.update(at(300), step / 10, recovered=False, hidden=False)
    costs = [motion.match_cost(at(300 + 0.1 * dx), 3.0) for dx in range(500)]
    within = [cost for cost in costs if cost is not None]
    assert within == costs[: len(within)]
    assert 19.5 < within[-1] - within[0] <= 20
    assert 50 < len(within) < 400


def test_a_face_out_of_sight_grows_on_for_half_a_second() -> None:
    motion = FaceMotion(at(300, 40), 0.0)
    for step in range(1, 20):
        motion.update(at(300, 40 * 1.05**step), step / 10, recovered=False, hidden=False)
    widths = [motion.predict(1.9 + later).w for later in (0.0, 0.4, 0.5, 2.0)]
    assert widths[0] < widths[1] < widths[2] == widths[3]
    assert kalman.MAX_GROWTH_S == 0.5
