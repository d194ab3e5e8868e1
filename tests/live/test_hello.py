"""The live figure "hello" in a browser, from the disk: driven by keys, read from its table, equal to autograd."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import harness
import pytest
import reference
from driver import Driver, near, shots, values

pytestmark = pytest.mark.site

STATES = (
    "",
    "#live=hello&t=0",
    "#live=hello&t=3&updates=400",
    "#live=hello&t=2&backward=1",
    "#live=hello&t=0&backward=1",
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The figure on a page of its own, on the disk."""
    return harness.write_page(tmp_path_factory.mktemp("hello"), "hello").as_uri()


@pytest.fixture
def hello(browser: shots.Browser, address: str) -> Iterator[Driver]:
    """The figure, to be driven."""
    driver = Driver(browser, address)
    yield driver
    driver.close()


def compare(hello: Driver, update: int) -> None:
    """Every number of the tables against autograd."""
    expected, numbers = reference.hello(update), list(hello.numbers().values())
    near(values(numbers[0], 2, 5), expected["a"])
    near(values(numbers[0], 5), expected["h"])
    near(values(numbers[1], 1, 5), expected["y"])
    near(values(numbers[1], 5), expected["p"])
    near(values(numbers[2][:-1], 1, 4), expected["delta"])
    near(values(numbers[2][:-1], 4), expected["shares"])
    near(values(numbers[2][-1:], 4), expected["d_W_hh"])
    near(values(numbers[3], 1, 2), expected["loss"])


def test_every_number_equals_autograd_before_and_after_training(hello: Driver) -> None:
    compare(hello, 0)
    hello.slide("Updates", "End")
    compare(hello, 400)
    hello.slide("Updates", *["ArrowLeft"] * 6)
    compare(hello, 60)


def test_a_sign_changed_in_the_cells_is_seen(browser: shots.Browser, tmp_path: Path) -> None:
    changed = tmp_path / "live"
    shutil.copytree(harness.live.LIVE, changed)
    cells = changed / "core/cells.js"
    code = cells.read_text(encoding="utf-8")
    assert code.count("tanh: (h) => 1 - h * h") == 1
    cells.write_text(code.replace("tanh: (h) => 1 - h * h", "tanh: (h) => 1 + h * h"), encoding="utf-8")
    page = harness.write_page(tmp_path / "page", "hello", live_folder=changed)
    driver = Driver(browser, page.as_uri())
    with pytest.raises(AssertionError, match="not close"):
        compare(driver, 0)
    driver.close()


def test_it_steps_by_keys_and_says_each_step(hello: Driver) -> None:
    hello.slide("Time t", "Home")
    assert "nothing is read yet" in hello.sentence
    said = []
    for _ in range(4):
        hello.slide("Time t", "ArrowRight")
        said.append(hello.sentence)
    assert [sentence.split(";")[0].split(" says ")[0] for sentence in said] == [
        f"t = {t}: it reads {letter} and" for t, letter in enumerate("hell", start=1)
    ]
    hello.slide("Updates", "End")
    assert "says o" in hello.sentence and "that is right" in hello.sentence
    hello.press("← Earlier")
    assert hello.sentence.startswith("t = 3") and "says l" in hello.sentence
    assert "Both l’s" in hello.page.inner_text(".live-noticed")  # shown once something was tried


def test_backwards_the_shares_add_up_to_the_gradient(hello: Driver) -> None:
    hello.slide("Time t", "End")
    hello.press("Run it backward", role="switch")
    expected = reference.hello(0)
    for t in (4, 3, 2, 1):
        near(values(list(hello.numbers().values())[3], 2), expected["shares"][t - 1 :].sum(0))
        hello.press("← Earlier")
    assert "add up to dL/dW_hh" in hello.sentence


def test_a_link_brings_the_moment_back(hello: Driver) -> None:
    hello.slide("Time t", "End")
    hello.slide("Updates", "End")
    link, sentence = hello.page.get_attribute(".live-link", "href"), hello.sentence
    assert link == "#live=hello&t=4&updates=400"
    hello.open(link)
    assert hello.sentence == sentence and hello.error == ""
    hello.page.evaluate("location.hash = '#live=hello&t=2'")  # while it is open, too
    hello.page.wait_for_function("document.querySelector('.live-says').textContent.startsWith('t = 2')")


@pytest.mark.parametrize(
    "link", ["t=NaN", "t=5", "t=-1", "updates=17", "backward=maybe", "nothing=1", f"t={'9' * 100_000}"]
)
def test_a_bad_link_gets_a_sentence_and_the_rest_is_shown(hello: Driver, link: str) -> None:
    hello.open(f"#live=hello&{link}")
    assert hello.error.startswith("The link") and len(hello.error) < 250
    assert hello.sentence.startswith("t = 1")
    hello.slide("Time t", "End")
    assert hello.error == "" and hello.sentence.startswith("t = 4")


@pytest.mark.parametrize("screen", shots.SCREENS)
@pytest.mark.parametrize("mode", shots.MODES)
def test_every_state_is_sound(browser: shots.Browser, address: str, screen: str, mode: str) -> None:
    driver = Driver(browser, address, screen, mode)
    for state in STATES:
        driver.open(state)
        driver.slide("Time t", "ArrowLeft", "ArrowRight", "ArrowLeft")
        driver.numbers()
        assert driver.looks_wrong() == [], state
    driver.close()
