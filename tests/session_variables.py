"""The environment variables of the session, before any test or stand-in changed them."""

import os

OUTSIDE = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Those of a stand-in name a proxy that reaches no package index, and tests change where uv looks for Python."""
