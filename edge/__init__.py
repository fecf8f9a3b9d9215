"""Edge Tally: an anonymous audience counter for the Raspberry Pi."""

import os

__version__ = "1.0.0"

# pydantic would search all packages of the machine for plugins, which takes a tenth of the start
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
