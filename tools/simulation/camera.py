"""What a camera makes of a view: less light, blur, noise and compression."""

from dataclasses import dataclass

import cv2
import numpy as np

from edge.types import Image


@dataclass(frozen=True, slots=True)
class Camera:
    """How a picture suffers; the defaults are those of a cheap camera in good light."""

    light: float = 1.0
    """Factor on the brightness; the noise stays, so that less light shows more of it."""
    noise: float = 3.0
    """Standard deviation, levels of 0 to 255."""
    blur: float = 0.6
    """Standard deviation, pixels."""
    jpeg: int | None = None
    """Quality of compression, 1 to 100; None for none but the film's own."""

    def take(self, view: Image, rng: np.random.Generator) -> Image:
        """A picture of the view, uint8, of the same size."""
        picture = view if not self.blur else cv2.GaussianBlur(view, (0, 0), self.blur)
        signal = picture.astype(np.float32) * np.float32(self.light)
        if self.noise:
            signal += np.float32(self.noise) * rng.standard_normal(view.shape, np.float32)
        taken = np.asarray(np.clip(signal, 0, 255), np.uint8)
        if self.jpeg is None:
            return taken
        _, data = cv2.imencode(".jpg", taken, [cv2.IMWRITE_JPEG_QUALITY, self.jpeg])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
