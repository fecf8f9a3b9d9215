"""Paths of the project's files that tests use."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "gender.tflite"
FREE_MODEL = MODEL.with_name("gender-free.tflite")
CLIP = ROOT / "tests" / "data" / "people.mp4"
"""A woman and a man of the demo walk past within 6.4 s; written by tests/support/people.py."""
PICTURE = CLIP.with_suffix(".jpg")
"""A woman, and two men to her right."""
