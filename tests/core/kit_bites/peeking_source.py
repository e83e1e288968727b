"""A source kind like the good one, in a module that uses what nobody promises to keep."""

from robotrain import problem as told
from shelf_source import wrong

LONGEST = told.SENTENCE
peeking = wrong("peeking")
