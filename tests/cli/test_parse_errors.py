"""What the parser rejects is answered by every command in one form: what is wrong, and the line to type."""

import pytest


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("status a b", ""),
        ("rename", ""),
        ("report a --too x", " --too"),
        ("rename --n", " --n"),
        ("--vresion", " --vresion"),
        ("resume --stpes 3", " --stpes"),
        ("resubmit mine --lr", " --lr"),
        ("resume --name new mine --lr=1e-5 --wait", " --lr"),
        ("resubmit --batch_size 3", " --batch_size"),
        ("resubmit --learning-rat 3", " --learning-rat"),
        ("resubmit -d x", " -d"),
        ("resubmit --a.b 3", " --a.b"),
        ("wait --timeout", " --timeout"),
        ("submit --platform", " --platform"),
        ("logs --json=3", " --json"),
        ("runs -n 0", " --number 0"),
        ("plugins nwe", ""),
        ("pipeline", ""),
        ("pipeline submti a", ""),
        ("--foo", " --foo"),
        ("runs --keep few", " --keep few"),
    ],
)
def test_a_line_that_cannot_be_parsed_is_answered_with_the_one_to_type(robotrain, line, place):
    answer = robotrain(*line.split())
    answer.check_problems(2, f"usage{place}")
    assert (answer.stdout, "Usage:" in answer.stderr) == ("", False)


def test_option_like_no_other_is_answered_with_the_help(robotrain):
    robotrain("--json").check_problems(2, "usage --json")


def test_given_value_is_shown_without_secrets(robotrain):
    token = "hf_" + "a1B2" * 10
    assert token not in robotrain("status", "a", token).stderr
