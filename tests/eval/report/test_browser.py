"""The report's gallery in headless Chromium, without a driver.

A short script is appended to the page. It performs a person's actions and records what it sees; Chromium then prints
the resulting page (`--dump-dom`).
"""

import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latexify.artifacts.manifest import Manifest
from latexify.eval.metrics.typeset import TypesetFormula
from latexify.eval.report.cards import Card, MarkedText, picture_uri
from latexify.eval.report.gallery import GalleryItem
from latexify.eval.report.inputs import COUNTED_STAGES, ReportInputs
from latexify.eval.report.page import CARDS_ON_A_PAGE, environment, render
from latexify.eval.report.previous_run import NoPreviousRun
from scripts.browser import Chromium
from tests.support.write_page import violations

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
NUM_CARDS = 30


@pytest.fixture(scope="module")
def browser() -> str:
    """The command of a browser."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of these browsers is installed: {', '.join(BROWSERS)}")
    return found


def card(number: int) -> GalleryItem[Card]:
    """Make a card; every third is right, every tenth has a root, every second was chosen at random."""
    verdict = 0 if number % 3 == 0 else number
    made = Card(
        key=f"{'kaist' if number % 2 else 'mfr'}/ink{number}",
        reference=f"x_{{{number}}}",
        prediction="y",
        picture=picture_uri(np.full((8, 16), 255, np.uint8)),
        width_px=16,
        height_px=8,
        typeset_reference=TypesetFormula(svg=None, reason="a <test>"),
        typeset_prediction=TypesetFormula(svg=None, reason="a test"),
        marked_reference=[MarkedText(text=f"x_{{{number}}}", mark="missing")],
        marked_prediction=[MarkedText(text="y", mark="wrong")],
        num_errors=verdict,
        num_symbols=number + 1,
        confidence=number / NUM_CARDS,
        visual=None,
        length="1-5" if number < 5 else "6-10",
        source="kaist" if number % 2 else "mfr",
        writer=None,
        structures=["root", "scripts 1 deep"] if number % 10 == 0 else ["scripts 1 deep"],
        pairs=[0] if number in {4, 7} else [],
    )
    return GalleryItem(made, ["random"] if number % 2 else ["worst", "class"])


@pytest.fixture(scope="module")
def page() -> str:
    """A report of thirty formulas."""
    rate = {"value": 0.5, "low": 0.4, "high": 0.6}
    rates = ("cer", "token_cer", "exact_match", "within_1", "within_2", "within_3")
    counts = {"num_samples": 100, "num_exact": 50, "num_chars": 9, "num_tokens": 9, "bootstrap_samples": 9}
    answer = {"answer": "x", "cer": 0.9, "is_exact": True}
    confusion = {"kind": "substituted", "reference": "x", "prediction": "y", "count": "5"}
    inputs = ReportInputs(
        manifests={"predictions": Manifest(kind="predictions", version=1, params={"split": "test"}, inputs={})},
        rows=None,
        score=dict.fromkeys(rates, rate)
        | counts
        | {"constant_answer": answer, "normalizer_version": 2}
        | {"calibration": {"is_calibrated": False, "error": 0.1, "error_raw": 0.1}},
        stages={name: {} for name in COUNTED_STAGES},
        tables={
            "confusions": [confusion],
            "symbols": [],
            "token_errors": [{"token_errors": "0", "num_samples": "9"}],
            "reliability": [
                {"confidence": "raw", "from": "0.9", "to": "1.0", "num_samples": "9"}
                | {"mean_confidence": "0.95", "right": "0.85", "right_low": "0.5", "right_high": "0.95"}
            ],
        },
        history=[],
    )
    return render(
        inputs,
        templates=environment(),
        previous=NoPreviousRun(reason="a test"),
        gallery=[card(number) for number in range(NUM_CARDS)],
        glyphs="",
        parameters={},
    )


ACTIONS = """
const seen = {}, by = (id) => document.getElementById(id);
const keys = () => [...document.querySelectorAll("#cards .key")].map((key) => key.textContent);
const note = (name) => { seen[name] = { keys: keys(), count: by("count").textContent, page: by("page").textContent }; };
const set = (id, value) => { by(id).value = value; by(id).dispatchEvent(new Event("input", { bubbles: true })); };
const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const at = () => document.activeElement.querySelector(".key")?.textContent ?? document.activeElement.id;
const later = (action) => new Promise((done) => setTimeout(() => { action(); done(); }, 20));
(async () => {
  note("start");
  by("next").click(); note("second page");
  set("f-source", "kaist"); note("kaist");
  set("f-verdict", "right"); note("kaist and right");
  set("f-group", "worst"); note("nothing");
  by("filters").reset(); await later(() => note("reset"));
  set("f-structures", "root"); note("root");
  set("f-structures", ""); set("f-length", "1-5"); note("short");
  set("f-length", ""); set("f-text", "  X_{17} "); note("text");
  set("f-text", ""); set("f-order", "errors"); note("worst first");
  set("f-order", "confidence"); note("least confident");
  set("f-order", ""); set("f-group", "random"); note("random");
  document.querySelector("a.show").click(); await later(() => note("confusion"));
  by("pair").click(); note("without confusion");
  document.querySelector("#cards .card").focus(); press("ArrowRight"); seen.right = at();
  press("End"); seen.end = at(); note("last page"); press("ArrowRight"); seen.beyond = at();
  press("ArrowLeft"); seen.left = at(); press("Home"); seen.home = at();
  seen.stops = document.querySelectorAll('#cards [tabindex="0"]').length;
  press("/"); seen.slash = at();
  const out = document.createElement("pre"); out.id = "seen"; out.textContent = JSON.stringify(seen);
  document.body.append(out);
})();
"""


def dump(browser: str, page: str, folder: Path) -> str:
    """The page's DOM after its scripts ran."""
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    switches = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--virtual-time-budget=5000",
    ]
    command = [browser, *switches, f"--user-data-dir={folder / 'profile'}", "--dump-dom", path.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, timeout=90).stdout.decode()


