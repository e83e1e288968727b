"""Plans as folders: what `render --to` wrote is what `submit --plan` sends; and runs once more, changed or not."""

import json

import pytest
from fake_engine import answer_submits, set_run_state
from robotrain.store import plans, records


@pytest.fixture
def job_words(pusht):
    return ("--platform", "fake", "--dataset-path", pusht, "--training-steps", "7")


@pytest.fixture
def sent_run(robotrain, fake_platform, job_words):
    """The name of a run that was sent."""
    return robotrain("submit", *job_words, "--no-pin").stdout.strip()


def test_a_rendered_folder_is_sent_byte_for_byte(robotrain, fake_platform, job_words, tmp_path):
    robotrain("render", *job_words, "--to", tmp_path / "plan")
    answer = robotrain("submit", "--plan", tmp_path / "plan")
    run = answer.stdout.strip()
    assert answer.exit_code == 0
    kept = plans.get_plan_folder(run)
    for path in ("job.json", "payload.zip"):
        assert (kept / path).read_bytes() == (tmp_path / "plan" / path).read_bytes()
    assert (fake_platform / "jobs" / run).read_text().strip() == records.read_record(run).plan


def test_a_plan_can_be_sent_once(robotrain, fake_platform, job_words, tmp_path):
    robotrain("render", *job_words, "--to", tmp_path / "plan")
    run = robotrain("submit", "--plan", tmp_path / "plan").stdout.strip()
    (fake_platform / f"{run}.json").write_text('{"state": "succeeded"}')
    answer = robotrain("submit", "--plan", tmp_path / "plan")
    assert answer.exit_code == 2
    assert f"{run} is already submitted" in answer.stderr
    assert "--attempt N" in answer.stderr
    assert robotrain("submit", "--plan", tmp_path / "plan", "--dry-run").exit_code == 2


@pytest.mark.parametrize("attempt", ["0", "-1", "two", "1000000", "9" * 5000])
def test_an_attempt_is_a_whole_number_within_its_bounds(robotrain, fake_platform, job_words, attempt):
    answer = robotrain("render", *job_words, "--attempt", attempt)
    assert (answer.exit_code, "[value-invalid]" in answer.stderr) == (2, True)
    assert "--attempt needs a whole number greater than 0 and at most 999999" in answer.stderr


def test_a_plan_that_was_cut_off_is_reconciled_too(robotrain, fake_platform, job_words, tmp_path):
    robotrain("render", *job_words, "--to", tmp_path / "plan")
    with answer_submits(fake_platform, "takes it and hangs up"):
        assert robotrain("submit", "--plan", tmp_path / "plan").exit_code == 1
    answer = robotrain("submit", "--plan", tmp_path / "plan")
    assert "fake has the run" in answer.stderr
    assert len((fake_platform / "jobs" / answer.stdout.strip()).read_text().split()) == 1


def test_a_plan_that_was_edited_is_sent_as_it_is_and_that_is_said(robotrain, fake_platform, job_words, tmp_path):
    robotrain("render", *job_words, "--to", tmp_path / "plan")
    path = tmp_path / "plan/job.json"
    path.write_text(path.read_text().replace('"training_steps": 7', '"training_steps": 8'))
    answer = robotrain("submit", "--plan", tmp_path / "plan")
    assert "edited after rendering: job.json" in answer.stderr
    assert '"training_steps": 8' in (plans.get_plan_folder(answer.stdout.strip()) / "job.json").read_text()


def test_another_plan_of_a_name_that_was_cut_off_says_so(robotrain, fake_platform, job_words, tmp_path):
    robotrain("render", *job_words, "--to", tmp_path / "plan")
    with answer_submits(fake_platform, "hangs up"):
        robotrain("submit", "--plan", tmp_path / "plan")
    (tmp_path / "plan/job.json").write_text("{}")
    answer = robotrain("submit", "--plan", tmp_path / "plan")
    assert answer.exit_code == 2
    assert "the submit of another plan as lerobot-train" in answer.stderr
    assert not (fake_platform / "jobs").exists()


