"""Keras and TensorFlow, imported without their log lines: import this before them.

`--verbose` on the command line lets the lines through.
"""

import logging
import os

from edge import native_log

if not native_log.VERBOSE:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its C++ reads this when it is loaded
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
with native_log.quiet():
    import keras  # noqa: F401
