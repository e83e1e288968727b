"""A platform of a package that publishes checkpoints to the Hub: `install(…, hub_plugin=HUB_PLATFORM)`."""

HUB_PLATFORM = """
from dataclasses import replace

from fake_plugin import FakePlatform
from robotrain.plugin import YES, hook


class HubPlatform(FakePlatform):
    name = "hub"
    capabilities = replace(
        FakePlatform.capabilities, sources={**FakePlatform.capabilities.sources, ("publish", "huggingface"): YES}
    )


@hook
def robotrain_platforms():
    return [HubPlatform()]
"""
