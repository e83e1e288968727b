"""Episodes in a simulated environment: results, number of processes, videos."""

import json
import signal
from pathlib import Path

import pytest
from eval_launcher import PUSHT, list_events, start_python
from robotrain_runtime.contract.event import Note
from small_training import read_lines_until

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).with_name("rollout_program.py")
SCENES = (
    *("alone", "as_lerobot_eval", "two_processes", "as_on_gpu", "in_batches", "filmed", "random_draws", "scaled"),
    *(
        "random_draws_in_one_batch",
        "camera",
        "renamed",
        "image_sizes",
        "other_size",
        "not_finite",
        "given_starts",
        "easy",
    ),
    *("small_batch", "many_videos", "killed", "missing_observation", "invalid_option", "invalid_size"),
)
EXAMPLE = PUSHT / "pusht_task.py"


@pytest.fixture(scope="module")
def folder(made_once) -> Path:
    """Where the scenes were played, once."""

    def play(folder):
        process = start_python([PROGRAM, folder, *SCENES, EXAMPLE])
        (folder / "output.txt").write_text(process.communicate(timeout=600)[0])

    return made_once("rollouts", play)


@pytest.fixture(scope="module")
def lines(folder):
    return (folder / "output.txt").read_text().splitlines()


@pytest.fixture(scope="module")
def notes(lines):
    return [note.text for note in list_events(lines, Note)]


@pytest.fixture(scope="module")
def scenes(lines):
    """The results of each scene, by its name."""
    scenes_by_name = {}
    for line in lines:
        if line.startswith('{"'):
            scenes_by_name |= json.loads(line)
    assert set(scenes_by_name) == set(SCENES), "\n".join(lines)
    return scenes_by_name


def sum_rewards(episodes):
    return [episode["sum_reward"] for episode in episodes]


def test_an_episode_has_its_seed_its_length_and_its_rewards(scenes):
    episodes = scenes["alone"]
    expected = [(number, 1000 + number, 30) for number in range(6)]
    assert [(episode["index"], episode["seed"], episode["steps"]) for episode in episodes] == expected
    for episode in episodes:
        assert 0 <= episode["final_reward"] <= episode["max_reward"] <= episode["sum_reward"] <= 30
    assert len({*sum_rewards(episodes)}) > 1
    assert {(episode["success"], episode["video"]) for episode in episodes} == {(False, None)}


@pytest.mark.parametrize(
    ("policy", "observation"), [("act", "environment_state_agent_pos"), ("image_sizes", "pixels_agent_pos")]
)
def test_the_numbers_are_those_of_lerobot_eval_for_the_same_seeds(scenes, folder, tmp_path, policy, observation):
    episodes = scenes["as_lerobot_eval"] if policy == "act" else scenes["image_sizes"][0]
    count, steps = len(episodes), episodes[0]["steps"]
    arguments = [
        *("-m", "lerobot.scripts.lerobot_eval", f"--policy.path={folder / policy}", "--policy.device=cpu"),
        *("--env.type=pusht", f"--env.obs_type={observation}", f"--env.episode_length={steps}", "--seed=1000"),
        *(f"--eval.n_episodes={count}", f"--eval.batch_size={count}", "--eval.use_async_envs=false"),
    ]
    process = start_python([*arguments, f"--output_dir={tmp_path / 'lerobot'}"])
    output = process.communicate(timeout=600)[0]
    assert process.returncode == 0, output
    expected = json.loads((tmp_path / "lerobot/eval_info.json").read_text())["per_task"][0]["metrics"]
    assert any(expected["sum_rewards"])
    assert sum_rewards(episodes) == pytest.approx(expected["sum_rewards"], abs=1e-4)
    assert [episode["max_reward"] for episode in episodes] == pytest.approx(expected["max_rewards"], abs=1e-4)
    assert [episode["success"] for episode in episodes] == expected["successes"]


@pytest.mark.parametrize("scene", ["two_processes", "as_on_gpu", "in_batches", "filmed", "scaled"])
def test_processes_batches_videos_and_scaled_key_points_change_no_result(scenes, scene):
    episodes = scenes[scene][0] if scene in ("two_processes", "filmed", "scaled") else scenes[scene]
    assert sum_rewards(episodes) == pytest.approx(sum_rewards(scenes["alone"]), abs=1e-3)


