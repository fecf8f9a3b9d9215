"""Whether a model knows more than chance, and which input it would know more with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from edge.types import LABELS, Image
from edge.vision.preprocessing import Preprocessing
from tools.evaluation.metrics import Floats, HeadResult, wilson_interval

SPREAD = 0.005
"""Standard deviation of a probability below which it is the same for every face."""
NEAR = 0.55
"""A model that surely gets no larger share right than this knows no more than chance."""
RANGES = ((0, 1), (0, 255), (127.5, 127.5), (127.5, 255), (117, 57), (117, 1))
"""Means and deviations of pixels that networks are trained with: as they are, 0 to 1, -1 to 1,
-0.5 to 0.5, and ImageNet's with and without its deviation."""
FACES = 200
"""Faces on which the other inputs are tried."""
SURE = 3.0
"""Standard deviations by which another input must be better, as many are tried."""


def guess(result: HeadResult, *, lenient: bool = False) -> str | None:
    """How a model shows that it only guesses; None if it knows something.

    If `lenient`, predictions that vary are enough, right or wrong.
    """
    if result.probabilities.std(axis=0).max() < SPREAD:
        return "says the same for every face"
    if lenient:
        return None
    if len(set(result.predicted.tolist())) == 1 < len(set(result.truth.tolist())):
        return f"says {result.classes[result.predicted[0]]} for every face"
    if result.classes == LABELS:
        # as if there were as many of each
        by_class = [result.correct[result.truth == label].mean() for label in set(result.truth)]
        accuracy = float(np.mean(by_class))
        number = len(result.faces)
        if accuracy <= 0.5 or wilson_interval(round(accuracy * number), number)[1] < NEAR:
            return f"is no better than chance ({accuracy:.1%} right of {number} faces)"
    return None


@dataclass(frozen=True, slots=True)
class Input:
    """Another way to give a model its faces."""

    mean: float
    std: float
    blue_first: bool
    share: float = 0.0
    """Of the faces, which it then calls rightly."""

    def __str__(self) -> str:
        order = " and blue before red, which its first layer must then do" * self.blue_first
        return f"--mean {self.mean:g} --std {self.std:g}{order}"


def better_input(
    ask: Callable[[Preprocessing, Sequence[Image]], Floats],
    crops: Sequence[Image],
    truth: Sequence[int],
    entry: Preprocessing,
) -> Input | None:
    """The input with which a model surely gets more genders right than with `entry`; or None.

    `ask` gives p(female) and p(male) of crops with a preprocessing. `truth` are their labels.
    """
    step = -(-len(crops) // FACES)
    faces, labels = list(crops[::step]), np.asarray(truth[::step])
    mirrored = [np.ascontiguousarray(face[..., ::-1]) for face in faces]

    def right(mean: float, std: float, blue_first: bool) -> Floats:
        prepared = Preprocessing(entry.size, entry.colour, mean, std)
        answers = ask(prepared, mirrored if blue_first else faces)
        return np.asarray(answers.argmax(axis=1) == labels, np.float64)

    now = right(entry.mean, entry.std, blue_first=False)
    best = None
    orders = (False, True) if entry.channels == len("rgb") else (False,)
    for (mean, std), blue_first in product((*RANGES, (entry.mean, entry.std)), orders):
        then = right(mean, std, blue_first)
        gained, lost = int(np.sum(then > now)), int(np.sum(then < now))
        above = (then.mean() - 0.5) * 2 * np.sqrt(len(labels))
        sure = (gained - lost) > SURE * np.sqrt(gained + lost) and above > SURE
        if sure and (best is None or then.mean() > best.share + 0.01):
            best = Input(mean, std, blue_first, float(then.mean()))
    return best


def advice(found: Input | None) -> str:
    """What to do about a model that guesses."""
    if found:
        return f"with {found} it is right for {found.share:.1%}"
    return (
        "its --mean and --std may not be those it was trained with (a model that scales its pixels "
        "itself takes --mean 0 --std 1), or it has learnt nothing"
    )
