"""Lines of lerobot-train and what `robotrain from-lerobot` makes of them give LeRobot the same options."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import effective_options
import job_documents
import pytest
from effective_options import compute_effective_options, find_differences
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from robotrain_runtime.contract.document import parse_document
from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.options_list import load_options
from robotrain_workloads.lerobot.parameters import PRECISION_VARIABLE

NEWEST = versions.get_version()
TYPES = [name for name, policy in NEWEST.policies.items() if not policy.refused]
BASE = "lerobot-train --dataset.repo_id=me/cups"
ACT = f"{BASE} --policy.type=act"
PLAIN = [f"{BASE} --policy.type={kind}" for kind in TYPES]
LINES = [
    f"{ACT} --policy.optimizer_lr=1e-6 --policy.pretrained_backbone_weights=null --save_freq=5000 --steps=2500",
    f"{ACT} --policy.optimizer_lr=1e-4 --policy.optimizer_lr_backbone=1e-4 --policy.chunk_size=200 --batch_size=32",
    f"{ACT} --dataset.eval_split=0.1 --eval_steps=500 --dataset.use_imagenet_stats=false --num_workers=2 --seed=7",
    f"{ACT} --dataset.eval_split=0.2 --eval_steps=0 --policy.device=cuda",
    f"{ACT} --dataset.episodes=[0,1,2] --dataset.image_transforms.enable=true --cudnn_deterministic=true",
    f"{ACT} --dataset.streaming=true --tolerance_s=0.01 --prefetch_factor=2 --persistent_workers=false",
    f"{ACT} --env.type=aloha --env_eval_freq=100 --eval.n_episodes=2 --policy.push_to_hub=true --policy.repo_id=me/act",
    f"accelerate launch --num_processes=2 --mixed_precision=bf16 {ACT}",
    f"{ACT} --job.target=a10g-small --dataset.video_backend=torchcodec",
    f"{ACT} --sample_weighting.type=rabc --sample_weighting.kappa=0.05",
    f"{BASE} --policy.type=diffusion --policy.horizon=32 --policy.scheduler_warmup_steps=100"
    " --policy.gradient_checkpointing=true --policy.use_group_norm=false",
    f"{BASE} --policy.type=diffusion --policy.optimizer_lr=3e-4 --optimizer.lr=1",
    f"{BASE} --policy.type=smolvla --policy.load_vlm_weights=true --policy.optimizer_lr=5e-5 --batch_size=64"
    " --policy.vlm_model_name=lab/smol --policy.scheduler_warmup_steps=10 --steps=100",
    f"accelerate launch --num_processes=1 --mixed_precision=fp16 {BASE} --policy.type=pi0 --policy.dtype=bfloat16",
    f"{BASE} --policy.type=pi05 --policy.gradient_checkpointing=true --policy.train_expert_only=true",
    f"accelerate launch --num_processes=1 --mixed_precision=bf16 {BASE} --policy.type=pi0",
    f"{BASE} --policy.type=xvla --policy.action_mode=auto --policy.max_action_dim=20 --policy.dtype=bfloat16",
    f"{BASE} --policy.type=evo1 --policy.use_amp=false",
    f"{BASE} --policy.type=tdmpc --policy.horizon=2 --policy.device=cpu",
    f"{BASE} --policy.type=multi_task_dit --policy.optimizer_lr=1e-4",
    f"{BASE} --policy.type=wall_x",
    f"{BASE} --reward_model.type=sarm --batch_size=16",
    f"{BASE} --reward_model.type=reward_classifier --reward_model.num_cameras=1 --reward_model.learning_rate=3e-5"
    """ --reward_model.input_features='{"observation.image": {"type": "VISUAL", "shape": [3, 128, 128]}}'""",
]
STARTS = {
    "act": {"optimizer_lr": 2e-4, "chunk_size": 50, "n_action_steps": 50},
    "diffusion": {"optimizer_lr": 1e-4, "use_group_norm": False},
    "smolvla": {"optimizer_lr": 7e-5, "scheduler_warmup_steps": 500, "vlm_model_name": "lab/smol"},
    "pi0": {"dtype": "bfloat16", "gradient_checkpointing": True},
}
PLACES = {"dataset", "output_dir", "job_name", "policy", "num_workers", "log_freq", "tolerance_s", "eval_steps"}


@pytest.fixture
def translate(robotrain: Any) -> Any:
    """What `robotrain from-lerobot` says of a line, which `train_options` renders."""
    return lambda *words: robotrain("from-lerobot", "--json", "--", *words)


@pytest.fixture
def train_options(robotrain: Any, dataset: Any) -> Any:
    """Return the options that the container gives LeRobot for a printed line, and the number format around them."""

    def get(words: list[str]) -> tuple[dict[str, object], str]:
        folder = dataset(folder="data", total_frames=20) if not Path("data").exists() else Path("data")
        assert words[3:4] == ["PLATFORM"]
        words = [word.replace("@COMMIT", f"@{0:040}") for word in words]
        answer = robotrain("render", "--json", "--platform", "local", *words[4:])
        assert answer.exit_code == 0, answer.stderr
        document = parse_document(answer.json["files"]["job.json"]["text"])
        places = {source: folder if source.role == "dataset" else Path(source.uri) for source in document.sources}
        command = job_documents.CONTAINERS[document.workload].work(document, places, folder.parent / "work")
        last = len(command.arguments) - command.arguments[::-1].index("--")  # several processes have one more before
        options = job_documents.read_options(command.arguments[last:])
        device = document.parameters["device"]
        options |= {} if device == "auto" else {"--policy.device": str(device)}  # the launcher adds it
        return {name.removeprefix("--"): value for name, value in options.items()}, command.environ[PRECISION_VARIABLE]

    return get


def find_option_differences(line: str, words: list[str], options: Any, config: dict[str, Any] | None = None) -> Any:
    """Return the options that the line of LeRobot and robotrain's give different values."""
    before, arguments = line[: line.index("lerobot-train")], shlex.split(line[line.index("lerobot-train") :])[1:]
    wanted_precision = next(
        (word.partition("=")[2] for word in before.split() if "mixed_precision" in word.lower()), ""
    )
    tree = load_options()
    original = job_documents.read_options(arguments)
    wanted = compute_effective_options(
        {name.removeprefix("--"): value for name, value in original.items() if name != "--optimizer.lr"},
        tree,
        config,
        wanted_precision,
    )
    own_options, precision = options(words)
    return find_differences(tree, wanted, compute_effective_options(own_options, tree, config, precision))


