"""An evaluated policy as a version of a model, with its scores. The work is pretended; MLflow's registry is real."""

import json
import os
from pathlib import Path

import pytest
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Delivered, Published, Registered, Track, Tracking

pytestmark = pytest.mark.slow

EVALUATE = "from pretend_evaluating import *\n"
LONG = "easy starts, " * 30


@pytest.fixture
def tracked(tracked):
    """A job that is tracked in a database of its own, under a name and in a folder of its own."""
    return lambda program, run="eval-1", **publish: tracked(program, run=run, work=run, **publish)


def scores(version_tags: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in version_tags.items() if name.startswith(("score", "evaluated_"))}


def make_score_tags(rate: str, run: str) -> dict[str, str]:
    return {"score_rollout_success_rate": rate, "score_replay_mse": "0.5", "scored_by": run}


def artifacts(database, run_id: str) -> Path:
    ((address,),) = database(f"select artifact_uri from runs where run_uuid = '{run_id}'")
    return Path(address.removeprefix("file://"))


def test_results_and_policy_are_artifacts_and_the_policy_a_version_with_its_scores(
    run, tracked, database, register, versions, tags
):
    made = tracked(EVALUATE + "evaluate(kept=policy())", register="pusher")
    ran = run(made)
    ran.work = Path(made.placement.work)
    assert ran.exit_code == 0, ran.lines
    (tracking,) = ran.of_kind(Tracking)
    there = artifacts(database, tracking.run_id)
    assert sorted(os.listdir(there)) == ["eval_results.json", "policy", "videos"]
    assert sorted(os.listdir(there / "policy/000040")) == ["azureml_lineage.json", "weights"]
    assert len(os.listdir(there / "videos")) == 4
    assert not (there / "eval_results.json").samefile(ran.work / "outputs/eval_results/eval_results.json")
    assert [delivery.to for delivery in ran.of_kind(Delivered)] == [f"runs:/{tracking.run_id}"]
    assert ran.of_kind(Published) == []
    assert ran.of_kind(Registered) == [Registered(name="pusher", version="1", step=40, uri="models:/pusher/1")]
    digest = checkpoint.combine_digests(checkpoint.hash_files(ran.work / "outputs/policy/000040"))
    version_tags = tags()
    assert scores(version_tags) == make_score_tags("0.75", "eval-1")
    assert (version_tags["model_sha256"], version_tags["checkpoint"], version_tags["robotrain_run"]) == (
        digest,
        "000040",
        "eval-1",
    )
    values = {key: value for track in ran.of_kind(Track) for key, value in track.tags.items()}
    assert values == {"model_sha256": digest, "policy_artifact": "policy/000040"}
    steps = database("select key, step from metrics order by step")
    assert steps == [(f"ep{number}_success", number + 1) for number in range(4)]

    again = run(made)  # a second attempt: the same results, the same policy
    assert (again.exit_code, again.of_kind(Delivered)) == (0, [])
    (once_more,) = again.of_kind(Registered)
    assert (once_more.version, once_more.new, once_more.replaced) == ("1", False, "")
    assert sorted(os.listdir(there)) == ["eval_results.json", "policy", "videos"]
    later = register(made, "pusher")
    assert (later.returncode, json.loads(later.stdout)) == (
        0,
        {"name": "pusher", "version": "1", "step": 40, "uri": "models:/pusher/1", "new": False, "replaced": ""},
    )
    assert "policy 000040 is already version 1 of pusher\n" in later.stderr
    assert versions() == [("pusher", 1)]


