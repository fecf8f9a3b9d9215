"""Where the project's files are that tests use."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "gender.tflite"
CLIP = ROOT / "tests" / "data" / "people.mp4"
"""A woman and a man of the demo walk past, in 6.4 s; made by tests/support/people.py."""
PICTURE = CLIP.with_suffix(".jpg")
"""A woman, and two men to her right."""
