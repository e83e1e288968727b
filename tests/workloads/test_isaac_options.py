"""What is refused of a job of Isaac Lab before a simulator starts: options, overrides, impossible starts."""

import json
from typing import Any

import pytest
from robotrain_workloads.isaac.script_options import PLAY_OPTIONS, Script, find_option_problems
from robotrain_workloads.isaac_train.parameters import make_script

ERROR = "script-option-invalid"
FROM = ("--checkpoint-uri", "/data/run/model_19.pt")
BLOB = ("--checkpoint-uri", "https://account1.blob.core.windows.net/train/run/000019")


def list_warnings(robotrain: Any, *words: str) -> str:
    """Return the titles of the warnings about a job that is not refused."""
    answer = robotrain("render", "isaac-train", "--platform", "local", "--json", *words)
    assert answer.exit_code == 0, answer.stderr
    assert "accepts NVIDIA's license and privacy terms" in answer.stderr
    return "\n".join(line for line in answer.stderr.splitlines() if not line.startswith(("note: ", " ")))


def find_error(robotrain: Any, *words: str, workload: str = "isaac-train") -> dict[str, Any]:
    """The one error of a job, with the exit code."""
    answer = robotrain("render", workload, "--platform", "local", "--json", *words)
    (problem,) = (one for one in answer.json["problems"] if one["severity"] == "error")
    return {**problem, "exit_code": answer.exit_code}


@pytest.mark.parametrize(
    ("words", "title", "instead"),
    [
        (("--video_lenght", "3"), "has no option --video_lenght", "-- --video_length 3"),
        (("--vid",), "--vid is an abbreviation", "-- --video"),
        (("--max_iteration=100",), "--max_iteration is an abbreviation", "--max-iterations 100"),
        (("--video", "--video_length", "long"), "--video_length does not take 'long'", None),
        (("--video", "--video_length"), "--video_length needs a value", "-- --video_length VALUE"),
        (("--video=1",), "--video takes no value", "-- --video"),
        (("--livestream", "7"), "--livestream does not take '7'", None),
        (("--run_name", "x"), "skrl has no option --run_name", "leave out --run_name"),
        (("agent.nope",), "neither an option nor an override", "agent.NAME=VALUE"),
        (("agnet.class=3",), "there is no 'agnet' to override", "agent.class=3"),
        (("agnet.seed=3",), "there is no 'agnet' to override", "--seed 3"),
        (("--agent.resume=True",), "has no option --agent.resume", "--checkpoint-uri URI --checkpoint-mode MODE"),
        (("--agent.separate", "True"), "has no option --agent.separate", "agent.separate=True"),
        (("--video_interval", "5"), "--video_interval has no effect without --video", "-- --video"),
        (("--anim_recording_stop_time=5",), "no effect without --anim_recording", "-- --anim_recording_enabled"),
        (("env.scene=[1",), "the value of env.scene cannot be read", None),
    ],
)
def test_options_that_the_scripts_would_refuse_are_refused_at_once(
    robotrain: Any, words: tuple[str, ...], title: str, instead: str | None
) -> None:
    problem = find_error(robotrain, "--", *words)
    assert (problem["code"], problem["exit_code"]) == (ERROR, 2)
    assert title in problem["title"]
    assert [way["text"] for way in problem["instead"]] == ([instead] if instead else [])


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


TYPES = [
    # overrides for rsl_rl; what is refused (empty: nothing), and whether it is a warning only
    ("agent.save_interval=many", "agent.save_interval does not take 'many' in Isaac Lab 2.3 or 3.0", False),
    ("agent.num_steps_per_env=24.0", "agent.num_steps_per_env does not take '24.0'", False),
    ("agent.algorithm.learning_rate=fast", "agent.algorithm.learning_rate does not take 'fast'", False),
    ("agent.algorithm.learning_rate='1e-4'", "does not take \"'1e-4'\"", False),
    ("agent.algorithm.gamma=1", "Isaac Lab 2.3 may not take agent.algorithm.gamma=1", True),
    ("env.decimation=a_few", "env.decimation does not take 'a_few'", False),
    ("env.sim.dt=1/120", "env.sim.dt does not take '1/120'", False),
    ("agent.save_interval=1_000", "", False),
    ("agent.algorithm.learning_rate=1e-4", "", False),
    ("agent.save_interval=null", "", False),
    ("agent.algorithm.learning_rate=${env.rate}", "", False),
    ("++agent.save_interval=many", "", False),
    ("env.rewards.alive.weight=1", "", False),
]


