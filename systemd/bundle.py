"""Print what is wrong with a bundle, a line; the installer asks before it builds a release.

bundle.py BUNDLE ROOT, with the project's folder in PYTHONPATH
"""

import sys
from pathlib import Path

from edge.enrollment import bundle, identity
from edge.errors import EdgeError

file, root = map(Path, sys.argv[1:])
try:
    identity.prove(bundle.read(file), identity.installed_key(root))
except EdgeError as error:
    print(error if str(file) in str(error) else f"{file}: {error}")
