"""Lines of a trainer's output in the log: complete, without control characters, with thinned-out progress bars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from robotrain_runtime.contract import failure
from robotrain_runtime.process.child import LineSplitter


def bar(done: int) -> str:
    return f"\rTraining:  {done:2}%|█████     | {done}/100 [00:0{done % 10}<00:01,  4.5step/s]"


def read(text: str | bytes, lines: LineSplitter | None = None) -> list[str]:
    lines = lines or LineSplitter(lambda: 0.0)
    return [*lines.feed(text if isinstance(text, bytes) else text.encode()), *lines.flush()]


def test_lines_without_a_bar_stay_as_they_are():
    assert read("one\ntwo\r\n\n  three\nfour") == ["one", "two", "  three", "four"]


def test_a_bar_is_shown_once_until_ten_seconds_passed():
    now = [0.0]
    lines = LineSplitter(lambda: now[0])
    shown = list(lines.feed("".join(map(bar, range(10))).encode()))
    now[0] = 10.5
    shown += lines.feed("".join(map(bar, range(10, 20))).encode())
    assert [line.split("|")[0] for line in shown] == ["Training:   0%", "Training:   9%"]


def test_what_follows_a_bar_on_its_line_is_a_line_of_its_own():
    assert read(bar(5) + "INFO step:5 loss:0.1\n") == [bar(5).strip(), "INFO step:5 loss:0.1"]
    assert read(bar(5) + bar(6) + "INFO x\n")[1:] == ["INFO x"]


def test_bars_of_different_names_do_not_silence_each_other():
    assert len(read("\rMap: 10%|#  | 1/9 [00:01<00:02]\rFilter: 10%|#  | 1/9 [00:01<00:02]\r")) == 2


def test_colours_and_broken_bytes_do_no_harm():
    assert read(b"\x1b[1m\x1b[33mOutput dir:\x1b[0m /x \xff\n") == ["Output dir: /x \ufffd"]


@given(st.lists(st.sampled_from(["a", "b c", bar(3), "\r", "\n", "\r\n", "é", "5%|"])), st.data())
def test_it_does_not_matter_how_the_output_is_cut_into_pieces(parts, data):
    whole = "".join(parts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    lines, pieces = LineSplitter(lambda: 0.0), []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        pieces += lines.feed(whole[start:end])
    assert [*pieces, *lines.flush()] == read(whole)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["Traceback (most recent call last):", '  File "x"', "KeyError: 'a'"], "KeyError: 'a'"),
        (
            ["Traceback (most recent call last):", "  x", "torch.OutOfMemoryError: CUDA out of memory.", "bye"],
            "torch.OutOfMemoryError: CUDA out of memory.",
        ),
        (["error: --device cuda: there is none", "bye"], "error: --device cuda: there is none"),
        (["it was fine", "until now", ""], "until now"),
        ([], ""),
    ],
)
def test_the_reason_is_the_line_that_says_it(lines, reason):
    assert failure.explain_output(lines) == reason


def test_a_bar_is_one_after_an_hour_as_well():
    late = "".join(f"\rTraining: 40%|###  | {n}/900 [1:00:0{n}<1:30:00, 4.5step/s]" for n in range(9))
    assert len(read(late)) == 1
    assert len(read("\r1234it [12:03, 4.5it/s]\r1235it [12:04, 4.5it/s]")) == 1


@pytest.mark.parametrize("line", ["Epoch 5 [10/100] loss: 0.3", "RuntimeError: dim 1 [64 vs 32] mismatch for action"])
def test_brackets_alone_make_no_bar(line):
    assert read(f"{line}\n{line}\n") == [line, line]


def test_a_line_without_an_end_is_cut_and_stays_cheap():
    whole = read(b"x" * 3_000_000)
    assert "".join(whole) == "x" * 3_000_000
    assert max(map(len, whole)) <= 1 << 16
