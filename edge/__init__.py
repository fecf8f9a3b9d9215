"""Edge Tally: an anonymous audience counter for the Raspberry Pi."""

__version__ = "0.1.0"