FIXED = [
    ("--training-steps", "9"),
    ("--slots", "60"),
    ("lerobot-train",),
    ("--new",),
]


@pytest.mark.parametrize("more", FIXED)
def test_a_plan_takes_no_options_of_a_job(robotrain, fake_platform, job_words, tmp_path, more):
    robotrain("render", *job_words, "--to", tmp_path / "plan")
    answer = robotrain("submit", "--plan", tmp_path / "plan", "--platform", "fake", *more)
    assert answer.exit_code == 2
    assert "[plan-fixed]" in answer.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--plan", ""), "--plan needs a folder"),
        (("--plan", "a", "--plan", "b"), "--plan is given 2 times"),
        (("--plan", "a", "--wiat"), "there is no option --wiat"),
        (("--plan", "--dry-run"), "--plan needs a value"),
    ],
)
def test_mistakes_beside_a_plan_are_told_as_such(robotrain, fake_platform, more, said):
    answer = robotrain("submit", *more)
    assert answer.exit_code == 2
    assert said in answer.stderr


def test_a_folder_that_is_no_plan_is_refused(robotrain, fake_platform, tmp_path):
    answer = robotrain("submit", "--plan", tmp_path)
    assert answer.exit_code == 2
    assert "robotrain-plan.json" in answer.stderr


@pytest.mark.parametrize("damage", ["{", "[]", '{"schema": 9}'])
def test_a_damaged_plan_is_refused_with_a_sentence(robotrain, fake_platform, job_words, tmp_path, damage):
    robotrain("render", *job_words, "--to", tmp_path / "plan")
    (tmp_path / "plan/robotrain-plan.json").write_text(damage)
    answer = robotrain("submit", "--plan", tmp_path / "plan")
    assert answer.exit_code == 2
    assert "plan-unreadable" in answer.stderr


def test_a_plan_of_a_newer_robotrain_is_refused_as_that(robotrain, fake_platform, job_words, sent_run, tmp_path):
    robotrain("render", *job_words, "--to", tmp_path / "plan")
    for folder in (tmp_path / "plan", plans.get_plan_folder(sent_run)):
        path = folder / plans.MANIFEST_FILE
        path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 99, "robotrain": "8.1"}))
    submitted, repeated = robotrain("submit", "--plan", tmp_path / "plan"), robotrain("resubmit", sent_run)
    for answer, code in ((submitted, "plan-unreadable"), (repeated, "plan-not-kept")):
        assert (answer.exit_code, f"[{code}]" in answer.stderr) == (2, True), answer.stderr
        assert "robotrain 8.1 wrote it in format 99" in answer.stderr
        assert "upgrade" in answer.stderr
    assert robotrain("status", sent_run).exit_code == 0


def test_nothing_in_a_plan_leads_outside_its_folder(robotrain, fake_platform, job_words, tmp_path):
    robotrain("render", *job_words, "--to", tmp_path / "plan")
    path = tmp_path / "plan/robotrain-plan.json"
    whole = path.read_text()
    path.write_text(whole.replace('"files": {', '"files": {"../secret": "' + "0" * 64 + '",'))
    assert "outside the folder" in robotrain("submit", "--plan", tmp_path / "plan").stderr
    path.write_text(whole)
    (tmp_path / "secret").write_text("")
    (tmp_path / "plan/job.json").unlink()
    (tmp_path / "plan/job.json").symlink_to(tmp_path / "secret")
    assert "outside the folder" in robotrain("submit", "--plan", tmp_path / "plan").stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "../../elsewhere-1"},
        {"shown": ["nowhere.json"]},
        {"spec": "nowhere.json"},
        {"values": [{"name": "seed"}]},
        {"payload": "../payload.zip"},
    ],
)
def test_a_plan_that_says_what_cannot_be_is_refused(robotrain, fake_platform, job_words, tmp_path, changes):
    robotrain("render", *job_words, "--to", tmp_path / "plan")
    path = tmp_path / "plan/robotrain-plan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    answer = robotrain("submit", "--plan", tmp_path / "plan")
    assert answer.exit_code == 2
    assert "robotrain-plan.json is damaged" in answer.stderr
    assert records.list_runs() == []


