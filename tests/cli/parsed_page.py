"""An HTML page, parsed strictly."""

import html.parser
import re

TIME = re.compile(r"\d\d:\d\d UTC")


class Page(html.parser.HTMLParser):
    """The texts of a page, the addresses it links to, and the types of embedded files.

    Raise AssertionError for elements that are not closed or not nested.
    """

    VOID = ("meta", "img", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.embedded: list[str] = []
        self.texts: list[str] = []
        self.count: dict[str, int] = {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if not (tag == "svg" and "svg" in self.open):  # a drawing in a drawing
            self.count[tag] = self.count.get(tag, 0) + 1
        links = [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.embedded += [value.partition(";")[0] for value in links if value.startswith("data:")]
        self.addresses += [value for value in links if not value.startswith("data:")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    @property
    def sentences(self) -> str:
        """What it says in words, a line each; the rest are names, numbers and the time of today."""
        return "\n".join(text for text in self.texts if len(text.split()) > 2 and not TIME.search(text))


def read_page(robotrain, *runs) -> Page:
    """The page that `robotrain report` writes about runs."""
    answer = robotrain("report", *runs, "--to", "-")
    assert answer.exit_code == 0, answer.stderr
    return Page(answer.stdout)
