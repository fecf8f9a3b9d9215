"""The faces of one picture and their labels, by the daemon's own parts and configuration."""

from dataclasses import dataclass
from pathlib import Path

from edge import wiring
from edge.config import Config
from edge.sources.frame import frame_of
from edge.types import Box, CaptureSettings, Face, Image
from edge.vision.classifier import Classifier
from tools.datasets import dataset
from tools.evaluation.prediction import Guesses, guess


@dataclass(frozen=True, slots=True)
class Look:
    """One face and what the model says of it."""

    box: Box
    guesses: Guesses
    crop: Image
    """What the model saw, R G B or grey."""


def open_model(config: Config, model: Path) -> Classifier:
    """A model, run as the configuration says. Raises ModelError."""
    settings = config.classifier
    return Classifier(model, runtime=settings.runtime, threads=settings.threads)


class Looker:
    """A callable from a B G R picture and a model to its faces, left to right."""

    def __init__(self, config: Config) -> None:
        """Raises EdgeError."""
        # pictures that do not follow each other have no stillness in which to rest
        detector = config.detector.model_copy(update={"idle": False})
        self._detect = wiring.detector(config.model_copy(update={"detector": detector}))
        self._min_confidence = config.classifier.min_confidence
        self._view = CaptureSettings(gray_width=config.detector.width)

    def __call__(self, image: Image, classify: Classifier) -> list[Look]:
        """If no face is found, the picture is searched again with a margin around it."""
        faces = self._find(image) or dataset.with_margin(image, self._find)
        return [self._label(image, face, classify) for face in faces]

    def _find(self, image: Image) -> list[Face]:
        return list(self._detect(frame_of(0, 0.0, 0.0, image, self._view), ()))

    def _label(self, image: Image, face: Face, classify: Classifier) -> Look:
        crop = classify.preprocessing.crop(image, face.box, face.roll)
        return Look(face.box, guess(classify, crop, self._min_confidence), crop)