@pytest.mark.parametrize(("override", "title", "is_warning"), TYPES)
def test_values_of_a_type_that_isaac_lab_refuses(override: str, title: str, is_warning: bool) -> None:
    found = list(find_option_problems([override], make_script("rsl_rl"), None))
    assert [title in problem.title for problem in found] == [True] * bool(title)
    assert [problem.level for problem in found] == ["warning" if is_warning else "error"] * bool(title)
    handed = find_option_problems([override], make_script("rsl_rl")._replace(pass_unknown=True), None)
    assert "error" not in [problem.level for problem in handed]
    for problem in found:
        if problem.suggestion:
            assert list(find_option_problems([problem.suggestion], make_script("rsl_rl"), None)) == []
    if override.startswith("agent"):  # agents of skrl are not typed
        assert list(find_option_problems([override], make_script("skrl"), None)) == []


PLAY = Script(PLAY_OPTIONS, {}, "rsl_rl")


@pytest.mark.parametrize("script", [make_script("skrl"), make_script("rsl_rl"), PLAY, PLAY._replace(backend="")])
@pytest.mark.parametrize("version", [None, "2.3", "3.0"])
@pytest.mark.parametrize("words", [("--nowhere",), ("--livestream", "long"), ("--video=1",), ("--agent",), ("x.y=1",)])
def test_each_refusal_names_the_version(script: Script, version: str | None, words: tuple[str, ...]) -> None:
    (problem,) = find_option_problems(words, script, version)
    assert f"Isaac Lab {version or '2.3 or 3.0'}" in problem.title
    if words[0] in ("--nowhere", "x.y=1"):
        assert "--pass-unknown hands" in problem.why


@pytest.mark.parametrize(
    ("words", "title", "way"),
    [
        (("-t", "Isaac-Cartpol-v0"), "Isaac Lab 2.3 brings no task Isaac-Cartpol-v0", "--task Isaac-Cartpole-v0"),
        (("-t", "isaac-ant-v0"), "brings no task isaac-ant-v0", "--task Isaac-Ant-v0"),
        (("-t", "Isaac-Ant-v0"), "", ""),
        (("-t", "Lab-Cup-Stacking-v0"), "", ""),
        (("-t", "Isaac-Cartpol-v0", "--isaac-version", "3.0"), "", ""),
        (
            ("-b", "rsl_rl", "-t", "Isaac-Shadow-Hand-Over-Direct-v0"),
            *("no agent of rsl_rl for Isaac-Shadow-Hand-Over-Direct-v0", "--backend skrl"),
        ),
        (("-t", "Isaac-Cartpole-RGB-Camera-Direct-v0"), "needs cameras, which are off", "-- --enable_cameras"),
        (("-t", "Isaac-Cartpole-RGB-Camera-Direct-v0", "--", "--enable_cameras"), "", ""),
        (("-t", "Isaac-Cartpole-RGB-Camera-Direct-v0", "--", "--video"), "", ""),
    ],
)
def test_a_task_that_is_probably_a_mistake(robotrain: Any, words: tuple[str, ...], title: str, way: str) -> None:
    answer = robotrain("submit", "isaac-train", "--platform", "local", "--dry-run", *words)
    found = [line for line in answer.stderr.splitlines() if "[task-doubtful]" in line]
    assert [title in line for line in found] == [True] * bool(title)
    assert not way or f"use   {way}" in answer.stderr


def test_a_field_that_is_probably_misspelled_is_a_warning(robotrain: Any) -> None:
    result = list_warnings(robotrain, "--", "agent.agent.learning_rat=1e-4")
    assert result.startswith("warning: agents of skrl usually have no learning_rat")


def test_options_of_one_version_are_checked_against_it(robotrain: Any) -> None:
    problem = find_error(robotrain, "--isaac-version", "2.3", "--", "--deterministic")
    assert (problem["code"], "new in 3.0" in problem["why"]) == (ERROR, True)
    assert find_error(robotrain, "--isaac-version", "2.3", "--", "physics=newton")["code"] == ERROR
    assert list_warnings(robotrain, "--isaac-version", "3.0", "--", "--deterministic", "physics=newton") == ""
    assert list_warnings(robotrain, "--", "--deterministic").startswith(
        "warning: not every Isaac Lab has --deterministic"
    )


