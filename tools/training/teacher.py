"""What a larger model makes of the training faces, for a smaller one to learn from.

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

KINDS = {"files": np.str_, "male": np.float64, "features": np.float32}
ROWS = {"male": "number", "features": "vector"}


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
    names, arrays = _arrays(path, "male")
    male = arrays["male"]
    if not np.all((male >= 0) & (male <= 1)):
        raise DataError(f"{path}: every value of male must lie between 0 and 1")
    features = dict(zip(names, arrays["features"], strict=True)) if "features" in arrays else {}
    return Teacher(dict(zip(names, male.tolist(), strict=True)), features)


def read_features(path: Path) -> dict[str, Floats]:
    """The vector of each file, from a .npz with the arrays `files` and `features` (n x k).

    Raises DataError.
    """
    names, arrays = _arrays(path, "features")
    return dict(zip(names, arrays["features"], strict=True))


def need_names(names: Sequence[str], what: str) -> None:
    """Faces are known by their names alone. Raises ValueError where two have the same."""
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        raise ValueError(f"{what} has two called {twice[0]}")


def _arrays(path: Path, needed: str) -> tuple[list[str], dict[str, Floats]]:
    try:
        with np.load(path) as file:
            arrays = {name: file[name].astype(kind) for name, kind in KINDS.items() if name in file}
        names = [str(name) for name in arrays.pop("files")]
        _ = arrays[needed]
        need_names(names, "files")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: must be a .npz file with the arrays files and {needed} ({error})"
        ) from error
    for name, array in arrays.items():
        if array.ndim != 1 + (name == "features") or len(array) != len(names):
            raise DataError(f"{path}: {name} must have one {ROWS[name]} for each of files")
    return names, arrays
