"""`python -m robotrain`."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # Python's own `-m` puts the working folder there: a cloned repository must not bring plugins

from robotrain.cli import main

main()
