"""A headless Chromium that opens dashboards, for tests and screenshots."""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from selenium import webdriver
from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
    WebDriverException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from bi.model import Dashboard
from contracts.settings import Settings

_PATIENCE: Final = 90.0
_WIDTH: Final = 1600
# Superset draws only visible charts: the window is as high as the longest dashboard.
_HEIGHT: Final = 4200
_CHROMIUMS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The state of a chart: an error message, "loading", or "" when it has drawn data.
_STATE: Final = """
const chart = arguments[0].querySelector('[data-test="slice-container"], .slice_container');
const holder = arguments[0];
if (holder.querySelector('.loading, [data-test="loading-indicator"]')) return 'loading';
const alert = holder.querySelector('[role="alert"], .ant-alert');
if (alert) return 'error: ' + alert.innerText;
const empty = holder.querySelector('.ant-empty, [data-test="empty-state"]');
if (empty) return 'empty: ' + empty.innerText;
if (!chart) return 'loading';
const canvas = chart.querySelector('canvas');
if (canvas) {
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const words = new Uint32Array(pixels.buffer);
  const colours = new Set();
  for (let i = 0; i < words.length && colours.size < 8; i += 3) colours.add(words[i]);
  return colours.size < 8 ? 'loading' : '';
}
if (chart.querySelector('tbody tr td')) return '';
return chart.querySelector('.header-line') && chart.innerText.trim() ? '' : 'loading';
"""


class BrowserError(RuntimeError):
    """Raised when the browser is missing, or an expected page does not appear."""


class Browser:
    """One browser window, for Superset."""

    def __init__(self, driver: webdriver.Chrome, settings: Settings) -> None:
        self.driver, self._superset = driver, settings.superset

    def _find(self, selector: str) -> Any:
        def element() -> Any:
            try:
                return self.driver.find_element(By.CSS_SELECTOR, selector)
            except NoSuchElementException:
                return None

        return wait(element, f"{selector} on {self.driver.current_url}")

    def log_in(self) -> None:
        """Log in with the form."""
        try:
            self.driver.get(f"{self._superset.url}/login/")
        except WebDriverException as problem:
            raise BrowserError(
                f"Superset does not answer at {self._superset.url}: run `make bi`."
            ) from problem
        self._find("input#username").send_keys(self._superset.username)
        password = self._find("input#password")
        password.send_keys(self._superset.password.get_secret_value())
        password.send_keys(Keys.ENTER)
        wait(lambda: "/login" not in self.driver.current_url, "a page behind the login")

    def open(self, dashboard: Dashboard) -> None:
        """Open a dashboard and wait until each of its charts has drawn or failed."""
        self.driver.get(f"{self._superset.url}/superset/dashboard/{dashboard.slug}/")
        self._find(".dashboard-grid")
        self.settle(dashboard)

    def settle(self, dashboard: Dashboard) -> None:
        """Wait until each chart has drawn data or reports an error, in two samples."""
        before: dict[str, str] = {}

        def settled() -> bool:
            nonlocal before
            states = self.troubles(dashboard)
            same, before = states == before, states
            return same and "loading" not in states.values()

        try:
            wait(settled, f"the charts of {dashboard.title}", pause=0.7)
        except BrowserError as problem:
            raise BrowserError(f"{problem}: {before}") from problem

    def troubles(self, dashboard: Dashboard) -> dict[str, str]:
        """Return the error of each chart by title, "" for a chart with data."""
        states = {}
        for title, holder in self._holders().items():
            try:
                states[title] = str(self.driver.execute_script(_STATE, holder)).strip()
            except StaleElementReferenceException:
                states[title] = "loading"
        missing = {chart.title for chart in dashboard.charts} - states.keys()
        return states | dict.fromkeys(missing, "loading")

    def _holders(self) -> dict[str, Any]:
        holders = self.driver.find_elements(By.CSS_SELECTOR, ".dashboard-component-chart-holder")
        holders_by_title = {}
        for holder in holders:
            try:
                title = holder.find_element(By.CSS_SELECTOR, '[data-test="editable-title"]')
                holders_by_title[title.text.strip()] = holder
            except (NoSuchElementException, StaleElementReferenceException):
                continue
        return holders_by_title

    def text(self, title: str) -> str:
        """Return the text of a chart without its title."""
        chart = self._holders()[title].find_element(By.CSS_SELECTOR, ".slice_container")
        return str(chart.text).strip()

    def choose(self, column: str, value: str) -> None:
        """Select a value in a filter of the side bar and apply it."""
        field = self._find(
            f'[data-test="form-item-value"] #NATIVE_FILTER-{column}, '
            f'[data-test="NATIVE_FILTER-{column}"] input'
        )
        field.send_keys(value)
        self._find(f'.ant-select-item-option[title="{value}"]')
        field.send_keys(Keys.ENTER)
        field.send_keys(Keys.ESCAPE)
        self._find('[data-test="filter-bar__apply-button"]').click()

    def picture(self, file: Path) -> None:
        """Save a screenshot, cropped below the last chart."""
        bottom = self.driver.execute_script(
            "return Math.max(...[...document.querySelectorAll('.dashboard-component-chart-holder')]"
            ".map(chart => chart.getBoundingClientRect().bottom))"
        )
        clip = {"x": 0, "y": 0, "width": _WIDTH, "height": int(bottom) + 24, "scale": 1}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip})
        file.write_bytes(base64.b64decode(shot["data"]))


def wait(condition: Callable[[], Any], what: str, pause: float = 0.2) -> Any:
    """Return the value of a condition when it becomes true.

    Raises:
        BrowserError: after a timeout.
    """
    deadline = time.monotonic() + _PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise BrowserError(f"waited {_PATIENCE:.0f} s in vain for {what}")
        time.sleep(pause)
    return value


def _program(names: tuple[str, ...]) -> str:
    path = next((program for name in names if (program := shutil.which(name))), None)
    if path is None:
        raise BrowserError(
            f"{names[0]} is not installed: on Debian and Ubuntu it is in the packages "
            "`chromium` and `chromium-driver`."
        )
    return path


@contextmanager
def browser(settings: Settings) -> Iterator[Browser]:
    """Yield a headless Chromium that is installed on this machine; nothing is downloaded.

    Raises:
        BrowserError: when Chromium or its driver is not installed.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = _program(_CHROMIUMS)
    for argument in (
        "--headless=new",
        f"--window-size={_WIDTH},{_HEIGHT}",
        "--hide-scrollbars",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-dev-shm-usage",
        "--no-first-run",
        # The sandbox refuses root, and the browser opens only pages of this platform.
        "--no-sandbox",
    ):
        options.add_argument(argument)
    # With the path of a driver, Selenium does not download one.
    driver = webdriver.Chrome(options=options, service=Service(_program(("chromedriver",))))
    try:
        yield Browser(driver, settings)
    finally:
        driver.quit()
