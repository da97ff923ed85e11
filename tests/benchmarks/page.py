"""Is a report accessible? Run: python tests/benchmarks/page.py AXE

Writes reports of searches that have ended, go on, and have failed in part, and lets axe-core look
at each in headless Chromium: at the widths of a desktop and of a phone, light and dark, with all
that can be unfolded unfolded. AXE is the file `axe.min.js` of the npm package axe-core. Prints what
breaks its rules; exits with 1 if anything does.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from test_report_page import Failing, Run

from schedplan import Budget, SearchOptions
from schedplan.journal import RunFolder
from schedplan.report import write_report

RUNS: dict[str, dict[str, Any]] = {
    "finished": {},
    "unfinished": {"options": SearchOptions(budget=Budget(epochs=30))},
    "failed in part": {"trainer": Failing},
}
WIDTHS = {"desktop": 1280, "phone": 390}
THEMES = {"dark": 0, "light": 1}
"""As Blink counts them."""

LOOK = """
for (const each of document.querySelectorAll("details")) each.open = true;
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
axe.run().then(({violations, passes}) => {
  parent.document.getElementById("found").textContent +=
    JSON.stringify({width: innerWidth, dark, violations, passes: passes.length}) + "\\n";
});
"""


def write(folder: Path, facts: dict[str, Any]) -> str:
    """Return the report of a search."""
    run = Run(RunFolder(folder), **facts)
    write_report(run.folder.report, run.content(run.search()))
    return run.folder.report.read_text()


def framed(page: str, axe: str) -> str:
    """Return a page that shows another in frames of all widths, each of which looks at itself.

    A window cannot be as narrow as a phone, but a frame can.
    """
    scripts = "".join(f"<script>{text}</script>" for text in (axe.replace("</", "<\\/"), LOOK))
    inner = html.escape(page.replace("</body>", f"{scripts}</body>"))
    frames = (
        f'<iframe width="{width}" height="900" style="border: 0" srcdoc="{inner}"></iframe>'
        for width in WIDTHS.values()
    )
    return f'<!doctype html><pre id="found"></pre>{"".join(frames)}'


def look(chromium: str, page: Path, theme: int) -> list[dict[str, Any]]:
    """Return what was found at each width."""
    settings = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000"]
    shown = [f"--blink-settings=preferredColorScheme={theme}", "--virtual-time-budget=120000"]
    command = [chromium, *settings, *shown, "--dump-dom", page.as_uri()]
    dom = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (found,) = re.findall(r'<pre id="found">(.*?)</pre>', dom, flags=re.DOTALL)
    return [json.loads(line) for line in html.unescape(found).splitlines()]


def tell(name: str, theme: str, found: list[dict[str, Any]]) -> int:
    """Print what was found in a report; return how many rules it breaks."""
    seen = {each["width"]: each for each in found if each["dark"] == (theme == "dark")}
    if seen.keys() != set(WIDTHS.values()):
        sys.exit(f"{name}, {theme}: Chromium has not shown the page so at all widths")
    for kind, width in WIDTHS.items():
        violations = seen[width]["violations"]
        print(
            f"{name}, {kind}, {theme}: {seen[width]['passes']} rules kept, {len(violations)} broken"
        )
        for each in violations:
            print(f"  {each['id']}: {each['help']}")
            for node in each["nodes"]:
                print(f"    {' '.join(map(str, node['target']))}: {node['html'][:100]}")
    return sum(len(each["violations"]) for each in found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("axe", type=Path, help="axe.min.js of the npm package axe-core")
    axe = parser.parse_args().axe.read_text()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("Chromium is not installed")
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, facts in RUNS.items():
            page = Path(folder) / f"{name}.html"
            page.write_text(framed(write(Path(folder) / name, facts), axe))
            for theme, number in THEMES.items():
                broken += tell(name, theme, look(chromium, page, number))
    return broken


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
