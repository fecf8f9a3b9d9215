"""Women and men in the collector's table, corrected for the classifier's errors.

    python report.py windows.db
    python report.py windows.db --device lobby --from 2026-11-21 --to 2026-11-22

Needs correction.py beside it, and nothing else. Times are UTC unless they say otherwise.
"""

import argparse
import contextlib
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from correction import Estimate, Matrix, Row, correct_together

QUERY = """
SELECT device, windows.model, sum(iif(female IS NULL, people, 0)),
    total(female), total(male), total(people - female - male),
    min_confidence, data, split,
    women_female, women_male, women_unknown, men_female, men_male, men_unknown
FROM windows LEFT JOIN matrices USING (device, model)
WHERE ended > ifnull(?, '') AND ended <= ifnull(?, ended) AND device = ifnull(?, device)
GROUP BY device, windows.model ORDER BY device, windows.model
"""


class Counts(NamedTuple):
    """What one device counted with one model."""

    device: str
    model: str | None
    people: Row
    """Those in windows that show genders."""
    without_gender: int
    """Those in all other windows."""
    matrix: Matrix | None


def read(file: Path, start: str | None, end: str | None, device: str | None) -> list[Counts]:
    """Counts of the windows that end after `start`, and at `end` at the latest."""
    with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db:
        rows = db.execute(QUERY, (start, end, device)).fetchall()
    counts = []
    for name, model, without, *numbers in rows:
        people = Row(*map(int, numbers[:3]))
        confidence, data, split, *calls = numbers[3:]
        matrix = None
        if confidence is not None:
            matrix = Matrix(model, confidence, data, split, Row(*calls[:3]), Row(*calls[3:]))
        counts.append(Counts(name, model, people, without, matrix))
    return counts


def lines(counts: list[Counts]) -> Iterator[str]:
    """The report on some counts, together."""
    people = _sum(each.people for each in counts)
    without = sum(each.without_gender for each in counts)
    hidden = f", {without} of them in windows without genders" if without else ""
    yield f"  people     {sum(people) + without}{hidden}"
    yield f"  called     women {people.female}, men {people.male}, unknown {people.unknown}"
    estimate, notes = correct_together((c.model, c.matrix, c.people) for c in counts)
    if estimate is not None:
        yield from _estimated(estimate, sum(people) + without)
    for note in notes:
        yield f"  {note}"


def _sum(rows: Iterable[Row]) -> Row:
    return Row(*map(sum, zip(Row(0, 0, 0), *rows, strict=True)))


def _estimated(estimate: Estimate, everybody: int) -> Iterator[str]:
    total, women, low, high, unknown = estimate
    of = "" if total == everybody else f", of {total} people"
    yield (
        f"  estimated  women {women} ({low} to {high}), "
        f"men {total - women} ({total - high} to {total - low}){of}"
    )
    yield f"  expected   unknown {round(unknown)}, if they were like the test faces"


def moment(text: str) -> str:
    """An argparse type: a date or time, as the table has it."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: must be like 2026-11-21T09:00") from None
    time = time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="the database that collect.py writes")
    parser.add_argument("--device", help="default: each one, and all together")
    parser.add_argument("--from", dest="start", type=moment, metavar="TIME")
    parser.add_argument("--to", dest="end", type=moment, metavar="TIME")
    args = parser.parse_args()
    try:
        counts = read(args.file, args.start, args.end, args.device)
    except sqlite3.Error as error:
        hint = "; start collect.py once, it adds what is missing" if "no such" in str(error) else ""
        print(f"report: {args.file}: {error}{hint}", file=sys.stderr)
        return 2
    if not counts:
        print(f"report: {args.file}: no such windows", file=sys.stderr)
        return 1
    devices = list(dict.fromkeys(each.device for each in counts))
    for device in devices:
        print(device, *lines([each for each in counts if each.device == device]), sep="\n")
    if len(devices) > 1:
        print("all", *lines(counts), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
