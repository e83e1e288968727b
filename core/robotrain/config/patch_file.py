"""A parameter of the form `patch`: the option names a file, whose content is the value, as JSON."""

import json
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.parameter import Parameter

from robotrain.config.values import MAX_LETTERS, Value
from robotrain.config.yaml_nodes import MalformedYaml, parse_yaml
from robotrain.errors import Problem, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.store.files import read_limited_file

make_problem = Messages(__file__)

LINE_LAYERS = ("flag", "call")
"""The layers that may name the file: the line, and a call from Python."""
RUN_LAYER = "run"
"""The layer of an earlier run, which has the content."""


def read_patch(parameter: Parameter, value: Value) -> Value | Problem:
    """Return a value with the content of the file that it names, or what is wrong with it."""
    origin, path_text = value.origin, str(value.value)
    if origin.layer == RUN_LAYER:
        return value
    flag, value_place = parameter.flag, origin.where or origin.layer
    if origin.layer not in LINE_LAYERS:
        way = Suggestion(f"{flag} {parameter.metavar}", "on the command line")
        return make_problem("setting-not-trusted.line-only", way, where=value_place, flag=flag, layer=origin.layer)
    try:
        yaml_text = read_limited_file(Path(path_text).expanduser(), MAX_LETTERS).decode()
        patch = _parse_patch(yaml_text)
    except OSError as error:
        message, reason = "file-unreadable", f"{error.strerror or error}."
    except MalformedYaml as error:
        message, reason = "file-malformed", f"Line {error.line}: {error.why}" if error.line else error.why
    except ValueError as error:  # too large, no UTF-8, or no mapping
        message, reason = "file-malformed", f"{error}.".capitalize()
    else:
        return value._replace(value=json.dumps(patch))
    facts: dict[str, Any] = {"what": f"the file of {flag}", "form": "a mapping in YAML or JSON", "why": reason}
    return make_problem(message, where=value_place, given=path_text, stage=Stage.RESOLVE, **facts)


def _parse_patch(yaml_text: str) -> dict[str, Any]:
    """Return the mapping of a patch. Raise ValueError, MalformedYaml."""
    root = parse_yaml(yaml_text)
    patch = root.read_json() if root else None
    if not isinstance(patch, dict) or not patch:
        raise ValueError("it is not a mapping of keys")
    return patch
