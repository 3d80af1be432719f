"""The page in a browser: it opens from a file without an error or a request, and what can be moved moves.

With RNNLAB_SCREENSHOTS naming a folder, the screenshots are kept there.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import fake_group
from reports import findings, unpacked
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.ui import WebDriverWait

from rnnlab.report.page import page
from rnnlab.runs.writers import TableLog

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="Chromium is not installed (Debian: chromium chromium-driver)"
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = Options()
    for switch in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(switch)
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield started
    started.quit()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of four groups, two cells at two lengths, one with a name that would be a script."""
    runs = tmp_path_factory.mktemp("runs")
    for timesteps in (40, 80):
        rates = dict(enumerate([-10, -12, -14]))
        fake_group(runs, rates, model__cell="rnn", timesteps=timesteps, error=0.5, spread=0.3, updates=(0, 10, 30))
        rates = dict(enumerate([-1, -2, -3]))
        label = {"model__label": "<script>document.title = 'taken'</script>"}
        fake_group(runs, rates, model__cell="lstm", timesteps=timesteps, spread=0.2, updates=(0, 10, 20), **label)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(findings(runs)), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: webdriver.Chrome, file: Path) -> webdriver.Chrome:
    """The page, opened anew."""
    size(browser, 1400)
    browser.get_log("browser")
    browser.get(file.as_uri())
    until(browser, "return document.querySelectorAll('#chart-curves .scatterlayer .trace').length > 0")
    return browser


def size(browser: webdriver.Chrome, width: int, height: int = 1000) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def until(browser: webdriver.Chrome, script: str) -> None:
    WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(script))


def named(browser: webdriver.Chrome, name: str) -> WebElement:
    return browser.find_element(By.ID, name)


def lines(browser: webdriver.Chrome) -> list[Any]:
    """The median curves that are drawn: name and values."""
    drawn = "document.getElementById('chart-curves').data.filter((trace) => trace.name)"
    traces: list[Any] = browser.execute_script(f"return {drawn}.map((trace) => [trace.name, trace.y])")
    return traces


def no_errors(browser: webdriver.Chrome) -> None:
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert [url for url in urls if not url.startswith(("file:", "data:", "blob:"))] == []


def test_it_opens_without_an_error_or_a_request(opened: webdriver.Chrome) -> None:
    opened.execute_script("drawAll()")
    until(opened, "return document.querySelectorAll('.js-plotly-plot').length === 7")
    assert opened.title == "rnnlab: 12 runs in 4 groups"
    no_errors(opened)


def test_a_group_is_toggled(opened: webdriver.Chrome) -> None:
    assert len(lines(opened)) == 4
    box = opened.find_element(By.CSS_SELECTOR, "#groups input[data-group='1']")
    gone = opened.execute_script("return plain(DATA.groups[1].label)")
    box.send_keys(Keys.SPACE)
    assert gone not in [name for name, _ in lines(opened)]
    assert len(lines(opened)) == 3
    box.send_keys(Keys.SPACE)
    assert len(lines(opened)) == 4
    (cell,) = [one for one in opened.find_elements(By.CSS_SELECTOR, "#filters label") if one.text == "lstm"]
    cell.click()
    assert {name.split(", ")[1] for name, _ in lines(opened)} == {"rnn"}
    no_errors(opened)


def test_the_slider_moves_the_curves(opened: webdriver.Chrome) -> None:
    slider, shown = named(opened, "position"), named(opened, "position-text")
    assert shown.text == "last of each run"
    last = lines(opened)
    slider.send_keys(Keys.HOME)
    assert shown.text == "0"
    assert lines(opened) != last
    slider.send_keys(Keys.ARROW_RIGHT)
    assert shown.text == "10"
    # What is drawn is what Python packed.
    name, values = lines(opened)[0]
    place = opened.execute_script("return DATA.groups.findIndex((group) => plain(group.label) === arguments[0])", name)
    packed = opened.execute_script("return DATA.groups[arguments[0]].curves[1].values", place)

    assert values == pytest.approx(unpacked(packed)[0].tolist())
    no_errors(opened)


