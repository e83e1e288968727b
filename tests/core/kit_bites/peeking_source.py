"""A source kind like the good one, in a module that uses what nobody promises to keep."""

from robotrain import errors as told
from shelf_source import wrong

LONGEST = told.MAX_SENTENCE
peeking = wrong("peeking")
