"""What is refused of a job of Isaac Lab before a simulator starts: options, overrides, impossible starts."""

from typing import Any

import pytest
from job_documents import check_job, read_job
from problem_assertions import check_problems
from robotrain.errors import Problem
from robotrain.model.workload import Workload
from robotrain_runtime.contract.document import parse_document
from robotrain_runtime.contract.problem import summarize_problem
from robotrain_runtime.machine import hardware
from robotrain_workloads.isaac import installation
from robotrain_workloads.isaac_export.workload import ISAAC_EXPORT
from robotrain_workloads.isaac_train.parameters import make_script
from robotrain_workloads.isaac_train.workload import ISAAC_TRAIN
from robotrain_workloads.isaac_validate.workload import ISAAC_VALIDATE

ERROR = "script-option-invalid"
IN_2_3 = ("--isaac-version", "2.3")
RENDER = ("render", "isaac-train", *IN_2_3, "--platform", "local")
FROM = ("--checkpoint-uri", "/data/run/model_19.pt")
SB3_TASK = ("--task", "Isaac-Cartpole-Direct")
BLOB = ("--checkpoint-uri", "https://account1.blob.core.windows.net/train/run/000019")


def list_warnings(robotrain: Any, *words: str) -> str:
    """Return the titles of the warnings about a job that is not refused."""
    answer = robotrain(*RENDER, "--json", *words)
    assert answer.exit_code == 0, answer.stderr
    assert "accepts NVIDIA's license and privacy terms" in answer.stderr
    return "\n".join(line for line in answer.stderr.splitlines() if not line.startswith(("note: ", " ")))


def find_error(robotrain: Any, *words: str, workload: str = "isaac-train") -> dict[str, Any]:
    """The one error of a job, with the exit code."""
    version = () if "--isaac-version" in words else IN_2_3
    answer = robotrain("render", workload, *version, "--platform", "local", "--json", *words)
    (problem,) = (problem for problem in answer.json["problems"] if problem["severity"] == "error")
    return {**problem, "exit_code": answer.exit_code}


def find_problems(*words: str, workload: Workload = ISAAC_TRAIN, **parameters: Any) -> list[Problem]:
    """What a workload's check says of words after `--`, with a task that no version brings."""
    settings = {"isaac_version": "2.3", "backend": "skrl", "task": "Lab-Cup-Stacking-v0", **parameters}
    return check_job(workload, args=words, **settings)


@pytest.mark.parametrize(
    "words",
    [
        ("--video_lenght", "3"),
        ("--vid",),
        ("--max_iteration=100",),
        ("--video", "--video_length", "long"),
        ("--video", "--video_length"),
        ("--video=1",),
        ("--livestream", "7"),
        ("--run_name", "x"),
        ("agent.nope",),
        ("agnet.class=3",),
        ("agnet.seed=3",),
        ("--agent.resume=True",),
        ("--agent.separate", "True"),
    ],
    ids=" ".join,
)
def test_options_that_the_scripts_would_refuse_are_refused_at_once(words: tuple[str, ...]) -> None:
    check_problems(find_problems(*words), f"{ERROR} --")


@pytest.mark.parametrize(
    "words",
    [
        ("--video", "--video_length", "100", "--kit_args", "--x=1 --y"),
        (
            "agent.agent.learning_rate=1e-4",
            "env.scene.env_spacing=64",
            "+agent.nope=3",
            "++env.x=1",
            "~env.events.push",
        ),
        ("agent.models.policy.network=[{name: net, layers: [32, 32]}]", "env.a.b={x: 1}", "env.text='a [b'"),
        ("--algorithm", "IPPO", "-rid", "3"),
    ],
)
def test_valid_options_are_accepted(robotrain: Any, words: tuple[str, ...]) -> None:
    assert list_warnings(robotrain, "--", *words) == ""


@pytest.mark.parametrize("version", ["2.3", "3.0"])
@pytest.mark.parametrize("workload", [ISAAC_TRAIN, ISAAC_EXPORT, ISAAC_VALIDATE], ids=lambda workload: workload.name)
def test_each_refusal_names_the_version(workload: Workload, version: str) -> None:
    for words in (("--nowhere",), ("--livestream", "long"), ("--disable_fabric=1",), ("--agent",), ("x.y=1",)):
        (problem,) = (
            problem
            for problem in find_problems(*words, workload=workload, isaac_version=version)
            if problem.where == "--"
        )
        assert f"Isaac Lab {version}" in problem.title


def test_options_of_one_version_are_checked_against_it() -> None:
    for word in ("--deterministic", "physics=newton"):
        check_problems(find_problems(word, isaac_version="2.3"), f"{ERROR} -- {word}")
        assert find_problems(word, isaac_version="3.0") == []


