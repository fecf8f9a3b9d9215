"""Trained models in the formats that people have them in, as a TensorFlow SavedModel."""

import contextlib
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

from edge import native_log
from tools.datasets.archive import DataError

LONGEST = 200
"""Characters of somebody else's message that are passed on."""


class ConversionError(DataError):
    """A model that Keras or TensorFlow does not convert; the text says why, without its name."""


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
        need_picture(model, path)
        model = in_float32(model)
        return export(model, folder / "saved"), model
    if path.suffix == ".tflite":
        raise DataError(f"{path}: is a TFLite file already; give the model that it was made from")
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
        raise DataError(f"{path}: {_unloaded(str(error) or type(error).__name__)}") from error


def _unloaded(error: str) -> str:
    """What Keras says of a file that it does not load, and what to do."""
    away = "export it where it was made, with model.export(FOLDER), and give that folder"
    if "Lambda" in error:
        return f"has a Lambda layer, whose code Keras does not load; {away}"
    if match := re.search(r"Could not locate (?:class|function) '([^']+)'", error):
        return f"is not a Keras model alone: it needs your own {match[1]}; {away}"
    if "No model config" in error:
        return "is not a Keras model but its weights alone; save it with model.save(FILE)"
    if error.startswith("File not found"):  # what Keras says of a .keras file that is no zip
        return "is not a Keras model (damaged, or something else)"
    return f"is not a Keras model ({error.strip().splitlines()[0][:LONGEST]})"


def failure(error: str) -> str:
    """What the converter says of a model that it does not convert, and what to do."""
    lacking = sorted(set(re.findall(r"'(?:tf|tf_executor)\.(\w+)' op", error)))
    recurrent = any(name.startswith("TensorList") for name in lacking)
    if recurrent or "tensor list" in error.lower():
        return "TFLite has no loops in int8; build LSTM and GRU layers with unroll=True"
    if lacking:
        names = ", ".join(lacking[:5])
        return f"TFLite has no {names}; leave out or replace the layers that need this"
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    return lines[0][:LONGEST] if lines else "for no reason that the converter gives"


def export(model: keras.Model, out: Path) -> Path:
    """Write a Keras model as a SavedModel to the folder `out`, as it answers after training.

    Raises DataError.
    """
    need_picture(model, model.name)
    archive = keras.export.ExportArchive()
    shape = (None, *model.input_shape[1:])
    try:
        # Keras lists every tensor of the export
        with contextlib.redirect_stdout(io.StringIO()), native_log.captured():
            archive.track(model)
            archive.add_endpoint(
                "serve",
                # layers that flip and turn pictures would do so too
                lambda pictures: model(pictures, training=False),
                input_signature=[keras.InputSpec(shape=shape, dtype="float32")],
            )
            archive.write_out(out, verbose=False)
    except Exception as error:
        raise ConversionError(f"cannot be exported: {failure(str(error))}") from error
    return out


def need_picture(model: keras.Model, name: object) -> None:
    """Raises DataError where a Keras model does not take one picture of a fixed size, float32."""
    entries = getattr(model, "inputs", None) or []
    if len(entries) != 1:
        raise DataError(f"{name}: has {len(entries)} inputs; one square picture is needed")
    shape, dtype = list(entries[0].shape), keras.backend.standardize_dtype(entries[0].dtype)
    if None in shape[1:]:
        raise DataError(
            f"{name}: takes pictures of any size, {shape}; make its input layer one of a fixed size"
        )
    if dtype not in ("float32", "float16", "bfloat16"):
        raise DataError(f"{name}: takes {dtype}; make its input layer one of float32")


def in_float32(model: keras.Model) -> keras.Model:
    """The same model in single precision, where it was trained in mixed."""
    if all(layer.compute_dtype == "float32" for layer in model._flatten_layers()):
        return model
    text = json.dumps(keras.saving.serialize_keras_object(model))
    plain = re.sub(r'"(mixed_)?b?float16"', '"float32"', text)
    single = keras.saving.deserialize_keras_object(json.loads(plain))
    single.set_weights(model.get_weights())
    return single


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
