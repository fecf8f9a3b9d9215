"""Reads videos on disk: upright, in time, past damaged frames."""

from collections.abc import Callable, Generator
from pathlib import Path

import cv2
import numpy as np

from edge.sources.display_matrix import missing_flip
from edge.sources.timeline import Timeline
from edge.types import Image

MAX_DAMAGED = 100
"""Failed reads in a row that mean the end: OpenCV reports damage and the end alike."""
COMPLETE = 0.9
"""Fraction of the announced frames, an estimate, below which the file is not complete."""
MAX_FRAMES = 1e9
"""Most frames in a file: OpenCV makes up larger numbers."""
MAX_PIXELS = 80_000_000
"""Most pixels of a frame, by the file's header; 8K video has 33 million."""
FLIPS = {"vertical": 0, "horizontal": 1}
"""OpenCV's codes for flips."""


def read_video(
    path: Path, usual_fps: float, warn: Callable[[str], None]
) -> Generator[tuple[Image, float], None, None]:
    """The frames, H x W x 3 in B, G, R, each with the seconds since the first (`timeline`).

    They are upright as the file asks. A file that FFmpeg cannot read gives none. `warn` gets a
    line for each fault in the file.
    """
    # an absolute path: in a relative one FFmpeg takes what is before a colon for a protocol
    capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    try:
        # on by default, but not in OpenCV 4.11
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        timeline = Timeline(capture.get(cv2.CAP_PROP_FPS), usual_fps, warn)
        announced = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        width, height = (
            capture.get(side) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        if width * height > MAX_PIXELS:
            warn(f"{width:.0f} x {height:.0f} pixels are more than a frame may have")
            return
        flip = missing_flip(path) if path.is_file() else None  # a pipe can be read only once
        number = 0
        while (image := _next(capture, number, warn)) is not None:
            if flip is not None:
                image = np.asarray(cv2.flip(image, FLIPS[flip]), np.uint8)
            yield image, timeline.place(capture.get(cv2.CAP_PROP_POS_MSEC))
            number += 1
        if number < COMPLETE * announced < MAX_FRAMES:
            warn(f"ends after {number} of {announced:.0f} frames; is it complete?")
    finally:
        capture.release()


def announced_frames(path: Path) -> int | None:
    """The number of frames that a file claims to have; None if it is 1 or impossible."""
    capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    return int(frames) if 1 < frames < MAX_FRAMES else None


def _next(capture: cv2.VideoCapture, number: int, warn: Callable[[str], None]) -> Image | None:
    """The next frame that can be decoded; None at the end."""
    for damaged in range(MAX_DAMAGED):
        try:
            readable, image = capture.read()
        except cv2.error:  # too large for the memory
            readable, image = False, None
        if readable:
            if damaged:
                warn(f"damaged before frame {number}; continued after that place")
            return np.asarray(image, np.uint8)
    return None
