"""An age as tables write it."""

import re

from tools.datasets.archive import DataError

NUMBER = r"(\d+(?:[.,]\d+)?)"
UNIT = r"(?:\s*(?:years?|yrs?|y)(?:\s+old)?)?"
SINGLE = re.compile(rf"(?:more than|over|>=?)?\s*{NUMBER}{UNIT}\s*(?:\+|and over|or older)?")
RANGE = re.compile(rf"{NUMBER}\s*(?:-|\u2013|to)\s*{NUMBER}{UNIT}")
PAIR = re.compile(r"[(\[]\s*(\d+(?:\.\d+)?)\s*[,;]\s*(\d+(?:\.\d+)?)\s*[)\]]")
UNSURE = re.compile(r"(\d+),(\d{2,})")
"""`25,32` may be a number with a decimal comma, and `25, 32` without its brackets."""


def years(text: str, where: str) -> int | None:
    """`27`, `27,5`, `20-29`, `(25, 32)` or `more than 70` in years, the middle of a range.

    None for a word, nothing, or the -1 that some write for what they do not know. Raises DataError
    for everything else, naming `where`.
    """
    text = text.strip().lower()
    if not re.search(r"\d", text) or re.fullmatch(r"-\s*\d+([.,]\d+)?", text):
        return None
    unsure = UNSURE.fullmatch(text)
    match = SINGLE.fullmatch(text) or RANGE.fullmatch(text) or PAIR.fullmatch(text)
    if match is None or (unsure and int(unsure[2]) >= int(unsure[1]) > 0):
        raise DataError(f"{where}: age {text!r} must be in years, such as 27, 27.5 or 20-29")
    numbers = [float(number.replace(",", ".")) for number in match.groups()]
    return int(sum(numbers) / len(numbers))