def test_resubmit_sends_the_very_plan_as_the_next_attempt(robotrain, fake_platform, sent_run):
    answer = robotrain("resubmit", sent_run, "--new")
    again = answer.stdout.strip()
    assert again == sent_run[:-1] + "2"
    assert f"same plan as {sent_run}" in answer.stderr
    before, after = plans.read_stored_plan(sent_run), plans.read_stored_plan(again)
    assert (before.plan.job, before.settings, before.payload.digest) == (
        after.plan.job,
        after.settings,
        after.payload.digest,
    )


def test_resubmit_of_a_plan_that_was_edited_says_what_is_not_the_same(robotrain, fake_platform, job_words, tmp_path):
    robotrain("render", *job_words, "--to", tmp_path / "plan")
    path = tmp_path / "plan/job.json"
    path.write_text(path.read_text().replace('"training_steps": 7', '"training_steps": 8'))
    run = robotrain("submit", "--plan", tmp_path / "plan").stdout.strip()
    answer = robotrain("resubmit", run, "--dry-run")
    assert "job.json: as it was submitted → as it is rendered now" in answer.stderr
    assert "same plan" not in answer.stderr


def test_resubmit_says_which_settings_came_and_went(robotrain, fake_platform, sent_run):
    path = plans.get_plan_folder(sent_run) / "robotrain-plan.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps(body | {"settings": {"latitude": 7}}))
    answer = robotrain("resubmit", sent_run, "--dry-run")
    assert "latitude: 7 → None" in answer.stderr
    assert "slots: None → 50" in answer.stderr


def test_resubmit_with_another_payload_says_so(robotrain, fake_platform, sent_run, monkeypatch):
    from robotrain.model.plan import Payload
    from robotrain.submission import prepare

    monkeypatch.setattr(prepare, "pack_payload", lambda halves: Payload(b"of a newer robotrain"))
    assert "payload: " in robotrain("resubmit", sent_run, "--set", "batch_size=4", "--dry-run").stderr
    assert "payload: " not in robotrain("resubmit", sent_run, "--dry-run").stderr


def test_resubmit_keeps_where_a_value_came_from(robotrain, fake_platform, sent_run):
    run = robotrain("resubmit", sent_run, "--set", "batch_size=4").stdout.strip()
    origins = {value["name"]: value["origin"] for value in plans.read_stored_plan(run).values}
    assert origins["training_steps"] == "flag --training-steps"
    assert origins["seed"] == "default"
    assert origins["batch_size"] == "flag --set batch_size"


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (
            "--policy.chunk_size 64 --policy.n_action_steps 1",
            "--policy.n_action_steps 1 --policy.chunk_size 1",
            "--policy.chunk_size 64 → --policy.chunk_size 1",
        ),
        ("--policy.chunk_size 100", "--tolerance_s 5", "– → --tolerance_s 5"),
        (
            "--policy.n_heads 4 --tolerance_s 5",
            "--policy.n_heads 4",
            "--policy.n_heads 4 --tolerance_s 5 → --tolerance_s 5 --policy.n_heads 4",
        ),
    ],
)
def test_resubmit_shows_options_of_two_words_with_their_values(
    robotrain, fake_platform, job_words, before, after, shown
):
    first = robotrain("submit", *job_words, "--no-pin", "--", *before.split())
    answer = robotrain("resubmit", first.stdout.strip(), "--dry-run", "--", *after.split())
    assert f"trainer_args: {shown}\n" in answer.stderr, first.stderr


