"""What a model makes of one face, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.types import AGE_GROUPS, LABELS, UNKNOWN, Image
from edge.vision.classifier import Classifier
from edge.vision.tflite import Floats


@dataclass(frozen=True, slots=True)
class Guess:
    """The answer to one question, as gender is one."""

    probabilities: dict[str, float]
    """By label; they add up to 1."""
    label: str
    """The likeliest; `unknown` where that is not likely enough."""

    @property
    def confidence(self) -> float:
        """Probability of the likeliest label."""
        return max(self.probabilities.values())


@dataclass(frozen=True, slots=True)
class Guesses:
    """All that a model says of one face."""

    gender: Guess | None
    """None where the model does not estimate it."""
    age: Guess | None
    """Likewise."""

    @property
    def first(self) -> Guess:
        """Gender, or the only one."""
        guess = self.gender or self.age
        assert guess is not None  # a model estimates at least one
        return guess

    @property
    def named(self) -> dict[str, Guess]:
        """Each by what it says: `male`, `age 21-35`, `age unknown`."""
        both = {"": self.gender, "age ": self.age}
        return {prefix + guess.label: guess for prefix, guess in both.items() if guess}


def guess(classify: Classifier, crop: Image, min_confidence: float) -> Guesses:
    """What the model says of one crop; a gender less sure than `min_confidence` is unknown."""
    looks = classify([crop])
    return Guesses(
        _likeliest(looks.gender, LABELS, min_confidence),
        # one of eight is seldom sure; the daemon counts the likeliest too
        _likeliest(looks.age, AGE_GROUPS, 0),
    )


def _likeliest(rows: Floats | None, labels: Sequence[str], min_confidence: float) -> Guess | None:
    if rows is None:
        return None
    probabilities = dict(zip(labels, map(float, rows[0]), strict=True))
    likeliest = max(labels, key=lambda label: probabilities[label])
    sure = probabilities[likeliest] >= min_confidence
    return Guess(probabilities, likeliest if sure else UNKNOWN)
