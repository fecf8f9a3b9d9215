"""Learns from a model's features to tell faces from other things."""

import cv2
import numpy as np
import numpy.typing as npt

from edge.types import Box, Image
from edge.vision.preprocessing import Preprocessing
from edge.vision.tflite import Floats
from tools.conversion.activations import Activations
from tools.conversion.face_output import with_features
from tools.datasets.dataset import shrunk
from tools.training.augmentation import degraded, random_view

FACE_PX = 22, 128
"""Smallest and largest faces, pixels: small ones are more frequent, evenly by the logarithm."""
DEFOCUSED = 0.5
"""Fraction of the crops that are out of focus..."""
MAX_DEFOCUS = 0.11
"""...by up to this standard deviation, in sides of the box: three pixels on one of 27."""
REGULARIZATION = 0.005
"""Weight of the squared coefficients of standardized features, in mean losses."""


class Features:
    """A callable from a crop, uint8 size x size x channels, to the features that a model's last
    layer reads, float32 (1, features)."""

    def __init__(self, model: bytes, preprocessing: Preprocessing) -> None:
        """Raises DataError as `with_features`, or ModelError."""
        data, name = with_features(model)
        self._activations = Activations(data, [name], preprocessing)

    def __call__(self, crop: Image) -> Floats:
        return self._activations(crop)[0]


def spoilt(image: Image, box: Box, preprocessing: Preprocessing, rng: np.random.Generator) -> Image:
    """What is in `box` of a B G R picture as a poor camera sees it, often far away or out of focus.

    Faces and other things are spoilt alike, so that this does not tell them apart.
    """
    image, box = shrunk(image, box, float(np.exp(rng.uniform(*np.log(FACE_PX)))))
    if rng.random() < DEFOCUSED:
        blur = float(rng.uniform(0.01, MAX_DEFOCUS)) * box.w
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), blur), np.uint8)
    return degraded(random_view(image, box, preprocessing, rng), rng)


def fit(faces: Floats, things: Floats) -> tuple[Floats, float]:
    """The weights and the bias of a logistic regression from features, each float32 (n, features).

    Both kinds weigh the same, however many there are.
    """
    from scipy.optimize import minimize  # slow to import

    features = np.concatenate([faces, things]).astype(np.float64)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    # a feature that hardly ever differs must not weigh without bound
    deviation += 0.05 * deviation.mean()
    scaled = np.column_stack([(features - mean) / deviation, np.ones(len(features))])
    target = np.repeat([1.0, 0.0], [len(faces), len(things)])
    share = np.repeat([0.5 / len(faces), 0.5 / len(things)], [len(faces), len(things)])

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        log_odds = scaled @ weights
        penalty = np.r_[weights[:-1], 0.0]  # the bias is free
        mean_loss = share @ (np.logaddexp(0, log_odds) - target * log_odds)
        errors = share * (1 / (1 + np.exp(-log_odds)) - target)
        value = mean_loss + REGULARIZATION / 2 * penalty @ penalty
        return float(value), scaled.T @ errors + REGULARIZATION * penalty

    found = minimize(loss, np.zeros(scaled.shape[1]), jac=True, method="L-BFGS-B").x
    weights = found[:-1] / deviation
    return weights.astype(np.float32), float(found[-1] - weights @ mean)
