"""How people move before the camera: across, nearer, standing, in groups, and turning away."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

FACE_M = 0.17
"""Side of the detector's box of a face, metres."""
FOCAL = 0.9
"""Focal length of the camera, in widths of the picture."""
HORIZON = 0.1
"""Height of the camera in the picture, in heights of the picture from its top."""
NEAR_M, FAR_M = 1.15, 3.2
"""Distances at which people walk, metres: their faces are 85 to 31 of 640 pixels wide."""
SPEED = (0.3, 1.1)
"""Slowest and fastest walk, metres per second."""
OUTSIDE_M = 0.35
"""How far beyond the edge of the view a walk begins and ends, metres."""
STANDING_S = (2.0, 12.0)
EASE_S = 0.8
"""Time in which people start, stop and turn, seconds."""
AWAY_S = (0.8, 3.5)
"""Shortest and longest time for which people turn away, seconds."""
TURNING_S = 0.4
"""Time that it takes to turn the head, seconds."""
AWAY = 150.0
"""Yaw of a head turned away, degrees."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a head is in the picture at one moment."""

    middle: complex
    """Of the face's box, pixels, x as the real part and y as the imaginary."""
    side: float
    """Of the face's box, pixels."""
    distance: float
    """From the camera, metres."""
    roll: float
    yaw: float
    """Degrees, as in `heads.draw_head`."""


@dataclass(frozen=True, slots=True)
class Walk:
    """One person's way through the view."""

    times: tuple[float, ...]
    """Seconds at which the person is at each of the points, rising."""
    points: tuple[tuple[float, float], ...]
    """Metres to the right of the camera, and away from it."""
    drop: float
    """How far the face is below the camera, metres."""
    away: tuple[float, float] | None = None
    """When the person turns away and back, seconds."""
    phase: float = 0.0
    """Of the steps and of the head's small movements, radians."""
    lively: float = 1.0
    """Size of these small movements."""

    def pose(self, seconds: float, size: tuple[int, int]) -> Pose | None:
        """The head at a moment, in a picture of this width and height; None before and after."""
        if not self.times[0] <= seconds <= self.times[-1]:
            return None
        around = seconds + EASE_S * np.linspace(-0.5, 0.5, 9)
        x, z = (
            float(np.mean(np.interp(around, self.times, [point[axis] for point in self.points])))
            for axis in (0, 1)
        )
        focal = FOCAL * size[0]
        step = math.sin(11 * seconds + self.phase)  # two steps in 1.1 s
        y = self.drop + 0.012 * self.lively * step
        sway = self.lively * math.sin(0.9 * seconds + 2 * self.phase)
        middle = complex(
            size[0] / 2 + focal * (x + 0.02 * sway) / z, size[1] * HORIZON + focal * y / z
        )
        nod = self.lively * math.sin(1.7 * seconds + self.phase)
        return Pose(middle, focal * FACE_M / z, z, 5 * nod, 14 * sway + self._turn(seconds))

    def _turn(self, seconds: float) -> float:
        if self.away is None:
            return 0.0
        begun = (seconds - self.away[0]) / TURNING_S
        over = (self.away[1] - seconds) / TURNING_S
        return AWAY * min(1.0, max(0.0, min(begun, over)))


def plan(number: int, seconds: float, rng: np.random.Generator) -> list[Walk]:
    """The walks of this many people, alone or in groups, who come within so many seconds."""
    walks: list[Walk] = []
    while len(walks) < number:
        first = alone(seconds, rng)
        companions = int(rng.choice([0, 0, 0, 1, 1, 2]))
        walks += [first, *(_beside(first, rng) for _ in range(companions))]
    return walks[:number]


def alone(seconds: float, rng: np.random.Generator) -> Walk:
    """One person who crosses the view, comes nearer or goes, and may stand or turn away."""
    side = int(rng.choice([-1, 1]))
    start_z, end_z = (float(z) for z in rng.uniform(NEAR_M, FAR_M, 2))
    if rng.random() < 0.5:  # across, at nearly the same distance
        end_z = float(np.clip(start_z + rng.normal(0, 0.2), NEAR_M, FAR_M))
    leaves = -side if rng.random() < 0.8 else side
    points = [(side * _edge(start_z), start_z), (leaves * _edge(end_z), end_z)]
    pauses = [0.0]
    if rng.random() < 0.4 or leaves == side:
        z = float(rng.uniform(min(start_z, end_z), max(start_z, end_z)))
        x = float(rng.uniform(-0.7, 0.7)) * (_edge(z) - OUTSIDE_M)
        points[1:1] = [(x, z), (x, z)]
        pauses = [0.0, float(rng.uniform(*STANDING_S)), 0.0]
    speed = rng.uniform(*SPEED)
    times = [float(rng.uniform(0, max(0.1, seconds - 3)))]
    for ((x0, z0), (x1, z1)), pause in zip(pairwise(points), pauses, strict=True):
        times.append(times[-1] + pause + math.hypot(x1 - x0, z1 - z0) / speed)
    away = None
    if rng.random() < 0.25:
        begins = float(rng.uniform(times[0], times[-1]))
        away = (begins, begins + float(rng.uniform(*AWAY_S)))
    return Walk(
        tuple(times),
        tuple((float(x), float(z)) for x, z in points),
        drop=float(np.clip(rng.normal(0.38, 0.07), 0.2, 0.55)),
        away=away,
        phase=float(rng.uniform(0, 2 * math.pi)),
        lively=float(rng.uniform(0.3, 1.2)),
    )


def facing_away(seconds: float, rng: np.random.Generator) -> Walk:
    """One person who is only seen from behind."""
    walk = alone(seconds, rng)
    return replace(walk, away=(walk.times[0] - 1, walk.times[-1] + 1))


def _edge(z: float) -> float:
    """Metres from the middle to just outside the view, at a distance."""
    return 0.5 / FOCAL * z + OUTSIDE_M


def _beside(walk: Walk, rng: np.random.Generator) -> Walk:
    """The walk of a companion: the same way, a little nearer or farther, before or behind."""
    nearer, delay = rng.uniform(-0.3, 0.3), rng.uniform(0.1, 1.0)
    return replace(
        alone(0, rng),
        times=tuple(float(moment + delay) for moment in walk.times),
        points=tuple((x, float(np.clip(z + nearer, NEAR_M, FAR_M))) for x, z in walk.points),
        away=walk.away if rng.random() < 0.5 else None,
    )
