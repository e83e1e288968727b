"""`--results` of `command`: a file with scores makes the run an evaluation, like those of robotrain's own workloads."""

import json
import shlex
from pathlib import Path

import pytest
from job_documents import check_findings
from robotrain import api
from robotrain.model.scores import format_scores
from robotrain_runtime.contract.event import Evaluated, format_event, parse_event
from robotrain_workloads.command import results
from robotrain_workloads.command.workload import COMMAND

SCORES = {
    "success_rate": {"value": 0.82, "unit": "share", "better": "higher", "low": 0.69, "high": 0.91},
    "tracking_error": {"value": 4.25, "unit": "mm", "better": "lower", "low": 3.5, "high": 5.0},
    "return": 12.3,
}
FILE = {"scores": SCORES, "episodes": 50, "conditions": "pusht, 80 steps"}
SHOWN = "success 41 of 50, 82% (69-91%)  tracking_error 4.25 mm (3.5 to 5)  return 12.3"


@pytest.fixture
def evaluate(robotrain, monkeypatch, tmp_path):
    """Run a program that writes a text, or JSON of something else, to a file of its outputs."""
    monkeypatch.chdir(tmp_path)

    def run(content, *options, file="results.json"):
        Path("content").write_text(content if isinstance(content, str) else json.dumps(content))
        script = f'cp {shlex.quote(str(tmp_path))}/content "$ROBOTRAIN_OUTPUTS"/{file}'
        line = ("--results", "results.json", *options, "--new", "--wait", "--", "bash", "-c", script)
        answer = robotrain("submit", "command", "--platform", "local", "--tracking-uri", "none", *line)
        return answer, api.runs(limit=1)[0]

    return run


@pytest.mark.slow
def test_file_with_scores_makes_an_evaluation(evaluate, robotrain, tmp_path):
    answer, run = evaluate(FILE)
    assert answer.exit_code == 0, answer.stderr
    evaluated = run.evaluated()
    assert (evaluated.episodes, evaluated.passed) == (50, None)
    assert evaluated.scores["tracking_error_low"] == 3.5
    assert SHOWN in robotrain("status").stdout
    assert "82%" in robotrain("runs").stdout
    assert "no checkpoint" not in robotrain("outputs").stderr
    assert [output.name for output in run.outputs() if output.uri == evaluated.results] == ["outputs/files"]


@pytest.mark.slow
def test_policy_that_does_not_pass_fails_the_run(evaluate):
    answer, run = evaluate({**FILE, "passed": False})
    assert answer.exit_code == 5
    assert 'the policy did not pass: results.json says "passed": false' in answer.stderr + answer.stdout
    assert run.evaluated().scores["return"] == 12.3


@pytest.mark.slow
def test_program_without_results_has_failed(evaluate):
    answer, run = evaluate(FILE, file="scores.json")
    assert answer.exit_code == 5
    assert "results.json is not in {outputs}" in answer.stderr + answer.stdout
    assert run.evaluated() is None


MALFORMED = [
    "",
    "[]",
    "{}",
    '{"scores": {}}',
    '{"scores": {"a": "1"}}',
    '{"scores": {"a": true}}',
    '{"scores": {"a": {"value": 1, "better": "up"}}}',
    '{"scores": {"a": {"value": 1, "unit": 3}}}',
    '{"scores": {"a": NaN}}',
    '{"scores": {"a\\n": 1}}',
    '{"scores": {"a": 1}, "episodes": -1}',
    '{"scores": {"a": 1}, "passed": "yes"}',
    "[" * 100_000,
    b"\xff",
    f'{{"scores": {{"a": {"9" * 5000}}}}}',
    '{"scores": {"../a": 1}}',
]


@pytest.mark.parametrize("content", MALFORMED, ids=lambda content: str(content)[:60])
def test_malformed_results_are_one_sentence(content):
    with pytest.raises(ValueError) as caught:
        results.parse_results(content if isinstance(content, bytes) else content.encode())
    assert "\n" not in str(caught.value)
    check_findings([str(caught.value)])


