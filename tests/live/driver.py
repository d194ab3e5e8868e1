"""Drives a live figure as a reader would: keys, a table, a sentence."""

from typing import Any

import torch
from playwright.sync_api import Browser, Page
from site_checker import LOOK, axe, shots
from torch import Tensor

TARGETS = """() => [...document.querySelectorAll(".live :is(button, summary, a, select, input)")]
  .filter((el) => el.checkVisibility())
  .map((el) => [el.closest("label") ?? el, el])
  .map(([box, el]) => [box.getBoundingClientRect(), el.outerHTML.slice(0, 80)])
  .filter(([box]) => box.height < 43.5 || box.width < 43.5)
  .map(([box, what]) => `${box.width}x${box.height} ${what}`)"""


class Driver:
    """A figure's page, and what went wrong on it."""

    def __init__(self, browser: Browser, address: str, screen: str = "desktop", mode: str = "light") -> None:
        self.page: Page = shots.open_page(browser, screen, mode)
        self.address = address
        self.problems: list[str] = []
        self.opened = 0
        self.page.on(
            "console", lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.open()

    def open(self, fragment: str = "") -> None:
        """Open the figure afresh, at a link's moment."""
        self.opened += 1  # another address each time, else only the fragment would change
        self.page.goto(f"{self.address}?{self.opened}{fragment}")
        self.page.wait_for_selector(".live")

    def close(self) -> None:
        """Leave; nothing may have been complained of."""
        self.page.context.close()
        assert self.problems == []

    def slide(self, label: str, *keys: str) -> None:
        """Press keys on the slider with this label."""
        slider = self.page.get_by_label(label, exact=True)
        slider.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def press(self, name: str, role: str = "button") -> None:
        """Press a button or a switch with the space bar."""
        self.page.get_by_role(role, name=name, exact=True).focus()
        self.page.keyboard.press("Space")

    def numbers(self) -> dict[str, list[list[str]]]:
        """The tables by caption, their bodies row by row."""
        if not self.page.locator(".live-numbers[open]").count():
            self.page.locator(".live-numbers > summary").focus()
            self.page.keyboard.press("Enter")
            self.page.wait_for_selector(".live-numbers[open] td")
        return self.page.evaluate(
            """() => Object.fromEntries([...document.querySelectorAll(".live-table table")].map((table) => [
              table.caption.textContent,
              [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent))]))"""
        )

    @property
    def sentence(self) -> str:
        """What is spoken of the present step."""
        return self.page.inner_text(".live-says")

    @property
    def error(self) -> str:
        """What went wrong, as the figure says it."""
        return self.page.inner_text(".live-error")

    def looks_wrong(self, rules: list[str] | None = None) -> list[str]:
        """What axe and the site's own checks find, and targets that are too small for a finger."""
        found = list(self.page.evaluate(LOOK))
        return found + axe(self.page, rules) + [f"small: {what}" for what in self.page.evaluate(TARGETS)]


def values(rows: list[list[str]], start: int, end: int | None = None) -> Tensor:
    """Some columns of a table as numbers."""
    return torch.tensor([[float(cell) for cell in row[start:end]] for row in rows], dtype=torch.float64)


def near(ours: Tensor, theirs: Any, tolerance: float = 1e-5) -> None:
    """Equal to an absolute tolerance."""
    torch.testing.assert_close(ours, theirs.detach().double().view_as(ours), atol=tolerance, rtol=0)
