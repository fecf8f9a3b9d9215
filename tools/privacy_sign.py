"""Write the sign that informs people of the count: an SVG file of A5 that also prints well on A4.

    python tools/privacy_sign.py --controller "Muster & Co, High Street 1" --out sign.svg

What is not given is left as a line to write on. The drawing is privacy_sign.svg.
"""

import argparse
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from string import Template
from xml.sax.saxutils import escape

from edge.errors import ConfigError
from tools.cli import outputs
from tools.cli.exit import run_command

TEMPLATE = Path(__file__).with_suffix(".svg")
WIDTH, HEIGHT, MARGIN = 148, 210, 12
"""Of the sign, mm: A5, which has the shape of A4."""
LETTER = 0.57
"""Width of a letter over its height in a wide font (DejaVu Sans); others are narrower."""
TEXT_MM, VALUE_MM, SMALL_MM = 5.2, 4.2, 3.4
"""Font sizes of the statements, of what is filled in, and of its labels."""
VALUE_LINES = 2
"""Lines that each filled-in value may take."""
POINTS_MM, FIELDS_MM = 94.0, 161
"""Baselines of the first statement and of the first label."""

INK, DARK, GRAY = "#1c2b2e", "#0b4f5c", "#50656a"


@dataclass(frozen=True, slots=True)
class Wording:
    """The sign's text in one language."""

    title: tuple[str, str]
    """Two lines."""
    counting: str
    gender: str
    age: str
    gender_and_age: str
    storage: str
    transmission: str
    labels: tuple[str, str, str, str]
    """Of purpose, controller, contact and further information."""
    rights: str


LANGUAGES = {
    "en": Wording(
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
    "de": Wording(
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
    "fr": Wording(
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--purpose", default="", help="why you count, in a few words")
    parser.add_argument("--controller", default="", help="who is responsible: name and address")
    parser.add_argument(
        "--contact", default="", help="for questions and objections: mail, telephone"
    )
    parser.add_argument("--more", default="", help="address of your privacy notice")
    parser.add_argument("--language", choices=sorted(LANGUAGES), default="en")
    parser.add_argument(
        "--no-gender", action="store_true", help="with `classifier.gender: off` in config.yaml"
    )
    parser.add_argument("--age", action="store_true", help="with `classifier.age: on`")
    parser.add_argument("--out", type=Path, default=Path("sign.svg"), metavar="FILE")
    outputs.add_arguments(parser)
    args = parser.parse_args()
    values = (args.purpose, args.controller, args.contact, args.more)
    try:
        outputs.need_free("--out", args.out, force=args.force)
        svg = sign(LANGUAGES[args.language], values, gender=not args.no_gender, age=args.age)
        args.out.write_text(svg, encoding="utf-8")
    except (ConfigError, ValueError) as error:
        print(f"privacy_sign: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"privacy_sign: {args.out}: cannot be written ({error.strerror})", file=sys.stderr)
        return 2
    print(f"{args.out}: print it on A5 or A4")
    return 0


def sign(wording: Wording, values: tuple[str, str, str, str], *, gender: bool, age: bool) -> str:
    """The sign as SVG; `values` belong to the wording's labels.

    Raises ValueError if one is too long.
    """
    estimates = {
        (True, False): [wording.gender],
        (False, True): [wording.age],
        (True, True): [wording.gender_and_age],
    }.get((gender, age), [])
    statements = [wording.counting, *estimates, wording.storage, wording.transmission]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(" ".join(wording.title)),
        title_1=escape(wording.title[0]),
        title_2=escape(wording.title[1]),
        points="\n".join(_points(statements)),
        fields="\n".join(_fields(wording.labels, values)),
        rights=escape(wording.rights),
    )


def _points(statements: list[str]) -> list[str]:
    """Each statement with a tick before it."""
    lines, y = [], POINTS_MM
    indent = MARGIN + 8
    for statement in statements:
        tick = f"M{MARGIN} {y - 1.8:.1f} l1.8 1.9 l3.4 -4.2"
        lines.append(f'<path d="{tick}" fill="none" stroke="{DARK}" stroke-width="1.2"/>')
        for line in _wrapped(statement, WIDTH - MARGIN - indent, TEXT_MM):
            lines.append(_text(indent, y, TEXT_MM, line))
            y += 6.2
        y += 1.6
    return lines


def _fields(labels: tuple[str, ...], values: tuple[str, ...]) -> list[str]:
    """A row for each label: its value, or a line to write on."""
    left = MARGIN + 42
    width = WIDTH - MARGIN - left
    lines = []
    for row, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = FIELDS_MM + 12 * row
        # bold letters are wider
        for i, line in enumerate(_wrapped(label, 0.85 * (left - MARGIN), SMALL_MM)):
            lines.append(_text(MARGIN, y + 4.4 * i, SMALL_MM, line, "bold", GRAY))
        value_lines = _wrapped(value, width, VALUE_MM)
        if len(value_lines) > VALUE_LINES:
            letters = int(width / VALUE_MM / LETTER)
            raise ValueError(
                f"{label!r} is too long for the sign: {VALUE_LINES} lines of {letters} letters fit"
            )
        lines += [_text(left, y + 5 * i, VALUE_MM, line) for i, line in enumerate(value_lines)]
        if not value_lines:
            rule = f"M{left} {y + 1} h{width}"
            lines.append(f'<path d="{rule}" stroke="{GRAY}" stroke-width="0.25"/>')
    return lines


def _wrapped(text: str, width_mm: float, size_mm: float) -> list[str]:
    return textwrap.wrap(text, int(width_mm / size_mm / LETTER))


def _text(
    x: float, y: float, size_mm: float, text: str, weight: str = "normal", color: str = INK
) -> str:
    return (
        f'<text x="{x:g}" y="{y:.1f}" font-size="{size_mm:g}" font-weight="{weight}"'
        f' fill="{color}">{escape(text)}</text>'
    )


if __name__ == "__main__":
    run_command(main)
