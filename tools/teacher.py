"""What a larger model makes of the training faces, for a smaller one to learn from.

G. Hinton, O. Vinyals, J. Dean: Distilling the Knowledge in a Neural Network, 2015;
A. Romero et al.: FitNets: Hints for Thin Deep Nets, ICLR 2015.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from layouts import DataError

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Teacher:
    male: dict[str, float]
    """The probability of `male`, 0 to 1, by the file's name in the data set."""
    features: dict[str, Floats]
    """Its last layer before the answer, one vector for each file; empty where not given."""

    @property
    def width(self) -> int:
        """Length of the feature vectors; 0 where there are none."""
        return len(next(iter(self.features.values()), ()))


def read(path: Path) -> Teacher:
    """A .npz file with the arrays `files` and `male`, and perhaps `features` (n x k).

    Raises DataError.
    """
    try:
        with np.load(path) as arrays:
            names = [str(name) for name in arrays["files"]]
            male = arrays["male"].astype(float)
            features = arrays["features"] if "features" in arrays else np.empty((len(names), 0))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(
            f"--teacher {path}: must be a .npz file with the arrays files and male ({error})"
        ) from error
    if male.shape != (len(names),) or features.shape[:1] != male.shape or features.ndim != 2:
        raise DataError(f"--teacher {path}: its arrays differ in length")
    if not np.all((male >= 0) & (male <= 1)):
        raise DataError(f"--teacher {path}: every value of male must lie between 0 and 1")
    vectors = dict(zip(names, features, strict=True)) if features.shape[1] else {}
    return Teacher(dict(zip(names, male.tolist(), strict=True)), vectors)
