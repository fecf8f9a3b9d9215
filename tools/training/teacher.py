"""Read a larger model's predictions for the training faces, to train a smaller one on.

G. Hinton, O. Vinyals, J. Dean: Distilling the Knowledge in a Neural Network, 2015;
A. Romero et al.: FitNets: Hints for Thin Deep Nets, ICLR 2015.
"""

import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.datasets.archive import DataError

Floats = npt.NDArray[np.floating[Any]]

DTYPES = {"files": np.str_, "male": np.float64, "features": np.float32}
ROWS = {"male": "number", "features": "vector"}
"""What each array holds per file, for messages."""


@dataclass(frozen=True, slots=True)
class Teacher:
    """Predictions for each face of a data set."""

    male: dict[str, float]
    """p(male) by file name in the data set."""
    features: dict[str, Floats]
    """Input of the last layer, float32 (k,), by file name; empty if the file has none."""

    @property
    def width(self) -> int:
        """Length of the feature vectors; 0 if there are none."""
        return len(next(iter(self.features.values()), ()))


def read(path: Path) -> Teacher:
    """Read a .npz file with the arrays `files` and `male`, and optionally `features` (n x k).

    Raises DataError.
    """
    names, arrays = _arrays(path, "male")
    male = arrays["male"]
    if not np.all((male >= 0) & (male <= 1)):
        raise DataError(f"{path}: every value of male must lie between 0 and 1")
    features = dict(zip(names, arrays["features"], strict=True)) if "features" in arrays else {}
    return Teacher(dict(zip(names, male.tolist(), strict=True)), features)


def read_features(path: Path) -> dict[str, Floats]:
    """The vector of each file, from a .npz file with the arrays `files` and `features` (n x k).

    Raises DataError.
    """
    names, arrays = _arrays(path, "features")
    return dict(zip(names, arrays["features"], strict=True))


def require_unique(names: Sequence[str], source: str) -> None:
    """Raises ValueError if two faces of `source` have the same name, which identifies them."""
    repeated = [name for name, number in Counter(names).items() if number > 1]
    if repeated:
        raise ValueError(f"{source} has two faces named {repeated[0]}")


def _arrays(path: Path, required: str) -> tuple[list[str], dict[str, Floats]]:
    try:
        with np.load(path) as file:
            arrays = {
                name: file[name].astype(dtype) for name, dtype in DTYPES.items() if name in file
            }
        names = [str(name) for name in arrays.pop("files")]
        _ = arrays[required]
        require_unique(names, "files")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: must be a .npz file with the arrays files and {required} ({error})"
        ) from error
    for name, array in arrays.items():
        if array.ndim != 1 + (name == "features") or len(array) != len(names):
            raise DataError(f"{path}: {name} must have one {ROWS[name]} for each of files")
    return names, arrays