NEW = ("--viz", "kit,newton", "--max_visible_envs", "4", "--frontend", "warp", "renderer=newton", "presets=a,b")
NEW_TRAIN = ("--capture_env_sensors", "2", "--capture_env_sensors_format", "file")


@pytest.mark.parametrize(
    ("backend", "words"),
    [("skrl", NEW), ("skrl", NEW_TRAIN), ("rsl_rl", ("--external_callback", "my_tasks.register", "--visualizer=kit"))],
)
def test_options_that_are_new_in_3_are_taken(robotrain: Any, backend: str, words: tuple[str, ...]) -> None:
    assert list_warnings(robotrain, "-b", backend, "--isaac-version", "3.0", "--", *words) == ""
    assert {problem.level for problem in find_option_problems(words, make_script(backend), "2.3")} == {"error"}


def test_options_of_training_and_play_differ() -> None:
    play = Script(PLAY_OPTIONS, {}, "rsl_rl")
    assert [problem.given for problem in find_option_problems(NEW_TRAIN, play, "3.0")] == [*NEW_TRAIN[::2]]
    assert list(find_option_problems(("--train_env_cfg", "--video", "--video_interval", "5"), play, "3.0")) == []
    assert list(find_option_problems(("--train_env_cfg",), make_script("rsl_rl"), "3.0"))


@pytest.mark.parametrize("words", [("--brand_new", "3"), ("brandnew=3",)])
def test_unknown_option_is_passed_on_request(robotrain: Any, words: tuple[str, ...]) -> None:
    assert find_error(robotrain, "--", *words)["code"] == ERROR
    answer = robotrain("render", "isaac-train", "--platform", "local", "--json", "--pass-unknown", "--", *words)
    assert answer.exit_code == 0, answer.stderr
    assert "warning: " in answer.stderr
    document = json.loads(answer.json["files"]["job.json"]["text"])
    assert document["trainer_args"] == [*words]
    still = ("--pass-unknown", "--", "--vid")  # an abbreviation would mean another option
    assert find_error(robotrain, *still)["code"] == ERROR


SPELLINGS = [
    # what is given, for whose effect robotrain passes an option of its own; what to type instead
    ("isaac-train", ("--", "env.scene.num_envs=64"), "--num-envs 64"),
    ("isaac-train", ("--num-envs", "32", "--", "env.scene.num_envs=64"), "leave out env.scene.num_envs"),
    ("isaac-train", ("-b", "rsl_rl", "--", "++agent.max_iterations=20"), "--max-iterations 20"),
    ("isaac-train", ("--", "agent.trainer.timesteps=100"), "--max-iterations N"),
    ("isaac-train", ("--", "agent.seed=3"), "--seed 3"),
    ("isaac-train", ("--", "env.seed=3"), "--seed 3"),
    ("isaac-train", ("-b", "rsl_rl", "--", "agent.load_run=x"), "--checkpoint-uri URI --checkpoint-mode MODE"),
    ("isaac-train", ("--", "--distributed"), "--num-gpus INT"),
    ("isaac-train", ("--num-gpus", "2", "--", "--distributed"), "leave out --distributed"),
    ("isaac-train", ("--", "--device", "cuda:1"), "leave out --device"),
    ("isaac-train", ("--num-gpus", "2", "--", "--device=cuda:1"), "leave out --device"),
    ("isaac-train", ("--", "env.sim.device=cpu"), "-- --device cpu"),
    ("isaac-export", (*BLOB, "--", "env.scene.num_envs=64"), "--num-envs 64"),
    ("isaac-validate", (*BLOB, "--", "agent.resume=true"), "leave out agent.resume"),
    ("isaac-validate", (*BLOB, "--", "--device", "cuda:1"), "leave out --device"),
]


@pytest.mark.parametrize(("workload", "words", "way"), SPELLINGS)
def test_nothing_is_taken_that_an_option_of_robotrain_would_beat(
    robotrain: Any, workload: str, words: tuple[str, ...], way: str
) -> None:
    problem = find_error(robotrain, *words, workload=workload)
    assert problem["code"] in ("trainer-arg-owned", "device-unusable")
    assert [one["text"] for one in problem["instead"]] == [way]


