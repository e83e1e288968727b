"""A platform whose module imports what it should not. Read as text, like kit_planet.py."""

import asyncio
import sqlite3

import hypothesis
import yaml
from kit_planet_plugin import Planet
from robotrain import plugin as public
from robotrain.plugin import hook

USED = (asyncio, sqlite3, hypothesis, yaml, public._MODULES)


class Heavy(Planet):
    name = "heavy"


@hook
def robotrain_platforms():
    return [Heavy()]