def test_resubmit_replaces_single_options_of_the_trainer(robotrain, fake_platform, job_words):
    size, steps = "--policy.chunk_size=16", "--policy.n_action_steps=12"
    first = robotrain("submit", *job_words, "--no-pin", "--", size, steps).stdout.strip()
    answer = robotrain("resubmit", first, "--", "--policy.n_action_steps=8")
    assert f"trainer_args: {steps} → --policy.n_action_steps=8" in answer.stderr
    stored = plans.read_stored_plan(answer.stdout.strip())
    assert stored.plan.job.trainer_args == (size, "--policy.n_action_steps=8")
    origins = {row["value"]: row["origin"] for row in stored.values if row["name"] == "trainer_args"}
    assert set(origins.values()) == {"flag after --"}
    assert robotrain("resubmit", "--dry-run", "--", size).exit_code == 0, "of the newest run"
    wrong = robotrain("resubmit", first, "--", "--policy.chunk_sise=8")
    assert (wrong.exit_code, "--policy.chunk_size=8" in wrong.stderr) == (2, True)


def write_format_1(run, **plugins):
    """Rewrite a stored plan as robotrain did before it named the options of arguments. plugins: its other modules."""
    path = plans.get_plan_folder(run) / plans.MANIFEST_FILE
    manifest = json.loads(path.read_text())
    for row in manifest["values"]:
        row.pop("option", None)
    path.write_text(json.dumps(manifest | {"schema": 1, "halves": manifest["halves"] | plugins}))


@pytest.mark.parametrize("changes", [(), ("--set", "seed=5"), ("--", "--tolerance_s", "5")])
def test_a_plan_of_an_earlier_version_does_not_name_the_options_of_its_arguments(
    robotrain, fake_platform, job_words, changes
):
    options = {"--policy.dropout": "0.1", "--policy.n_heads": "4", "--tolerance_s": "5"}
    words = ("--policy.dropout=0.1", "--policy.n_heads", "4", "--tolerance_s=5")
    first = robotrain("submit", *job_words, "--no-pin", "--", *words).stdout.strip()
    write_format_1(first)
    again = robotrain("resubmit", first, *changes).stdout.strip()
    for run in (first, again):
        values = records.read_record(run).values
        assert {name: values[name][0] for name in values if name.startswith("--")} == options
    assert robotrain("diff", first, again).stdout.count("policy") == 0
    found = robotrain("runs", "--set=--policy.n_heads=4", "--json").json["runs"]
    assert {row["run"] for row in found} == {first, again}


def test_the_options_that_an_earlier_version_named_stay(robotrain, fake_platform, job_words):
    run = robotrain("submit", *job_words, "--no-pin", "--", "--tolerance_s=5").stdout.strip()
    path = plans.get_plan_folder(run) / plans.MANIFEST_FILE
    manifest = json.loads(path.read_text())
    for row in manifest["values"]:
        if row["name"] == "trainer_args":
            row["option"] = "--named_then"
    path.write_text(json.dumps(manifest | {"schema": 1}))
    assert "--named_then" in {row.get("option") for row in plans.read_stored_plan(run).values}


def test_resubmit_packs_the_modules_of_today_where_the_plan_names_others(
    robotrain, fake_platform, job_words, monkeypatch
):
    from robotrain.model.plan import Payload
    from robotrain.submission import prepare

    run = robotrain("submit", *job_words, "--no-pin").stdout.strip()
    modules = plans.read_stored_plan(run).container_plugins
    monkeypatch.setattr(prepare, "pack_payload", lambda halves: Payload(b"of a newer robotrain"))
    write_format_1(run, **{"source.local_path": "robotrain_sources.local.container"})
    answer = robotrain("resubmit", run, "--new")
    assert (answer.exit_code, "payload: " in answer.stderr) == (0, True), answer.stderr
    again = plans.read_stored_plan(answer.stdout.strip())
    assert (again.container_plugins, again.payload.archive) == (modules, b"of a newer robotrain")