IN_3_0 = {
    # words after -- for rsl_rl in 3.0, with the code of what is said and what to type instead
    ("physics=newton_mjwarp",): ("", []),
    ("physic=newton_mjwarp",): (ERROR, ["physics=newton_mjwarp"]),
    ("--enable_cameras",): (ERROR, ["leave out --enable_cameras"]),
    ("--rendering_mode", "quality"): (ERROR, ["leave out --rendering_mode"]),
    ("--no-resume_optimizer_state", "--visualizer", "newton"): ("", []),
    ("--vid",): (ERROR, ["-- --video"]),
    ("--visualiser", "newton"): (ERROR, ["-- --visualizer newton"]),
    ("agent.algorithm.gamma=1",): ("", []),
    ("+agent.nope=3", "~agent.nope", "agent.obs_groups.actor=['policy']"): ("", []),
}


@pytest.mark.parametrize(("words", "expected"), IN_3_0.items(), ids=[" ".join(words) for words in IN_3_0])
def test_words_after_the_dashes_that_3_0_takes(words: tuple[str, ...], expected: tuple[str, list[str]]) -> None:
    code, ways = expected
    problems = find_problems(*words, backend="rsl_rl", isaac_version="3.0")
    check_problems(problems, *filter(None, [code]))
    assert [way.text for problem in problems for way in problem.suggestions] == ways
    assert bool(problems) == bool(code)


NEW = ("--viz", "kit,newton", "--max_visible_envs", "4", "--frontend", "warp", "renderer=newton", "presets=a,b")
NEW_TRAIN = ("--capture_env_sensors", "2", "--capture_env_sensors_format", "file")


@pytest.mark.parametrize(
    ("backend", "words"),
    [("skrl", NEW), ("skrl", NEW_TRAIN), ("rsl_rl", ("--external_callback", "my_tasks.register", "--visualizer=kit"))],
)
def test_options_that_are_new_in_3_are_taken(backend: str, words: tuple[str, ...]) -> None:
    assert find_problems(*words, backend=backend, isaac_version="3.0") == []
    assert {problem.severity for problem in find_problems(*words, backend=backend, isaac_version="2.3")} == {"error"}


def test_options_of_training_and_play_differ() -> None:
    def play(*words: str) -> list[str]:
        problems = find_problems(*words, workload=ISAAC_EXPORT, isaac_version="3.0")
        return [problem.given for problem in problems if problem.where == "--"]

    assert play(*NEW_TRAIN) == [*NEW_TRAIN[::2]]
    assert play("--train_env_cfg", "--video", "--video_interval", "5") == []
    assert find_problems("--train_env_cfg", isaac_version="3.0", backend="rsl_rl")


@pytest.mark.parametrize("words", [("--brand_new", "3"), ("brandnew=3",)])
def test_unknown_option_is_passed_on_request(robotrain: Any, words: tuple[str, ...]) -> None:
    assert find_error(robotrain, "--", *words)["code"] == ERROR
    answer = robotrain(
        "render", "isaac-train", *IN_2_3, "--platform", "local", "--json", "--pass-unknown", "--", *words
    )
    assert answer.exit_code == 0, answer.stderr
    assert "warning: " in answer.stderr
    assert read_job(answer)["trainer_args"] == [*words]
    still = ("--pass-unknown", "--", "--vid")  # an abbreviation would mean another option
    assert find_error(robotrain, *still)["code"] == ERROR


SPELLINGS = [
    # what is given, for whose effect robotrain passes an option of its own; that option
    ("isaac-train", ("--", "env.scene.num_envs=64"), "--num-envs"),
    ("isaac-train", ("--num-envs", "32", "--", "env.scene.num_envs=64"), "--num-envs"),
    ("isaac-train", ("-b", "rsl_rl", "--", "++agent.max_iterations=20"), "--max-iterations"),
    ("isaac-train", ("--", "agent.trainer.timesteps=100"), "--max-iterations N"),
    ("isaac-train", ("--", "agent.seed=3"), "--seed"),
    ("isaac-train", ("--", "env.seed=3"), "--seed"),
    ("isaac-train", ("-b", "rsl_rl", "--", "agent.load_run=x"), "--checkpoint-uri URI --checkpoint-mode MODE"),
    ("isaac-train", ("--", "--distributed"), "--num-gpus"),
    ("isaac-train", ("--num-gpus", "2", "--", "--distributed"), "--num-gpus"),
    ("isaac-train", ("--", "--device", "cuda:1"), "leave out --device"),
    ("isaac-train", ("--num-gpus", "2", "--", "--device=cuda:2"), "leave out --device"),
    ("isaac-export", (*BLOB, "--", "env.scene.num_envs=64"), "--num-envs"),
    ("isaac-validate", (*BLOB, "--", "agent.resume=true"), "--checkpoint-uri URI"),
    ("isaac-validate", (*BLOB, "--", "--device", "cuda:1"), "leave out --device"),
]


@pytest.mark.parametrize(("workload", "words", "way"), SPELLINGS)
def test_nothing_is_taken_that_an_option_of_robotrain_would_beat(
    robotrain: Any, workload: str, words: tuple[str, ...], way: str
) -> None:
    problem = find_error(robotrain, *words, workload=workload)
    assert problem["code"] in ("option-owned", "device-unusable")
    assert [suggestion["text"] for suggestion in problem["instead"]] == [way]


