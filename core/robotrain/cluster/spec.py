"""Files of a plan for a remote engine: the submission spec, the engine's own spec as YAML, the start program."""

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from robotrain_runtime.contract.document import DOCUMENT_FILE, collect_fields
from robotrain_runtime.contract.json_values import convert_json, parse_json

from robotrain.errors import Problem, Rejected, Stage
from robotrain.messages import Messages
from robotrain.model.plan import Plan

make_problem = Messages(__file__)

Spec = TypeVar("Spec")


@dataclass(frozen=True)
class SubmissionSpecFile(Generic[Spec]):
    """The file of a platform's submission spec in a plan."""

    kind: type[Spec]
    """The spec's class: a frozen dataclass with a `schema`."""
    name: str
    schema: int
    engine: str
    """The platform's engine, as it is named in messages."""
    required: tuple[str, ...] = ()
    """Other files of a complete plan."""

    def dump(self, spec: Spec) -> bytes:
        """Return the canonical bytes of a spec: equal specs give equal bytes."""
        return (json.dumps(spec, indent=1, sort_keys=True, default=collect_fields) + "\n").encode()

    def parse(self, content: bytes) -> Spec:
        """Parse a spec. Raise ValueError, whose message repeats no value."""
        try:
            data = parse_json(content)
        except ValueError as error:
            raise ValueError(f"{self.name} is not JSON: {error}") from None
        errors: list[str] = []
        spec: Any = convert_json(self.kind, data, "", errors)
        if not errors and spec.schema != self.schema:
            errors.append(f"schema: this robotrain reads {self.schema}")
        if errors:
            raise ValueError(f"{self.name} is not a valid submission spec: {'; '.join(errors)}")
        typed_spec: Spec = spec
        return typed_spec

    def load(self, plan: Plan, stage: Stage) -> Spec:
        """Return the spec of a plan. Raise Rejected if the plan is damaged or incomplete."""
        required_files = dict.fromkeys((self.name, plan.spec, *self.required))
        if missing_files := [path for path in required_files if path not in plan.files]:
            raise Rejected([self.make_damaged_plan_problem(stage, f"It lacks {', '.join(missing_files)}.")])
        try:
            return self.parse(plan.files[self.name])
        except ValueError as error:
            raise Rejected([self.make_damaged_plan_problem(stage, f"{error}.")]) from None

    def make_damaged_plan_problem(self, stage: Stage, reason: str) -> Problem:
        """Return the problem of a plan that `render` did not make."""
        return make_problem("plan-unreadable", stage=stage, engine=self.engine, why=reason)


def drop_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are not empty, for an engine's own spec."""
    return {name: value for name, value in values.items() if value}


_AMBIGUOUS_TEXT = r"(?i)[yn]|[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:e[-+]?\d+)?|0o[0-7]+"
"""What YAML 1.2, or a strict reader of YAML 1.1, takes for a number or a truth value, and the library does not."""


def dump_yaml(values: Mapping[str, Any], quoted_key: str, check_text: Callable[[str], None] = lambda _: None) -> str:
    """Return the YAML of nested mappings, lists, texts, numbers and truth values, in ASCII.

    It has no anchors, which hide values from readers. Ambiguous text is quoted: readers differ in what they take for a
    number, a date or a truth value.

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


NAMES = ("python3", "python")
USUAL_PATHS = ("/opt/conda/bin/python", "/opt/venv/bin/python", "/usr/local/bin/python3", "/usr/bin/python3")
"""Where images have a Python, if none is on PATH; workloads know more about their own (`Container.interpreters`)."""
_SEARCH = """\
tried=
for python in INTERPRETERS; do
    if found=`"$python" -I -c 'PROBE' 2>/dev/null`; then
        exec "$python" "$@"
    fi
    test "$found" || found=none
    tried="$tried $python ($found)"
done
echo "error: PLACE has no Python 3.10 or newer with its whole library: FIX. Tried:$tried" >&2
exit 127
"""
_PROBE = "import sys; print(sys.version.split()[0]); assert sys.version_info >= (3, 10); import bz2, ssl, zipfile"


def make_python_search(
    interpreters: Sequence[str] = (), location: str = "the image", fix: str = "use another --image"
) -> str:
    """Return the program for `/bin/sh` that becomes the image's Python, which gets its arguments.

    It holds no template syntax and no value of the user. If there is no Python, it says which ones it tried.

    :param interpreters: those of the workload's container.
    :param location: what it says has no Python.
    :param fix: what to do about that.
    """
    python_names = " ".join((*NAMES, *interpreters, *USUAL_PATHS))
    parts = {"INTERPRETERS": python_names, "PROBE": _PROBE, "PLACE": location, "FIX": fix}
    return functools.reduce(lambda text, part: text.replace(*part), parts.items(), _SEARCH)


_PROGRAM = """\
import os
import sys
import MODULES


def refuse(why):
    print("error: " + why, file=sys.stderr, flush=True)
    sys.exit(2)


try:
    UNPACK
except Exception as error:
    refuse("the job cannot be unpacked: " + (str(error) or type(error).__name__))
os.chdir(folder)
os.environ["PYTHONPATH"] = os.path.join(folder, "payload")
os.environ["PYTHONSAFEPATH"] = "1"
os.execv(sys.executable, [sys.executable, "-m", "robotrain_runtime", "run", "DOCUMENT"] + options)
"""


def make_start_program(modules: str, *unpack: str, document: str = DOCUMENT_FILE) -> str:
    """Return the program for the Python that the search finds; it holds no template syntax.

    :param modules: what `unpack` imports beside os and sys.
    :param unpack: the lines that set `folder`, where they leave the document and the payload in `payload/`, and
        `options`, a list for the runtime.
    """
    unpack_lines = "\n    ".join(unpack)
    return _PROGRAM.replace("MODULES", modules).replace("UNPACK", unpack_lines).replace("DOCUMENT", document)
