"""A platform of a package that publishes checkpoints to the Hub: `install(…, hub_plugin=HUB_PLATFORM)`."""

HUB_PLATFORM = """
from dataclasses import replace

from fake_plugin import FAKE
from robotrain.plugin import YES, hook


HUB = replace(
    FAKE,
    name="hub",
    capabilities=replace(
        FAKE.capabilities, sources={**FAKE.capabilities.sources, ("publish", "huggingface"): YES}
    ),
)


@hook
def robotrain_platforms():
    return [HUB]
"""