RUNS_CODE = [name for name, kind in NEWEST.types.items() if any(r.code == "runs" for r in kind.repositories.values())]
OWN_DEFAULTS = {"batch_size", "save_freq", "dataset.eval_split"}
"""Options whose default is robotrain's own: `explain` and `submit --dry-run` say so."""


@pytest.mark.parametrize("kind", TYPES)
def test_a_job_without_options_trains_what_lerobot_trains(train_options: Any, kind: str) -> None:
    line = f"{BASE} --policy.type={kind}"
    facts = NEWEST.policies[kind]
    needed = {f"policy.{name}" for name in facts.training_options}  # LeRobot trains with no other value
    code = [
        f"{name}@{0:040}"
        for name, repository in facts.repositories.items()
        if repository.code == "runs" and not repository.only_if
    ]
    words = ["robotrain", "submit", "--platform", "PLATFORM", "--policy-type", kind, "--dataset-repo-id", "me/cups"]
    words += ["--trust-remote-code", ",".join(code)] if code else []
    differences = set(find_option_differences(line, words, train_options))
    own = OWN_DEFAULTS | ({"policy.optimizer_lr"} if kind == "act" else set())
    assert differences - needed == own


def list_needed(line: str) -> tuple[str, ...]:
    """Return the options with whose defaults LeRobot does not train the type of a line."""
    kind = line.partition("--policy.type=")[2].partition(" ")[0]
    return tuple(f"policy.{name}" for name in NEWEST.types[kind].training_options) if kind else ()


@pytest.mark.parametrize("line", [*PLAIN, *LINES])
def test_robotrain_gives_lerobot_what_the_line_gives_it(translate: Any, train_options: Any, line: str) -> None:
    answer = translate(*shlex.split(line))
    if answer.exit_code and any(kind in line for kind in RUNS_CODE):
        assert [problem["code"] for problem in answer.json["problems"]] == ["remote-code-not-trusted"]
        return
    assert answer.exit_code == 0, answer.stderr
    assert find_option_differences(line, answer.json["command"], train_options).keys() <= {*list_needed(line)}


@pytest.mark.parametrize("kind", STARTS)
def test_a_start_keeps_the_values_of_its_configuration(
    translate: Any, train_options: Any, policy: Any, kind: str
) -> None:
    config = {"type": kind, **STARTS[kind]}
    line = f"{BASE} --policy.path={policy(**config)} --policy.n_action_steps=4"
    answer = translate(*shlex.split(line))
    assert answer.exit_code == 0, answer.stderr
    assert find_option_differences(line, answer.json["command"], train_options, config) == {}


