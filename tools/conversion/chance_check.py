"""Check that a model is better than chance, and find an input with which it is better."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from edge.audit.report import Share
from edge.types import LABELS, Image
from edge.vision.preprocessing import Preprocessing
from tools.evaluation.metrics import Floats, HeadResult

MIN_SPREAD = 0.005
"""Standard deviation of a probability below which it counts as the same for every face."""
MIN_ACCURACY = 0.55
"""A model whose accuracy is surely below this is no better than chance."""
PIXEL_RANGES = ((0, 1), (0, 255), (127.5, 127.5), (127.5, 255), (117, 57), (117, 1))
"""Usual means and standard deviations of pixels: unchanged, 0 to 1, -1 to 1, -0.5 to 0.5, and
ImageNet's with and without its standard deviation."""
MAX_FACES = 200
"""Most faces on which the other inputs are tried."""
MIN_SIGMAS = 3.0
"""Standard deviations by which another input must be better, because many are tried."""


def guessing_reason(result: HeadResult, *, lenient: bool = False) -> str | None:
    """How a model shows that it only guesses; None if it does not.

    If `lenient`, predictions that vary are enough, right or wrong.
    """
    if result.probabilities.std(axis=0).max() < MIN_SPREAD:
        return "says the same for every face"
    if lenient:
        return None
    if len(set(result.predicted.tolist())) == 1 < len(set(result.truth.tolist())):
        return f"says {result.classes[result.predicted[0]]} for every face"
    if result.classes == LABELS:
        # both genders weigh the same, however many faces each has
        by_class = [result.correct[result.truth == label].mean() for label in set(result.truth)]
        accuracy = float(np.mean(by_class))
        number = len(result.faces)
        if accuracy <= 0.5 or Share(round(accuracy * number), number).interval[1] < MIN_ACCURACY:
            return f"is no better than chance ({accuracy:.1%} right of {number} faces)"
    return None


@dataclass(frozen=True, slots=True)
class InputFormat:
    """A way to give a model its faces."""

    mean: float
    std: float
    blue_first: bool
    accuracy: float = 0.0
    """Fraction of the faces that the model then gets right."""

    def __str__(self) -> str:
        order = " and blue before red (its first layer must swap them)" * self.blue_first
        return f"--mean {self.mean:g} --std {self.std:g}{order}"


def better_input(
    predict: Callable[[Preprocessing, Sequence[Image]], Floats],
    crops: Sequence[Image],
    truth: Sequence[int],
    preprocessing: Preprocessing,
) -> InputFormat | None:
    """The input with which a model surely gets more genders right than with `preprocessing`.

    None if there is none. `predict` returns p(female) and p(male), float (n, 2), of crops with a
    preprocessing; `truth` are their labels.
    """
    step = -(-len(crops) // MAX_FACES)
    faces, labels = list(crops[::step]), np.asarray(truth[::step])
    swapped = [np.ascontiguousarray(face[..., ::-1]) for face in faces]

    def right(mean: float, std: float, blue_first: bool) -> Floats:
        candidate = Preprocessing(preprocessing.size, preprocessing.colour, mean, std)
        probabilities = predict(candidate, swapped if blue_first else faces)
        return np.asarray(probabilities.argmax(axis=1) == labels, np.float64)

    own = (preprocessing.mean, preprocessing.std)
    now = right(*own, blue_first=False)
    best = None
    orders = (False, True) if preprocessing.channels == len("rgb") else (False,)
    for (mean, std), blue_first in product((*PIXEL_RANGES, own), orders):
        then = right(mean, std, blue_first)
        gained, lost = int(np.sum(then > now)), int(np.sum(then < now))
        above = (then.mean() - 0.5) * 2 * np.sqrt(len(labels))
        is_sure = (gained - lost) > MIN_SIGMAS * np.sqrt(gained + lost) and above > MIN_SIGMAS
        if is_sure and (best is None or then.mean() > best.accuracy + 0.01):
            best = InputFormat(mean, std, blue_first, float(then.mean()))
    return best


def advice(better: InputFormat | None) -> str:
    """What to do about a model that guesses."""
    if better:
        return f"with {better} it is right for {better.accuracy:.1%}"
    return (
        "its --mean and --std may not be those it was trained with (a model that scales its pixels "
        "itself takes --mean 0 --std 1), or it has learned nothing"
    )
