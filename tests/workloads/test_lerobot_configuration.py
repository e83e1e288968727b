"""LeRobot's configuration is built before data is fetched: a refusal is a sentence, with exit code 4."""

import itertools
import json
import os
import subprocess
import sys
import types

import pytest
from eval_launcher import IMPORT_PATHS
from job_documents import evaluation
from robotrain_runtime.contract.failure import EXIT_PREFLIGHT
from robotrain_workloads.lerobot import warm_up
from robotrain_workloads.lerobot.options import ConfigurationRefused, explain_parser_errors
from robotrain_workloads.lerobot_eval import container as eval_container
from robotrain_workloads.lerobot_train import container, launcher

TRAIN, EVAL = container.LAUNCHER, eval_container.LAUNCHER


def options(command) -> list[str]:
    """What a command checks."""
    assert command.arguments[:2] == ("-m", TRAIN)
    return list(command.arguments[3:])


def test_the_options_of_the_training_are_known_before_its_data(training, tmp_path):
    document = training(args=["--policy.chunk_size=10"], learning_rate=1e-3)
    early_options = options(container.warm_up(document, {}, tmp_path))
    assert {"--policy.type=act", "--policy.optimizer_lr=0.001", "--policy.chunk_size=10"} <= set(early_options)
    assert early_options[-1] == "--policy.chunk_size=10", "the user's count"


def test_a_policy_to_start_from_is_checked_with_the_files_that_describe_it(training, tmp_path):
    document = training(starts={"policy": "/far/policy"})
    assert options(container.warm_up(document, {}, tmp_path)) == []
    (tmp_path / "config.json").write_text(json.dumps({"type": "act"}))
    described = {document.sources[-1]: tmp_path}
    assert f"--policy.path={tmp_path}" in options(container.warm_up(document, described, tmp_path))


def test_the_options_of_a_resumed_training_are_not_checked_in_advance(training, tmp_path):
    document = training(starts={"resume": "/far/checkpoint"})
    assert options(container.warm_up(document, {document.sources[-1]: tmp_path}, tmp_path)) == []


def test_with_several_gpus_the_options_are_checked_in_the_environment_of_the_work(training, tmp_path):
    document = training(num_gpus=2, mixed_precision="bf16")
    command = container.warm_up(document, {}, tmp_path)
    assert (command.takes_over, command.arguments[2]) == (False, warm_up.CHECK_ONLY)
    assert command.environ == container.work(document, {}, tmp_path).environ


def test_an_evaluation_checks_the_options_of_its_policy(tmp_path):
    untrained = evaluation(tmp_path, builtin_policy=True, args=["--policy.n_action_steps=5", "--env.fps=10"])
    command = eval_container.warm_up(untrained, {}, tmp_path)
    assert command.arguments == ("-m", EVAL, warm_up.TAKE_OVER, "act", "--policy.n_action_steps=5")


def refuse(error: BaseException, options: list[str]) -> str:
    with pytest.raises(ConfigurationRefused) as refused, explain_parser_errors(options, "the configuration"):
        raise error
    return str(refused.value)


class ParsingError(Exception):
    """As draccus has it."""


class DecodingError(Exception):
    """As draccus has it."""


def chain_errors(*errors: BaseException) -> BaseException:
    for outer, inner in itertools.pairwise(errors):
        outer.__context__ = inner
    return errors[0]


def test_the_reason_is_the_one_at_the_root():
    hidden = chain_errors(
        SystemExit(1),
        DecodingError("`policy`: Could not decode the value into any of the given types:\n ACTConfig: Couldn't"),
        ParsingError("Couldn't instantiate class ACTConfig"),
        ValueError("Got 20 for `n_action_steps` and 10 for `chunk_size`."),
    )
    arguments = ["--steps=3", "--policy.chunk_size=10", "--policy.n_action_steps=20"]
    reason = refuse(hidden, arguments)
    assert reason.partition(" rejects ")[2].startswith("--policy.chunk_size=10 --policy.n_action_steps=20: Got 20 for")


