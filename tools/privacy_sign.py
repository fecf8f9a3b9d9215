"""Writes the sign that tells people they are counted: an SVG of A5, which prints well on A4 too.

What is not given stays a line to write on.
"""

import argparse
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from edge.errors import ConfigError
from tools.cli import outputs
from tools.cli.exit import leave

WIDTH, HEIGHT = 148, 210
"""A5, mm; A4 has the same shape."""
MARGIN = 12
LETTER = 0.57
"""Width of a letter over its height, in a wide font (DejaVu Sans); others need less room."""
TEXT_MM, VALUE_MM, SMALL_MM = 5.2, 4.2, 3.4
VALUE_LINES = 2
"""Most lines of what is filled in."""

DARK, PALE, GREY = "#0b4f5c", "#e4f1f2", "#50656a"


@dataclass(frozen=True, slots=True)
class Words:
    """The sign in one language."""

    title: tuple[str, str]
    counted: str
    gender: str
    age: str
    gender_and_age: str
    kept: str
    sent: str
    labels: tuple[str, str, str, str]
    """Of purpose, controller, contact and further information."""
    rights: str


LANGUAGES = {
    "en": Words(
        ("People are", "counted here"),
        "A camera counts the people who look this way, and for how long.",
        "An AI guesses from the face: woman or man. It can be wrong.",
        "An AI guesses from the face: the age. It can be wrong.",
        "An AI guesses from the face: woman or man, and the age. It can be wrong.",
        "No picture is stored or sent. Nobody is recognised.",
        "Only numbers leave the device.",
        ("Why", "Who is responsible", "Questions and objections", "Read more"),
        "You may object, and complain to the data protection authority.",
    ),
    "de": Words(
        ("Hier werden", "Personen gezählt"),
        "Eine Kamera zählt, wie viele Personen hierher schauen und wie lange.",
        "Eine KI schätzt nach dem Gesicht: Frau oder Mann. Sie kann irren.",
        "Eine KI schätzt nach dem Gesicht: das Alter. Sie kann irren.",
        "Eine KI schätzt nach dem Gesicht: Frau oder Mann, und das Alter. Sie kann irren.",
        "Kein Bild wird gespeichert oder gesendet. Niemand wird erkannt.",
        "Nur Zahlen verlassen das Gerät.",
        ("Wozu", "Verantwortlich", "Fragen und Widerspruch", "Mehr dazu"),
        "Sie können widersprechen und sich bei der Datenschutzaufsicht beschweren.",
    ),
    "fr": Words(
        ("Ici, on compte", "les personnes"),
        "Une caméra compte qui regarde par ici, et combien de temps.",
        "Une IA estime d'après le visage : femme ou homme. Elle peut se tromper.",
        "Une IA estime d'après le visage : l'âge. Elle peut se tromper.",
        "Une IA estime d'après le visage : femme ou homme, et l'âge. Elle peut se tromper.",
        "Aucune image n'est conservée ni envoyée. Personne n'est reconnu.",
        "Seuls des nombres quittent l'appareil.",
        ("Pourquoi", "Responsable", "Questions et opposition", "En savoir plus"),
        "Vous pouvez vous opposer, et saisir l'autorité de protection des données.",
    ),
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--purpose", default="", help="why you count, in a few words")
    parser.add_argument("--controller", default="", help="who is responsible: name and address")
    parser.add_argument("--contact", default="", help="where to ask and object: mail, telephone")
    parser.add_argument("--more", default="", help="where your privacy notice is: an address")
    parser.add_argument("--language", choices=sorted(LANGUAGES), default="en")
    parser.add_argument(
        "--no-gender", action="store_true", help="with `classifier.gender: off` in config.yaml"
    )
    parser.add_argument("--age", action="store_true", help="with `classifier.age: on`")
    parser.add_argument("--out", type=Path, default=Path("sign.svg"), metavar="FILE")
    outputs.add_arguments(parser)
    args = parser.parse_args(argv)
    filled = (args.purpose, args.controller, args.contact, args.more)
    try:
        outputs.need_free("--out", args.out, force=args.force)
        svg = sign(LANGUAGES[args.language], filled, gender=not args.no_gender, age=args.age)
        args.out.write_text(svg, encoding="utf-8")
    except (ConfigError, ValueError) as error:
        print(f"sign: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"sign: {args.out}: cannot be written ({error.strerror})", file=sys.stderr)
        return 2
    print(f"{args.out}: print it on A5 or A4")
    return 0


def sign(words: Words, filled: tuple[str, str, str, str], *, gender: bool, age: bool) -> str:
    """The sign as SVG; raises ValueError where something filled in is too long for it."""
    guessed = {
        (True, False): [words.gender],
        (False, True): [words.age],
        (True, True): [words.gender_and_age],
    }.get((gender, age), [])
    points = [words.counted, *guessed, words.kept, words.sent]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}mm" height="{HEIGHT}mm"'
            f' viewBox="0 0 {WIDTH} {HEIGHT}" font-family="Arial, Helvetica, sans-serif">',
            f"<title>{escape(' '.join(words.title))}</title>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            *_picture(),
            *(
                _text(MARGIN, 68 + 13 * line, 12, text, "bold", DARK)
                for line, text in enumerate(words.title)
            ),
            *_points(points),
            *_fields(words, filled),
            "</svg>\n",
        ]
    )


