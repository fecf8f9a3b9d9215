"""The search that others are compared with: OpenCV's, of whole pictures, with usual settings."""

from edge.types import Box, Image
from edge.vision.cascade import Cascade

MIN_FACE_PX, SCALE_FACTOR, MIN_NEIGHBOURS = 24, 1.1, 2
EVERY = 8
"""It is measured on each frame of this many: it takes long, and treats all frames alike."""


class PlainSearch:
    """Finds faces in gray pictures, uint8 (h, w)."""

    def __init__(self) -> None:
        """Raises EdgeError if this OpenCV carries no cascade files."""
        self._cascade = Cascade()

    def __call__(self, gray: Image) -> list[Box]:
        """Boxes in pixels."""
        faces = self._cascade.faces(gray, MIN_FACE_PX, 0, SCALE_FACTOR, MIN_NEIGHBOURS)
        return [box for box, _ in faces]
