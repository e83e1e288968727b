"""What a person sees on a terminal, of any width, with colours and without; and that a pipe gets none of it."""

import os
import re
import shlex

import pytest
from robotrain_runtime.contract.event import (
    Checkpoint,
    Evaluated,
    Metrics,
    Note,
    Outcome,
    Registered,
    StageEvent,
    format_event,
)
from virtual_terminal import VirtualTerminal

DONE = Outcome(state="succeeded", exit_code=0)
NAME = "lerobot-train-fab69e8c-1"
COLOUR = re.compile(r"\x1b\[\d*m")


def step(number, total=200):
    return Metrics(step=number, total=total, values={"train/loss": 1 / number, "train/lr": 1e-4})


LEFT = [
    StageEvent(name="work", state="started"),
    *[step(number) for number in range(1, 100)],
    Metrics(values={"system/memory_used_megabytes": 4200.0, "system/memory_available_megabytes": 12000.0}),
    Checkpoint(step=80, path="/home/somebody/runs/" + "long/" * 20 + "checkpoints/000080"),
    Registered(name="act-pusht", version="3", step=80, uri="models:/act-pusht/3"),
    Note(level="warning", text="train/loss is not finite at step 90"),
]


@pytest.fixture
def open_terminal(scripted, command, tmp_path):
    """`open_terminal("watch", columns=40)`: the command on a terminal."""
    opened = []

    def start(*args, columns=80, rows=24, **environ):
        site = os.pathsep.join(str(path) for path in tmp_path.glob("site-*"))
        names = {"PYTHONPATH": site, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
        opened.append(VirtualTerminal([*command, *args], os.environ | names | environ, columns, rows))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


@pytest.mark.slow
def test_watch_redraws_in_place(scripted, open_terminal):
    run = scripted.run(NAME, *LEFT, started=1e9)
    watching = open_terminal("watch")
    first = watching.until(lambda text: "running" in text and "not finite at step 90" in text)
    assert first.splitlines()[0].startswith(f"{NAME}  running  work")
    assert "loss 0.0101" in first
    assert "memory 4.2 of 16.2 GB" in first
    assert re.search(r"checkpoint  step 80, /home/somebody/.*…\n", first)
    assert "registered  act-pusht version 3, step 80, models:/act-pusht/3" in first
    assert "warning: train/loss is not finite at step 90" in first
    assert "99/200 (50%)" in first
    run.log(*[step(number) for number in range(100, 151)])
    watching.until(lambda text: "150/200 (75%)" in text)
    run.log(DONE)
    run.status(state="succeeded", started=1e9, ended=1e9 + 60)
    assert watching.end() == 0
    everything = watching.screen.everything
    assert everything.count(NAME) == 2  # the picture, and what to type next
    assert "succeeded" in everything
    assert "99/200" not in everything
    assert f"robotrain outputs {NAME}" in everything


@pytest.mark.slow
def test_watch_continues_from_the_file_of_events(scripted, open_terminal):
    run = scripted.run(NAME, "a log without any event", started=1e9)
    run.log(*LEFT, file="events.jsonl")
    with (run.folder / "events.jsonl").open("a") as events:
        events.write(format_event(step(110), 2e9)[:-9])  # a line that is being written
    watching = open_terminal("watch")
    watching.until(lambda text: "99/200 (50%)" in text and "not finite at step 90" in text)
    with (run.folder / "events.jsonl").open("a") as events:
        events.write(format_event(step(110), 2e9)[-9:] + "\n")
    watching.until(lambda text: "110/200 (55%)" in text)
    run.log(Note(level="warning", text="the last one"), DONE, file="events.jsonl")
    run.status(state="succeeded", started=1e9, ended=1e9 + 60)
    assert watching.end() == 0
    assert "200/200 (100%)" in watching.screen.everything
    assert "warning: the last one" in watching.screen.everything


@pytest.mark.parametrize(("columns", "rows"), [(40, 3), (40, 24)])
def test_watch_fits_any_terminal(scripted, open_terminal, columns, rows):
    for number in range(4):
        scripted.run(f"train-{number}", *LEFT, state="running", started=1e9, reason="a long reason " * 20)
    watching = open_terminal("watch", columns=columns, rows=rows)
    text = watching.until(lambda text: "99/200" in text or "more" in text)
    lines = text.splitlines()
    assert len(lines) < rows
    assert all(len(line) < columns for line in lines)
    assert ("and 3 more" in text) is (rows == 3)
    watching.interrupt()
    assert watching.end() == 130


@pytest.mark.slow
def test_watch_fits_a_resized_terminal(scripted, open_terminal):
    run = scripted.run(NAME, *LEFT, started=1e9)
    watching = open_terminal("watch", columns=120)
    watching.until(lambda text: "99/200 (50%)" in text)
    watching.resize(50, 24)
    run.log(step(100))
    watching.until(lambda text: "100/200" in text and all(len(line) < 50 for line in text.splitlines()))
    assert watching.screen.everything.count(NAME) == 1
    watching.resize(160, 24)
    run.log(step(110))
    watching.until(lambda text: "110/200 (55%)" in text)
    assert watching.screen.everything.count(NAME) == 1


def test_text_of_the_shell_during_a_stop_stays(scripted, open_terminal):
    run = scripted.run(NAME, *LEFT)
    watching = open_terminal("watch")
    watching.until(lambda text: "99/200" in text)
    watching.screen.feed("^Z\r\n[1]+  Stopped\r\n$ fg\r\n")
    watching.proceed()
    run.log(step(100))
    shown = watching.until(lambda text: "100/200" in text)
    assert "99/200" in shown
    assert "$ fg\n" + NAME in shown


def test_ctrl_c_prints_which_runs_continue_and_how_to_stop_them(scripted, open_terminal):
    scripted.run("train-1", *LEFT, age=20)
    scripted.run("train-2", *LEFT, age=10)
    watching = open_terminal("watch")
    watching.until(lambda text: text.count("99/200") == 2)
    watching.interrupt()
    assert watching.end() == 130
    assert "train-1 and train-2 continue" in watching.screen.text
    assert "robotrain watch train-1 train-2" in watching.screen.text
    assert "robotrain cancel train-1 train-2" in watching.screen.text
    assert watching.screen.text.count("99/200") == 2  # the last picture stays


def test_colors_are_used_unless_no_color_is_set_and_the_cursor_stays_visible(scripted, open_terminal):
    run = scripted.run(NAME, *LEFT)
    coloured, plain = open_terminal("watch"), open_terminal("watch", NO_COLOR="1")
    wrong = open_terminal("status", "nosuch")
    for terminal in (coloured, plain):
        terminal.until(lambda text: "99/200" in text)
    run.log(step(100), DONE)
    run.status(state="succeeded")
    assert (coloured.end(), plain.end(), wrong.end()) == (0, 0, 2)
    assert "\x1b[31merror\x1b[0m: there is no run 'nosuch'" in wrong.raw
    assert COLOUR.search(coloured.raw)
    assert not COLOUR.search(plain.raw)
    assert "\x1b[" in plain.raw  # renewed in place all the same
    assert "\x1b[?25" not in coloured.raw  # a signal may end the process at any time


def test_dumb_terminal_and_pipe_get_no_escape_codes(scripted, open_terminal, robotrain):
    run = scripted.run(NAME, *LEFT, DONE, state="failed", reason="out of paint")
    run.add_output("checkpoints/80", step=80)
    terminals = [open_terminal(words, TERM="dumb") for words in ("watch", "runs")]
    for words in ("watch", "wait", "runs", "status", "logs", "outputs", "cancel"):
        answer = robotrain(words)
        assert "\x1b" not in answer.stdout + answer.stderr
    for dumb in terminals:
        dumb.end()
        assert NAME in dumb.raw
        assert "\x1b" not in dumb.raw


def test_list_in_80_columns_begins_with_names_and_keeps_results(scripted, open_terminal, robotrain):
    called = "pusht-mini"
    scripted.run("eval-05ab1234-12", called="pusht-mini-eval", state="succeeded", started=1e9, ended=1e9 + 90)
    scores = {"rollout/success_rate": 0.9, "rollout/episodes": 20.0, "rollout/success_low": 0.7}
    end = (Evaluated(episodes=20, scores=scores, results="/x", conditions="pusht"), DONE)
    scripted.run("eval-05ab1234-1", *end, called="pusht-mini-eval", state="succeeded", started=1e9, ended=1e9 + 90)
    scripted.run(NAME, *LEFT, DONE, called=called, state="succeeded", started=1e9, ended=1e9 + 90)
    listing = open_terminal("runs", columns=80)
    assert listing.end() == 0
    titles, train, evaluation, _ = listing.screen.text.splitlines()
    assert max(map(len, (titles, train, evaluation))) <= 80
    assert titles.split()[:6] == ["NAME", "RUN", "STATE", "LOSS", "SCORE", "AGE"]
    assert train.split()[:3] == [called, NAME, "succeeded"]
    assert evaluation.split()[:3] == ["pusht-mini-eval", "eval-05ab1234-1", "succeeded"]
    assert "90%" in evaluation
    assert robotrain("status", "05ab1234-1", "--json").json["run"] == "eval-05ab1234-1", "not -12"


def test_wait_redraws_in_place_above_its_summary(scripted, open_terminal):
    run = scripted.run(NAME, StageEvent(name="environment", state="started"), "building the environment")
    waiting = open_terminal("wait", columns=60)
    waiting.until(lambda text: "building the environment" in text)
    run.log(*LEFT)
    waiting.until(lambda text: "99/200" in text and "building" not in text)
    path = "/x/" + "long-name/" * 4 + "120"
    run.log(step(120), Checkpoint(step=120, path=path), step(150))
    waiting.until(lambda text: "150/200" in text)
    run.log(DONE)
    run.status(state="succeeded")
    assert waiting.end() == 0
    assert waiting.screen.everything.count("/200") == 1  # only the summary is left
    assert f"{path}\r\n" in waiting.raw  # it can be copied


def test_download_shows_its_progress_on_one_line(scripted, open_terminal, tmp_path):
    run = scripted.run(NAME, DONE, state="succeeded")
    run.add_output("checkpoints/80", step=80)
    (run.folder / "dawdles").touch()
    fetching = open_terminal("outputs", "--to", str(tmp_path / "here"))
    fetching.until(lambda text: "checkpoints/80  5 bytes of" in text)
    (run.folder / "dawdles").unlink()
    assert fetching.end() == 0
    assert fetching.screen.everything.count("checkpoints/80  5 bytes") == 1


@pytest.mark.slow
@pytest.mark.parametrize("words", [("runs",), ("platforms",)])
def test_tables_fold_at_the_width_of_the_terminal_also_in_a_pipe(scripted, command, tmp_path, words):
    scripted.run("train-1", step(3), called="a-name-of-some-length", state="failed", reason="the disk is full " * 9)
    line = shlex.join([*command, *words])
    names = {"PYTHONPATH": os.pathsep.join(map(str, tmp_path.glob("site-*"))), "TERM": "dumb"}
    # The reader of the pipe waits for the end: the hint on stderr does not come into the middle of a line.
    piped = VirtualTerminal(
        ["sh", "-c", f'{line} | (text=$(cat); echo "$text"); {line} >{tmp_path}/file'], os.environ | names
    )
    piped.end()
    shown, whole = (COLOUR.sub("", text).split("\n") for text in (piped.raw, (tmp_path / "file").read_text()))
    piped.close()
    assert max(len(shown_line.rstrip("\r")) for shown_line in shown) <= 80 < max(map(len, whole))
