"""Coefficients behind the expected error; tools/expected_error.py writes this file."""

VERSION = "none"
"""Whose counts were compared with the truth."""
FILMS, REPLAYS, PEOPLE = 0, 0, 0
"""Films of made crowds, how often they were counted, and the people in all replays."""
RANGES = {
    "fps": (3.0, 12.5),
    "light": (20.0, 200.0),
    "face_px": (30.0, 85.0),
    "crowding": (1.0, 6.0),
}
"""Lowest and highest value of each condition of `conditions.Conditions`."""
TYPICAL = {"fps": 6.0, "light": 80.0, "face_px": 50.0, "crowding": 2.0}
"""Their geometric means."""
MISSED = {"fps": 0.0, "light": 0.0, "face_px": 0.0, "crowding": 0.0}
"""Change of the log odds that a person is missed, per unit of ln(condition / typical)."""
MISSED_TYPICAL, MISSED_SPREAD = -2.0, 0.02
"""Log odds in typical conditions, and correlation of the people of one film."""
SURPLUS = {"fps": 0.0, "light": 0.0, "face_px": 0.0, "crowding": 0.0}
"""As `MISSED`, that a visit is of nobody or of somebody who was counted already."""
SURPLUS_TYPICAL, SURPLUS_SPREAD = -3.0, 0.02