def test_resubmit_keeps_the_payload_with_a_plugin_that_is_gone(robotrain, fake_platform, job_words):
    run = robotrain("submit", *job_words, "--no-pin").stdout.strip()
    write_format_1(run, **{"target.s3": "robotrain_s3.publisher"})
    before, answer = plans.read_stored_plan(run), robotrain("resubmit", run)
    after = plans.read_stored_plan(answer.stdout.strip())
    assert "payload: " not in answer.stderr
    assert (after.container_plugins, after.payload.digest) == (before.container_plugins, before.payload.digest)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--policy.chunk_size=8",), "-- --policy.chunk_size=8"),
        (("--batch-size", "8"), " --set batch_size=8"),
        (("--set", "policy.n_action_steps=8"), "-- --policy.n_action_steps=8"),
        (("--", "--batch-size=8"), "--set batch_size=8"),
        (("--", "--name", "mine"), "use   --name (before --)"),
        (("--", "--policy.type=diffusion"), "--set policy_type=diffusion"),
    ],
)
def test_values_that_resubmit_takes_in_another_way_are_answered_with_it(
    robotrain, fake_platform, sent_run, words, line
):
    answer = robotrain("resubmit", sent_run, *words)
    assert (answer.exit_code, line in answer.stderr) == (2, True), answer.stderr
    assert "LeRobot has no option" not in answer.stderr


def test_resubmit_keeps_the_order_of_the_datasets(robotrain, fake_platform, pusht, tmp_path):
    import shutil

    other = shutil.copytree(pusht, tmp_path / "other")
    several = (
        "--dataset-path",
        other,
        "--blob-url",
        "https://account.blob.core.windows.net/data/p",
        "--dataset-path",
        pusht,
    )
    run = robotrain("submit", "--platform", "fake", *several, "--no-pin").stdout.strip()
    again = robotrain("resubmit", run, "--set", "batch_size=4", "--no-pin").stdout.strip()
    before, after = ([source.uri for source in plans.read_stored_plan(one).plan.job.sources] for one in (run, again))
    assert before == after == [str(other), "https://account.blob.core.windows.net/data/p", str(pusht)]


def test_resubmit_of_a_plan_that_was_damaged_says_so(robotrain, fake_platform, sent_run):
    (plans.get_plan_folder(sent_run) / "job.json").write_text("{}")
    answer = robotrain("resubmit", sent_run)
    assert answer.exit_code == 2
    assert "was changed after the submit" in answer.stderr


def test_resubmit_finds_out_what_became_of_a_submit_that_was_cut_off(robotrain, fake_platform, job_words):
    with answer_submits(fake_platform, "takes it and hangs up"):
        robotrain("submit", *job_words)
    (left,) = records.list_runs()
    answer = robotrain("resubmit")
    assert answer.stdout.strip() == left
    assert "fake has the run" in answer.stderr
    assert (fake_platform / "jobs" / left).read_text().split() == [records.read_record(left).plan]


def test_resubmit_does_not_take_over_what_was_cut_off_with_another_payload(
    robotrain, fake_platform, sent_run, job_words, monkeypatch
):
    from robotrain.model.plan import Payload
    from robotrain.submission import prepare

    monkeypatch.setattr(prepare, "pack_payload", lambda halves: Payload(b"of a newer robotrain"))
    (fake_platform / "others.json").write_text('{"state": "failed"}')
    with answer_submits(fake_platform, "hangs up"):
        robotrain("submit", *job_words, "--no-pin")
    answer = robotrain("resubmit", sent_run)
    assert answer.stdout.strip() == sent_run[:-1] + "3"
    assert "it is not continued" in answer.stderr
    assert robotrain("submit", *job_words, "--no-pin").stdout.strip() == sent_run[:-1] + "2"