def test_episodes_are_reported_in_order(scenes):
    assert scenes["two_processes"][1] == list(range(6))


def test_a_policy_that_draws_random_numbers_draws_the_same_on_any_number_of_processes(scenes, notes):
    no_process, one_process, two_processes, other_seed = map(sum_rewards, scenes["random_draws"])
    assert [episode["trial"] for episode in scenes["random_draws"][0]] == [
        episode["seed"] for episode in scenes["random_draws"][0]
    ]
    assert one_process == pytest.approx(no_process, abs=1e-3)
    assert two_processes == pytest.approx(no_process, abs=1e-3)
    assert other_seed != pytest.approx(no_process, abs=1e-3)
    assert any("each batch of 10 episodes" in text and "1 of 2 processes" in text for text in notes)


def test_no_more_episodes_than_a_batch_run_at_once(scenes):
    assert max(scenes["small_batch"]) <= 2


def test_only_the_first_episodes_are_filmed(scenes, notes):
    assert scenes["many_videos"][49:] == ["many/episode_049.mp4", None]
    assert notes.count("videos are recorded of the first 50 of 51 episodes") == 1


def test_videos_play_in_a_browser_and_show_each_step(scenes):
    episodes, videos = scenes["filmed"]
    names = [f"episode_{number:03d}.mp4" for number in range(6)]
    assert videos == [[name, "h264", "yuv420p", 10.0, 31] for name in ("all.mp4", *names)]
    assert [episode["video"] for episode in episodes] == [f"videos/{name}" for name in names]


def test_what_the_environment_adapts_to_the_policy_is_noted(scenes, notes):
    assert sum("scaled (" in text for text in notes) == 1
    assert scenes["scaled"][1] is True, "the results say it: lerobot-eval would give another score"
    assert [episode["steps"] for episode in scenes["camera"]] == [3, 3]
    assert any("is used as the policy's observation.images.top" in text for text in notes)
    assert sum_rewards(scenes["renamed"]) == pytest.approx(sum_rewards(scenes["camera"]), abs=1e-3)
    assert [[episode["steps"] for episode in rollout] for rollout in scenes["image_sizes"]] == [[20] * 4] * 2


def test_given_starts_are_used_in_turn_and_success_is_as_given(scenes, notes):
    default, rewarded = scenes["given_starts"]
    assert [episode["success"] for episode in default] == [True, False, False, True]
    assert [episode["steps"] for episode in default] == [1, 2, 2, 1]
    assert [episode["success"] for episode in rewarded] == [True, True, False, True]
    assert [episode["trial"] for episode in rewarded] == [1000, 1001, 1002, 1000]
    assert any(text.startswith("4 episodes have 3 different starts") for text in notes)


def test_an_easy_start_is_that_of_the_example(scenes):
    for expected, start in scenes["easy"]:
        assert start == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("scene", "start", "fact"),
    [
        ("not_finite", "error: the policy's action in episode ", ", step 0 is not finite: [nan, nan]"),
        ("killed", "error: worker process ", "ended with exit code -9 (SIGKILL"),
        ("missing_observation", "error: the policy does not match --env pusht: ", "observation.environment_state"),
        ("invalid_option", "error: ", " rejects --env.fps=often: "),
        ("invalid_size", "error: the policy does not match --env pusht: ", "40 high in pusht"),
        (
            "other_size",
            "error: the policy does not match --env pusht: ",
            "is 96 wide and 96 high in pusht, but the policy was trained with 64 and 64",
        ),
    ],
)
def test_what_ends_a_rollout_is_a_sentence_and_no_process_is_left(scenes, scene, start, fact):
    sentence, processes = scenes[scene]
    assert sentence.startswith(start)
    assert fact in sentence
    assert processes == 0


def test_a_stop_ends_all_processes(tmp_path):
    process = start_python([PROGRAM, tmp_path, "without_end"])
    assert "rolling" in list(read_lines_until(process, "rolling"))[-1]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)  # its output ends when the last process that has it ended
    assert process.returncode == -signal.SIGTERM
