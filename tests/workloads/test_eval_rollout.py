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
    *("by_itself", "to_compare", "in_two", "apart", "in_waves", "filmed", "drawing_at_random", "scaled"),
    *("drawing_in_one_batch", "through_a_camera", "pictures", "one_size_only", "not_finite", "rewarded", "easy"),
    *("more_processes_than_a_batch", "many_films", "killed", "not_to_be_seen", "not_an_option", "picture_of_no_size"),
)
EXAMPLE = PUSHT / "pusht_task.py"


@pytest.fixture(scope="module")
def folder(made_once) -> Path:
    """Where the scenes were played, once."""

    def play(folder):
        process = start_python([PROGRAM, folder, *SCENES, EXAMPLE])
        (folder / "told.txt").write_text(process.communicate(timeout=600)[0])

    return made_once("rollouts", play)


@pytest.fixture(scope="module")
def lines(folder):
    return (folder / "told.txt").read_text().splitlines()


@pytest.fixture(scope="module")
def scenes(lines):
    """What each scene told, by its name."""
    found = {}
    for line in lines:
        if line.startswith('{"'):
            found |= json.loads(line)
    assert set(found) == set(SCENES), "\n".join(lines)
    return found


def test_an_episode_is_told_with_its_seed_its_length_and_its_rewards(scenes):
    episodes = scenes["by_itself"]
    assert [(one["index"], one["seed"], one["steps"]) for one in episodes] == [(n, 1000 + n, 30) for n in range(6)]
    for one in episodes:
        assert 0 <= one["final_reward"] <= one["max_reward"] <= one["sum_reward"] <= 30
    assert len({one["sum_reward"] for one in episodes}) > 1
    assert {(one["success"], one["video"]) for one in episodes} == {(False, None)}


@pytest.mark.parametrize(
    ("policy", "shows"), [("act", "environment_state_agent_pos"), ("pictures", "pixels_agent_pos")]
)
def test_the_numbers_are_those_of_lerobot_eval_for_the_same_seeds(scenes, folder, tmp_path, policy, shows):
    ours = scenes["to_compare"] if policy == "act" else scenes["pictures"][0]
    count, steps = len(ours), ours[0]["steps"]
    arguments = ["-m", "lerobot.scripts.lerobot_eval", f"--policy.path={folder / policy}", "--policy.device=cpu"]
    world = ["--env.type=pusht", f"--env.obs_type={shows}", f"--env.episode_length={steps}"]
    episodes = [
        f"--eval.n_episodes={count}",
        f"--eval.batch_size={count}",
        "--eval.use_async_envs=false",
        "--seed=1000",
    ]
    process = start_python([*arguments, *world, *episodes, f"--output_dir={tmp_path / 'theirs'}"])
    said = process.communicate(timeout=600)[0]
    assert process.returncode == 0, said
    theirs = json.loads((tmp_path / "theirs/eval_info.json").read_text())["per_task"][0]["metrics"]
    assert any(theirs["sum_rewards"])
    assert [one["sum_reward"] for one in ours] == pytest.approx(theirs["sum_rewards"], abs=1e-4)
    assert [one["max_reward"] for one in ours] == pytest.approx(theirs["max_rewards"], abs=1e-4)
    assert [one["success"] for one in ours] == theirs["successes"]


@pytest.mark.parametrize("scene", ["in_two", "apart", "in_waves", "filmed"])
def test_processes_waves_and_films_change_no_result(scenes, scene):
    found = scenes[scene][0] if scene in ("in_two", "filmed") else scenes[scene]
    assert rewards(found) == pytest.approx(rewards(scenes["by_itself"]), abs=1e-3)


def test_episodes_are_told_in_their_order(scenes):
    assert scenes["in_two"][1] == list(range(6))


def test_a_policy_that_draws_at_random_draws_the_same_on_any_number_of_processes(scenes):
    alone, one, two, otherwise = map(rewards, scenes["drawing_at_random"])
    assert one == pytest.approx(alone, abs=1e-3)
    assert two == pytest.approx(alone, abs=1e-3)
    assert otherwise != pytest.approx(alone, abs=1e-3)


