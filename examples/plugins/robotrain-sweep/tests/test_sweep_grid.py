"""Parsing of `--over`."""

import pytest
from robotrain.plugin import Rejected

from robotrain_sweep.grid import parse_grid


def test_last_name_changes_fastest():
    expected = [{"seed": "1", "lr": "a"}, {"seed": "1", "lr": "b"}, {"seed": "2", "lr": "a"}, {"seed": "2", "lr": "b"}]
    assert parse_grid(["seed=1, 2", "--lr=a,b"]) == expected


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "sweep-over-nothing"),
        (("--over", "seed"), "sweep-over-invalid"),
        (("--over", "seed=1,,2"), "sweep-over-invalid"),
        (("--over", "platform=local,pluto"), "sweep-over-invalid"),
        (("--over", "seed=1", "--over", "seed=2"), "sweep-over-twice"),
        (("--over", "seed=1,1"), "sweep-over-twice"),
        (("--over", f"seed={','.join(map(str, range(101)))}"), "sweep-too-large"),
    ],
)
def test_invalid_grid_is_rejected(words, code):
    with pytest.raises(Rejected) as caught:
        parse_grid(words[1::2])
    assert {problem.code for problem in caught.value.problems} == {code}
    assert caught.value.exit_code == 2
