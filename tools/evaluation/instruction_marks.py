"""Runs the pipeline on pictures and marks, by system calls, where what is to be counted begins.

`tools/instructions.py` runs this with a counting emulator:

    python3 -m tools.evaluation.instruction_marks pictures.npy config.yaml
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge import wiring
from edge.config import load_config
from edge.health import Health
from edge.sources.frame import frame_of
from edge.types import CaptureSettings, Frame
from tools.evaluation.plain_search import EVERY, PlainSearch

FIRST = 900_000
"""Added to a mark: no process has such a number, of which the system is asked the priority."""
PLAIN_BEGIN, PLAIN_END, FRAME_BEGIN, FRAME_END = range(4)


def mark(number: int) -> None:
    """Let the emulator report how many instructions there have been."""
    with contextlib.suppress(OSError):
        os.getpriority(os.PRIO_PROCESS, FIRST + number)


def main() -> None:
    pictures, config_path = sys.argv[1:]
    config = load_config(Path(config_path), source="demo")
    cv2.setNumThreads(1)
    settings, fps = CaptureSettings(gray_width=config.detector.width), config.camera.fps
    images = np.load(pictures)
    search = PlainSearch()
    for image in images[::EVERY]:
        gray = frame_of(0, 0.0, 0.0, image, settings).gray
        mark(PLAIN_BEGIN)
        search(gray)
        mark(PLAIN_END)

    def frames() -> Iterator[Frame]:
        for number, image in enumerate(images):
            mark(FRAME_BEGIN)
            yield frame_of(number, number / fps, number / fps, image, settings)
            mark(FRAME_END)

    models = wiring.models(config)
    wiring.pipeline(config, models, Health(), on_window=lambda window: None).run(frames())


if __name__ == "__main__":
    main()
