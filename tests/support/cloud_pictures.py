"""Pictures of nothing, in which Haar sees a face here and there."""

from pathlib import Path

import cv2
import numpy as np


def write(folder: Path) -> None:
    """Write 25 of 640 x 480 pixels, the same each time."""
    rng = np.random.default_rng(1)
    for number in range(25):
        picture = np.full((480, 640, 3), 128.0, np.float32)
        for size in (4, 8, 16, 32):
            blots = rng.normal(0, 18 * size**0.5, (480 // size, 640 // size, 1))
            blots = np.repeat(blots, 3, axis=2).astype(np.float32)
            picture += cv2.resize(blots, (640, 480), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.png"), np.clip(picture, 0, 255).astype(np.uint8))
