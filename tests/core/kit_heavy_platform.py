"""A platform whose module imports what it should not. Read as text, like kit_sample_platform.py."""

import asyncio
import sqlite3

import hypothesis
import yaml
from kit_sample_plugin import SamplePlatform
from robotrain import plugin as public
from robotrain.plugin import hook

USED = (asyncio, sqlite3, hypothesis, yaml, public._MODULES)


class Heavy(SamplePlatform):
    name = "heavy"


@hook
def robotrain_platforms():
    return [Heavy()]
