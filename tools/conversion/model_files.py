"""Trained models in the formats that people have them in, as a TensorFlow SavedModel."""

import contextlib
import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

from tools.datasets.archive import DataError

KINDS = "a .keras, .h5 or .onnx file, or a SavedModel folder"


def saved_model(path: Path, folder: Path) -> tuple[Path, keras.Model | None]:
    """The model in `path` as a SavedModel, made in `folder` where it is not one already.

    With it comes the Keras model where there is one. Raises DataError.
    """
    if not path.exists():
        raise DataError(f"{path}: does not exist")
    if path.is_dir():
        check_saved_model(path)
        return path, None
    if path.suffix == ".onnx":
        return _from_onnx(path, folder / "saved"), None
    if path.suffix in (".keras", ".h5", ".hdf5"):
        model = load_keras(path)
        if None in model.input_shape[1:]:
            raise DataError(
                f"{path}: takes pictures of any size, {list(model.input_shape)}; make its input "
                "layer one of a fixed size"
            )
        return export(model, folder / "saved"), model
    raise DataError(f"{path}: must be {KINDS}")


def check_saved_model(path: Path) -> None:
    """Raises DataError where a folder is no SavedModel."""
    if not (path / "saved_model.pb").is_file():
        raise DataError(f"{path}: is not a SavedModel, it has no saved_model.pb")


def load_keras(path: Path) -> keras.Model:
    """Raises DataError."""
    if not path.exists():
        raise DataError(f"{path}: does not exist")
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises what it happens upon in a file that is not its own
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        # what Keras says of a .keras file that is no zip
        if reason[0].startswith("File not found"):
            reason = ["damaged, or something else"]
        raise DataError(f"{path}: is not a Keras model ({reason[0]})") from error


def export(model: keras.Model, out: Path) -> Path:
    """Write a Keras model as a SavedModel to the folder `out`."""
    with contextlib.redirect_stdout(io.StringIO()):  # Keras lists every tensor of the export
        model.export(out, verbose=False)
    return out


def _from_onnx(path: Path, out: Path) -> Path:
    if importlib.util.find_spec("onnx2tf") is None:
        raise DataError(f"{path}: an ONNX file needs onnx2tf; make onnx installs it")
    out.mkdir()
    # onnx2tf would fetch this sample of pictures, which it needs for checks that are off here
    sample = out / "calibration_image_sample_data_20x128x128x3_float32.npy"
    np.save(sample, np.zeros((20, 128, 128, 3), np.float32))
    command = [sys.executable, "-m", "onnx2tf", "-i", str(path.absolute()), "-o", "."]
    command += ["--non_verbose", "--not_use_onnxsim"]
    done = subprocess.run(
        command,
        cwd=out,
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if not (out / "saved_model.pb").is_file():
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise DataError(f"{path}: onnx2tf cannot convert it ({' '.join(last)})")
    return out