@pytest.mark.parametrize("words", [("--device", "cpu"), ("--device=cuda:0",), ("agent.device=cuda",)])
def test_a_device_that_the_job_has_is_handed_on(robotrain: Any, words: tuple[str, ...]) -> None:
    assert list_warnings(robotrain, "-b", "rsl_rl", "--", *words) == ""


@pytest.mark.parametrize(
    ("workload", "words", "code"),
    [
        ("isaac-train", ("-b", "rsl_rl", "--", "--task=1"), "trainer-arg-owned"),
        ("isaac-train", ("-b", "rsl_rl", "--", "--checkpoint=1"), "trainer-arg-owned"),
        ("isaac-train", (*FROM, "-M", "from-scratch"), "checkpoint-without-mode"),
        ("isaac-train", ("-M", "warm-start"), "mode-without-checkpoint"),
        ("isaac-train", (*FROM, "-M", "resume", "--resume-from", "/data/other"), "several-starts"),
        ("isaac-train", ("--no-accept-eula",), "eula-not-accepted"),
        ("isaac-train", ("-c", "http://example.org/model_19.pt", "-M", "resume"), "checkpoint-unverified"),
        ("isaac-train", ("--sha256", "a" * 64), "digest-without-checkpoint"),
        ("isaac-train", ("--entry", "scripts/other.sh"), "entry-without-folder"),
        ("isaac-export", (*BLOB, "--", "--video_length", "3"), "trainer-arg-owned"),
        ("isaac-export", (*BLOB, "--", "--no_such_flag"), ERROR),
        ("isaac-export", (*BLOB, "--max-steps", "0", "--video-length", "0", "--num-envs", "8"), "nothing-played"),
        ("isaac-export", (*BLOB, "--agent-config", "agent.yaml"), "value-invalid"),
        ("isaac-validate", (), "source-missing"),
        ("isaac-validate", (*BLOB, "--video-length", "50"), "video-not-recorded"),
        ("isaac-validate", (*BLOB, "--isaac-version", "2.3", "--", "--video_interval", "3"), ERROR),
        ("isaac-validate", (*BLOB, "--", "--video"), "trainer-arg-owned"),
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
    ("uri", "code", "instead"),
    [
        ("runs:/0123/", "mlflow-run-invalid", "--checkpoint-uri runs:/0123/PATH"),
        ("https://example.org/m.pt?sig=S3CRET", "https-file-invalid", "--checkpoint-uri https://example.org/m.pt"),
        ("https://me:S3CRET@example.org/m.pt", "https-file-invalid", "--checkpoint-uri https://example.org/m.pt"),
    ],
)
def test_an_address_that_names_no_checkpoint_is_refused(robotrain: Any, uri: str, code: str, instead: str) -> None:
    answer = robotrain("render", "isaac-train", "--platform", "local", "--json", "--checkpoint-uri", uri)
    problem = answer.json["problems"][0]
    assert (problem["code"], answer.exit_code) == (code, 2)
    assert "S3CRET" not in answer.stdout + answer.stderr
    assert [way["text"] for way in problem["instead"]] == [instead]


def test_a_checkpoint_that_has_all_iterations_is_refused(robotrain: Any) -> None:
    problem = find_error(robotrain, "-b", "rsl_rl", *FROM, "-M", "resume", "-m", "20")
    assert (problem["code"], problem["exit_code"]) == ("no-iterations-left", 4)
    assert list_warnings(robotrain, "-b", "rsl_rl", *FROM, "-M", "resume", "-m", "21") == ""


@pytest.mark.parametrize(
    ("workload", "words", "way"),
    [
        ("isaac-train", ("--run-smoke-test",), "isaac-smoke-test"),
        ("isaac-validate", ("--sleep-after-unpack",), "isaac-smoke-test"),
        ("isaac-validate", ("--model-name", "isaac-ant-v0"), "--checkpoint-uri models:/NAME/VERSION"),
    ],
)
def test_options_of_earlier_scripts_name_their_replacement(
    robotrain: Any, workload: str, words: tuple[str, ...], way: str
) -> None:
    answer = robotrain("submit", workload, "--platform", "local", *words)
    assert (answer.exit_code, way in answer.stderr) == (2, True), answer.stderr