def test_it_is_said_when_a_policy_that_draws_at_random_leaves_processes_without_work(scenes, lines):
    assert any(
        "each batch of 10 episodes" in note.text and "1 of 2 processes" in note.text
        for note in list_events(lines, Note)
    )


def test_never_more_episodes_at_once_than_a_batch(scenes):
    assert max(scenes["more_processes_than_a_batch"]) <= 2


def test_it_is_said_when_not_every_episode_is_filmed(scenes, lines):
    assert scenes["many_films"][49:] == ["many/episode_049.mp4", None]
    texts = [note.text for note in list_events(lines, Note)]
    assert texts.count("videos are recorded of the first 50 of 51 episodes") == 1


def test_films_play_in_a_browser_and_show_each_step(scenes):
    episodes, films = scenes["filmed"]
    names = [f"episode_{number:03d}.mp4" for number in range(6)]
    assert films == [[name, "h264", "yuv420p", 10.0, 31] for name in ("all.mp4", *names)]
    assert [one["video"] for one in episodes] == [f"videos/{name}" for name in names]


def test_key_points_are_scaled_for_a_policy_that_learned_them_so(scenes, lines):
    assert rewards(scenes["scaled"]) == pytest.approx(rewards(scenes["by_itself"]), abs=1e-3)
    assert sum("scaled (" in note.text for note in list_events(lines, Note)) == 1


def test_one_camera_is_found_by_whatever_name(scenes, lines):
    assert [one["steps"] for one in scenes["through_a_camera"]] == [3, 3]
    assert any("is used as the policy's observation.images.top" in note.text for note in list_events(lines, Note))


def test_pictures_are_those_of_lerobot_unless_another_size_is_asked_for(scenes, lines):
    own, asked = scenes["pictures"]
    assert rewards(own) != rewards(asked)
    texts = [note.text for note in list_events(lines, Note)]
    assert sum("96x96, the default" in text and "64x64" in text for text in texts) == 1


def test_a_policy_that_reads_one_size_only_gets_it(scenes, lines):
    assert [one["steps"] for one in scenes["one_size_only"]] == [1]
    assert any("32x48, the policy's size" in note.text for note in list_events(lines, Note))


def test_an_action_that_is_not_finite_ends_the_rollout(scenes):
    sentence, left = scenes["not_finite"]
    assert sentence.startswith("error: the policy's action in episode ")
    assert ", step 0 is not finite: [nan, nan]" in sentence
    assert left == 0


def test_states_are_taken_in_turn_and_success_is_what_was_asked_for(scenes):
    own, demanded = scenes["rewarded"]
    assert [one["success"] for one in own] == [True, False, False, True]
    assert [one["steps"] for one in own] == [1, 2, 2, 1]
    assert [one["success"] for one in demanded] == [True, True, False, True]


def test_an_easy_start_is_that_of_the_example(scenes):
    for example, ours in scenes["easy"]:
        assert ours == pytest.approx(example, abs=1e-9)


def test_a_process_that_dies_is_a_sentence_and_ends_the_others(scenes):
    sentence, left = scenes["killed"]
    assert "ended with exit code -9 (SIGKILL" in sentence
    assert left == 0


def test_what_does_not_fit_is_said_in_full(scenes):
    sentence, _ = scenes["not_to_be_seen"]
    assert sentence.startswith("error: the policy does not match --env pusht: it reads observation.environment_state")
    assert " rejects --env.fps=often: " in scenes["not_an_option"][0]
    assert scenes["picture_of_no_size"][0].startswith(
        "error: the policy cannot act on the observations of --env pusht: "
    )


def test_a_stop_ends_all_processes(tmp_path):
    process = start_python([PROGRAM, tmp_path, "without_end"])
    assert "rolling" in list(read_lines_until(process, "rolling"))[-1]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)  # its output ends when the last process that has it ended
    assert process.returncode == -signal.SIGTERM


def rewards(episodes):
    return [one["sum_reward"] for one in episodes]
