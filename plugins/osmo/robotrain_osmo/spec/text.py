"""The workflow as text: block YAML that begins with `workflow:`, as OSMO wants it, and that people can read.

Only ASCII, and every text of the environment in quotes: a `true` or a date in it stays a text wherever it is read
again.
"""

import functools
import re
from collections.abc import Mapping
from typing import Any

from robotrain_osmo import names

ARCHIVE = "\x00archive\x00"
"""Stands for the archive until the text is made: to look at each of its letters would take YAML most of a second."""
_OWN = r"\{\{(?:workflow_id|input:\d+)\}\}"
_PLACE = '"\\0archive\\0"'


class TemplateError(ValueError):
    """A workflow that would come out of OSMO's templates as another one. `check` refuses every value that does this."""


def dump(workflow: Mapping[str, Any], archive: str = "") -> str:
    """The text of a workflow. archive: what takes the place of ARCHIVE, as base64. Raises TemplateError."""
    import yaml

    text = yaml.dump(
        _marked(workflow),
        Dumper=_dumper(),
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=False,
        width=float("inf"),
    )
    if read := names.read_in(re.sub(_OWN, "", text)):
        raise TemplateError(f"a value of the workflow holds {read}")
    before, _, after = text.rpartition(_PLACE)
    return f"{before}'{archive}'{after}" if archive else text


class _Quoted(str):
    pass


class _Block(str):
    pass


def _marked(value: Any, quoted: bool = False) -> Any:
    """The same, each text marked with how it is written."""
    if isinstance(value, Mapping):
        return {key: _marked(part, quoted or key == "environment") for key, part in value.items()}
    if isinstance(value, list):
        return [_marked(part, quoted) for part in value]
    if isinstance(value, str):
        return _Block(value) if "\n" in value else _Quoted(value) if quoted else value
    return value


@functools.cache
def _dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Without anchors: OSMO's own readers, and people, see each value where it counts."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
            return super().increase_indent(flow, False)

    def scalar(style: str) -> Any:
        return lambda dumper, data: dumper.represent_scalar("tag:yaml.org,2002:str", str(data), style=style)

    Dumper.add_representer(_Quoted, scalar("'"))
    Dumper.add_representer(_Block, scalar("|"))
    return Dumper
