"""How a suggestion is applied to the line that was refused."""

import shlex

import pytest
from robotrain.errors import Problem, Stage, Suggestion
from robotrain.line_edits import LineOptions, edit_line, find_placeholders

OPTIONS = LineOptions({"--steps": "--training-steps"}, frozenset(("--new", "--dry-run")))


def apply(line, text, where="", given="", replaces=""):
    problem = Problem(code="wrong", stage=Stage.USAGE, title="wrong", where=where, given=given)
    words = edit_line(shlex.split(line), problem, Suggestion(text, replaces=replaces), OPTIONS)
    return None if words is None else shlex.join(words)


CORRECTED = [
    # the whole line
    ("status tarin-1", {"text": "robotrain status train-1"}, "status train-1"),
    # an option in place of that of its name, however it is written, else at the end
    ("submit --gpus 0 --new", {"text": "--gpus 1"}, "submit --gpus 1 --new"),
    ("submit --gpus=0 --new", {"text": "--gpus 1"}, "submit --gpus 1 --new"),
    ("submit --steps 0", {"text": "--training-steps 5"}, "submit --training-steps 5"),
    ("submit --gpus 2", {"text": "--platform local"}, "submit --gpus 2 --platform local"),
    ("submit -- --a.b=1", {"text": "--gpus 1"}, "submit --gpus 1 -- --a.b=1"),
    ("submit --new lerobot-train", {"text": "--repin --no-pin"}, "submit --new lerobot-train --repin --no-pin"),
    ("submit --seed -1", {"text": "--seed 1"}, "submit --seed 1"),
    # given twice: all that there are, or the one that is meant
    ("submit --seed 1 --seed 2", {"text": "--seed 2"}, "submit --seed 2"),
    ("submit -d a/b -d c", {"text": "-d me/c", "given": "c"}, "submit -d a/b -d me/c"),
    ("submit --set a=1 --set b=2", {"text": "--set b=3"}, "submit --set a=1 --set b=3"),
    # in place of options of other names
    ("submit --gpu-kind A100", {"text": "--gpu-type A100", "replaces": "--gpu-kind"}, "submit --gpu-type A100"),
    ("submit --keep 2 --new x", {"text": "leave out --keep", "replaces": "--keep"}, "submit --new x"),
    ("submit --new x", {"text": "leave out --new", "replaces": "--new"}, "submit x"),
    # after --
    ("submit -- --a.b=1 --c=2", {"text": "-- --c=3"}, "submit -- --a.b=1 --c=3"),
    ("submit -- --a.b 1 --c=2", {"text": "--a.b=3", "where": "--"}, "submit -- --a.b=3 --c=2"),
    ("submit", {"text": "-- --c=3"}, "submit -- --c=3"),
    ("submit -- --a.x=1", {"text": "--a.b=1", "where": "--", "replaces": "--a.x"}, "submit -- --a.b=1"),
    ("submit -- --seed=1", {"text": "--seed 1", "where": "--", "replaces": "--seed"}, "submit --seed 1"),
    ("submit -- agent.x=1", {"text": "agent.x=2", "where": "--"}, "submit -- agent.x=2"),
    ("submit -- --c=1", {"text": "leave out --c", "where": "--", "replaces": "--c"}, "submit"),
    ("sweep -- --c=1", {"text": "--c=2", "where": "seed=1: --"}, "sweep -- --c=2"),
    ("pipeline submit x.yaml", {"text": "--c=2", "where": "step train: --"}, "pipeline submit x.yaml -- --c=2"),
    # a word
    ("submit lerobot-trian", {"text": "lerobot-train", "given": "lerobot-trian"}, "submit lerobot-train"),
]


@pytest.mark.parametrize(("line", "suggestion", "corrected"), CORRECTED)
def test_a_suggestion_makes_a_line_of_the_refused_one(line, suggestion, corrected):
    assert apply(line, **suggestion) == corrected


INCOMPLETE = [
    ("submit", {"text": "--gpus N"}),
    ("submit", {"text": "--dataset-repo-id OWNER/NAME"}),
    ("submit", {"text": "robotrain sweep … --over seed=1,2"}),
    ("submit", {"text": "the same submit command"}),
    ("submit", {"text": "sudo mount /mnt"}),
    ("submit", {"text": "leave out --keep", "replaces": "--keep"}),  # it stands in a file
    ("submit", {"text": "--publish-url /x", "replaces": "--keep"}),
    ("submit job.yaml", {"text": "training_steps", "given": "trainig_steps"}),
    ("submit -d a -d b", {"text": "-d me/c", "given": "c"}),
]


@pytest.mark.parametrize(("line", "suggestion"), INCOMPLETE)
def test_what_is_still_to_be_chosen_or_no_part_of_the_line_makes_none(line, suggestion):
    assert apply(line, **suggestion) is None


def test_names_with_digits_and_words_of_the_line_are_no_placeholders():
    assert find_placeholders("--task Isaac-Reach-UR10-v0 --gpu-type T4") == []
    assert find_placeholders("--publish-url https://a.b/DATA/x", ["https://a/DATA"]) == []
    assert find_placeholders("--blob-url https://ACCOUNT.b/…") == ["…", "ACCOUNT"]
    assert find_placeholders('--mapping={"ACTION": "MIN_MAX"}') == []
    assert find_placeholders("--scheduler=DDIM", ["--scheduler=ddim"]) == []