def _picture() -> list[str]:
    """A camera that looks at three people, who have become numbers."""
    people = [
        f'<g transform="translate({x} 14)" fill="white"><circle cx="0" cy="6" r="6"/>'
        '<path d="M-10.5 34 v-9 a10.5 10.5 0 0 1 21 0 v9 z"/>'
        f'<text x="0" y="30" font-size="11" font-weight="bold" text-anchor="middle"'
        f' fill="{DARK}">{number}</text></g>'
        for number, x in enumerate((73, 98, 123), start=1)
    ]
    return [
        f'<rect width="{WIDTH}" height="50" fill="{DARK}"/>',
        '<path d="M43 22 L136 7 V50 H62 Z" fill="white" opacity="0.16"/>',
        '<g fill="white"><rect x="14" y="14" width="23" height="16" rx="3"/>'
        '<path d="M37 18 l7 -3 v14 l-7 -3 z"/><rect x="22" y="30" width="5" height="10"/>'
        '<rect x="16" y="40" width="17" height="4" rx="2"/></g>',
        f'<circle cx="22" cy="22" r="4" fill="{DARK}"/>',
        *people,
    ]


def _points(points: list[str]) -> list[str]:
    lines, y = [], 94.0
    indent = MARGIN + 8
    for point in points:
        tick = f"M{MARGIN} {y - 1.8:.1f} l1.8 1.9 l3.4 -4.2"
        lines.append(f'<path d="{tick}" fill="none" stroke="{DARK}" stroke-width="1.2"/>')
        for part in _wrapped(point, WIDTH - MARGIN - indent, TEXT_MM):
            lines.append(_text(indent, y, TEXT_MM, part))
            y += 6.2
        y += 1.6
    return lines


def _fields(words: Words, filled: tuple[str, str, str, str]) -> list[str]:
    top, left = 153, MARGIN + 42
    width = WIDTH - MARGIN - left
    lines = [f'<rect y="{top}" width="{WIDTH}" height="{HEIGHT - top}" fill="{PALE}"/>']
    for row, (label, value) in enumerate(zip(words.labels, filled, strict=True)):
        y = top + 8 + 12 * row
        # bold letters are wider
        for i, part in enumerate(_wrapped(label, 0.85 * (left - MARGIN), SMALL_MM)):
            lines.append(_text(MARGIN, y + 4.4 * i, SMALL_MM, part, "bold", GREY))
        parts = _wrapped(value, width, VALUE_MM)
        if len(parts) > VALUE_LINES:
            letters = int(width / VALUE_MM / LETTER)
            raise ValueError(
                f"{label!r} is too long for the sign: {VALUE_LINES} lines of {letters} letters fit"
            )
        lines += [_text(left, y + 5 * i, VALUE_MM, part) for i, part in enumerate(parts)]
        if not parts:
            line = f"M{left} {y + 1} h{width}"
            lines.append(f'<path d="{line}" stroke="{GREY}" stroke-width="0.25"/>')
    lines.append(_text(MARGIN, HEIGHT - 4, 3.1, words.rights, colour=GREY))
    return lines


def _wrapped(text: str, width: float, size: float) -> list[str]:
    return textwrap.wrap(text, int(width / size / LETTER))


def _text(
    x: float, y: float, size: float, text: str, weight: str = "normal", colour: str = "#1c2b2e"
) -> str:
    return (
        f'<text x="{x:g}" y="{y:.1f}" font-size="{size:g}" font-weight="{weight}"'
        f' fill="{colour}">{escape(text)}</text>'
    )


if __name__ == "__main__":
    leave(main)
