"""YAML's own ideas of a value do not count: a text of the file is what the flag's would be, or is refused by name."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from problem_assertions import check_problems
from robotrain import api
from robotrain.errors import Rejected
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_workloads.lerobot_train.parameters import TrainParameters

PARAMETERS = [
    parameter
    for parameter in get_parameters(TrainParameters)
    if not (parameter.param.names == "program" or parameter.param.program_texts)
]
"""Those that a file may set."""
NAMES = [parameter.name for parameter in PARAMETERS]
FREE = [
    parameter.name
    for parameter in PARAMETERS
    if parameter.bare_type is str and not parameter.param.pattern and parameter.param.form != "pairs"
]
"""Those that take any text."""
DATASETS = {"huggingface": "dataset_repo_id", "blob_url": "blob_url", "local_path": "dataset_path"}
"""The kinds of a dataset, with the names of their options."""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TRAPS = [
    *("yes", "No", "on", "OFF", "y", "n", "true", "FALSE", "NULL_", "nil", "None", "="),
    *("1e5", "1E-5", "1.5e3", "007", "0x10", "0o17", "0b11", "1_000", "1__0", "1000000000000000000000"),
    *("2024-01-01", "2024-01-01T10:00:00Z", "12:30:45", "190:20:30", ".5", "5.", "+1", "-0", ".inf", "-.INF", ".NaN"),
]


def explain(text=None, **values):
    """Return the values of a call, or of one with this job file, or the codes of its problems."""
    if text is not None:
        Path("job.yaml").write_text(text, encoding="utf-8", newline="")
        values["job"] = "job.yaml"
    try:
        rows = api.explain(platform="local", **{"dataset_path": "x"} | values)
    except Rejected as rejected:
        return sorted(
            problem.code for problem in rejected.problems if problem.code != "chosen-by-file"
        )  # a note on files alone
    return [(row["name"], row["value"]) for row in rows]


some_examples = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=5)


@some_examples
@given(text=TEXTS)
def test_quoted_text_is_read_as_that_of_a_flag(text):
    for names in (NAMES, FREE):
        parameters = dict.fromkeys(names, text)
        assert explain(yaml.safe_dump({"parameters": parameters})) == explain(**parameters)


@some_examples
@given(text=st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.dates()))
def test_number_switch_or_date_is_read_as_its_text(text):
    written = yaml.safe_dump({"a": text}).partition(": ")[2].strip()
    for names in (NAMES, FREE):
        table = "".join(f"  {name}: {written}\n" for name in names)
        assert explain(f"parameters:\n{table}") == explain(**dict.fromkeys(names, written))


def test_plain_scalars_keep_their_text():
    table = "".join(f"  p{at}: {scalar}\n" for at, scalar in enumerate(TRAPS))
    values = dict(explain(f"workload: command\nrun: ['true']\nparams:\n{table}"))
    assert [values[f"p{at}"] for at in range(len(TRAPS))] == TRAPS


@some_examples
@given(texts=st.lists(TEXTS.filter(bool), min_size=1, max_size=3))
def test_trainer_arguments_are_read_as_those_after_dashes(texts):
    assert explain(yaml.safe_dump({"trainer_args": texts})) == explain(trainer_args=texts)


@some_examples
@given(text=TEXTS, kind=st.sampled_from(sorted(DATASETS)))
def test_source_is_read_as_that_of_a_flag(text, kind):
    written = yaml.safe_dump({"sources": {"dataset": [{kind: text}]}})
    assert explain(written, dataset_path=[]) == explain(**{"dataset_path": [], DATASETS[kind]: [text]})


def test_empty_file_or_value_counts_as_unset():
    nothing = explain()
    for text in ("", "\n", "# nothing\n", "---\n", "null\n", "{}\n"):
        assert explain(text) == nothing, text
    for empty in ("", "~", "null", "Null", "NULL", "''", '""'):
        assert explain(f"parameters:\n  batch_size: {empty}\n  job_name: {empty}\n") == nothing, empty


TEXTS_OF_FILES = {
    "null in quotes": ("parameters:\n  job_name: 'null'\n", "null"),
    "~ in quotes": ('parameters:\n  job_name: "~"\n', "~"),
    "lines": ("parameters:\n  job_name: |\n    a\n    b\n", "a\nb\n"),
    "folded lines": ("parameters:\n  job_name: >-\n    a\n    b\n", "a b"),
    "lines in quotes": ('parameters:\n  job_name: "a\n    b"\n', "a b"),
    "plain lines": ("parameters:\n  job_name: a\n    b\n", "a b"),
    "line ends of Windows": ("parameters:\r\n  job_name: |\r\n    a\r\n    b\r\n", "a\nb\n"),
    "a byte order mark": ("\ufeffparameters:\n  job_name: a\n", "a"),
    "a version": ("%YAML 1.1\n---\nparameters:\n  job_name: a\n", "a"),
    "empty lines": ("# a comment\n\n\r\n\r\n---\nparameters:\n  job_name: a\n", "a"),
    "the schema for editors": ("# yaml-language-server: $schema=x\n$schema: x\nparameters: {job_name: a}\n", "a"),
}


def test_a_text_is_read_however_the_file_writes_it():
    of_flags = {text: explain(job_name=text) for _, text in TEXTS_OF_FILES.values()}
    for name, (written, text) in TEXTS_OF_FILES.items():
        assert explain(written) == of_flags[text], name


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{after}: &{after} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}]\n"
    for before, after in zip("abcdefghijklmnopq", "bcdefghijklmnopqr", strict=True)
)
REFUSED = {
    "tag": ("parameters:\n  seed: !!int 5\n", "file-malformed job.yaml:2"),
    "own tag": ("parameters:\n  job_name: !env SEED\n", "file-malformed job.yaml:2"),
    "python": ("parameters:\n  seed: !!python/object/apply:os.system ['true']\n", "file-malformed job.yaml:2"),
    "tagged mapping": ("parameters: !!map\n  seed: 5\n", "file-malformed job.yaml:1"),
    "alias of a mapping": ("parameters: &p\n  seed: 5\nplatforms:\n  local: *p\n", "file-malformed job.yaml:4"),
    "alias of a list": ("trainer_args: &a [--wandb.notes=x]\nsources:\n  dataset: *a\n", "file-malformed job.yaml:3"),
    "alias of itself": ("parameters: &p\n  seed: *p\n", "file-malformed job.yaml:2"),
    "alias of nothing": ("parameters:\n  seed: *nobody\n", "file-malformed job.yaml:2"),
    "merge key": ("parameters:\n  <<: {seed: 3}\n", "file-malformed job.yaml:2"),
    "two documents": ("parameters: {seed: 1}\n---\nparameters: {seed: 2}\n", "file-malformed job.yaml:2"),
    "duplicate": ("parameters:\n  seed: 1\n  'seed': 2\n", "file-malformed job.yaml:3"),
    "a key that is a list": ("? [a]\n: b\n", "file-malformed job.yaml:1"),
    "a list": ("- a\n", "file-wrong job.yaml:1"),
    "a text": ("just words\n", "file-wrong job.yaml:1"),
    "a tab": ("parameters:\n\tseed: 1\n", "file-malformed job.yaml:2"),
    "a missing colon": ("parameters:\n  batch_size: 8\n  seed 1\n", "file-malformed job.yaml:3"),
    "very deep": ("a: " + "[" * 100_000, "file-malformed job.yaml:1"),
    "deep mappings": ("{a: " * 1000, "file-malformed job.yaml:1"),
    "an empty source": ("sources:\n  dataset:\n    - local_path:\n", "file-wrong job.yaml:3"),
    "a null source": ("sources:\n  dataset:\n    - local_path: null\n", "file-wrong job.yaml:3"),
    "a control character": ("parameters:\n  seed: \x07\n", "file-malformed job.yaml"),
    "another encoding": ("é".encode("latin-1"), "file-unreadable job.yaml"),
    "where it runs": ("platform: local\n", "file-unknown-key job.yaml:1"),
    "a profile": ("profile: local\n", "file-unknown-key job.yaml:1"),
    "a large one": ("#" * (1 << 20) + "\n", "file-unreadable job.yaml"),
    "many aliases of a long text": (
        f"trainer_args:\n- &a {'x' * 99999}\n" + "- *a\n" * 9,
        "file-malformed job.yaml:3",
    ),
}


def test_unsupported_yaml_is_rejected_with_its_line():
    for name, (text, problem) in REFUSED.items():
        Path("job.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(Rejected) as rejected:
            api.explain(platform="local", job="job.yaml")
        assert rejected.value.exit_code == 2, name
        check_problems(rejected.value.problems, problem)


def test_a_billion_laughs_are_not_expanded(robotrain):
    Path("job.yaml").write_text(LAUGHS)
    problems = robotrain("explain", "--platform", "local", "job.yaml", "--json").json["problems"]
    assert ("file-malformed", "job.yaml:2") in {(problem["code"], problem["where"]) for problem in problems}
