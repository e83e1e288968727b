"""A platform whose module imports what it should not. Read as text, like kit_sample_platform.py."""

import asyncio
import sqlite3

import hypothesis
import yaml
from kit_sample_plugin import SamplePlatform
from robotrain import plugin as public
from robotrain.plugin import hook

USED = (asyncio, sqlite3, hypothesis, yaml, public._MODULES)


class ImportsHeavyModules(SamplePlatform):
    """Its module is at fault."""


@hook
def robotrain_platforms():
    return [ImportsHeavyModules()]
