"""Convert a SavedModel to TFLite."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from edge import native_log
from edge.types import Image
from edge.vision.preprocessing import Preprocessing
from edge.vision.tflite import open_interpreter
from tools.cli.progress import bar
from tools.conversion import model_files
from tools.conversion.formats import ConversionError


def convert(
    model: Path, kind: str, crops: list[Image], preprocessing: Preprocessing, io_type: str = "int8"
) -> bytes:
    """A TFLite file of one of `formats.TYPES` from a SavedModel.

    `int8` quantizes everything, weights per channel, with ranges measured on `crops`; its input and
    outputs are of `io_type`, int8 or uint8. `dynamic` has int8 weights and float arithmetic,
    `float16` has weights of half the size. Raises ConversionError.
    """
    with native_log.captured():
        try:
            return _converted(model, kind, crops, preprocessing, io_type)
        except Exception as error:  # the converter raises all kinds of errors
            reason = model_files.failure(str(error))
    raise ConversionError(f"cannot be converted: {reason}")


def _converted(
    model: Path, kind: str, crops: list[Image], preprocessing: Preprocessing, io_type: str
) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(model))
    # per-channel dense weights crash tflite-runtime 2.14 on aarch64
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8":
        converter.representative_dataset = lambda: (
            [preprocessing.normalize(crop[None])] for crop in bar(crops, len(crops), "calibration")
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(io_type)
    return bytes(converter.convert())


def float_tensors(path: Path) -> list[str]:
    """Names of the tensors that are not int8, nor uint8 (input, outputs), nor int32 (biases)."""
    interpreter, _ = open_interpreter(path)
    return [
        str(detail["name"])
        for detail in interpreter.get_tensor_details()
        if detail["dtype"] not in (np.int8, np.uint8, np.int32)
    ]
