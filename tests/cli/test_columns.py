"""What pictures are made of: text in columns, curves, the values of a machine."""

import math

import pytest
from robotrain.cli.table import Column, fit_columns, measure_width, pad_text, to_plain_line, truncate, wrap_rows
from robotrain.cli.watch.dashboard import draw_sparkline, format_machine


def test_wide_characters_take_two_columns_and_combining_marks_none():
    assert [measure_width(text) for text in ("abc", "数据", "e\u0301", "█░")] == [3, 4, 1, 2]
    assert measure_width(pad_text("数据", 8)) == 8


@pytest.mark.parametrize(
    ("text", "columns", "cut"),
    [("short", 10, "short"), ("a long text", 6, "a lon…"), ("数据数据", 5, "数据…"), ("abc", 1, "…"), ("abc", 0, "")],
)
def test_long_text_is_cut_with_a_mark(text, columns, cut):
    assert truncate(text, columns) == cut
    assert measure_width(cut) <= columns


def test_control_characters_are_removed_from_a_line():
    assert to_plain_line("a\x1b[2Jb\nc\td\x07") == "a[2Jb c d"


def test_least_important_columns_are_left_out_first_and_a_sentence_takes_the_rest():
    columns = [
        Column("RUN", ["train-1"]),
        Column("STEP", ["1/2"], drop_order=1),
        Column("AGE", ["1 h"], drop_order=2),
        Column("WHY", ["a sentence that goes on and on"], drop_order=3, is_flexible=True),
        Column("EMPTY", [""], drop_order=4),
    ]

    def titles(within):
        return [title.strip() for title in fit_columns(columns, within)[0]]

    assert titles(None) == ["RUN", "STEP", "AGE", "WHY"]
    assert titles(40) == ["RUN", "STEP", "AGE", "WHY"]
    assert sum(map(len, fit_columns(columns, 40)[1])) + 3 * 2 == 40
    assert titles(25) == ["RUN", "STEP", "AGE"]
    assert titles(14) == ["RUN", "STEP"]
    assert titles(3) == ["RUN"]


def test_curve_on_one_line():
    points = [(step, 1 / step) for step in range(1, 9)]
    assert draw_sparkline(points, 8) == "█▄▃▂▂▁▁▁"
    assert len(draw_sparkline([(step, math.sin(step)) for step in range(1000)], 20)) == 20
    assert draw_sparkline([(1, 2.0), (2, math.nan), (3, 2.0)], 8) == "▁·▁"
    assert draw_sparkline([], 8) == ""


def test_load_of_a_machine_on_one_line():
    values = {
        "system/memory_used_megabytes": 4200.0,
        "system/memory_available_megabytes": 12_600.0,
        "system/cpu_utilization_percentage": 87.4,
        "system/gpu_10_memory_used_megabytes": 1000.0,
        "system/gpu_0_memory_used_megabytes": 12_100.0,
        "system/gpu_0_memory_percent": 31.0,
        "system/gpu_0_utilization_percentage": 98.0,
    }
    assert format_machine(values) == "memory 4.2 of 16.8 GB  cpu 87%  gpu 0 12.1 GB (31%) busy 98%  gpu 10 1.0 GB"
    assert format_machine({"system/disk_percent": 3.0}) == ""


PATH = "/data/episodes/of/last/winter"
ROWS = [
    ("NAME", "VALUE", "FROM", "OVERRODE"),
    ("dataset", PATH, "flag --dataset-path", ""),
    ("batch_size", "8", "flag --batch-size", "64 (job file job.yaml:14), 32 (default)"),
]


WHOLE = [
    "NAME        VALUE                          FROM                 OVERRODE",
    "dataset     /data/episodes/of/last/winter  flag --dataset-path",
    "batch_size  8                              flag --batch-size    64 (job file job.yaml:14), 32 (default)",
]


@pytest.mark.parametrize(
    ("rows", "within", "lines"),
    [
        (ROWS, None, WHOLE),
        (ROWS, 200, WHOLE),
        ([("log.txt", PATH)], 24, [f"log.txt  {PATH}"]),
        ([("a", ""), ("b", "")], 40, ["a", "b"]),
    ],
    ids=[
        "no terminal",
        "it fits",
        "a path at the end",
        "no last cell",
    ],
)
def test_rows_are_wrapped_to_the_terminal(rows, within, lines):
    assert list(wrap_rows(rows, within)) == lines
