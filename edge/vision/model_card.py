"""The model card: the JSON file beside a model, with what the daemon must know to run it."""

import hashlib
from pathlib import Path
from typing import Any, Literal

import pydantic

from edge.errors import ModelError
from edge.types import AGE_GROUPS, LABELS
from edge.vision.confusion import Measurement
from edge.vision.preprocessing import Preprocessing
from edge.vision.tflite import read_model

MODEL_NAME = r"^[A-Za-z0-9._-]{1,64}$"
"""Regular expression that a model's name, part of every published window, must match."""
FACE_OUTPUT = "face"
"""Name of the output, one sigmoid value, with the probability that the crop shows a face."""


class ModelCard(pydantic.BaseModel, frozen=True):
    """The keys that the daemon reads; any others are for people and tools."""

    name: str = pydantic.Field(pattern=MODEL_NAME)
    sha256: str = pydantic.Field(pattern=r"^[0-9a-f]{64}$")
    labels: tuple[str, ...] = ()
    """The genders; empty if the model estimates only age."""
    output: Literal["sigmoid", "softmax"] = "softmax"
    """`sigmoid`: one value, the probability of the second label; `softmax`: one value per label."""
    ages: tuple[str, ...] = ()
    """The age groups, one softmax value each; empty if the model estimates only gender."""
    face: bool = False
    """Whether the output `FACE_OUTPUT` tells faces from other things."""
    input: Preprocessing
    confusion: tuple[Measurement, ...] = ()
    """What `tools/evaluate.py --record` measured, the newest last; empty until it did."""

    @property
    def id(self) -> str:
        """Name and first 8 digits of the file's SHA-256, as published in every window."""
        return f"{self.name}@{self.sha256[:8]}"

    def confusion_at(self, min_confidence: float) -> dict[str, Any] | None:
        """The newest confusion matrix of this very model at `min_confidence`; None without one.

        A matrix measured at another certainty, or of another file of the same name, is not it.
        """
        of_this = [measured for measured in self.confusion if measured.model == self.id]
        matrices = (measured.at(min_confidence) for measured in reversed(of_this))
        return next((matrix for matrix in matrices if matrix), None)


def read_card(model: Path) -> ModelCard:
    """The card beside `model`.

    Raises ModelError if either file is missing or invalid, or if the card describes another model.
    """
    card_path = model.with_suffix(".json")
    data = read_model(model)
    try:
        card = ModelCard.model_validate_json(card_path.read_bytes())
    except OSError as error:
        raise ModelError(
            f"model {model}: its {card_path.name} cannot be read ({error.strerror}); "
            "tools/quantize.py writes both"
        ) from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ModelError(f"model {model}: {card_path.name}: {where}: {first['msg']}") from error
    if sorted(card.labels) != sorted(LABELS) and (card.labels or not card.ages):
        raise ModelError(
            f"model {model}: labels are {list(card.labels)}, this daemon counts {list(LABELS)}"
        )
    if card.ages not in ((), AGE_GROUPS):
        raise ModelError(
            f"model {model}: ages are {list(card.ages)}, this daemon counts {list(AGE_GROUPS)}"
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.sha256:
        raise ModelError(
            f"model {model}: is not the file that {card_path.name} describes "
            f"(SHA-256 {digest[:8]}..., expected {card.sha256[:8]}...)"
        )
    return card
