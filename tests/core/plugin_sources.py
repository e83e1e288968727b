"""Sources of plugins to install: a platform with one method changed, a source kind, a workload, a single hook."""

from pathlib import Path

PLATFORM = (Path(__file__).parents[1] / "plain_platform.py").read_text()
"""The module of the platform `plain`, which works."""


def indent(body: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in body.splitlines())


def make_platform(method: str = "", body: str = "", state: str = "succeeded") -> str:
    """Return the module of the platform, with another body of a method, and another state of its runs."""
    source = PLATFORM.replace('state="succeeded"', f'state="{state}"')
    if not method:
        return source
    begin = source.index(":\n", source.index(f"    def {method}(")) + 2
    end = source.index("\n    def ", begin)
    return f"import sys, time\n{source[:begin]}{indent(body, 8)}{source[end:]}"


def declare(line: str) -> str:
    """Return the module of the platform with one more line of declarations."""
    return PLATFORM.replace("    def check(", f"    {line}\n\n    def check(", 1)


def make_hook(name: str, body: str, arguments: str = "") -> str:
    """Return a module with one hook."""
    head = "import sys, time\nfrom robotrain.plugin import hook\n\n"
    return f"{head}@hook\ndef {name}({arguments}):\n{indent(body, 4)}"


SOURCE_KIND = """
from robotrain.plugin import RoleFlag, SourceKind, hook

@hook
def robotrain_source_kinds():
    return [SourceKind(name="pet", title="pets", form="NAME", help="", roles={"dataset": RoleFlag("--pet")},
                       recognizes=lambda text: False, parse=PARSE)]
"""


def make_source_kind(parse: str = "lambda text, base: None", **declared: str) -> str:
    """Return a module with the source kind `pet`, with further declarations or others."""
    source = SOURCE_KIND.replace("PARSE", parse)
    for name, text in declared.items():
        replacements = {"flag": ('"--pet"', text), "recognizes": ("lambda text: False", text)}
        source = source.replace(*replacements.get(name, ("recognizes=", f"{name}={text}, recognizes=")))
    return source


WORKLOAD = """
from dataclasses import dataclass
from typing import Annotated
from robotrain.plugin import Param, Role, Workload, hook

@dataclass(frozen=True, kw_only=True)
class Parameters:
FIELDS

@hook
def robotrain_workloads():
    return [Workload(name=NAME, parameters=Parameters, DECLARED)]
"""


def make_workload(name: str, *fields: str, **declared: str) -> str:
    """Return a module with a workload of these parameters, with further declarations or others."""
    declared = {"summary": "''", "roles": "{}", "container_plugin": "'x.y'", **declared}
    source = WORKLOAD.replace("FIELDS", indent("\n".join(fields or ["pass"]), 4)).replace("NAME", repr(name))
    return source.replace("DECLARED", ", ".join(f"{field}={text}" for field, text in declared.items()))