@pytest.fixture(scope="module")
def seen(browser: str, page: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the actions saw. The content security policy, which forbids them, is removed."""
    acting = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    acting = acting.replace("</body>", f"<script>{ACTIONS}</script></body>")
    dom = dump(browser, acting, tmp_path_factory.mktemp("browser"))
    found = re.search(r'<pre id="seen">(.*?)</pre>', dom, re.DOTALL)
    assert found, "the page's script did not finish"
    views: dict[str, Any] = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    return views


def numbers(view: dict[str, Any]) -> list[int]:
    """Numbers of the visible cards."""
    return [int(key.rpartition("ink")[2]) for key in view["keys"]]


def test_the_page_runs_under_its_own_policy(browser: str, page: str, tmp_path: Path) -> None:
    """A hash that does not match the script would disable the filters in every browser."""
    dom = dump(browser, page, tmp_path)
    assert dom.count("<article") == CARDS_ON_A_PAGE
    smuggled = page.replace("</body>", "<script>document.body.id = 'smuggled'</script></body>")
    assert 'id="smuggled"' not in dump(browser, smuggled, tmp_path)


def test_pages(seen: dict[str, Any]) -> None:
    """No formula may be lost between pages."""
    assert numbers(seen["start"]) == list(range(12))
    assert numbers(seen["second page"]) == list(range(12, 24))
    assert seen["second page"]["page"] == "Page 2 of 3"
    assert seen["start"]["count"].startswith("30 of 30 formulas, 10 of them right")


def test_filters_narrow_together_and_go_back_to_the_first_page(seen: dict[str, Any]) -> None:
    """A filter that left the reader on page 2 of 1 would show nothing."""
    assert numbers(seen["kaist"]) == list(range(1, 25, 2))
    assert numbers(seen["kaist and right"]) == [3, 9, 15, 21, 27]
    assert numbers(seen["nothing"]) == []
    assert "No formula matches" in seen["nothing"]["count"]
    assert numbers(seen["reset"]) == list(range(12))


def test_each_filter_filters(seen: dict[str, Any]) -> None:
    """By structure, length, text (in any case), reason of choice and confusion, and in each order."""
    assert numbers(seen["root"]) == [0, 10, 20]
    assert numbers(seen["short"]) == [0, 1, 2, 3, 4]
    assert numbers(seen["text"]) == [17]
    assert numbers(seen["worst first"])[:3] == [29, 28, 26]
    assert numbers(seen["least confident"])[:3] == [0, 1, 2]
    assert set(numbers(seen["random"])) == set(range(1, 25, 2))
    assert numbers(seen["confusion"]) == [4, 7]
    assert numbers(seen["without confusion"]) == list(range(12))


def test_only_a_fair_sample_gets_a_percentage(seen: dict[str, Any]) -> None:
    """People would quote a share of right ones even among formulas chosen for their errors."""
    assert "%" not in seen["start"]["count"]
    assert seen["random"]["count"].endswith("5 of them right (33 %)")


def test_keys_lead_from_formula_to_formula(seen: dict[str, Any]) -> None:
    """Across pages, but not beyond the last formula; and one Tab is enough to leave the gallery."""
    assert (seen["right"], seen["end"], seen["beyond"]) == ("kaist/ink1", "kaist/ink29", "kaist/ink29")
    assert (seen["left"], seen["home"], seen["stops"]) == ("mfr/ink28", "mfr/ink0", 1)
    assert numbers(seen["last page"]) == list(range(24, 30))
    assert seen["slash"] == "f-text"


@pytest.mark.skipif(find_spec("axe_core_python") is None, reason="the package axe-core-python is not installed")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width_px", [1280, 375])
def test_axe_finds_nothing(browser: str, page: str, tmp_path: Path, *, width_px: int, dark: bool) -> None:
    """Readers with a screen reader or weak eyes get the same report; and nothing is wider than a telephone."""
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    with Chromium(browser, tmp_path) as chromium, chromium.page() as tab:
        tab.look_like(width_px=width_px, height_px=812, dark=dark, phone=width_px < 500)
        tab.open(path.as_uri())
        tab.wait_for("document.readyState === 'complete' && document.getElementById('gallery')")
        assert violations(tab) == []
        assert tab.value("document.documentElement.scrollWidth <= innerWidth")
