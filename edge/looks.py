"""What the models say about the faces in one frame; each face is classified once."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from edge.types import LABELS, Box, Frame, Image
from edge.vision.classifier import Predictions

MALE = LABELS.index("male")


class Cropper(Protocol):
    """Cuts a face out of a picture as the classifier needs it."""

    def crop(self, image: Image, box: Box, roll: float) -> Image: ...


class Classify(Protocol):
    """A callable from crops to a model's predictions, one row per crop."""

    @property
    def preprocessing(self) -> Cropper: ...

    def __call__(self, crops: Sequence[Image]) -> Predictions: ...


class Look(NamedTuple):
    """What the models say about one face in one frame."""

    male: float | None = None
    """Probability that it is a man's, 0 to 1; None if no model estimates the gender."""
    ages: list[float] | None = None
    """Those of `AGE_GROUPS`; None if no model estimates the age."""
    face: float | None = None
    """Probability that it is a face at all, 0 to 1; None if no model estimates it."""


class Looks:
    """Looks at the faces of one frame."""

    def __init__(
        self,
        models: Sequence[Classify],
        frame: Frame,
        timed: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        """`timed` times a stage, as `Health.timed`."""
        self._models, self._image, self._timed = models, frame.image, timed
        self._known: dict[tuple[Box, float], Look] = {}

    def __call__(self, box: Box, roll: float) -> Look:
        """The look at the face in `box`, pixels, tilted by `roll`, degrees clockwise."""
        if (look := self._known.get((box, roll))) is None:
            with self._timed("classify"):
                look = self._known[box, roll] = self._look(box, roll)
        return look

    def _look(self, box: Box, roll: float) -> Look:
        look = Look()
        for classify in self._models:
            predictions = classify([classify.preprocessing.crop(self._image, box, roll)])
            if predictions.gender is not None:
                look = look._replace(male=float(predictions.gender[0, MALE]))
            if predictions.age is not None:
                look = look._replace(ages=predictions.age[0].tolist())
            if predictions.face is not None and look.face is None:
                look = look._replace(face=float(predictions.face[0]))
        return look
