"""Sources of broken plugins to install: a good platform with one thing changed."""

from pathlib import Path

PLAIN_PLATFORM = (Path(__file__).parents[1] / "plain_platform.py").read_text()


def indented(body: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in body.splitlines())


def plain_platform(method: str = "", body: str = "", state: str = "succeeded") -> str:
    """plain_platform.py, whose `method` does what `body` says instead. state: how its runs are."""
    source = PLAIN_PLATFORM.replace('state="succeeded"', f'state="{state}"')
    if not method:
        return source
    begin = source.index(":\n", source.index(f"    def {method}(")) + 2
    end = source.index("\n    def ", begin)
    return f"import sys, time\n{source[:begin]}{indented(body, 8)}{source[end:]}"


LITTLE_TIME = """
import os
os.environ["ROBOTRAIN_PLUGIN_SECONDS"] = "0.2"
"""
"""At the end of a module: loading it may take longer, as on a busy machine; what it does then may not."""


def hook(name: str, body: str, arguments: str = "") -> str:
    """A module with one hook."""
    head = "import sys, time\nfrom robotrain.plugin import hook\n\n"
    return f"{head}@hook\ndef {name}({arguments}):\n{indented(body, 4)}"


KIND = """
from robotrain.plugin import RoleFlag, SourceKind, hook

@hook
def robotrain_source_kinds():
    return [SourceKind(name="pet", title="pets", form="NAME", help="", roles={"dataset": RoleFlag("--pet")},
                       recognizes=lambda text: False, parse=PARSE)]
"""


def kind(parse: str = "lambda text, base: None") -> str:
    """A module with the source kind `pet`."""
    return KIND.replace("PARSE", parse)