@pytest.mark.long
def test_a_model_that_its_training_registered_gains_the_scores_of_each_evaluation(
    run, tracked, database, register, versions, tags
):
    trained = tracked("from pretend_training import *\ntrain(40, 20)", run="train-1", register="pusher")
    assert run(trained).exit_code == 0
    before = tags()
    assert scores(before) == {}
    for rate, name in ((0.75, "eval-1"), (0.5, "eval-2")):
        ran = run(tracked(EVALUATE + f"evaluate({rate}, kept=policy())", run=name, register="pusher"))
        assert [registration.version for registration in ran.of_kind(Registered)] == ["1"], ran.lines
        assert tags() == before | make_score_tags(str(rate), name)
    alone = EVALUATE + f"evaluate(kept=policy(), scores={{'rollout/success_rate': 1.0}}, conditions={LONG!r})"
    ran = run(tracked(alone, run="eval-3", register="pusher", world="pusht"))
    assert ": the scores of eval-2 are replaced by those of eval-3" in "".join(ran.notes("info"))
    assert [registration.replaced for registration in ran.of_kind(Registered)] == ["eval-2"]
    version_tags = tags()
    assert (version_tags["evaluated_in"][:20], len(version_tags["evaluated_in"])) == (LONG[:20], 256)
    only = {"score_rollout_success_rate": "1", "scored_by": "eval-3", "evaluated_on_env": "pusht"}
    assert version_tags == before | only | {"evaluated_in": version_tags["evaluated_in"]}  # never of two evaluations
    ran = run(tracked(EVALUATE + "evaluate(0.5, kept=policy())", run="eval-2", register="pusher"))
    assert tags() == before | make_score_tags("0.5", "eval-2")
    other = tracked(EVALUATE + "evaluate(kept=policy(weights='others'))", run="eval-1", register="pusher")
    assert [registration.version for registration in run(other).of_kind(Registered)] == [
        "2"
    ]  # the same run and step, another policy
    assert tags() == before | make_score_tags("0.5", "eval-2")
    assert json.loads(register(trained, "pusher").stdout)["version"] == "1"
    assert tags() == before | make_score_tags("0.5", "eval-2")
    assert versions() == [("pusher", 1), ("pusher", 2)]


@pytest.mark.long
def test_an_evaluation_is_registered_later_too_and_only_as_it_was(run, tracked, database, register, tmp_path, tags):
    made = tracked(EVALUATE + "evaluate(kept=policy())")
    assert run(made).of_kind(Registered) == []
    other = register(made, "pusher", "--step", "20")
    assert (other.returncode, other.stdout) == (4, "")
    assert "the run evaluated the policy of step 40, not of step 20" in other.stderr
    assert json.loads(register(made, "pusher", "--step", "40").stdout)["version"] == "1"
    assert scores(tags()) == make_score_tags("0.75", "eval-1")
    weights = tmp_path / "eval-1/outputs/policy/000040/weights"
    weights.unlink()
    weights.write_text("torn")
    torn = register(made, "pusher")
    assert (torn.returncode, "weights is not what was saved" in torn.stderr) == (4, True)


@pytest.mark.long
def test_a_policy_that_was_not_kept_or_failed_is_not_registered(run, tracked, database, register, versions):
    gone = tracked(EVALUATE + "evaluate()", run="eval-1", register="pusher")
    ran = run(gone)
    assert ran.last.reason == ("the model pusher was not registered: the run did not keep the policy that it evaluated")
    assert register(gone, "pusher").returncode == 4
    failed = tracked(EVALUATE + "evaluate(kept=policy(), passed=False)\nraise SystemExit('no')", "eval-2", register="p")
    ran = run(failed)
    assert (ran.exit_code, ran.of_kind(Registered), len(ran.of_kind(Delivered))) == (1, [], 1)
    assert versions() == []
    assert json.loads(register(failed, "pusher").stdout)["version"] == "1"  # asked for by name, all the same


@pytest.mark.long
def test_what_came_with_the_policy_says_where_it_is_from_and_results_change_with_a_new_attempt(
    run, tracked, database, versions, tags
):
    program = EVALUATE + "folder = policy()\nwrite(Path(folder, 'azureml_lineage.json'), 'of its training')\n"
    ran = run(tracked(program + "evaluate(kept=folder)", register="pusher"))
    assert ran.exit_code == 0, ran.lines
    (tracking,) = ran.of_kind(Tracking)
    there = artifacts(database, tracking.run_id)
    assert (there / "policy/000040/azureml_lineage.json").read_text() == "of its training"
    again = run(tracked(program + "evaluate(0.5, kept=folder)", register="pusher"))
    assert (there / "eval_results.json").read_text() == '{"success_rate": 0.5}'
    assert [delivery.to for delivery in again.of_kind(Delivered)] == [f"runs:/{tracking.run_id}"]
    assert versions() == [("pusher", 1)]
    assert scores(tags()) == make_score_tags("0.5", "eval-1")
