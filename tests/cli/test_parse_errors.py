"""What the parser rejects is answered by every command in one form: what is wrong, and the line to type."""

import pytest


@pytest.mark.parametrize(
    ("line", "title", "way"),
    [
        ("status a b", "unexpected argument 'b'", "robotrain status [RUN]"),
        ("rename", "`robotrain rename` needs an argument: RUN", "robotrain rename RUN [NAME]"),
        ("report a --too x", "`robotrain report` has no option --too", "--to x"),
        ("rename --n", "`robotrain rename` has no option --n", "robotrain rename --help"),
        ("--vresion", "`robotrain` has no option --vresion", "--version"),
        ("resume --stpes 3", "`robotrain resume` has no option --stpes", "--steps 3"),
        (
            "resubmit mine --lr",
            "`robotrain resubmit` has no option --lr",
            "--set learning_rate=VALUE",
        ),
        (
            "resume --name new mine --lr=1e-5 --wait",
            "`robotrain resume` has no option --lr",
            "--set learning_rate=1e-5",
        ),
        (
            "resubmit --batch_size 3",
            "`robotrain resubmit` has no option --batch_size",
            "--set batch_size=3",
        ),
        (
            "resubmit --learning-rat 3",
            "`robotrain resubmit` has no option --learning-rat",
            "--set learning_rate=3",
        ),
        (
            "resubmit -d x",
            "`robotrain resubmit` has no option -d",
            "--set sources.dataset.huggingface=x",
        ),
        ("resubmit --a.b 3", "`robotrain resubmit` has no option --a.b", "-- --a.b=3"),
        ("wait --timeout", "--timeout needs a value", "--timeout TIME"),
        ("submit --platform", "--platform needs a value", "--platform NAME"),
        ("logs --json=3", "--json takes no value", "--json"),
        ("runs -n 0", "--number takes a whole number of at least 1", ""),
        ("plugins new platfrom plain", "platform|source|workload takes platform, source or workload", "platform"),
        ("plugins nwe", "`robotrain plugins` has no command 'nwe'", "robotrain plugins new"),
        ("pipeline", "`robotrain pipeline` needs a command", "robotrain pipeline --help"),
        ("pipeline submti a", "`robotrain pipeline` has no command 'submti'", "robotrain pipeline submit a"),
        ("--foo", "`robotrain` has no option --foo", "robotrain --help"),
    ],
)
def test_a_line_that_cannot_be_parsed_is_answered_with_the_one_to_type(robotrain, line, title, way):
    answer = robotrain(*line.split())
    assert (answer.exit_code, answer.stdout) == (2, "")
    first, *rest = answer.stderr.splitlines()
    assert first.split("  ")[0] == f"error: {title}"
    assert first.endswith("[usage]")
    assert not way or f"  use   {way}" in (line.split(" (")[0] for line in rest)
    assert "Usage:" not in answer.stderr


def test_option_like_no_other_is_answered_with_the_help(robotrain):
    (problem,) = robotrain("--json").json["problems"]
    assert [way["text"] for way in problem["instead"]] == ["robotrain --help"]


def test_given_value_is_shown_without_secrets(robotrain):
    (problem,) = robotrain("runs", "--keep", "few", "--json").json["problems"]
    assert (problem["where"], problem["given"]) == ("--keep", "few")
    token = "hf_" + "a1B2" * 10
    assert token not in robotrain("status", "a", token).stderr
