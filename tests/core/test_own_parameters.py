"""Parameters of the user's own: `params:` of a job file, `--param`, and whatever knows a job's parameters."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from fake_engine import set_run_state
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plugin_sources import make_workload
from problem_assertions import check_rejected
from robotrain.cli.app import app
from robotrain.redaction import value_holds_secret
from robotrain.store import plans

WORKLOAD = make_workload(
    "mine",
    'num_gpus: Annotated[int, Param(help="how many", gt=0)] = 1',
    'remark: Annotated[str | None, Param(help="a remark")] = None',
    roles='{"dataset": Role(), "resume": Role()}',
    container_plugin='"mine_work"',
    own_command='UserCommand(("outputs",))',
    get_option_name='lambda argument: ""',
).replace("import Param", "import UserCommand, Param")
ODD = (
    "1e-4",
    "true",
    "no",
    "0x10",
    "1_000",
    "2026-11-23",
    "null",
    "~",
    "",
    " a ",
    "a,b=c",
    "{x} ${Y} {{z}}",
    "é 月\n2",
)
COMMAND = ("--", "python", "train.py", "{lr}")


@pytest.fixture(autouse=True)
def mine(install, fake_platform):
    """A stranger's workload that takes parameters of its user's own, and a platform that runs it."""
    install("acme-mine", {"workload.mine": "mine_work"}, mine_work=WORKLOAD)


@pytest.fixture
def parameters(robotrain):
    """The parameters in the job document of a command."""

    def run(*words):
        answer = robotrain("render", "--json", "--platform", "fake", *words)
        assert answer.exit_code == 0, answer.stderr
        return json.loads(answer.json["files"]["job.json"]["text"])["parameters"]

    return run


@pytest.fixture
def refuse(robotrain):
    """Check that a job is refused with one problem; return what was printed."""

    def run(problem, *words):
        answer = robotrain("explain", "--platform", "fake", *words)
        answer.check_problems(2, problem)
        assert answer.stderr.count("error:") == 1
        return answer.stderr

    return run


def write_job(**job):
    Path("job.yaml").write_text(yaml.safe_dump({"workload": "mine", "run": ["python", "{lr}"], **job}))


def test_value_is_the_text_that_was_given(parameters):
    texts = {f"p{number}": text for number, text in enumerate(ODD)}
    write_job(params={**texts, "lr": "x"})
    assert parameters("job.yaml").items() >= texts.items()
    params = [f"--param={name}={text}" for name, text in texts.items()]
    sets = [f"--set=params.{name}={text}" for name, text in texts.items()]
    over = [f"--set={name}={text}" for name, text in texts.items()]
    write_job(params={**dict.fromkeys(texts, "y"), "lr": "x"})
    assert parameters("job.yaml", *params).items() >= texts.items()
    assert parameters("mine", *sets, "--param", "lr=1", *COMMAND).items() >= texts.items()
    assert parameters("job.yaml", *over).items() >= texts.items()


def test_scalar_of_a_job_file_stays_as_it_is_written(parameters):
    Path("job.yaml").write_text("workload: mine\nparams: {a: 1e-4, b: true, c: No, d: 0o7, e: 1.50, f: 2026-11-23}\n")
    texts = parameters("job.yaml")
    assert [texts[name] for name in "abcdef"] == ["1e-4", "true", "No", "0o7", "1.50", "2026-11-23"]


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t"), max_size=60)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS.filter(lambda text: not value_holds_secret(f"a={text}")))
def test_any_text_arrives_unchanged(parameters, text):
    write_job(params={"a": text, "b": "", "c": ""})
    texts = parameters("job.yaml", f"--param=b={text}", "--set", f"c={text}", f"--set=params.d={text}")
    assert [texts[name] for name in "abcd"] == [text] * 4


def test_origins_and_what_was_overridden(robotrain):
    write_job(params={"lr": "1e-3"})
    answer = robotrain("explain", "job.yaml", "--platform", "fake", "--param", "lr=1e-4", "--json")
    row = next(row for row in answer.json["values"] if row["name"] == "lr")
    assert row == {
        "name": "lr",
        "value": "1e-4",
        "origin": "flag --param lr",
        "overrode": [{"value": "1e-3", "origin": "job file job.yaml:2"}, {"value": None, "origin": "default"}],
        "own": True,
    }


def test_those_of_a_job_file_come_first_and_then_those_of_the_line(robotrain):
    write_job(params={"b": "1", "c": "2"})
    words = ("job.yaml", "--platform", "fake", "--param", "c=3", "--param", "a=4", "--json")
    pairs = [(row["name"], row["value"]) for row in robotrain("explain", *words).json["values"]]
    assert [pair for pair in pairs if pair[0] in "abc"] == [("b", "1"), ("c", "3"), ("a", "4")]


def test_python_call(robotrain):
    import robotrain.api

    rows = robotrain.api.explain(platform="fake", workload="mine", params={"lr": 1e-4, "flip": True, "note_2": "a b"})
    values = {row["name"]: row["value"] for row in rows}
    assert (values["lr"], values["flip"], values["note_2"]) == ("0.0001", "true", "a b")
    with check_rejected("value-invalid"):
        robotrain.api.explain(platform="fake", workload="mine", params=["lr=1"])
    with check_rejected("value-unknown"):
        robotrain.api.explain(platform="fake", workload="lerobot-train", dataset_path="x", params={"lr": 1})


OF_OTHERS = ("num_gpus", "slots", "dataset", "outputs", "publish_url", "run", "lambda")


NAMES = (*OF_OTHERS, "learning-rate", "1st", "größe", "__init__")


def test_name_that_cannot_be_is_refused_in_each_way(robotrain):
    lines = [f"  {name}: 1\n" for name in NAMES]
    Path("job.yaml").write_text(f"params:\n{''.join(lines)}workload: mine\n")
    problems = [f"own-parameter-invalid job.yaml:{line}" for line in range(2, len(NAMES) + 2)]
    robotrain("explain", "--platform", "fake", "job.yaml").check_problems(2, *problems)
    options = [f"--param={name}=1" for name in NAMES]
    answer = robotrain("explain", "--platform", "fake", "mine", *options, *COMMAND)
    answer.check_problems(2, "own-parameter-invalid --param")
    assert answer.stderr.count("own-parameter-invalid") == len(NAMES)


MALFORMED = (
    (("--param", "lr"), "value-invalid --param"),
    (("--param", "lr=1", "--param", "lr=2"), "value-invalid --param lr"),
    (("--param", "lr=1", "--set", "lr=2"), "options-conflict --set lr"),
    (("--param", "lr=1", "--set", "params.lr=2"), "options-conflict --set params.lr"),
    (("--set", "lr=2"), "value-unknown --set lr"),
    (("--param", "api_token=s3cr3tvalue99"), "secret-in-job --param api_token"),
    (("--param", "lr=hf_aB3dE5gH7jK9mN1pQ3sT5"), "secret-in-job --param lr"),
)


def test_malformed_values_are_refused(refuse):
    for words, problem in MALFORMED:
        text = refuse(problem, "mine", *words, *COMMAND)
        assert not {"s3cr3tvalue99", "hf_aB3dE5gH7jK9mN1pQ3sT5"} & {*text.split()}, words


def test_malformed_table_is_refused_with_its_line(refuse):
    for params in ("{lr: null}", "{lr: [1]}", "[lr]"):
        Path("job.yaml").write_text(f"workload: mine\nparams: {params}\n")
        refuse("file-wrong job.yaml:2", "job.yaml")
    Path("job.yaml").write_text("workload: mine\nparams: {}\nparameters: {lr: 1}\n")
    refuse("file-unknown-key job.yaml:3", "job.yaml")


def test_workload_that_takes_none_refuses_them(robotrain):
    text = "workload: lerobot-train\nsources: {dataset: {local_path: x}}\nparams: {lr: 1}\n"
    Path("job.yaml").write_text(text)
    explain = ("explain", "--platform", "fake", "job.yaml")
    robotrain(*explain).check_problems(2, "own-parameter-invalid job.yaml:3")
    Path("job.yaml").write_text(text.replace("params: {lr: 1}", ""))
    robotrain(*explain, "--param", "lr=1").check_problems(2, "option-unknown --param")
    assert "--param NAME=VALUE" in robotrain("submit", "mine", "--help-all").stdout
    assert "--param NAME=VALUE" not in robotrain("submit", "lerobot-train", "--help-all").stdout


def test_saved_job_has_them_apart(robotrain, parameters):
    words = ("mine", "--platform", "fake", "--num-gpus", "1", "--param", "lr=1e-4", "--param", "note_2=yes")
    assert robotrain("explain", *words, "--save-as", "saved.yaml", *COMMAND).exit_code == 0
    saved = yaml.load(Path("saved.yaml").read_text(), yaml.BaseLoader)
    assert (saved["params"], saved["parameters"]) == ({"lr": "1e-4", "note_2": "yes"}, {"num_gpus": "1"})
    texts = parameters("saved.yaml")
    assert (texts["lr"], texts["note_2"]) == ("1e-4", "yes")


def test_new_job_file_shows_where_they_stand(robotrain, tmp_path):
    assert robotrain("init", "--workload", "mine", tmp_path / "new").exit_code == 0
    assert "# params:\n#   NAME: VALUE\n" in (tmp_path / "new/job.yaml").read_text()


FITTING = (
    ({"params": {"lr": 1e-4, "flip": True, "text": ""}}, True),
    ({"params": {}}, True),
    ({"params": {"num_gpus": 1}}, False),
    ({"params": {"dataset": 1}}, False),
    ({"params": {"a-b": 1}}, False),
    ({"params": {"lr": None}}, False),
    ({"params": {"lr": [1]}}, False),
    ({"workload": "lerobot-train", "params": {"lr": 1}, "sources": {"dataset": {"local_path": "x"}}}, False),
)


def test_schema_takes_what_the_reader_takes(robotrain):
    job_schema, pipeline_schema = (
        jsonschema.Draft202012Validator(robotrain(*words).json) for words in (("schema",), ("pipeline", "schema"))
    )
    for fields, fits in FITTING:
        job = {"workload": "mine", **fields}
        assert (job_schema.is_valid(job), pipeline_schema.is_valid({"steps": {"one": job}})) == (fits, fits), fields
        Path("job.yaml").write_text(yaml.safe_dump(job))
        assert (robotrain("explain", "--platform", "fake", "job.yaml").exit_code == 0) == fits, fields


def test_completion_of_set_knows_them(monkeypatch, capsys):
    write_job(params={"lr": "1", "layers": "2"})
    words = "robotrain submit job.yaml --platform fake --set l"
    monkeypatch.setenv("_ROBOTRAIN_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    with pytest.raises(SystemExit):
        app(prog_name="robotrain")
    assert {"layers=", "lr="} <= {*capsys.readouterr().out.split()}


def test_records_resubmit_diff_and_filters(robotrain):
    write_job(params={"lr": "1e-3", "note_2": "same"})
    first = robotrain("submit", "job.yaml", "--platform", "fake").stdout.strip()
    again = robotrain("resubmit", first, "--set", "lr=1e-4")
    second = again.stdout.strip()
    assert "lr: 1e-3 → 1e-4" in again.stderr
    assert [dict(plans.read_stored_plan(run).plan.job.parameters)["lr"] for run in (first, second)] == ["1e-3", "1e-4"]
    third = robotrain("resubmit", second, "--set", "params.new=7").stdout.strip()
    assert dict(plans.read_stored_plan(third).plan.job.parameters)["new"] == "7"
    shown_rows = map(str.split, robotrain("diff", first, second).stdout.splitlines())
    assert ["python", "1e-3", "1e-4"] in shown_rows
    rows = robotrain("runs", "--set", "lr=1e-4", "--json").json["runs"]
    assert {row["run"] for row in rows} == {second, third}
    robotrain("resubmit", first, "--set", "lrr=2").check_problems(2, "value-unknown --set lrr")


def test_plan_of_a_run_is_sent_again_without_them_declared(robotrain):
    answer = robotrain("submit", "mine", "--platform", "fake", "--param", "lr=1", *COMMAND)
    assert answer.exit_code == 0, answer.stderr
    run = answer.stdout.strip()
    again = robotrain("resubmit", run, "--new")
    assert again.exit_code == 0, again.stderr
    stored = plans.read_stored_plan(again.stdout.strip())
    assert dict(stored.plan.job.parameters)["lr"] == "1"


def test_options_after_dashes_change_the_command_of_a_run_and_its_parameters(robotrain):
    command = ("--", "python", "train.py", "--lr", "{lr}", "--epochs", "10")
    run = robotrain("submit", "mine", "--platform", "fake", "--param", "lr=1", *command).stdout.strip()
    again = robotrain("resubmit", run, "--", "--lr", "2", "--epochs", "20")
    assert again.exit_code == 0, again.stderr
    assert "  lr: 1 → 2\n" in again.stderr
    assert "  --epochs: 10 → 20\n" in again.stderr
    job = plans.read_stored_plan(again.stdout.strip()).plan.job
    assert job["lr"] == "2"
    assert job.trainer_args == ("python", "train.py", "--lr", "{lr}", "--epochs", "20")


def test_resumed_run_keeps_them(robotrain, fake_platform):
    words = ("submit", "mine", "--platform", "fake", "--param", "lr=1", "--param", "text=", *COMMAND)
    run = robotrain(*words).stdout.strip()
    set_run_state(fake_platform, run, state="failed", checkpoints=[4])
    for sets, expected in (((), ("1", "")), (("--set", "lr=2", "--set", "text=x"), ("2", "x"))):
        answer = robotrain("resume", run, *sets)
        assert answer.exit_code == 0, answer.stderr
        job = plans.read_stored_plan(answer.stdout.strip()).plan.job
        assert (job["lr"], job["text"]) == expected
        set_run_state(fake_platform, answer.stdout.strip(), state="failed")


def test_steps_of_a_pipeline_have_their_own(robotrain):
    write_job(params={"lr": "1", "kept": "yes"})
    Path("pipeline.yaml").write_text(
        "steps:\n  one: {job: job.yaml}\n  two: {job: job.yaml, params: {lr: 2, more: 3}, after: one}\n"
    )
    words = ("pipeline", "render", "pipeline.yaml", "--platform", "fake", "--set", "one.lr=9", "--json")
    answer = robotrain(*words)
    assert answer.exit_code == 0, answer.stderr
    steps = json.loads(answer.json["files"]["pipeline.json"]["text"])["steps"]
    own = [{name: step["parameters"].get(name) for name in ("lr", "kept", "more")} for step in steps]
    assert own == [{"lr": "9", "kept": "yes", "more": None}, {"lr": "2", "kept": "yes", "more": "3"}]
