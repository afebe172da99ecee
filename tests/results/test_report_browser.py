"""The page in a real browser: everything is drawn, nothing is asked for, nothing is wider than the screen."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
WORDS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
    "--enable-logging=stderr", "--window-size=412,900", "--virtual-time-budget=5000", "--dump-dom",
)  # fmt: skip
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND"
FIGURE = re.compile(r"data:image/svg\+xml;base64,[^\"]*")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on PATH")


@dataclass
class Visit:
    """The page as rendered, what it says about itself, the browser's messages, addresses that the page asked for."""

    text: str
    facts: dict[str, Any]
    messages: list[str]
    asked: list[str]


def visit(page: Path, folder: Path) -> Visit:
    """Open a file in a browser with a profile of its own that finds no other computer."""
    net = folder / "net.json"
    command = [BROWSER, *WORDS, OFFLINE, f"--log-net-log={net}", f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    seen = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    opening = re.search(r"<html[^>]*>", seen.stdout)[0]
    facts = {name: json.loads(html.unescape(value)) for name, value in re.findall(r'data-(\w+)="([^"]*)"', opening)}
    # Requests of the browser itself (its updates, its clock) have no origin.
    lines = [line for line in net.read_text().splitlines() if '"initiator"' in line and "not an origin" not in line]
    asked = [re.search(r'"url":"([^"]*)"', line)[1] for line in lines]
    return Visit(seen.stdout, facts, seen.stderr.splitlines(), [url for url in asked if not url.startswith("file:")])


@pytest.fixture(scope="module")
def seen(reported, tmp_path_factory):
    """The page without anything beside it."""
    folder = tmp_path_factory.mktemp("browser")
    shutil.copy(reported / "report.html", folder)
    return visit(folder / "report.html", folder)


def test_every_table_and_figure_is_rendered(seen, reported):
    text = (reported / "report.md").read_text()
    assert seen.text.count("<table") == len(re.findall(r"^\| :--", text, re.MULTILINE)) >= 5
    assert len(seen.facts["images"]) == len(list((reported / "figures").iterdir())) >= 10
    assert all(width > 100 and height > 100 for width, height in seen.facts["images"])
    for word in ("pan+pgs", "mean predictor", "arXiv 2606.15892", "cannot tell", "95 % interval"):
        assert word in seen.text


def test_nothing_fails_and_nothing_is_blocked(seen):
    assert seen.facts["errors"] == seen.facts["blocked"] == []
    assert [line for line in seen.messages if "CONSOLE" in line] == []
    assert '<p id="broken" hidden' in seen.text


def test_nothing_is_asked_from_anywhere(seen):
    assert seen.facts["asked"] == []
    assert seen.asked == []


def test_a_phone_need_not_scroll_sideways(seen):
    assert seen.facts["overflow"] == 0


@pytest.mark.parametrize("guarded", [True, False])
def test_a_figure_from_elsewhere_is_noticed(reported, tmp_path, guarded):
    address = "https://figures.invalid/figure.svg"
    text = FIGURE.sub(address, (reported / "report.html").read_text(), count=1)
    page = tmp_path / "page.html"
    page.write_text(text if guarded else text.replace("Content-Security-Policy", "X-None"))
    seen = visit(page, tmp_path)
    assert '<p id="broken" hidden' not in seen.text
    assert seen.asked == ([] if guarded else [address])
    assert bool(seen.facts["blocked"]) == guarded
    assert any("CONSOLE" in line for line in seen.messages) == guarded