def test_a_value_of_the_wrong_kind_is_reported_as_by_the_parser():
    error = chain_errors(DecodingError("`steps`: Couldn't parse 'x' into an int"), ValueError("invalid literal"))
    reason = refuse(error, ["--steps=x", "--policy.steps=3"])
    assert reason.endswith("rejects --steps=x: `steps`: Couldn't parse 'x' into an int")


def test_a_secret_among_the_options_is_not_repeated():
    assert "abc" not in refuse(ParsingError("`hub_token` is wrong"), ["--policy.hub_token=abc"])


@pytest.fixture
def lerobot(monkeypatch):
    """Build a configuration with LeRobot's parser and its checks, as far as they are wrapped."""

    class TrainPipelineConfig:
        def validate(self):
            if "--steps=0" in sys.argv:
                raise ValueError("`steps` must be positive")

    def parse(config_class):
        if "--steps=x" in sys.argv:
            raise ValueError("`steps` must be a number")
        return config_class()

    modules = {name: types.ModuleType(name) for name in ("draccus", "lerobot", "lerobot.configs")}
    modules |= {"lerobot.configs.train": types.ModuleType("lerobot.configs.train")}
    modules["draccus"].parse, modules["lerobot.configs.train"].TrainPipelineConfig = parse, TrainPipelineConfig
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)

    def build(option):
        monkeypatch.setattr(sys, "argv", ["lerobot-train", option])
        modules["draccus"].parse(TrainPipelineConfig).validate()

    return build


@pytest.mark.parametrize("option", ["--steps=x", "--steps=0"])
def test_an_error_of_the_configuration_ends_as_preflight_and_a_later_one_does_not(lerobot, option):
    launcher.explain_refusals([option])
    with pytest.raises(SystemExit) as ended:
        lerobot(option)
    assert ended.value.code == EXIT_PREFLIGHT
    for _ in range(2):  # the check while data is fetched, and the training itself
        launcher.explain_refusals(["--steps=3"])
        lerobot("--steps=3")
    with pytest.raises(ValueError, match="must be"):
        lerobot(option)


CHECKS = """
import json, sys
from robotrain_workloads.lerobot import loaded_policy
from robotrain_workloads.lerobot_train import launcher
ends = []
def check(function, *arguments):
    try:
        function(*arguments)
        ends.append([0, ""])
    except SystemExit as end:
        ends.append([end.code, str(end)])
of_policies, of_trainings = json.load(sys.stdin)
for options in of_policies:
    check(loaded_policy.check_policy_configuration, *options)
launcher._prepare_training([])
for options in of_trainings:
    sys.argv = ["lerobot-train", *options]
    check(launcher.check_training_configuration, options)
print(json.dumps(ends))
"""


@pytest.mark.slow
def test_lerobot_itself_refuses_options_that_do_not_go_together(training_python, training, tmp_path):
    """One process: importing LeRobot takes seven seconds of CPU time."""
    several = (
        ["--policy.chunk_size=10", "--policy.n_action_steps=10"],
        ["--policy.chunk_size=10", "--policy.n_action_steps=20"],
        ["--use_policy_training_preset=false"],
        ["--dataset.episodes=[0"],
    )
    train = [options(container.warm_up(training(args=args), {}, tmp_path)) for args in several]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(IMPORT_PATHS), "HF_HUB_OFFLINE": "1"}
    request = json.dumps([[["act", "--policy.n_action_steps=5"], ["act", "--policy.n_action_steps=400"]], train])
    command = [training_python, "-c", CHECKS]
    done = subprocess.run(command, env=environ, input=request, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout.splitlines()[-1])
    assert [code for code, _ in ends] == [0, 4, 0, 4, 4, 4]
    refused = [sentence.partition(" LeRobot 0.6.1 ")[2] for _, sentence in ends]
    upper = "The chunk size is the upper bound for the number of action steps"
    assert refused[3].startswith(f"rejects --policy.chunk_size=10 --policy.n_action_steps=20: {upper}")
    assert "Optimizer and Scheduler must be set when the policy presets are not used" in refused[4]
    assert "expected ',' or ']'" in refused[5]
    assert refused[1].startswith(f"rejects --policy.n_action_steps=400: {upper}")
