"""A source kind like the good one, in a module that uses a private name of a public module."""

from robotrain import plugin as public
from shelf_source import wrong

NAMES = public._MODULES
private_import = wrong("private_import")
