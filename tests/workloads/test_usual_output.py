"""What programs usually print about their losses and steps, read although nobody named it; and what is left alone."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from robotrain_runtime.contract.event import Metrics, Note
from robotrain_workloads.command.metric_follower import MetricFollower
from robotrain_workloads.command.usual_output import UsualOutput

READ = {
    "a step with its last one": ("step 50/1000 loss=0.5", [(50, 1000, {"loss": 0.5})]),
    "losses without a step are counted": (
        "loss: 0.5\nloss: 0.4",
        [(1, None, {"loss": 0.5}, "value"), (2, None, {"loss": 0.4}, "value")],
    ),
    "a step in brackets": ("[5/60] train/loss: 0.14 | lr: 0.001", [(5, 60, {"train/loss": 0.14})]),
    "a step at the start": ("  5/60 loss=0.5", [(5, 60, {"loss": 0.5})]),
    "a step behind a level": ("12:00 INFO: 5/60 loss=0.5", [(5, 60, {"loss": 0.5})]),
    "a short name": ("it 5/60 | loss 0.5", [(5, 60, {"loss": 0.5})]),
    "a day is no step": ("01/15 12:03:44 loss=0.5", [(1, None, {"loss": 0.5}, "value")]),
    "a counter that begins again without an epoch": (
        "[10/10] loss=3\n[10/10] loss=2\n[10/10] loss=1",
        [
            (10, 10, {"loss": 3}),
            *((11, None, {}, "value"), (12, None, {"loss": 2}, "value"), (13, None, {"loss": 1}, "value")),
        ],
    ),
    "the last step told by two processes": (
        "step 9/10 loss=1\nstep 10/10 loss=1\nstep 10/10 loss=1",
        [(9, 10, {"loss": 1}), (10, 10, {"loss": 1}), (10, 10, {"loss": 1})],
    ),
    "a bar of a later epoch, after a resume": (
        "Epoch 3: 100%|###| 10/10 [00:03<00:00, 85.2it/s, loss=0.3]",
        [(1, None, {"loss": 0.3}, "value"), (3, None, {}, "epoch")],
    ),
    "samples of an epoch": (
        "Train Epoch: 1 [640/60000 (1%)]\tLoss: 0.5\nTrain Epoch: 2 [0/60000 (0%)]\tLoss: 0.4",
        [(640, None, {"loss": 0.5}), (641, None, {"loss": 0.4}, "value"), (2, None, {}, "epoch")],
    ),
    "steps of the training beside epochs": (
        "epoch 1/3 step 500 loss=2\nepoch 2/3 step 1000 loss=1",
        [(500, None, {"loss": 2}), (1000, None, {"loss": 1})],
    ),
    "a step alone": ("step 50/1000\nloss: 0.5", [(50, 1000, {}), (50, 1000, {"loss": 0.5})]),
    "names in capitals": (
        "Iter: 100/1000 Loss: 0.5 Val Loss: 0.6",
        [(100, 1000, {"loss": 0.5, "val_loss": 0.6})],
    ),
    "an evaluation among the lines": (
        "step 9 loss=1\nValidation loss: 0.7",
        [(9, None, {"loss": 1}), (9, None, {"val_loss": 0.7})],
    ),
    "an evaluation with steps of its own": (
        "step 9 loss=1\n[eval] step 5/10 loss=0.3",
        [(9, None, {"loss": 1}), (9, None, {"eval_loss": 0.3})],
    ),
    "Hugging Face's dictionary": (
        "  0%|          | 0/100 [00:00<?, ?it/s]\n 10%|#         | 10/100 [00:10<01:30,  1.0it/s]\n"
        "{'loss': 0.5, 'grad_norm': 1.25, 'learning_rate': 1e-05, 'epoch': 0.1}\n"
        "100%|##########| 13/13 [00:01<00:00,  9.0it/s]\n"
        "{'eval_loss': 0.4, 'eval_runtime': 1.2, 'eval_samples_per_second': 9.1, 'epoch': 0.1}\n"
        "{'train_runtime': 10.0, 'train_loss': 0.3, 'epoch': 3.0}",
        [(10, 100, {"loss": 0.5, "grad_norm": 1.25, "learning_rate": 1e-05}), (10, 100, {"eval_loss": 0.4})],
    ),
    "its numbers as texts": ("{'loss': '0.5', 'epoch': '0.1'}", [(1, None, {"loss": 0.5}, "value")]),
    "an object of JSON": ('{"step": 10, "loss": 0.5}', [(10, None, {"loss": 0.5})]),
    "a progress bar": (" 10%|#  | 100/1000 [00:10<01:30, 10.0it/s, loss=0.5]", [(100, 1000, {"loss": 0.5})]),
    "bars of epochs": (
        "Epoch 0: 100%|###| 313/313 [00:03<00:00, 85.2it/s, train_loss=0.3]\n"
        "Validation DataLoader 0: 50%|##| 5/10 [00:01<00:01, 10it/s]\n"
        "Epoch 1:  32%|#  | 100/313 [00:03<00:00, 85.2it/s, train_loss=0.2]",
        [(313, None, {"train_loss": 0.3}), (314, None, {"train_loss": 0.2}, "value"), (1, None, {}, "epoch")],
    ),
    "steps of epochs": (
        "Epoch [1/9], Step [600/600], Loss: 0.4\nEpoch [2/9], Step [100/600], Loss: 0.3",
        [(600, None, {"loss": 0.4}), (601, None, {"loss": 0.3}, "value"), (2, 9, {}, "epoch")],
    ),
    "epochs alone": (
        "Epoch 3/10, train loss: 0.5, val loss: 0.6",
        [(3, 10, {"train_loss": 0.5, "val_loss": 0.6}, "epoch")],
    ),
    "without a sign between": (
        "iter 100: train loss 1.5, val loss 1.6",
        [(100, None, {"train_loss": 1.5, "val_loss": 1.6})],
    ),
    "several losses": (
        "step:100 L1 loss: 0.1, KL loss: 0.2, loss: 0.3",
        [(100, None, {"l1_loss": 0.1, "kl_loss": 0.2, "loss": 0.3})],
    ),
    "a tensor": ("loss: tensor(0.5, grad_fn=<MseLossBackward0>)", [(1, None, {"loss": 0.5}, "value")]),
    "LeRobot's line": (
        "INFO step:1K smpl:8K ep:2 epch:0.05 loss:0.5 grdn:1.2 lr:1.0e-05",
        [(1000, None, {"loss": 0.5})],
    ),
    "a test": ("Test set: Average loss: 0.05, Accuracy: 9832/10000 (98%)", [(1, None, {"test_loss": 0.05}, "value")]),
    "colours": ("\x1b[1mloss\x1b[0m=2.0", [(1, None, {"loss": 2.0}, "value")]),
}
LEFT_ALONE = [
    "Step 1/5 : FROM python",
    "step 3 of the setup",
    "denoising step 5/50",
    "Validation step 5/50",
    "Loading checkpoint shards: 50%|##  | 1/2 [00:01<00:01,  1.0it/s]",
    "100%|####| 500/500 [00:01<00:00, 400it/s]",
    "max_steps: 1000, save_steps: 50, loss_weight: 0.5, loss_fn: mse",
    "Namespace(lr=0.1, steps=1000)",
    "{'loss': 'mse', 'lr': 0.1}",
    "best val loss: 0.3",
    "best_loss=0.3",
    "loss: 0.5% of packets",
    "loss: 1,234.5",
    "loss at 12:30",
    "lossless=1.0 gloss=2.0 loss3=1.0",
    "model_loss.pt: 12.5 MB",
    "step 11/10",
    "x" * 5000 + " loss=0.5",
]
WORDS = ["total", "time", "took", "5/10", "0.5", "50%", "saving", "at", "epoch", "step", "iter", "of"]
NAMES = st.sampled_from(["val", "Validation", "eval", "[test]", "Evaluating:"])
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


def read(text):
    return [(row.step, row.total, dict(row.values)) for row in read_rows(text)]


def read_rows(text):
    return UsualOutput().read_lines(text.encode().split(b"\n"))


@pytest.mark.parametrize("case", READ)
def test_what_programs_usually_print(case):
    text, rows = READ[case]
    units = [() if row.unit == "step" else (row.unit,) for row in read_rows(text)]
    assert [(*row, *unit) for row, unit in zip(read(text), units, strict=True)] == rows


@pytest.mark.parametrize("line", LEFT_ALONE)
def test_what_may_mean_something_else(line):
    assert read(line) == []


@given(st.text(max_size=200))
def test_any_line_is_read_without_an_error(text):
    for step, total, values in read(f"{text}\nloss=0.5 {text}\nstep {text}"):
        assert step >= 0
        assert total is None or total >= step
        assert all(isinstance(value, float) for value in values.values())


@given(FINITE, st.integers(0, 10**6), st.sampled_from([str, "{:.4f}".format, "{:.3e}".format]))
def test_a_value_is_the_one_that_was_printed(value, step, write):
    assert read(f"step {step} | loss={write(value)} | lr=1e-5") == [(step, None, {"loss": float(write(value))})]


@given(NAMES, FINITE, st.integers(0, 10**6), st.integers(10, 10**6))
def test_a_line_of_an_evaluation_moves_no_step_and_is_no_training_loss(name, value, step, total):
    rows = read(f"step 5/70 loss=1.0\n{name} step {step}/{total} loss={value}\n{name} step {step}/{total}")
    assert [(at, of) for at, of, _ in rows] == [(5, 70)] * len(rows)
    assert [values["loss"] for *_, values in rows if "loss" in values] == [1.0]


@given(
    st.lists(
        st.sampled_from(
            ["total", "time", "took", "5/10", "0.5", "50%", "saving", "data", "at", "epoch", "step", "iter", "of"]
        ),
        max_size=8,
    )
)
def test_words_without_a_loss_have_no_values(words):
    assert not any(values for *_, values in read(" ".join(words)))


def test_no_value_is_not_a_number_unless_the_program_says_so():
    for line in ("step 3 loss=nan", "step 3 loss nan"):
        assert math.isnan(read(line)[0][2]["loss"]), line
    assert not any(values for *_, values in read("step 3 loss nanny"))


@pytest.fixture
def follow(tmp_path):
    """The events of a program that prints lines, and may write other files: `follow(*lines)`."""

    def run(*lines, resumed_step=0):
        events, waiting = [], [line.encode() for line in lines]

        def take():
            taken, waiting[:] = waiting[:1], waiting[1:]
            return taken

        follower = MetricFollower(
            outputs=tmp_path,
            report=tmp_path / "report.jsonl",
            reader=UsualOutput(),
            take_lines=take,
            emit=lambda record: events.append(record.event),
            resumed_step=resumed_step,
        )
        for _ in lines:
            follower.read_new()
        return events

    return run


def test_what_is_read_is_named_once_with_what_to_type_instead(follow):
    notes = [event for event in follow("step 1/9 loss=1", "step 2/9 loss=2", "val loss: 3") if isinstance(event, Note)]
    assert [(note.level, "loss" in note.text, note.ways[0]) for note in notes] == [
        ("info", True, ("--metric NAME=REGEX",))
    ]


@pytest.mark.parametrize(
    ("lines", "is_said"),
    [
        (["step 0 loss=3", "step 1 loss=2"], True),
        (["step 30 loss=3"], False),
        (["Epoch 3: 100%|###| 10/10 [00:03<00:00, 9it/s, loss=0.3]"] * 2, False),
        (["Train Epoch: 3 [0/60000 (0%)] Loss: 0.5"], False),
        (["loss=3", "loss=2"], False),
        (["Epoch 0, loss=3"], False),
    ],
)
def test_resumed_program_is_said_to_begin_at_step_0_and_nothing_is_concluded(follow, lines, is_said):
    notes = [event for event in follow(*lines, resumed_step=30) if isinstance(event, Note)]
    assert {note.level for note in notes} == {"info"}
    assert any("step 30" in note.text for note in notes) is is_said


def test_what_the_program_reports_itself_counts_instead(follow, tmp_path):
    report = '{"event": "metrics", "step": 70, "values": {"loss": 7.0}}\n'
    (tmp_path / "report.jsonl").write_text(report)
    sent = [event for event in follow("loss: 1.0", "loss: 2.0", "loss: 3.0") if isinstance(event, Metrics)]
    assert sent[-1].values == {"loss": 7.0}
    assert all(event.step in (1, 70) for event in sent)
