"""Plain values are converted without pydantic, to what pydantic converts them to."""

import dataclasses
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, TypeAdapter, ValidationError
from robotrain.config.validate import convert_plain_values
from robotrain_azureml.settings import AzureMLSettings
from robotrain_local.settings import LocalSettings
from robotrain_osmo.settings import OsmoSettings
from robotrain_runtime.contract.parameter import Param, Parameter, get_parameters
from robotrain_workloads.lerobot_eval.parameters import EvalParameters
from robotrain_workloads.lerobot_train.parameters import TrainParameters


@dataclass(frozen=True, kw_only=True)
class Declared:
    count: Annotated[int, Param(gt=-10, lt=10**9)] = 1
    share: Annotated[float | None, Param(ge=0, le=1)] = None
    rate: Annotated[float, Param()] = 0.1
    fast: Annotated[bool, Param()] = False
    name: Annotated[str, Param()] = "a"
    word: Annotated[str | None, Param(pattern=r"[\w.-]+")] = None
    kind: Annotated[Literal["act", "1", "true"], Param()] = "act"


CLASSES = (Declared, TrainParameters, EvalParameters, LocalSettings, OsmoSettings, AzureMLSettings)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"\A[ +-]?[0-9_]{0,4}[.]?[0-9]{0,4}([eE][+-]?[0-9]{1,3})? ?\n?\Z"),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["true", "false", "True", "yes", "no", "1", "0", "", "nan", "inf", "1e400", "act", "name\n", "١"]),
)


def list_texts(parameter: Parameter) -> st.SearchStrategy[str]:
    return st.one_of(TEXTS, st.sampled_from(parameter.choices)) if parameter.choices else TEXTS


@st.composite
def declared_values(draw: Any) -> tuple[type, dict[str, str]]:
    declared = draw(st.sampled_from(CLASSES))
    parameter = draw(st.sampled_from(get_parameters(declared)))
    return declared, {parameter.name: draw(list_texts(parameter))}


ADAPTERS = {declared: TypeAdapter(declared) for declared in CLASSES}


@given(declared_values())
def test_a_plain_value_is_what_pydantic_makes_of_it(case):
    declared, values = case
    required = {parameter.name: "x" for parameter in get_parameters(declared) if parameter.required}
    plain = convert_plain_values(declared, required | values)
    if plain is not None:
        validated = ADAPTERS[declared].validate_python(required | values)
        assert list(map(repr, dataclasses.astuple(plain))) == list(map(repr, dataclasses.astuple(validated)))


@pytest.mark.parametrize(
    "values",
    [
        {"count": "12", "share": "0.25", "rate": "1e-5", "fast": "true", "name": "two words", "kind": "1"},
        {"word": "a-b.c"},
        {},
    ],
)
def test_ordinary_values_are_plain(values):
    assert convert_plain_values(Declared, values) == ADAPTERS[Declared].validate_python(values)


@pytest.mark.parametrize(
    "values",
    [
        {"count": "1_0"},
        {"share": "1.5"},
        {"share": "nan"},
        {"word": "a b"},
        {"word": "a\n"},
        {"name": "ü"},
        {"fast": "y"},
    ],
)
def test_a_doubtful_value_is_left_to_pydantic(values):
    assert convert_plain_values(Declared, values) is None


@dataclass(frozen=True, kw_only=True)
class Even:
    number: Annotated[int, Param(), AfterValidator(lambda number: number // 2 * 2)] = 0


def test_an_annotation_that_only_pydantic_knows_is_left_to_it():
    assert convert_plain_values(Even, {"number": "3"}) is None


def test_an_ordinary_job_is_rendered_without_pydantic(tmp_path):
    probe = "import sys\nfrom robotrain.cli.app import app\ntry:\n    app(sys.argv[1:])\nfinally:\n"
    probe += "    print('pydantic' in sys.modules, file=sys.stderr)"
    words = ("render", "--platform", "local", "--dataset-repo-id", "lerobot/pusht", "--training-steps", "200", "--json")
    done = subprocess.run(
        [sys.executable, "-c", probe, *words], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert json.loads(done.stdout)
    assert done.stderr.splitlines()[-1] == "False"


@pytest.mark.parametrize("word", ["a b", "a;$(b)", "a\n", " a"])
def test_a_pattern_is_for_the_whole_text(word):
    with pytest.raises(ValidationError):
        ADAPTERS[Declared].validate_python({"word": word})
    assert convert_plain_values(Declared, {"word": word}) is None
