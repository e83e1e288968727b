"""What the parser rejects is answered by every command in one form: what is wrong, and the line to type."""

import pytest


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("status a b", "usage"),
        ("rename", "usage"),
        ("wait --timeout", "usage --timeout"),
        ("submit --platform", "usage --platform"),
        ("logs --json=3", "usage --json"),
        ("runs -n 0", "usage --number"),
        ("prune --keep few", "usage --keep"),
        ("pipeline", "usage"),
        ("plugins nwe", "usage"),
        ("report a --too x", "option-unknown --too"),
        ("--vresion", "option-unknown --vresion"),
        ("--foo", "option-unknown --foo"),
        ("resume --stpes 3", "option-unknown --stpes"),
        ("resubmit mine --lr", "option-unknown --lr"),
        ("resubmit -d x", "option-unknown -d"),
        ("pipeline submti a", "command-unknown"),
    ],
)
def test_a_line_that_cannot_be_parsed_is_answered_in_one_form(robotrain, line, problem):
    answer = robotrain(*line.split())
    answer.check_problems(2, problem)
    assert (answer.stdout, "Usage:" in answer.stderr) == ("", False)


@pytest.mark.parametrize(
    ("line", "way"),
    [
        ("resume --stpes 3", "--steps"),
        ("--vresion", "--version"),
        ("pipeline submti a", "robotrain pipeline submit"),
        ("submti", "robotrain submit"),
        ("resubmit --batch-size 3", "--set KEY=VALUE"),
        ("submit --platfrom local", "--platform"),
        ("submit lerobot-trian --platform local", "lerobot-train"),
        ("submit local", "--platform local"),
    ],
)
def test_the_nearest_name_is_offered(robotrain, line, way):
    (problem, *_) = robotrain(*line.split(), "--json").json["problems"]
    assert [suggestion["text"] for suggestion in problem["instead"]] == [way]


def test_an_option_of_others_is_named_as_such(robotrain):
    (problem,) = robotrain("status", "--follow", "--json").json["problems"]
    assert (problem["instead"], "robotrain logs" in problem["why"]) == ([], True)


def test_given_value_is_shown_without_secrets(robotrain):
    token = "hf_" + "a1B2" * 10
    assert token not in robotrain("status", "a", token).stderr
