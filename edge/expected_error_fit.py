"""Coefficients behind the expected error; tools/expected_error.py writes this file."""

VERSION = "1.0.0"
"""Whose counts were compared with the truth."""
FILMS, REPLAYS, PEOPLE = 24, 72, 1473
"""Films of simulated crowds, how often they were counted, and people in all replays together."""
RANGES = {
    "fps": (3.125, 12.50),
    "light": (27.67, 187.2),
    "face_px": (28.03, 71.73),
    "crowding": (1.169, 7.667),
}
"""Lowest and highest value of each of `conditions.Conditions`."""
TYPICAL = {"fps": 6.250, "light": 90.93, "face_px": 45.79, "crowding": 3.173}
"""Their geometric means."""
MISSED = {"fps": -0.4434, "light": -0.4998, "face_px": -0.9224, "crowding": 0.000}
"""Change of the log odds that a person is missed, per unit of ln(condition / typical)."""
MISSED_TYPICAL, MISSED_SPREAD = -2.662, 0.01072
"""Log odds in typical conditions, and correlation of the people of one film."""
SURPLUS = {"fps": -0.1134, "light": -0.06533, "face_px": 1.126, "crowding": 0.7380}
"""As `MISSED`, that a visit is of nobody or of somebody who was counted already."""
SURPLUS_TYPICAL, SURPLUS_SPREAD = -3.413, 0.02235