def test_scores_without_a_finite_value_are_left_out():
    content = '{"scores": {"a": 1, "b": NaN, "c": null, "d": {"value": 1e999}, "e": {"value": 2, "low": null}}}'
    fields, left_out = results.parse_results(content.encode())
    assert (fields["scores"], left_out) == ({"a": 1.0, "e": 2.0}, ["b", "c", "d"])


def test_description_in_the_file_counts_in_views():
    fields, _ = results.parse_results(json.dumps(FILE).encode())
    evaluated = Evaluated(**fields, results="/r")
    record = parse_event(format_event(evaluated))
    assert record.event == evaluated
    assert format_scores(evaluated, COMMAND.profile.metrics) == SHOWN
    plain = Evaluated(episodes=0, scores={"a": 1.0, "b": 2.0}, results="/r")
    assert format_scores(plain, COMMAND.profile.metrics) == "a 1  b 2"


@pytest.mark.slow
def test_results_are_compared_with_unit_and_direction(evaluate, robotrain, tmp_path):
    evaluate(FILE)
    evaluate({**FILE, "scores": {**SCORES, "tracking_error": {"value": 2, "unit": "mm", "better": "lower"}}})
    names = [run.name for run in api.runs()]
    answer = robotrain("report", *names, "--to", str(tmp_path / "page.html"))
    assert answer.exit_code == 0, answer.stderr
    page = (tmp_path / "page.html").read_text()
    assert "4.25 mm (3.5 to 5)" in page
    assert "2 mm" in page
    assert "Lower is better: tracking_error." in page
    assert "tracking_error_low" not in page


def test_results_of_a_training_are_without_its_checkpoints(tmp_path):
    outputs = tmp_path / "files"
    names = ("results.json", "plots/a.png", "checkpoints/10/model.pt", "checkpoints/20.tmp/x", "checkpoints/last.txt")
    for name in names:
        (outputs / name).parent.mkdir(parents=True, exist_ok=True)
        (outputs / name).write_text(name)
    spec = results.ProgramSpec(arguments=(), folder="", work="", outputs=str(outputs), checkpoints="")
    folder = results.link_results(spec, "checkpoints/{step}")
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {*names} - {
        "checkpoints/10/model.pt"
    }


TRAIN = """
workload: command
parameters: {shell: true, checkpoints: "saved/{step}", checkpoint_complete: rename}
run: ['cd "$ROBOTRAIN_OUTPUTS"; mkdir -p saved part; echo 7 >part/weights.bin; mv part saved/7']
"""
EVALUATE = """
workload: command
parameters: {results: scores.json}
params: {passed: "true"}
sources: {code: [{local_path: program}]}
run: [bash, evaluate.sh, "{policy}", "{outputs}", "{passed}"]
"""
SCRIPT = """echo '{"scores": {"return": '$(cat "$1"/*.bin)'}, "passed": '$3'}' >"$2/scores.json"
"""
PIPELINE = """
name: own
steps:
  train: {job: train.yaml}
  evaluate:
    job: evaluate.yaml
    sources: {policy: [{from: train}]}
"""


@pytest.mark.slow
@pytest.mark.parametrize("passed", [True, False])
def test_pipeline_of_two_own_programs_trains_and_evaluates(robotrain, monkeypatch, tmp_path, passed):
    monkeypatch.chdir(tmp_path)
    Path("program").mkdir()
    Path("program/evaluate.sh").write_text(SCRIPT)
    for name, text in (("train", TRAIN), ("evaluate", EVALUATE), ("pipeline", PIPELINE)):
        Path(f"{name}.yaml").write_text(text)
    untracked = [word for step in ("train", "evaluate") for word in ("--set", f"{step}.tracking_uri=none")]
    line = ("--platform", "local", *untracked, "--set", f"evaluate.passed={json.dumps(passed)}", "--wait")
    answer = robotrain("pipeline", "submit", "pipeline.yaml", *line)
    assert answer.exit_code == (0 if passed else 5), answer.stderr + answer.stdout
    evaluated = next(filter(None, (run.evaluated() for run in api.runs())))
    assert (evaluated.scores["return"], evaluated.step, evaluated.passed) == (7, 7, passed)
