"""What the tools in `tests.support.preloaded` import once they have read their options."""

import importlib
import os

os.environ["KERAS_BACKEND"] = "tensorflow"

for name in (
    "tools.conversion.quantization",
    "tools.training.distillation",
    "tools.training.training",
):
    importlib.import_module(name)
