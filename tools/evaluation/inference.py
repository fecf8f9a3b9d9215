"""Detect and classify the faces of one picture with the daemon's own parts and settings."""

from dataclasses import dataclass
from pathlib import Path

from edge import wiring
from edge.config import Config
from edge.sources.frame import frame_of
from edge.types import Box, CaptureSettings, Face, Image
from edge.vision.classifier import Classifier
from tools.datasets import face_search
from tools.evaluation.prediction import FacePrediction, predict


@dataclass(frozen=True, slots=True)
class ClassifiedFace:
    """A detected face and what the model predicts for it."""

    box: Box
    prediction: FacePrediction
    crop: Image
    """The model's input, R G B or gray."""


def open_model(config: Config, model: Path) -> Classifier:
    """A model that runs with the configured runtime and threads. Raises ModelError."""
    settings = config.classifier
    return Classifier(model, runtime=settings.runtime, threads=settings.threads)


class FaceAnalyzer:
    """A callable from a B G R picture and a model to the classified faces, left to right."""

    def __init__(self, config: Config) -> None:
        """Raises EdgeError."""
        # separate pictures must each be searched, however alike
        detector = config.detector.model_copy(update={"idle": False})
        self._detector = wiring.detector(config.model_copy(update={"detector": detector}))
        self._min_confidence = config.classifier.min_confidence
        self._settings = CaptureSettings(gray_width=config.detector.width)

    def __call__(self, image: Image, classify: Classifier) -> list[ClassifiedFace]:
        """If no face is found, the picture is searched again with a margin around it."""
        faces = self._detect(image) or face_search.with_margin(image, self._detect)
        return [self._classify(image, face, classify) for face in faces]

    def _detect(self, image: Image) -> list[Face]:
        return list(self._detector(frame_of(0, 0.0, 0.0, image, self._settings), ()))

    def _classify(self, image: Image, face: Face, classify: Classifier) -> ClassifiedFace:
        crop = classify.preprocessing.crop(image, face.box, face.roll)
        prediction = predict(classify, crop, self._min_confidence)
        return ClassifiedFace(face.box, prediction, crop)