def test_the_table_is_sorted(opened: webdriver.Chrome) -> None:
    def rates() -> list[float]:
        column = [head.text for head in opened.find_elements(By.CSS_SELECTOR, "#groups th")].index("rate")
        rows = opened.find_elements(By.CSS_SELECTOR, "#groups tbody tr")
        return [float(row.find_elements(By.TAG_NAME, "td")[column].text) for row in rows]

    (head,) = [one for one in opened.find_elements(By.CSS_SELECTOR, "#groups th button") if one.text == "rate"]
    head.send_keys(Keys.ENTER)
    assert rates() == sorted(rates())
    head.send_keys(Keys.ENTER)
    assert rates() == sorted(rates(), reverse=True)
    assert head.find_element(By.XPATH, "..").get_attribute("aria-sort") == "descending"
    assert len(opened.find_elements(By.CSS_SELECTOR, "#groups th[aria-sort]")) == 1


def test_switches_change_the_charts(opened: webdriver.Chrome) -> None:
    for name, change in (
        ("seeds", "return document.getElementById('chart-curves').data.length > 12"),
        ("linear", "return document.getElementById('chart-curves').layout.yaxis.title.text === '|dL/dh_t|'"),
        ("bands", "return !document.getElementById('chart-curves').data.some((trace) => trace.fill === 'tonexty')"),
    ):
        assert not opened.execute_script(change)
        named(opened, name).click()
        assert opened.execute_script(change)
    no_errors(opened)


def test_a_page_that_is_followed_reloads_and_keeps_its_state(browser: webdriver.Chrome, file: Path) -> None:
    runs = file.parent.parent
    page_there = file.with_name("followed.html")
    made = next(path for path in runs.iterdir() if path.name.startswith("runs"))
    page_there.write_text(page(findings(made), reload=1), encoding="utf-8")
    size(browser, 1400)
    browser.get(page_there.as_uri())
    browser.execute_script("document.querySelector('#groups input').click(); setTheme('dark')")
    for name in ("linear", "log-updates"):
        browser.execute_script(f"document.getElementById('{name}').click()")
    browser.execute_script(
        "const s = document.getElementById('position'); s.value = 1; s.dispatchEvent(new Event('input'))"
    )
    browser.execute_script("document.querySelectorAll('#groups thead th button')[2].click(); scrollTo(0, 500)")
    state = """const boxes = [...document.querySelectorAll('#groups input')];
        return [boxes.map((box) => box.checked + box.dataset.group).sort(),
        document.documentElement.dataset.theme, document.getElementById('position').value,
        document.getElementById('linear').checked, scrollY, drawn.size,
        document.querySelector('#groups th[aria-sort]').textContent, !!window.before]"""
    browser.execute_script("window.before = true")
    *before, _ = browser.execute_script(state)
    until(browser, "return !window.before && document.querySelector('#groups th[aria-sort]') !== null")
    *after, marked = browser.execute_script(state)
    assert (after, marked) == (before, False)
    assert "dark" in before
    no_errors(browser)
    browser.get("about:blank")


def test_one_run_is_chosen(opened: webdriver.Chrome) -> None:
    select = Select(named(opened, "run"))
    assert len(select.options) == 12
    opened.execute_script("drawAll()")
    names = "return document.getElementById('chart-detail').data.map((trace) => trace.name).filter(Boolean)"
    seen = set()
    for _ in range(12):
        seen.add(named(opened, "facts").text.split("repeat\n")[1].split(" --name")[0])
        drawn = opened.execute_script(names)
        assert {"h, total", "h, direct"} <= set(drawn)
        assert ("c, total" in drawn) == ("lstm" in select.first_selected_option.text)
        named(opened, "next").click()
    assert len(seen) == 12
    heat = "return document.getElementById('chart-heat').data[0]"
    assert len(opened.execute_script(heat)["z"]) in (40, 80)
    # Over t, the other way round than lag: the last timestep is at the top.
    assert max(opened.execute_script(heat)["y"]) in (39, 79)
    no_errors(opened)


