"""What can be converted to what, and how that fails; TensorFlow is not imported for it."""

from tools.datasets.archive import DataError

MODELS = "a .keras, .h5 or .onnx file, or a SavedModel folder"
"""What can be converted, for messages."""
TYPES = ("int8", "float16", "dynamic", "float32")
"""What it can be converted to."""


class ConversionError(DataError):
    """A model that Keras or TensorFlow cannot convert; the message does not name the model."""


class RefusedError(Exception):
    """The converted model is not good enough to be written; the message says why."""
