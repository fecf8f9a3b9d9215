"""Coefficients behind the expected error; tools/expected_error.py writes this file."""

VERSION = "1.0.0"
"""Whose counts were compared with the truth."""
FILMS, REPLAYS, PEOPLE = 24, 72, 1473
"""Films of simulated crowds, how often they were counted, and people in all replays together."""
RANGES = {
    "fps": (3.125, 12.50),
    "light": (27.67, 187.7),
    "face_px": (28.42, 74.00),
    "crowding": (1.000, 7.733),
}
"""Lowest and highest value of each of `conditions.Conditions`."""
TYPICAL = {"fps": 6.250, "light": 90.96, "face_px": 46.96, "crowding": 3.176}
"""Their geometric means."""
MISSED = {"fps": -0.4680, "light": -0.3118, "face_px": -2.571, "crowding": 0.000}
"""Change of the log odds that a person is missed, per unit of ln(condition / typical)."""
MISSED_TYPICAL, MISSED_SPREAD = -2.702, 0.01398
"""Log odds in typical conditions, and correlation of the people of one film."""
SURPLUS = {"fps": -0.5946, "light": 0.2311, "face_px": 0.2521, "crowding": 0.5396}
"""As `MISSED`, that a visit is of nobody or of somebody who was counted already."""
SURPLUS_TYPICAL, SURPLUS_SPREAD = -3.425, 0.02228
