"""How a model calls labelled faces: its confusion matrices, one for each certainty asked for."""

import math
from typing import Any

import pydantic

Count = pydantic.NonNegativeInt


class Calls(pydantic.BaseModel, frozen=True):
    """What the faces of one gender are called, a number of faces each."""

    female: Count
    male: Count
    unknown: Count


class Confusion(pydantic.BaseModel, frozen=True):
    """A confusion matrix: a row for each true gender, a column for each call."""

    min_confidence: float = pydantic.Field(ge=0.5, lt=1)
    """The daemon's `classifier.min_confidence` at which faces are called so."""
    female: Calls
    male: Calls


class Measurement(pydantic.BaseModel, frozen=True):
    """The confusion matrices of one model on one data set."""

    model: str
    """The id of the model that was measured (`ModelCard.id`)."""
    data: str
    """Name of the data set's folder or file."""
    split: str
    min_age: int = 0
    """Younger faces were left out, years."""
    face_px: int | None = None
    """Faces were shrunk to this many pixels; None if they were not."""
    thresholds: tuple[Confusion, ...]

    def at(self, min_confidence: float) -> dict[str, Any] | None:
        """The matrix at `min_confidence`, and what it was measured on; None without one."""
        for confusion in self.thresholds:
            if math.isclose(confusion.min_confidence, min_confidence):
                source = self.model_dump(exclude={"model", "thresholds"}, exclude_none=True)
                return source | confusion.model_dump()
        return None