def test_resubmit_with_new_leaves_what_was_cut_off(robotrain, fake_platform, job_words):
    with answer_submits(fake_platform, "hangs up"):
        robotrain("submit", *job_words)
    assert robotrain("resubmit", "--new").stdout.strip() == records.list_runs()[-1][:-1] + "2"


def test_resubmit_sends_the_payload_of_then_not_that_of_now(robotrain, fake_platform, sent_run, monkeypatch):
    from robotrain.submission import prepare

    def nothing(halves):
        raise AssertionError("packed anew")

    monkeypatch.setattr(prepare, "pack_payload", nothing)
    assert robotrain("resubmit", sent_run).exit_code == 0


def test_resubmit_with_set_says_what_differs(robotrain, fake_platform, sent_run):
    answer = robotrain("resubmit", sent_run, "--set", "batch_size=4", "--set", "slots=60", "--dry-run")
    assert "batch_size: 32 → 4" in answer.stderr
    assert "slots: 50 → 60" in answer.stderr
    assert "nothing was" in answer.stderr
    assert records.list_runs() == [sent_run]
    run = robotrain("resubmit", sent_run, "--set", "batch_size=4").stdout.strip()
    assert plans.read_stored_plan(run).plan.job["batch_size"] == 4
    assert plans.read_stored_plan(run).plan.job["training_steps"] == 7


def test_resubmit_does_not_look_at_todays_environment(robotrain, fake_platform, sent_run, monkeypatch):
    monkeypatch.setenv("BATCH_SIZE", "3")
    run = robotrain("resubmit", sent_run, "--set", "training_steps=9").stdout.strip()
    assert plans.read_stored_plan(run).plan.job["batch_size"] == 32


def test_resubmit_refuses_a_set_that_is_wrong_like_the_flag(robotrain, fake_platform, sent_run):
    answer = robotrain("resubmit", sent_run, "--set", "batch_size=none", "--set", "bacth_size=3")
    assert answer.exit_code == 2
    assert "--batch-size takes a whole number" in answer.stderr
    assert "batch_size" in answer.stderr


def test_resubmit_of_a_run_whose_plan_is_gone_says_so(robotrain, fake_platform, sent_run):
    import shutil

    shutil.rmtree(plans.get_plan_folder(sent_run))
    answer = robotrain("resubmit", sent_run)
    assert answer.exit_code == 2
    assert f"the stored plan of {sent_run} cannot be read" in answer.stderr


def test_resume_goes_on_from_the_last_checkpoint_as_a_run_of_its_own(robotrain, fake_platform, sent_run):
    set_run_state(fake_platform, sent_run, state="failed", checkpoints=[2, 4])
    answer = robotrain("resume", sent_run, "--training-steps", "20")
    run = answer.stdout.strip()
    assert "resuming from step 4" in answer.stderr
    job = plans.read_stored_plan(run).plan.job
    assert job["training_steps"] == 20
    (source,) = [source for source in job.sources if source.role == "resume"]
    assert source.uri == f"/fake/{sent_run}/checkpoints/000004"
    told = {value["name"]: (value["value"], value["origin"]) for value in plans.read_stored_plan(run).values}
    assert told["resume"] == (f"local_path {source.uri}", f"run {sent_run}")
    assert robotrain("resubmit", run, "--set", "batch_size=4").exit_code == 0


def test_a_resume_that_was_cut_off_is_told_and_finished(robotrain, fake_platform, sent_run):
    set_run_state(fake_platform, sent_run, state="failed", checkpoints=[2, 4])
    with answer_submits(fake_platform, "takes it and hangs up"):
        robotrain("resume", sent_run, "--training-steps", "20")
    left = records.list_runs()[0]
    answer = robotrain("resume")  # the newest: that one
    assert "fake has the run" in answer.stderr
    assert f"robotrain cancel {left}" in answer.stderr
    assert (answer.exit_code, records.read_record(left).phase) == (2, "sent")
    assert len((fake_platform / "jobs" / left).read_text().split()) == 1


