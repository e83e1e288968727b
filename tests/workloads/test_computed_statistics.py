"""Statistics that are computed from the frames, instead of those that a dataset stores."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from robotrain_runtime.contract import child_python
from robotrain_workloads.data_command import data_report
from robotrain_workloads.dataset_check import statistics_needs
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot_train import container
from small_training import SMALL

ROOT = Path(__file__).parents[2]
ACTION, STATE = "action", "observation.state"
ONE_STEP = {"training_steps": 1, "save_freq": 1, "log_freq": 1}
NORMALIZER = "outputs/checkpoints/000001/pretrained_model/policy_preprocessor_step_3_normalizer_processor.safetensors"
READ_TENSORS = """
from safetensors.torch import load_file
show({name: tensor.flatten().tolist() for name, tensor in load_file(arguments[0]).items()})
"""
RECORD = """
from made_datasets import make_dataset, write_dataset
for name, scale, move in (("near", 1, 0), ("far", 3, 50)):
    made = make_dataset(8, cameras=1, video=False, kind="position", episodes=4)
    for episode in made.episodes:
        episode.values = {feature: values * scale + move for feature, values in episode.values.items()}
    write_dataset(made, Path(arguments[0], name))
show(None)
"""
READ_COLUMNS = """
import numpy as np
import pyarrow.parquet as pq
from made_datasets import DATA, compute_statistics
def read_columns(folders, without):
    for name in ("action", "observation.state"):
        parts = []
        for folder in folders:
            table = pq.read_table(Path(folder, DATA), columns=[name, "episode_index"])
            rows = ~np.isin(table["episode_index"].to_numpy(), without)
            parts.append(np.array(table[name].to_pylist(), float)[rows])
        rows = np.concatenate(parts)
        yield name, compute_statistics(rows[np.isfinite(rows).all(axis=1)])
"""
EXPECT = READ_COLUMNS + "show(dict(read_columns(arguments[1:], [int(arguments[0])])))"
COMPUTE = (
    READ_COLUMNS
    + """
from robotrain_workloads.lerobot_train.computed_statistics import ComputedStatistics
from damaged_datasets import change_column, put
root, found = Path(arguments[0]), []
change_column(root / DATA, "action", lambda values: put(5, [float("nan")] * len(values[5]))(values))
for chosen, without in ((None, []), ([1, 3], [0, 2])):
    computed = ComputedStatistics(root, chosen).compute()
    expected = dict(read_columns([root], without))
    found.append([{name: values.tolist() for name, values in computed[one].items()} for one in expected])
    found.append([*expected.values()])
show(found)
"""
)
RELATIVE = """
from types import SimpleNamespace
from lerobot.datasets import LeRobotDataset
from lerobot.datasets.compute_stats import compute_relative_action_stats
from robotrain_workloads.lerobot_train.computed_statistics import ComputedStatistics
root, excluded = Path(arguments[0]), ["joint_1"]
policy = SimpleNamespace(use_relative_actions=True, chunk_size=5, relative_exclude_joints=excluded)
data = LeRobotDataset("local/one", root=root)
expected = compute_relative_action_stats(data.hf_dataset.with_format(None), data.meta.features, 5, excluded)
found = ComputedStatistics(root, None, are_relative=True).compute(policy)["action"]
show([{name: values.tolist() for name, values in one.items()} for one in (found, expected)])
"""


@pytest.fixture
def run_program(training_environment):
    """Run a program in LeRobot's environment; return what it shows."""

    def run(program: str, *arguments: object):
        begin = "import json, sys\nfrom pathlib import Path\narguments = sys.argv[1:]\n"
        show = "def show(value): print(json.dumps(value))\n"
        folders = [ROOT / "workloads", ROOT / "runtime", Path(__file__).parent]
        environ = child_python.make_import_environ(folders, os.environ) | {"HF_HUB_OFFLINE": "1"}
        command = [f"{training_environment}/bin/python", "-c", begin + show + program, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environ)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture
def datasets(tmp_path, run_program) -> list[Path]:
    """Two of one robot, whose numbers are far from each other."""
    run_program(RECORD, tmp_path)
    return [tmp_path / "near", tmp_path / "far"]


INSTALL = """
from types import SimpleNamespace
from robotrain_workloads.lerobot_train.computed_statistics import ComputedStatistics
made = SimpleNamespace(meta=SimpleNamespace(stats={"camera": 1, "action": "stored"}))
trainer = SimpleNamespace(make_train_eval_datasets=lambda config: (made, None))
ComputedStatistics(Path(arguments[0]), [0]).install(trainer)
trainer.make_train_eval_datasets(SimpleNamespace(trainable_config=None))
show([made.meta.stats["camera"], made.meta.stats["action"]["count"].tolist()])
"""


@pytest.mark.slow
def test_the_datasets_of_a_trainer_keep_the_statistics_of_their_cameras(run_program):
    assert run_program(INSTALL, ROOT / "examples/pusht-camera/dataset") == [1, [40]]


