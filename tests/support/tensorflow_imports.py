"""What the tools in `tests.support.preloaded` import, imported as they do."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

from tools.cli import keras_log  # noqa: F401  # isort: skip
import tensorflow  # noqa: F401

from tools.conversion import tflite_converter  # noqa: F401
from tools.evaluation import metrics  # noqa: F401
from tools.training import checkpoint, training_report  # noqa: F401