def test_a_resumed_run_is_resumed_from_its_own_checkpoint(robotrain, fake_platform, sent_run):
    set_run_state(fake_platform, sent_run, state="failed", checkpoints=[4])
    first = robotrain("resume", sent_run, "--training-steps", "20").stdout.strip()
    set_run_state(fake_platform, first, state="failed", checkpoints=[8])
    second = robotrain("resume", first, "--set", "batch_size=4").stdout.strip()
    sources = plans.read_stored_plan(second).plan.job.sources
    assert [source.uri for source in sources if source.role == "resume"] == [f"/fake/{first}/checkpoints/000008"]


def test_resume_refuses_a_run_that_goes_on_and_one_without_a_checkpoint(robotrain, fake_platform, sent_run):
    going = robotrain("resume", sent_run).stderr
    assert "is still running" in going
    assert f"robotrain wait {sent_run}" in going
    assert "saves a checkpoint" not in going  # only some platforms do on a cancel
    set_run_state(fake_platform, sent_run, state="failed")
    answer = robotrain("resume", sent_run)
    assert answer.exit_code == 2
    assert "[checkpoint-missing]" in answer.stderr
    assert f"robotrain resubmit {sent_run}" in answer.stderr


def test_register_names_the_version(robotrain, fake_platform, sent_run):
    assert "pusht version 1" in robotrain("register", sent_run, "pusht").stdout
    assert robotrain("register", sent_run, "pusht", "--step", "4", "--json").json == {
        "model": "pusht",
        "version": "1",
        "step": 4,
        "uri": "models:/pusht/1",
        "scores": {},
        "conditions": "",
        "new": True,
        "replaced": None,
    }
    assert "model-name-missing" in robotrain("register", sent_run).stderr
    refused = robotrain("register", sent_run, "no/name")
    assert (refused.exit_code, "registering" in refused.stderr) == (2, False)


@pytest.mark.parametrize("following", ["--wait", "--stream"])
def test_what_is_not_sent_cannot_be_followed(robotrain, fake_platform, job_words, sent_run, following):
    for said in (("submit", *job_words), ("resubmit", sent_run)):
        answer = robotrain(*said, "--dry-run", following)
        assert answer.exit_code == 2
        assert f"--dry-run submits no run: {following}" in answer.stderr


@pytest.mark.parametrize("said", [("submit",), ("resubmit",)])
def test_a_stream_shows_the_log_to_the_end_of_the_run(robotrain, fake_platform, job_words, sent_run, said):
    (fake_platform / "others.json").write_text(json.dumps({"state": "succeeded", "log": ["step 10 of 10"]}))
    words = (*said, *job_words, "--new") if said == ("submit",) else (*said, sent_run)
    answer = robotrain(*words, "--stream")
    assert answer.exit_code == 0, answer.stderr
    assert "step 10 of 10" in answer.stderr
    assert "succeeded" in answer.stdout


def test_resume_passes_over_a_checkpoint_that_is_not_as_it_was_saved(tmp_path):
    from robotrain.model.run import Output
    from robotrain.submission import resume
    from robotrain_runtime.contract import checkpoint

    found = []
    for step in (2, 4):
        folder = tmp_path / f"{step:06}"
        folder.mkdir()
        (folder / "model").write_text(f"weights of step {step}")
        digest = checkpoint.seal_checkpoint(folder, step=step, run="train-1", job="j").digest
        name = f"checkpoints/{step:06}"
        one = Output(name=name, kind="checkpoint", source="local_path", uri=str(folder), step=step, digest=digest)
        found.append(one)
    said = []
    assert resume.find_last_intact_checkpoint(found, said.append).step == 4
    (tmp_path / "000004/model").write_text("torn")
    assert resume.find_last_intact_checkpoint(found, said.append).step == 2
    assert said == [f"warning: {tmp_path}/000004/model is not what was saved: skipped"]
