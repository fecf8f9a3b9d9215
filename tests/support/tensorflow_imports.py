"""What the tools in `tests.support.preloaded` import, imported as they do."""

import importlib
import os

os.environ["KERAS_BACKEND"] = "tensorflow"

for name in (
    "tools.cli.keras_log",  # first: it silences the others
    "tools.conversion.tflite_converter",
    "tools.evaluation.metrics",
    "tools.training.checkpoint",
    "tools.training.training_report",
):
    importlib.import_module(name)
