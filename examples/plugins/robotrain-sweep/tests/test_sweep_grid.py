"""What `--over` takes, and what it refuses."""

import pytest
from robotrain.plugin import Rejected

from robotrain_sweep.grid import points


def test_the_last_name_changes_fastest():
    expected = [{"seed": "1", "lr": "a"}, {"seed": "1", "lr": "b"}, {"seed": "2", "lr": "a"}, {"seed": "2", "lr": "b"}]
    assert points(["seed=1, 2", "--lr=a,b"]) == expected


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
def test_what_cannot_be_meant_is_refused(words, code):

    with pytest.raises(Rejected) as caught:
        points(words[1::2])
    assert {problem.code for problem in caught.value.problems} == {code}
    assert caught.value.exit_code == 2
