"""What the daemon needs of libcamera's Python bindings."""

from dataclasses import dataclass


@dataclass
class Transform:
    """How the sensor is read out."""

    rotation: int = 0
    hflip: bool = False
    vflip: bool = False
    transpose: bool = False