@pytest.mark.parametrize("words", [("--device", "cpu"), ("--device=cuda:0",), ("agent.device=cuda",)])
def test_a_device_that_the_job_has_is_handed_on(robotrain: Any, words: tuple[str, ...]) -> None:
    assert list_warnings(robotrain, "-b", "rsl_rl", "--", *words) == ""


@pytest.mark.parametrize(
    ("workload", "words", "code"),
    [
        ("isaac-train", ("-b", "rsl_rl", "--", "--task=1"), "option-owned"),
        ("isaac-train", ("-b", "rsl_rl", "--", "--checkpoint=1"), "option-owned"),
        ("isaac-train", (*FROM, "-M", "from-scratch"), "option-without-effect"),
        ("isaac-train", ("-M", "warm-start"), "option-without-effect"),
        ("isaac-train", (*FROM, "-M", "resume", "--resume-from", "/data/other"), "sources-conflict"),
        ("isaac-train", ("--no-accept-eula",), "eula-not-accepted"),
        ("isaac-train", ("-b", "sb3"), "library-unusable"),
        ("isaac-train", ("-b", "sb3", "--isaac-version", "3.0", *SB3_TASK, "--num-gpus", "2"), "library-unusable"),
        ("isaac-train", ("-b", "sb3", "--isaac-version", "3.0", "--", "agent.n_timesteps=9"), "option-owned"),
        ("isaac-train", ("-c", "http://example.org/model_19.pt", "-M", "resume"), "checkpoint-unverified"),
        ("isaac-train", ("--sha256", "a" * 64), "option-without-effect"),
        ("isaac-train", ("--entry", "scripts/other.sh"), "option-without-effect"),
        ("isaac-export", (*BLOB, "--", "--video_length", "3"), "option-owned"),
        ("isaac-export", (*BLOB, "--", "--no_such_flag"), ERROR),
        ("isaac-export", (*BLOB, "--agent-config", "agent.yaml"), "value-invalid"),
        ("isaac-validate", (), "source-missing"),
        ("isaac-validate", (*BLOB, "--video-length", "50"), "option-without-effect"),
        ("isaac-validate", (*BLOB, "--isaac-version", "2.3", "--", "--video_interval", "3"), ERROR),
        ("isaac-validate", (*BLOB, "--", "--video"), "option-owned"),
    ],
)
def test_a_job_that_contradicts_itself_is_refused(
    robotrain: Any, workload: str, words: tuple[str, ...], code: str
) -> None:
    problem = find_error(robotrain, *words, workload=workload)
    assert (problem["code"], problem["exit_code"]) == (code, 2)


@pytest.mark.parametrize(
    "uri",
    [
        "runs:/0123456789abcdef0123456789abcdef/checkpoints/000020/model_19.pt",
        "models:/cartpole/3",
        "https://example.org/policies/model_19.pt",
        "https://account.blob.core.windows.net/runs/cartpole/model_19.pt",
    ],
)
def test_a_checkpoint_may_be_named_in_each_way(robotrain: Any, uri: str) -> None:
    assert list_warnings(robotrain, "--checkpoint-uri", uri, "-M", "warm-start", "--sha256", "A" * 64) == ""


@pytest.mark.parametrize(
    "uri", ["runs:/0123/", "https://example.org/m.pt?sig=S3CRET", "https://me:S3CRET@example.org/m.pt"]
)
def test_an_address_that_names_no_checkpoint_is_refused(robotrain: Any, uri: str) -> None:
    line = ("isaac-train", "--platform", "local", "--checkpoint-mode", "warm-start", "--checkpoint-uri", uri)
    answer = robotrain("render", *line, "--json")
    problem = answer.json["problems"][0]
    assert (problem["code"], answer.exit_code) == ("source-invalid", 2)
    assert "S3CRET" not in answer.stdout + answer.stderr


def test_a_checkpoint_that_has_all_iterations_is_refused(robotrain: Any) -> None:
    problem = find_error(robotrain, "-b", "rsl_rl", *FROM, "-M", "resume", "-m", "20")
    assert (problem["code"], problem["exit_code"]) == ("nothing-left-to-train", 4)
    assert list_warnings(robotrain, "-b", "rsl_rl", *FROM, "-M", "resume", "-m", "21") == ""


@pytest.mark.parametrize(
    ("options", "gpus", "count"), [("--device=cuda:0", 0, 1), ("--device=cuda:0", 1, 0), ("--device=cpu", 0, 0)]
)
def test_a_gpu_that_the_machine_does_not_have_is_named_before_the_simulator_starts(
    robotrain: Any, monkeypatch: pytest.MonkeyPatch, options: str, gpus: int, count: int
) -> None:
    monkeypatch.setattr(hardware, "count_visible_gpus", lambda: gpus)
    line = ("render", "isaac-train", "--isaac-version", "3.0", "--platform", "local", "--json", "--", options)
    document = parse_document(robotrain(*line).json["files"]["job.json"]["text"])
    problems = [
        summarize_problem(problem)
        for problem in installation.find_script_problems(document, "3.0", make_script("rsl_rl"))
    ]
    assert len(problems) == count
    assert all("needs an NVIDIA GPU" in problem for problem in problems)
