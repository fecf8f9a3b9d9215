"""The faces of one picture and their labels, by the daemon's own parts and configuration."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import facedata
from guess import Guesses, guess

from edge import build
from edge.cameras import frame_of
from edge.classify import Classifier
from edge.config import Config
from edge.records import Box, Face, Image, View


@dataclass(frozen=True, slots=True)
class Look:
    """One face and what the model says of it."""

    box: Box
    guesses: Guesses
    crop: Image
    """What the model saw, R G B or grey."""


class Looker:
    """A callable from a B G R picture to its faces, left to right."""

    def __init__(self, config: Config, model: Path | None = None) -> None:
        """With `model` in place of the configured one. Raises EdgeError."""
        # pictures that do not follow each other have no stillness in which to rest
        detector = config.detector.model_copy(update={"idle": False})
        self._detect = build.detector(config.model_copy(update={"detector": detector}))
        settings = config.classifier
        self.classify = Classifier(
            model or settings.model, runtime=settings.runtime, threads=settings.threads
        )
        self._min_confidence = settings.min_confidence
        self._view = View(gray_width=config.detector.width)

    def __call__(self, image: Image) -> list[Look]:
        """Where nothing is found, it is looked for again with room around the picture."""
        faces = self._find(image) or [
            dataclasses.replace(face, box=facedata.without_room(face.box, image))
            for face in self._find(facedata.with_room(image))
        ]
        return [self._label(image, face) for face in faces]

    def _find(self, image: Image) -> list[Face]:
        return list(self._detect(frame_of(0, 0.0, 0.0, image, self._view), ()))

    def _label(self, image: Image, face: Face) -> Look:
        crop = self.classify.preprocessing.crop(image, face.box, face.roll)
        return Look(face.box, guess(self.classify, crop, self._min_confidence), crop)
