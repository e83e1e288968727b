"""Each page of the documents whose lines need no training, as a reader types them; and what pages.toml declares."""

import re

import pytest
from page_session import BLOCK, DECLARED, ROOT, read_pages, run_page

PAGES = read_pages()
ELSEWHERE = ("docs/slurm.md", "docs/osmo.md", "docs/azureml.md", "docs/install.md", "docs/first-policy.md")
QUICK = [name for name, page in PAGES.items() if "trains" not in page.uses and name not in ELSEWHERE]


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_page_does_what_it_says(name, open_shell):
    run_page(PAGES[name], open_shell(PAGES[name]))


def test_every_page_with_commands_is_run():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    page_names = {path.relative_to(ROOT).as_posix() for path in pages if BLOCK.search(path.read_text())}
    assert page_names == PAGES.keys() | DECLARED["elsewhere"].keys()


def test_what_is_not_run_is_on_its_page_and_is_little():
    missing = [
        skipped["line"] for skipped in DECLARED["not_run"] if skipped["line"] not in PAGES[skipped["page"]].lines()
    ]
    assert missing == []
    assert all(skipped["why"] for skipped in DECLARED["not_run"])
    assert len(DECLARED["not_run"]) <= 21


def test_what_stands_for_a_text_is_used_and_says_why():
    for page in PAGES.values():
        text = "\n".join([*page.lines(), page.path.read_text() if page.files else ""])
        assert [before for before, _, reason in page.replace if not reason or not re.search(before, text)] == [], (
            page.name
        )
