"""Edge Tally: an anonymous audience counter for the Raspberry Pi."""

__version__ = "1.0.0"
