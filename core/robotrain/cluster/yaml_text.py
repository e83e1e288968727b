"""The YAML of a rendered spec, in ASCII and without anchors, which hide values from readers.

Ambiguous text is quoted: readers differ in what they take for a number, a date or a truth value.
"""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

_AMBIGUOUS_TEXT = r"(?i)[yn]|[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:e[-+]?\d+)?|0o[0-7]+"
"""What YAML 1.2, or a strict reader of YAML 1.1, takes for a number or a truth value, and the library does not."""


def dump_yaml(values: Mapping[str, Any], quoted_key: str, check_text: Callable[[str], None] = lambda _: None) -> str:
    """Return the YAML of nested mappings, lists, texts, numbers and truth values.

    :param quoted_key: texts below this key are always quoted.
    :param check_text: called for each text and key; raises for one that must not be written.
    """
    import yaml

    return yaml.dump(
        _mark_styles(values, quoted_key, check_text),
        Dumper=_make_dumper(),
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=False,
        width=float("inf"),
    )


class _Quoted(str):
    pass


class _Block(str):
    pass


def _mark_styles(value: Any, quoted_key: str, check_text: Callable[[str], None], quoted: bool = False) -> Any:
    if isinstance(value, Mapping):
        return {
            _mark_styles(key, "", check_text): _mark_styles(part, quoted_key, check_text, quoted or key == quoted_key)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [_mark_styles(part, quoted_key, check_text, quoted) for part in value]
    if not isinstance(value, str):
        return value
    check_text(value)
    if "\n" in value:
        return _Block(value)
    return _Quoted(value) if quoted or re.fullmatch(_AMBIGUOUS_TEXT, value) else str(value)


@functools.cache
def _make_dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        """A dumper without anchors."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
            return super().increase_indent(flow, False)

    def scalar(style: str) -> Any:
        return lambda dumper, data: dumper.represent_scalar("tag:yaml.org,2002:str", str(data), style=style)

    Dumper.add_representer(_Quoted, scalar("'"))
    Dumper.add_representer(_Block, scalar("|"))
    return Dumper
