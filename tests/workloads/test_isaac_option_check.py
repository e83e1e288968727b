"""What the real Isaac Lab 3 says about options."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from robotrain_runtime.contract import child_python
from robotrain_runtime.contract.verdict import Verdict, parse_verdict
from robotrain_workloads.isaac_check import option_check
from robotrain_workloads.isaac_train import container

pytestmark = [pytest.mark.slow, pytest.mark.long]  # a question takes 15 s
IMPORT_PATHS = [Path(container.__file__).parents[2], Path(child_python.__file__).parents[2]]
DIRECT = ("--task=Isaac-Cartpole-Direct", "--num_envs=16", "--device=cpu")


@pytest.fixture
def ask_isaac_lab(isaac_lab_python: Path, tmp_path: Path) -> Callable[..., list[Verdict]]:
    """The verdicts on options of a training with rsl_rl."""

    def ask(owned: Sequence[str], *options: str) -> list[Verdict]:
        environ = child_python.make_import_environ(IMPORT_PATHS, {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
        command = (isaac_lab_python, "-m", option_check.__name__, "train", "rsl_rl", *owned, "--", *options)
        done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert not (tmp_path / "outputs").exists()
        return list(filter(None, map(parse_verdict, done.stdout.splitlines())))

    return ask


CASES = {
    # words after --, with the result, the word that is blamed and a part of the reason
    "valid": (
        ("--deterministic", "--run_name", "a", "agent.save_interval=5", "physics=newton_mjwarp"),
        "accepted",
        "",
        "",
    ),
    "option": (("--nothing", "--video"), "refused", "--nothing", "unrecognized arguments"),
    "value": (("--video_length", "long"), "refused", "--video_length long", "invalid int value"),
    "preset": (("--video", "physics=nope"), "refused", "physics=nope", "newton_mjwarp"),
    "group": (("agent.nope.x=1",), "refused", "agent.nope.x=1", "nope"),
    "new key": (("+agent.nope=3", "--video"), "refused", "+agent.nope=3", "Key not found"),
    "field": (("agent.nope=3",), "doubtful", "agent.nope=3", "without effect"),
}


@pytest.mark.parametrize("case", CASES)
def test_isaac_lab_says(ask_isaac_lab: Callable[..., list[Verdict]], case: str) -> None:
    words, result, blamed, reason = CASES[case]
    (verdict,) = ask_isaac_lab(DIRECT, *words)
    assert (verdict.result, verdict.options) == (result, (blamed,) if blamed else ())
    assert reason in verdict.text


def test_isaac_lab_refuses_a_task_that_it_does_not_have(ask_isaac_lab: Callable[..., list[Verdict]]) -> None:
    (verdict,) = ask_isaac_lab(("--task=Isaac-Cartpol", "--device=cpu"))
    assert (verdict.result, verdict.options) == ("refused", ())
    assert "Isaac-Cartpol" in verdict.text


@pytest.mark.parametrize(
    ("task", "options", "lacks"),
    [
        ("IsaacContrib-Velocity-Flat-AnymalC", (), "Isaac Sim"),
        ("Isaac-Cartpole-Direct", ("--video", "--viz", "newton_gl"), "moviepy"),
    ],
)
def test_physics_that_the_environment_lacks_are_doubted(
    ask_isaac_lab: Callable[..., list[Verdict]], task: str, options: tuple[str, ...], lacks: str
) -> None:
    (verdict,) = ask_isaac_lab((f"--task={task}", "--device=cpu"), *options)
    assert verdict.result == "doubtful"
    assert lacks in verdict.text


def test_values_stay_with_their_options() -> None:
    words = ("--video", "--video_length", "5", "agent.x=1", "--device=cpu", "physics=a")
    assert option_check.join_values(words) == ["--video", "--video_length 5", "agent.x=1", "--device=cpu", "physics=a"]