def test_a_cells_own_second_state_is_drawn(browser: webdriver.Chrome, tmp_path: Path) -> None:
    """Of cornn it is z, which is no c."""
    fake_group(tmp_path / "runs", {0: -3}, model__cell="cornn", spread=0.1)
    (tmp_path / "report.html").write_text(page(findings(tmp_path / "runs")), encoding="utf-8")
    size(browser, 1400)
    browser.get((tmp_path / "report.html").as_uri())
    browser.execute_script("drawAll()")
    until(browser, "return document.querySelectorAll('#chart-detail .scatterlayer .trace').length > 0")
    names = "return document.getElementById('chart-detail').data.map((trace) => trace.name).filter(Boolean)"
    drawn = browser.execute_script(names)
    assert drawn == ["5th to 95th percentile of samples", "h, total", "h, direct", "z, total"]
    assert named(browser, "states").text == "h and z"
    if folder := os.environ.get("RNNLAB_SCREENSHOTS"):
        browser.execute_script("arguments[0].scrollIntoView()", named(browser, "states"))
        browser.save_screenshot(str(Path(folder) / "states.png"))
    no_errors(browser)


def test_print_is_light_and_without_controls(opened: webdriver.Chrome) -> None:
    opened.execute_script("setTheme('dark')")
    opened.execute_script("dispatchEvent(new Event('beforeprint'))")
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not named(opened, "filters").is_displayed()
    assert opened.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert opened.execute_script("return document.querySelectorAll('.js-plotly-plot').length") == 7
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    opened.execute_script("dispatchEvent(new Event('afterprint'))")
    assert opened.execute_script("return document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_its_window(opened: webdriver.Chrome, width: int, theme: str, tmp_path: Path) -> None:
    size(opened, width)
    opened.execute_script("setTheme(arguments[0]); drawAll()", theme)
    until(opened, "return document.querySelectorAll('.js-plotly-plot').length === 7")
    # Charts follow the window a moment later.
    until(opened, f"return document.documentElement.scrollWidth <= {width}")
    wide = "return [...document.querySelectorAll('.js-plotly-plot')].every((one) => one.clientWidth <= innerWidth)"
    until(opened, wide)
    size(opened, width, opened.execute_script("return document.documentElement.scrollHeight"))
    folder = Path(os.environ.get("RNNLAB_SCREENSHOTS", tmp_path))
    folder.mkdir(exist_ok=True)
    shot = folder / f"report-{width}-{theme}.png"
    assert opened.save_screenshot(str(shot))
    assert struct.unpack(">I", shot.read_bytes()[16:20]) == (width,)
    back, front = (
        opened.execute_script(f"return getComputedStyle(document.body).{name}") for name in ("backgroundColor", "color")
    )
    assert contrast(back, front) >= 7
    no_errors(opened)


def contrast(one: str, other: str) -> float:
    """The ratio that WCAG 2 defines, of two colours as the browser gives them."""

    def light(colour: str) -> float:
        parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05

    bright, dark = sorted((light(one), light(other)), reverse=True)
    return bright / dark


def test_what_probes_measured_is_drawn_a_panel_a_part(browser: webdriver.Chrome, tmp_path: Path) -> None:
    for run in fake_group(tmp_path / "runs", {0: -1, 1: -2, 2: -3}, probe__which=["jacobian", "gates"]):
        with TableLog(run.dir.tables) as log:
            log.write(0, "jacobian", 0, "", [1, 9], {"log10_sigma_max": [-1.0, -9.0 - run.settings["seed"]]})
            for gate in "ifgo":
                log.write(0, "gates", 0, gate, [0, 1], {"mean": [0.25, 0.75]})
    path = tmp_path / "report.html"
    path.write_text(page(findings(tmp_path / "runs")), encoding="utf-8")
    size(browser, 400)
    browser.get_log("browser")
    browser.get(path.as_uri())
    browser.execute_script("drawAll()")
    plot = "document.getElementById('chart-probes')"
    choose = Select(named(browser, "probe"))
    # Of four panels, and then of one: the chart is as high as it has to be each time.
    choose.select_by_visible_text("gates: mean activation")
    panels = f"{plot}.layout.annotations.map((one) => one.text)"
    assert browser.execute_script(f"return {panels}") == ["i", "f", "g", "o"]
    until(browser, f"return {plot}._fullLayout.height === {plot}.clientHeight && {plot}.clientHeight > 900")
    choose.select_by_visible_text("jacobian: log10 largest singular value")
    until(browser, f"return {plot}._fullLayout.height === {plot}.clientHeight && {plot}.clientHeight < 400")
    drawn = browser.execute_script(f"return {plot}.data.filter((trace) => trace.name).map((trace) => trace.y)")
    assert drawn == [[-1, -10]]
    assert browser.execute_script("return document.documentElement.scrollWidth") == 400
    no_errors(browser)
