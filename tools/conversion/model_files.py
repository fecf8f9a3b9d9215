"""Read trained models in the common formats, as a TensorFlow SavedModel."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

from edge import native_log
from tools.conversion.formats import MODELS, ConversionError
from tools.datasets.archive import DataError

MAX_MESSAGE = 200
"""Most characters of a library's message to pass on."""


def saved_model(path: Path, folder: Path) -> tuple[Path, keras.Model | None]:
    """The model in `path` as a SavedModel, and as a Keras model if it is one.

    A model in another format is converted to a SavedModel within `folder`. Raises DataError.
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
    raise DataError(f"{path}: must be {MODELS}")


def check_saved_model(path: Path) -> None:
    """Raises DataError if a folder is not a SavedModel."""
    if not (path / "saved_model.pb").is_file():
        raise DataError(f"{path}: is not a SavedModel, it has no saved_model.pb")


def load_keras(path: Path) -> keras.Model:
    """The Keras model in a file, not compiled. Raises DataError."""
    if not path.exists():
        raise DataError(f"{path}: does not exist")
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises all kinds of errors for foreign files
        raise DataError(f"{path}: {_load_failure(str(error) or type(error).__name__)}") from error


def _load_failure(error: str) -> str:
    """A plain reason for Keras' error on loading a file, and what to do."""
    advice = "export it where it was made, with model.export(FOLDER), and give that folder"
    if "Lambda" in error:
        return f"has a Lambda layer, whose code Keras does not load; {advice}"
    if match := re.search(r"Could not locate (?:class|function) '([^']+)'", error):
        return f"is not a Keras model alone: it needs your own {match[1]}; {advice}"
    if "No model config" in error:
        return "is not a Keras model but its weights alone; save it with model.save(FILE)"
    if error.startswith("File not found"):  # Keras says this of a .keras file that is not a zip
        return "is not a Keras model (damaged, or of another kind)"
    return f"is not a Keras model ({error.strip().splitlines()[0][:MAX_MESSAGE]})"


def failure(error: str) -> str:
    """A plain reason for the converter's error on a model, and what to do."""
    unsupported = sorted(set(re.findall(r"'(?:tf|tf_executor)\.(\w+)' op", error)))
    recurrent = any(name.startswith("TensorList") for name in unsupported)
    if recurrent or "tensor list" in error.lower():
        return "TFLite has no loops in int8; build LSTM and GRU layers with unroll=True"
    if unsupported:
        names = ", ".join(unsupported[:5])
        return f"TFLite has no {names}; leave out or replace the layers that need this"
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    return lines[0][:MAX_MESSAGE] if lines else "the converter gives no reason"


def export(model: keras.Model, out: Path) -> Path:
    """Write a Keras model as a SavedModel to the folder `out`, in inference mode.

    It has what the converter needs; Keras' own export writes all layers too, in twice the time.
    Raises DataError.
    """
    import tensorflow as tf  # models are loaded with other backends, too

    need_picture(model, model.name)
    entry = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    # otherwise layers for augmentation would flip and rotate faces
    infer = tf.function(lambda pictures: model(pictures, training=False))
    exported = tf.Module()
    try:
        with native_log.captured():
            serve = infer.get_concrete_function(entry)
            exported.weights = serve.variables
            tf.saved_model.save(exported, out, signatures=serve)
    except Exception as error:
        raise ConversionError(f"cannot be exported: {failure(str(error))}") from error
    return out


def need_picture(model: keras.Model, name: object) -> None:
    """Raises DataError if a Keras model does not take one float picture of a fixed size."""
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
    """The same model in single precision, if it was trained in mixed precision."""
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
    # otherwise onnx2tf downloads these pictures, for checks that are turned off here
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