def test_the_comparison_sees_every_option_but_places(translate: Any, train_options: Any) -> None:
    words = translate(*shlex.split(ACT)).json["command"]
    at = words.index("--learning-rate")
    changed = [*words[: at + 1], "3e-5", *words[at + 2 :]]
    assert set(find_option_differences(ACT, changed, train_options)) == {"policy.optimizer_lr"}
    options, _ = train_options(words)
    compared = compute_effective_options(options, load_options())
    assert {name.partition(".")[0] for name in options} - {name.partition(".")[0] for name in compared} <= {
        *PLACES,
        "wandb",
        "env_eval_freq",
        "save_checkpoint_to_hub",
    }


PLACES_OF_LEROBOT = (
    *("dataset.repo_id", "dataset.root", "dataset.video_backend", "output_dir", "job_name", "num_workers", "log_freq"),
    *("tolerance_s", "eval_steps", "env_eval_freq", "env", "eval", "job", "policy.device", "policy.use_amp"),
    *("policy.push_to_hub", "policy.repo_id", "policy.pretrained_path", "reward_model.device"),
)


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Return the values of a configuration by their names; an empty mapping is a value."""
    if not isinstance(config, dict) or not config:
        return {prefix.rstrip("."): config}
    return {name: value for key, child in config.items() for name, value in flatten(child, f"{prefix}{key}.").items()}


@pytest.mark.slow
@pytest.mark.long
def test_lerobot_itself_makes_the_same_configuration_of_both(
    translate: Any, train_options: Any, policy: Any, training_environment: str
) -> None:
    lines = [line for line in (*PLAIN, *LINES[::2]) if not any(kind in line for kind in RUNS_CODE)]  # a second each
    lines += [f"{BASE} --policy.path={policy(kind, type=kind, **values)}" for kind, values in STARTS.items()]
    lists = []
    for line in lines:
        words = shlex.split(line)
        options, _ = train_options(translate(*words).json["command"])
        compared = [word for word in words[words.index("lerobot-train") + 1 :] if not word.startswith("--job.")]
        is_policy = not any("push_to_hub" in word or "reward_model" in word for word in compared)
        push = ["--policy.push_to_hub=false"] if is_policy else []
        lists += [[*compared, *push], [f"--{name}={value}" for name, value in options.items()]]
    program = [str(Path(training_environment, "bin/python")), str(Path(__file__).with_name("lerobot_configs.py"))]
    done = subprocess.run(program, input=json.dumps(lists), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    configs = json.loads(done.stdout.splitlines()[-1])
    refused = {
        line: (original, other)
        for line, original, other in zip(lines, configs[::2], configs[1::2], strict=True)
        if isinstance(original, str)
    }
    assert {line for line in refused if not isinstance(refused[line][1], str)} == set()
    assert set(refused) <= {line for line in lines if "--policy.type=eo1" in line}, refused  # it asks the Hub
    for line, original, other in zip(lines, configs[::2], configs[1::2], strict=True):
        if line not in refused:
            assert isinstance(other, dict), (line, other)
            wanted, compared = flatten(original), flatten(other)
            weights = (effective_options.WEIGHTS_OPTION,) if ".path=" in line else ()
            places = (*PLACES_OF_LEROBOT, *weights, *list_needed(line))
            names = [name for name in {**wanted, **compared} if not name.startswith(places)]
            assert {name: wanted.get(name) for name in names} == {name: compared.get(name) for name in names}, line


def make_value(kind: Any) -> Any:
    """Values of an option of a kind, as texts."""
    scalars = {"int": st.integers(1, 9).map(str), "number": st.sampled_from(["1e-5", "0.5", "3"])}
    return scalars.get(kind, st.sampled_from(["true", "false"]))


@st.composite
def option_sets(draw: Any) -> list[str]:
    """Some options of a type of policy, and of the training, with values that LeRobot may or may not take."""
    tree, kind = load_options(), draw(st.sampled_from(TYPES))
    plain_options = {name: field for name, field in tree.options.items() if name.count(".") < 2}
    groups = {"": plain_options, "policy.": tree.choices["policy"][kind]}
    scalars = {
        f"{prefix}{name}": field[0]
        for prefix, fields in groups.items()
        for name, field in fields.items()
        if len(field) > 1 and field[0] in ("int", "number", "bool")
    }
    names = draw(st.lists(st.sampled_from(sorted(scalars)), max_size=5, unique=True))
    return [f"--policy.type={kind}", *(f"--{name}={draw(make_value(scalars[name]))}" for name in names)]


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=option_sets())
def test_any_options_are_refused_or_mean_the_same(translate: Any, train_options: Any, words: list[str]) -> None:
    line = shlex.join([*BASE.split(), *words])
    answer = translate(*shlex.split(line))
    if answer.exit_code:
        assert (answer.exit_code, "command" in answer.json) == (2, False)
    else:
        assert find_option_differences(line, answer.json["command"], train_options).keys() <= {*list_needed(line)}
