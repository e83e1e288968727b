"""`--save-as`: the file gives the same job again, holds what was said and nothing else, and takes nothing's place."""

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from plugin_sources import make_source_kind

PATHS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=15)
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t\x7f\x85"), min_size=1, max_size=15
)
VALUES = {
    **dict.fromkeys(("job_name", "experiment_name"), TEXTS),
    "runs_dir": PATHS,
    "dataset_id": st.from_regex(r"(?a)[A-Za-z0-9_][A-Za-z0-9._-]{0,6}", fullmatch=True),
    **dict.fromkeys(("batch_size", "seed", "download_mib"), st.integers(1, 10**6).map(str)),
    "learning_rate": st.floats(1e-12, 0.999, exclude_min=True).map(repr),
    "device": st.sampled_from(["auto", "cpu"]),
    "system_metrics": st.sampled_from(["true", "false"]),
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=8)
@given(
    values=st.fixed_dictionaries({}, optional=VALUES),
    folders=st.lists(PATHS, min_size=1, max_size=3),
    arguments=st.lists(TEXTS.map("--wandb.notes={}".format), max_size=1),
)
def test_saved_file_gives_the_same_job(robotrain, values, folders, arguments):
    Path("job.yaml").unlink(missing_ok=True)
    explain = ("explain", "--platform", "local", "--json")
    words = [word for folder in folders for word in ("--dataset-path", f"./{folder}")]
    words += [word for name, text in values.items() for word in ("--set", f"{name}={text}")]
    before = robotrain(*explain, *words, "--save-as", "job.yaml", "--", *arguments)
    assume(before.exit_code == 0)  # some values go together with others only
    after = robotrain(*explain, "job.yaml")
    assert after.json["job"] == before.json["job"]
    rows = [[(row["name"], row["value"]) for row in answer.json["values"]] for answer in (before, after)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("command", ["explain", "render"])
def test_given_values_are_written_without_defaults(robotrain, pusht, command, monkeypatch):
    monkeypatch.setenv("JOB_NAME", "yes")
    Path(".env").write_text("SAVE_FREQ=50\n")
    options = ["--dataset-path", pusht, "--batch-size", "8", "--learning-rate", "3e-4", "--no-system-metrics"]
    own = ("--runs-dir", "runs", "--save-as", "job.yaml", "--", "--policy.dim_model=8")
    answer = robotrain(command, "--platform", "local", *options, *own)
    answer.check(0, "job.yaml")
    assert yaml.safe_load(Path("job.yaml").read_text()) == {
        "workload": "lerobot-train",
        "sources": {"dataset": [{"local_path": str(pusht)}]},
        "parameters": {
            "job_name": "yes",
            "batch_size": 8,
            "learning_rate": 0.0003,
            "save_freq": 50,
            "system_metrics": False,
        },
        "trainer_args": ["--policy.dim_model=8"],
        "platforms": {"local": {"runs_dir": str(Path.cwd() / "runs")}},
    }


def test_existing_file_is_not_overwritten(robotrain, pusht):
    words = ("explain", "--platform", "local", "--dataset-path", pusht, "--save-as", "job.yaml")
    assert robotrain(*words).exit_code == 0
    written = Path("job.yaml").read_bytes()
    assert robotrain(*words).exit_code == 0  # the very same: nothing to do
    robotrain(*words, "--batch-size", "3").check_problems(2, "file-in-use --save-as")
    assert Path("job.yaml").read_bytes() == written
    Path("link.yaml").symlink_to("nowhere")
    assert robotrain(*words[:-1], "link.yaml").exit_code == 2
    assert sorted(path.name for path in Path().iterdir()) == ["job.yaml", "link.yaml"]


@pytest.mark.parametrize("name", ["job", "no/job.yaml", "x.txt"])
def test_invalid_name_is_reported_with_all_other_problems(robotrain, name):
    answer = robotrain("explain", "--platform", "local", "--batch-size", "0", "--save-as", name)
    answer.check_problems(2, "file-unsuitable --save-as", "value-invalid --batch-size 0", "source-missing")


def test_rejected_job_is_not_written(robotrain):
    words = ("--dataset-path", "x", "--batch-size", "0", "--save-as", "job.yaml")
    assert robotrain("explain", "--platform", "local", *words).exit_code == 2
    assert not list(Path().iterdir())


def test_mode_of_the_file_follows_the_umask(robotrain, pusht):
    before = os.umask(0o027)
    try:
        robotrain("explain", "--platform", "local", "--dataset-path", pusht, "--save-as", "job.yaml")
    finally:
        os.umask(before)
    assert Path("job.yaml").stat().st_mode & 0o777 == 0o640


def test_source_parsed_as_another_kind_is_saved_as_that(robotrain, install, pusht):
    install("acme-pet", {"source.pet": "acme_pet"}, acme_pet=PET.replace("FOLDER", str(pusht)))
    answer = robotrain("explain", "--platform", "local", "--dataset-pet", "rex", "--save-as", "job.yaml", "--json")
    assert answer.exit_code == 0, answer.stderr
    row = next(row for row in answer.json["values"] if row["name"] == "dataset")
    assert (row["value"], row["origin"]) == (f"local_path {pusht}", "flag --dataset-pet")
    assert f"- local_path: {pusht}\n" in Path("job.yaml").read_text()
    assert robotrain("explain", "--platform", "local", "job.yaml", "--json").json["job"] == answer.json["job"]


def test_source_parsed_as_an_unknown_kind_is_rejected(robotrain, install):
    install("acme-pet", {"source.pet": "acme_pet"}, acme_pet=PET.replace("local_path.parse_folder", "Stray"))
    answer = robotrain("explain", "--platform", "local", "--dataset-pet", "rex")
    answer.check_problems(2, "source-invalid --dataset-pet rex")


PET = """
from dataclasses import dataclass
from pathlib import Path
from robotrain_sources.local_path import kind as local_path

@dataclass(frozen=True)
class Stray:
    name: str
    base: Path
    kind = "stray"

def parse(text, base):
    return local_path.parse_folder("FOLDER", base)
""" + make_source_kind("parse", flag='"--dataset-pet"')
