"""Early stages of a cascade, which reject most windows by few features.

P. Viola, M. Jones: Robust Real-Time Face Detection, International Journal of Computer Vision, 2004;
the votes are those of real AdaBoost: R. Schapire, Y. Singer: Improved Boosting Algorithms Using
Confidence-rated Predictions, Machine Learning, 1999.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.vision.cascade import FACE
from edge.vision.tflite import Floats
from tools.conversion.cascade_file import Feature, Part, Stage, Stump

MIN_PIXELS = 18
"""Fewest pixels of a feature: smaller ones see little but noise."""
BINS = 64
"""Values of a feature that boosting tells apart."""
SMOOTHING = 1e-4
"""Added to the weights on each side of a stump, so that no vote is infinite."""
CHUNK = 50_000
"""Windows whose features are computed at once, to save memory."""

Windows = npt.NDArray[np.uint8]
"""uint8 (n, FACE, FACE), gray."""


def upright_features() -> Iterator[Feature]:
    """All features of two or three bands or a checkerboard that fit into the window."""
    for width in range(1, FACE + 1):
        for height in range(1, FACE + 1):
            for across, down in ((2, 1), (1, 2), (3, 1), (1, 3), (2, 2)):
                if width * across > FACE or height * down > FACE:
                    continue
                if width * across * height * down < MIN_PIXELS:
                    continue
                for left in range(FACE - width * across + 1):
                    for top in range(FACE - height * down + 1):
                        yield _bands(left, top, width, height, across, down)


def _bands(left: int, top: int, width: int, height: int, across: int, down: int) -> Feature:
    whole = Part(left, top, width * across, height * down, -1.0)
    x, y = left + width * (across > 1), top + height * (down > 1)
    if (across, down) == (2, 2):
        return whole, Part(left, top, width, height, 2.0), Part(x, y, width, height, 2.0)
    return whole, Part(x, y, width, height, float(across * down))


class Sums:
    """Sums over rectangles of windows, and thereby features."""

    def __init__(self, windows: Windows) -> None:
        pixels = windows.astype(np.int64)
        self._integral = np.zeros((FACE + 1, FACE + 1, len(windows)), np.int32)
        self._integral[1:, 1:] = pixels.cumsum(axis=1).cumsum(axis=2).transpose(1, 2, 0)
        # OpenCV's normalization, which leaves out the outermost pixels
        deviation = windows[:, 1:-1, 1:-1].std(axis=(1, 2), dtype=np.float64)
        self._scale = (1 / ((FACE - 2) ** 2 * np.maximum(deviation, 1e-3))).astype(np.float32)

    def feature(self, feature: Feature) -> Floats:
        """Float32 (n,)."""
        total = np.zeros(self._integral.shape[2], np.float32)
        for left, top, width, height, weight in feature:
            rows = self._integral[top], self._integral[top + height]
            right = left + width
            total += np.float32(weight) * (
                rows[1][right] - rows[1][left] - rows[0][right] + rows[0][left]
            )
        return np.asarray(total * self._scale, np.float32)


def votes(stumps: Sequence[Stump], windows: Windows) -> Floats:
    """Sum of the votes of the first 1, 2, 3... `stumps` for each window, float32 (stumps, n)."""
    parts = [np.empty((len(stumps), 0), np.float32)]
    for begin in range(0, len(windows), CHUNK):
        sums = Sums(windows[begin : begin + CHUNK])
        each = [
            np.where(sums.feature(stump.feature) < stump.threshold, stump.below, stump.above)
            for stump in stumps
        ]
        parts.append(np.cumsum(each, axis=0, dtype=np.float32))
    return np.concatenate(parts, axis=1)


def passes(stages: Sequence[Stage], windows: Windows) -> npt.NDArray[np.bool_]:
    """Which windows pass all stages, bool (n,)."""
    passed = np.ones(len(windows), bool)
    for stage in stages:
        left = np.flatnonzero(passed)
        passed[left] = votes(stage.stumps, windows[left])[-1] >= stage.threshold
    return passed


@dataclass(frozen=True, slots=True)
class Plan:
    """How a stage is learned."""

    kept: float
    """Fraction of the wanted windows that pass."""
    most_stumps: int
    later_stumps: float
    """Stumps that a window which passes costs in later stages, for choosing how many are used."""


class Booster:
    """Learns one stage after another from windows, which `features` describe."""

    def __init__(self, features: Sequence[Feature], wanted: Windows, unwanted: Windows) -> None:
        """The windows are a sample of those that come."""
        self._features = features
        sums = Sums(np.concatenate([wanted[:CHUNK], unwanted[:CHUNK]]))
        at = np.arange(1, BINS) / BINS
        self._edges = [np.unique(np.quantile(sums.feature(f), at)) for f in features]

    def stage(self, plan: Plan, wanted: Windows, unwanted: Windows) -> Stage:
        """The stage that rejects most of the `unwanted` for its cost and keeps the `wanted`."""
        stumps = self._boosted(plan.most_stumps, wanted, unwanted)
        thresholds = np.quantile(votes(stumps, wanted), 1 - plan.kept, axis=1, method="lower")
        passed = (votes(stumps, unwanted) >= thresholds[:, None]).mean(axis=1)
        cost = np.arange(1, len(stumps) + 1) + passed * plan.later_stumps
        number = int(cost.argmin()) + 1
        # a little lower, so that OpenCV's rounding makes no difference
        return Stage(tuple(stumps[:number]), float(thresholds[number - 1]) - 1e-3)

    def _boosted(self, number: int, wanted: Windows, unwanted: Windows) -> list[Stump]:
        sums = Sums(np.concatenate([wanted, unwanted]))
        bins = np.empty((len(self._features), len(wanted) + len(unwanted)), np.uint8)
        for row, feature, edges in zip(bins, self._features, self._edges, strict=True):
            row[:] = np.searchsorted(edges, sums.feature(feature), side="right")
        is_wanted = np.arange(bins.shape[1]) < len(wanted)
        # both kinds weigh the same
        start = np.where(is_wanted, 0.5 / len(wanted), 0.5 / len(unwanted))
        total, stumps = np.zeros(bins.shape[1]), []
        for _ in range(number):
            weights = start * np.exp(np.where(is_wanted, -total, total))
            weights /= weights.sum()
            best, edge, below, above = _best_stump(bins, weights, is_wanted)
            edge = min(edge, len(self._edges[best]) - 1)
            total += np.where(bins[best] <= edge, below, above)
            stumps.append(Stump(self._features[best], float(self._edges[best][edge]), below, above))
        return stumps


def _best_stump(
    bins: npt.NDArray[np.uint8],
    weights: npt.NDArray[np.float64],
    is_wanted: npt.NDArray[np.bool_],
) -> tuple[int, int, float, float]:
    """Row of the feature, last bin of the lower side, and the votes below and above."""
    best = np.inf, 0, 0, 0.0, 0.0
    wanted_weights = np.where(is_wanted, weights, 0)
    wanted_total = wanted_weights.sum()
    for row, values in enumerate(bins):
        everything = np.bincount(values, weights, BINS).cumsum()[:-1]
        wanted = np.bincount(values, wanted_weights, BINS).cumsum()[:-1]
        unwanted = everything - wanted
        wanted_above, unwanted_above = wanted_total - wanted, 1 - wanted_total - unwanted
        loss = np.sqrt(np.maximum(wanted * unwanted, 0))
        loss += np.sqrt(np.maximum(wanted_above * unwanted_above, 0))
        edge = int(loss.argmin())
        if loss[edge] < best[0]:
            below = _vote(wanted[edge], unwanted[edge])
            best = loss[edge], row, edge, below, _vote(wanted_above[edge], unwanted_above[edge])
    return best[1:]


def _vote(wanted: float, unwanted: float) -> float:
    return 0.5 * float(np.log((max(wanted, 0) + SMOOTHING) / (max(unwanted, 0) + SMOOTHING)))
