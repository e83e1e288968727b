"""Tables within the width of a terminal: nothing is lost, and a path stays whole, to be copied."""

from robotrain.cli.columns import wrap_rows

PATH = "/data/episodes/of/last/winter"
ROWS = [
    ("NAME", "VALUE", "FROM", "OVERRODE"),
    ("dataset", PATH, "flag --dataset-path", ""),
    ("batch_size", "8", "flag --batch-size", "64 (job file job.yaml:14), 32 (default)"),
]


def lines(within):
    return list(wrap_rows(ROWS, "  ", within))


def test_without_a_terminal_a_row_is_a_line():
    assert lines(None) == [
        "NAME        VALUE                          FROM                 OVERRODE",
        "dataset     /data/episodes/of/last/winter  flag --dataset-path",
        "batch_size  8                              flag --batch-size    64 (job file job.yaml:14), 32 (default)",
    ]


def test_a_cell_that_is_too_long_is_whole_and_its_row_goes_on_below():
    assert lines(64) == [
        "NAME        VALUE          FROM                 OVERRODE",
        "dataset     /data/episodes/of/last/winter",
        "                           flag --dataset-path",
        "batch_size  8              flag --batch-size    64 (job file",
        "                                                job.yaml:14), 32",
        "                                                (default)",
    ]


def test_a_path_at_the_end_of_a_row_is_whole():
    assert list(wrap_rows([("log.txt", PATH)], "  ", 24)) == [f"log.txt  {PATH}"]


def test_a_table_that_fits_is_as_without_a_terminal():
    assert lines(200) == lines(None)
    assert list(wrap_rows([("a", ""), ("b", "")], "  ", 40)) == ["a", "b"]
