"""Import Keras and TensorFlow without their log lines; import this module before them.

The command line option `--verbose` lets the lines through.
"""

import logging
import os

from edge import native_log

if not native_log.VERBOSE:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read by TensorFlow's C++ when it loads
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
with native_log.quiet():
    import keras  # noqa: F401
