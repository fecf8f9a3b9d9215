"""What a model predicts for one face, by label."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.types import AGE_GROUPS, LABELS, UNKNOWN, Image
from edge.vision.classifier import Classifier
from edge.vision.tflite import Floats


@dataclass(frozen=True, slots=True)
class HeadPrediction:
    """The output of one head of a model, gender or age."""

    probabilities: dict[str, float]
    """By label; they add up to 1."""
    label: str
    """The most probable one; `unknown` if it is not probable enough."""

    @property
    def confidence(self) -> float:
        """Probability of the most probable label."""
        return max(self.probabilities.values())


@dataclass(frozen=True, slots=True)
class FacePrediction:
    """The output of all heads; at least one is not None."""

    gender: HeadPrediction | None
    """None if the model does not estimate it."""
    age: HeadPrediction | None
    """None if the model does not estimate it."""

    @property
    def primary(self) -> HeadPrediction:
        """Gender if the model estimates it, else age."""
        head = self.gender or self.age
        assert head is not None
        return head

    @property
    def by_text(self) -> dict[str, HeadPrediction]:
        """Each by its label in words: `male`, `age 21-35`, `age unknown`."""
        heads = {"": self.gender, "age ": self.age}
        return {prefix + head.label: head for prefix, head in heads.items() if head}


def predict(classify: Classifier, crop: Image, min_confidence: float) -> FacePrediction:
    """The model's prediction for one crop; a gender below `min_confidence` is unknown."""
    predictions = classify([crop])
    return FacePrediction(
        _most_probable(predictions.gender, LABELS, min_confidence),
        # one of eight groups is seldom likely; the daemon counts the most probable one too
        _most_probable(predictions.age, AGE_GROUPS, 0),
    )


def _most_probable(
    rows: Floats | None, labels: Sequence[str], min_confidence: float
) -> HeadPrediction | None:
    if rows is None:
        return None
    probabilities = dict(zip(labels, map(float, rows[0]), strict=True))
    label = max(labels, key=lambda name: probabilities[name])
    return HeadPrediction(
        probabilities, label if probabilities[label] >= min_confidence else UNKNOWN
    )
