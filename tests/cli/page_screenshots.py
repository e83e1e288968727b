# /// script
# dependencies = ["playwright==1.65.*"]
# ///
"""`page_screenshots.py FOLDER`: open each page of a folder in Chromium, light and dark, wide and narrow.

It leaves a screenshot of each beside it, and prints as JSON what a reader would see there.
"""

import json
import shutil
import sys
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

FIND = """() => {
    const all = what => [...document.querySelectorAll(what)].filter(one => one.checkVisibility());
    const count = (what, is) => all(what).filter(is).length;
    return {
        scroll_width: document.documentElement.scrollWidth,
        background: getComputedStyle(document.body).backgroundColor,
        charts: count('.plot', one => one.clientHeight > 100),
        curves: count('polyline', one => one.getBoundingClientRect().width > 50),
        videos: count('video', one => one.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && one.videoWidth > 0),
        cut_off: count('.plot .tick', one => one.getBoundingClientRect().left < 0),
        loaded: performance.getEntriesByType('resource').map(one => one.name).filter(name => !name.startsWith('data:')),
    };
}"""


def open_page(browser: Browser, file: Path, scheme: str, width: int) -> dict[str, object]:
    """Take the screenshot of a page, and return what is on it."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints = list[str]()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": width, "height": height})  # only videos in view have a picture
    page.wait_for_timeout(1500 if page.query_selector("video") else 100)
    page.screenshot(path=file.with_name(f"{file.stem}-{scheme}-{width}.png"))
    report = {"page": file.stem, "scheme": scheme, "width": width, "complaints": complaints, **page.evaluate(FIND)}
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    report["unfolded_width"] = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    return report


if __name__ == "__main__":
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        files = sorted(Path(sys.argv[1]).glob("*.html"))
        print(json.dumps([open_page(browser, *view) for view in product(files, ("light", "dark"), (1280, 400))]))
        browser.close()