QUANTILES_OF_MINI = """
from robotrain_workloads.dataset_check.checks import check_tables
from robotrain_workloads.dataset_check.load import Training
_, findings = check_tables(Path(arguments[0]), Training(quantiles=["action", "observation.state"]))
show([[finding.code, finding.feature, finding.text, finding.suggestion] for finding in findings])
"""


@pytest.mark.parametrize(
    ("kind", "options", "parameters", "features"),
    [
        ("pi05", (), {}, [STATE, ACTION]),
        ("pi05", (), {"statistics": "stored"}, []),
        ("pi05", (), {"statistics": "computed"}, []),
        ("pi05", (), {"exclude_episodes": "1"}, []),
        ("pi05", ("--policy.use_relative_actions=true",), {}, [STATE]),
        ("act", (), {}, []),
        ("act", ('--policy.normalization_mapping={"STATE": "QUANTILES"}',), {}, [STATE]),
    ],
)
def test_stored_quantiles_are_compared_where_the_policy_reads_them(training, kind, options, parameters, features):
    job = LerobotJob(training(ROOT / "examples/pusht-mini/dataset", options, policy_type=kind, **parameters))
    assert data_report.make_table_options(job).get("quantiles", []) == features
    assert container.make_request(job).read_numbers == ({"quantiles": features} if features else {})


def test_rewards_are_compared_where_the_policy_reads_them(training):
    for kind, reads in {"tdmpc": {"reads": ["next.reward"]}, "act": {}}.items():
        job = LerobotJob(training(ROOT / "examples/pusht-mini/dataset", policy_type=kind))
        assert statistics_needs.list_read_numbers(job) == reads


@pytest.mark.slow
def test_quantiles_that_are_none_are_an_error_with_the_way_out(run_program):
    """LeRobot recorded it, and averaged those of its episodes."""
    ((kind, _, text, way),) = run_program(QUANTILES_OF_MINI, ROOT / "examples/pusht-mini/dataset")
    assert (kind, way) == ("quantiles-differ", "--statistics computed")
    assert "19 % of the frames of action" in text
    assert f"of the frames of {STATE}" in text


@pytest.mark.parametrize(("words", "choice"), [((), "stored"), (("--exclude-episodes", "1"), "computed")])
def test_the_statistics_that_a_job_reads_are_shown(robotrain, words, choice):
    job = ("--platform", "local", "--dataset-path", ROOT / "examples/pusht-mini/dataset", "--training-steps", "5")
    values = robotrain("explain", "lerobot-train", *job, *words, "--json").json["values"]
    assert [row["value"] for row in values if row["name"] == "statistics"] == [choice]


@pytest.mark.slow
def test_statistics_are_those_of_all_frames(datasets, run_program):
    for computed, expected in zip(*[iter(run_program(COMPUTE, datasets[1]))] * 2, strict=True):
        for statistics, right in zip(computed, expected, strict=True):
            for name, values in right.items():
                np.testing.assert_allclose(statistics[name], values, rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.slow
def test_relative_actions_have_the_statistics_that_lerobot_computes_of_them(datasets, run_program):
    computed, expected = run_program(RELATIVE, datasets[0])
    for name in ("count", "min", "max", "mean", "std"):
        np.testing.assert_allclose(computed[name], expected[name], rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("case", ["merge", "stored merge", "excluded", "stored"])
def test_a_policy_is_normalized_with_the_statistics_of_its_frames(datasets, train, run_program, tmp_path, case):
    options = {"excluded": {"exclude_episodes": "1"}, "stored merge": {"statistics": "stored"}}.get(case, {})
    args = ["--dataset.episodes=[0,1]"] if case == "stored" else []
    inputs = datasets if "merge" in case else datasets[0]
    ran = train(inputs, [*SMALL["act"], *args], **ONE_STEP, **options)
    saved = run_program(READ_TENSORS, tmp_path / "work" / NORMALIZER)
    if "stored" in case:  # bit by bit what LeRobot reads
        pattern = "work/**/meta/stats.json" if "merge" in case else "near/meta/stats.json"
        (path,) = tmp_path.glob(pattern)
        stored = json.loads(path.read_text())
        for feature in (ACTION, STATE):
            for name, values in stored[feature].items():
                assert saved[f"{feature}.{name}"] == np.array(values, "float32").tolist(), name
    else:
        expected = run_program(
            EXPECT, 1 if case == "excluded" else -1, *(datasets if case == "merge" else datasets[:1])
        )
        for feature, statistics in expected.items():
            for name, values in statistics.items():
                np.testing.assert_allclose(saved[f"{feature}.{name}"], values, rtol=1e-5, atol=1e-5, err_msg=name)
    note = "statistics of the whole dataset" if case == "stored" else "statistics that are computed"
    assert any(note in line for line in ran.lines) == (case != "stored merge")
