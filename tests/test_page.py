"""The page of ``karaoke serve`` in a real browser."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray
from playwright import sync_api

from karaoke.audio import load_audio
from karaoke.audio.ffmpeg import find_ffmpeg
from tests.serving import Served

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SEED = secrets.randbits(32)
DATA = Path(__file__).parent / "data"
FLAGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage"]
PHONE, SMALL, TABLET, DESK = (390, 844), (360, 640), (820, 1180), (1280, 800)

pytestmark = pytest.mark.browser
if os.environ.get("KARAOKE_BROWSER") == "required":
    assert CHROMIUM is not None, "there is no Chromium"
elif CHROMIUM is None:
    pytest.skip("NOT TESTED: the page. There is no Chromium here", allow_module_level=True)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Served]:
    """Start a service with the song that ships, split, with its words."""
    with Served(tmp_path_factory.mktemp("served"), "-n", tiny_model) as service:
        yield service


@pytest.fixture(scope="module")
def ready(served: Served) -> str:
    """Give a song that can be sung."""
    song = str(served.add(DATA / "song.mp3")["id"])
    text = (DATA / "song.lrc").read_text(encoding="utf-8")
    served.ask("PUT", f"/songs/{song}/lyrics", json={"text": text})
    served.idle()
    return song


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start a browser."""
    with sync_api.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


def until(page: Any, expression: str, seconds: float = 60) -> None:
    """Wait until something is so; Playwright's own way runs into the page's policy."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(20)


class Watched:
    """A page, and all that went wrong in it."""

    def __init__(self, browser: Any, served: Served, size: tuple[int, int], **options: Any) -> None:
        wide, high = size
        phone = wide < 800
        self.served, self.wrong = served, []
        self.context = browser.new_context(
            viewport={"width": wide, "height": high}, has_touch=phone, is_mobile=phone,
            device_scale_factor=3 if phone else 1, accept_downloads=True, **options,
        )  # fmt: skip
        # Whoever asks another host finds none, as without a network.
        self.context.route(lambda url: not url.startswith(served.page), self._refuse)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("console", lambda m: m.type == "error" and self.wrong.append(m.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda box: (self.wrong.append(box.message), box.dismiss()))
        self.page.on("requestfailed", self._failed)
        self.page.add_init_script(
            "document.addEventListener('securitypolicyviolation',"
            " (event) => console.error('policy: ' + event.violatedDirective));"
        )

    def _refuse(self, route: Any) -> None:
        self.wrong.append(f"asked for {route.request.url}")
        route.abort()

    def _failed(self, request: Any) -> None:
        # A browser gives up what it no longer needs: streams, and sounds that it has enough of.
        if "ERR_ABORTED" not in (request.failure or ""):
            self.wrong.append(f"{request.url}: {request.failure}")

    def open(self, address: str = "") -> Any:
        """Open an address below the page."""
        self.page.goto(self.served.page + address)
        return self.page

    def sing(self, song: str) -> Any:
        """Open a song, and wait until it can be played."""
        page = self.open(f"#/sing/{song}")
        until(page, "window.karaoke?.player?.element.readyState >= 3")
        until(page, "document.querySelector('.syllable') !== null")
        return page

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.context.close()
        if kind is None:
            assert not self.wrong, self.wrong


LEVELS = """async () => {
  const { player } = window.karaoke, { context } = player, found = {};
  for (const stem of ["vocals", "instrumental"]) {
    const meter = context.createAnalyser();
    meter.fftSize = 32768;
    player.gains[stem].connect(meter);
    found[stem] = meter;
  }
  await new Promise((done) => setTimeout(done, 1200));
  const levels = {};
  for (const [stem, meter] of Object.entries(found)) {
    const values = new Float32Array(meter.fftSize);
    meter.getFloatTimeDomainData(values);
    levels[stem] = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    player.gains[stem].disconnect(meter);
  }
  return levels;
}"""


def levels(page: Any, at: float) -> dict[str, float]:
    """Measure how loud each stem is behind its fader, from a time on, in dB."""
    page.evaluate(f"karaoke.player.seek({at})")
    found = page.evaluate(LEVELS)
    return {stem: 20 * np.log10(max(level, 1e-9)) for stem, level in found.items()}


def test_the_whole_way(browser: Any, served: Served, tmp_path: Path) -> None:
    long = tmp_path / "<img src=x onerror=alert(1)> & Söhne.mp3"
    subprocess.run([find_ffmpeg(), "-v", "error", "-stream_loop", "15", "-i", DATA / "song.mp3",
                    "-c", "copy", "-map_metadata", "-1", long], check=True)  # fmt: skip
    with Watched(browser, served, PHONE) as watched:
        page = watched.open()
        page.get_by_text("Choose songs").wait_for()
        page.set_input_files("#choose", long)
        card = page.locator("li.card", has_text="Söhne")
        card.wait_for()
        seen = set()
        for _ in range(600):
            job = next(j for j in served.get("/jobs")["jobs"] if j["command"] == "split")
            rings = page.evaluate("document.querySelector('.card .working')?.innerHTML ?? ''")
            seen.add(rings)
            if job["ended"]:
                break
            page.wait_for_timeout(100)
        assert len(seen) >= 5, "progress did not move"
        assert "<img" in card.locator(".title").inner_text()
        assert page.evaluate("document.images.length") == page.locator("img").count()
        card.locator("a.open").click()
        page.get_by_role("button", name="Play").click()
        until(page, "karaoke.player.time > 0.3")
        page.get_by_text("No words yet").wait_for()
        page.get_by_role("button", name="Pause").click()
        song = page.evaluate("karaoke.player.song.id")
        assert served.ask("DELETE", f"/songs/{song}").status_code == 204


def test_faders_do_what_they_say(browser: Any, served: Served, ready: str) -> None:
    with Watched(browser, served, DESK) as watched:
        page = watched.sing(ready)
        page.get_by_label("Voice level").fill("0")
        page.get_by_role("button", name="Play").click()
        until(page, "karaoke.player.time > 0.2")
        full = levels(page, 5.0)
        page.get_by_label("Voice level").fill(page.get_by_label("Voice level").get_attribute("min"))
        off = levels(page, 5.0)
        assert off["vocals"] < full["vocals"] - 40
        # Not to the sample the same moment of the song.
        assert abs(off["instrumental"] - full["instrumental"]) < 1.5
        page.get_by_label("Voice level").fill("-12")
        assert abs(levels(page, 5.0)["vocals"] - full["vocals"] + 12) < 1.5
        gains = page.evaluate("[karaoke.player.gains.vocals, karaoke.player.gains.instrumental]"
                              ".map((node) => node.gain.value)")  # fmt: skip
        assert np.allclose(gains, [10 ** (-12 / 20), 1], rtol=0.01)
        page.get_by_role("button", name="Mute band").click()
        assert levels(page, 5.0)["instrumental"] < full["instrumental"] - 40
        page.get_by_role("button", name="Mute band").click()
        page.get_by_role("button", name="Voice alone").click()
        alone = levels(page, 5.0)
        assert alone["instrumental"] < full["instrumental"] - 40 < alone["vocals"]


def truth(served: Served, song: str) -> list[tuple[float, float, str]]:
    """List when each syllable is sung."""
    return [
        (syllable["start"], syllable["end"], syllable["text"])
        for line in served.get(f"/songs/{song}/lyrics")["lines"]
        for word in line["words"]
        for syllable in word["syllables"]
    ]


def test_the_syllable_that_is_heard_is_lit(browser: Any, served: Served, ready: str) -> None:
    rng, known = np.random.default_rng(SEED), truth(served, ready)
    with Watched(browser, served, PHONE) as watched:
        page = watched.sing(ready)
        page.get_by_role("button", name="Play").click()
        until(page, "karaoke.player.time > 0.2")
        checked = 0
        for at in rng.uniform(2, 26, 50):
            page.evaluate(f"karaoke.player.seek({at})")
            until(page, f"karaoke.player.heard >= {at} && !karaoke.player.element.seeking")
            heard, lit = page.evaluate(
                "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>"
                " done([karaoke.player.heard, [...document.querySelectorAll('.now')].map((one) =>"
                " Number(one.dataset.start))]))))"
            )
            wanted = [start for start, end, _ in known if start + 0.06 <= heard < end - 0.06]
            if wanted:
                assert lit == wanted, heard
                checked += 1
            assert all(start - 0.06 <= heard for start in lit)
        assert checked > 10


def correlation_lag(heard: NDArray[np.float64], stem: NDArray[np.float64]) -> int:
    """Find where in a stretch of a stem a shorter piece of it was heard."""
    size = len(stem) + len(heard)
    product = np.fft.rfft(stem, size) * np.conj(np.fft.rfft(heard, size))
    return int(np.argmax(np.fft.irfft(product, size)[: len(stem)]))


def test_stems_stay_together(browser: Any, served: Served, ready: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    with Watched(browser, served, DESK) as watched:
        page = watched.sing(ready)
        page.get_by_role("button", name="Play").click()
        until(page, "karaoke.player.time > 0.2")
        rate = page.evaluate("karaoke.player.context.sampleRate")
        place, stems = served.data / "songs" / ready / "stems", {}
        for name in ("vocals", "instrumental"):
            path = tmp_path / f"{name}.wav"
            subprocess.run([find_ffmpeg(), "-v", "error", "-y", "-i", place / f"{name}.wav", "-ar",
                            str(round(rate)), path], check=True)  # fmt: skip
            stems[name] = load_audio(path)[0].mean(0).astype(np.float64)
        differences = []
        for at in rng.uniform(3, 22, 30):
            page.evaluate(f"karaoke.player.seek({at})")
            until(page, f"karaoke.player.time > {at} + 0.25")
            now, *heard = page.evaluate(
                "[karaoke.player.time, ...['vocals', 'instrumental'].map((stem) => {"
                " const meter = karaoke.player.meters[stem]; meter.fftSize = 8192;"
                " const values = new Float32Array(8192); meter.getFloatTimeDomainData(values);"
                " return [...values]; })]"
            )
            first = max(0, round((now - 0.8) * rate))
            lags = [
                correlation_lag(np.array(values), stems[name][first : first + round(1.2 * rate)])
                for name, values in zip(stems, heard, strict=True)
            ]
            differences.append(lags[0] - lags[1])
        # Where one of the stems is silent, there is nothing to find.
        assert np.median(np.abs(differences)) == 0
        assert np.mean(np.array(differences) == 0) > 0.8, differences


def test_another_key_sounds_and_reads_so(browser: Any, served: Served, ready: str) -> None:
    with Watched(browser, served, DESK) as watched:
        page = watched.sing(ready)
        name = served.get(f"/songs/{ready}")["key"]["name"].split()[0]
        before = page.get_by_role("group", name="Key").inner_text()
        assert name in before
        for _ in range(2):
            page.get_by_role("button", name="Key down").click()
        until(page, "karaoke.player.element.src.endsWith('player.opus?key=-2')")
        until(page, "karaoke.player.element.readyState >= 3")
        assert "→" in page.get_by_role("group", name="Key").inner_text()


def test_this_mix_is_what_is_heard(
    browser: Any, served: Served, ready: str, tmp_path: Path
) -> None:
    with Watched(browser, served, DESK) as watched:
        page = watched.sing(ready)
        page.get_by_label("Voice level").fill("-9")
        page.get_by_role("button", name="Download").click()
        page.get_by_label("Format of the mix").select_option("wav")
        with page.expect_download() as waiting:
            page.get_by_role("link", name="This mix").click()
        path = tmp_path / "mix.wav"
        waiting.value.save_as(path)
        assert waiting.value.suggested_filename == "The Mic Is Mine.wav"
        wanted = served.ask("GET", f"/songs/{ready}/mix.wav?vocals=-9&instrumental=0").content
        assert path.read_bytes() == wanted


def test_sheets_are_made_from_the_page(browser: Any, served: Served, ready: str) -> None:
    with Watched(browser, served, PHONE) as watched:
        page = watched.sing(ready)
        page.get_by_role("button", name="Download").click()
        page.get_by_label("Make a").select_option("lead-sheet")
        page.get_by_role("button", name="Make it").click()
        with page.expect_download(timeout=120_000) as waiting:
            page.locator("a.file", has_text="musicxml").click(timeout=120_000)
        assert waiting.value.suggested_filename == "The Mic Is Mine.musicxml"


OUTSIDE = """() => {
  const sheet = document.querySelector('.sheet').getBoundingClientRect();
  const bad = [];
  for (const one of document.querySelectorAll('.syllable')) {
    const box = one.getBoundingClientRect();
    const above = sheet.left > 0 && sheet.right < innerWidth - 1 ? innerHeight : sheet.top;
    if (box.left < -0.5 || box.right > innerWidth + 0.5 || box.top < -0.5
        || box.bottom > Math.max(above, sheet.top) + 0.5)
      bad.push([one.textContent, box.left, box.right, box.top, box.bottom, sheet.top]);
  }
  return bad;
}"""
SMALL_CONTROLS = """() => [
  ...document.querySelectorAll('button, a[href], select, input:not([hidden])')]
  .filter((one) => one.checkVisibility() && !one.closest('[hidden]'))
  .map((one) => [one, (one.type === 'range' ? one.parentElement : one).getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.height < 43.5 || box.width < 43.5))
  .map(([one, box]) => [one.outerHTML.slice(0, 120), box.width, box.height])"""


@pytest.mark.parametrize("size", [PHONE, SMALL, TABLET, DESK, (844, 390), (1920, 1080)], ids=str)
def test_nothing_is_cut_off_or_too_small(
    browser: Any, served: Served, ready: str, size: tuple[int, int]
) -> None:
    with Watched(browser, served, size) as watched:
        page = watched.sing(ready)
        for at in (0, 6.5, 9, 14, 20, 27):
            page.evaluate(f"karaoke.player.seek({at})")
            page.wait_for_timeout(450)
            assert page.evaluate(OUTSIDE) == []
        wide = "document.documentElement.scrollWidth - innerWidth"
        assert page.evaluate(wide) <= 0
        font = "parseFloat(getComputedStyle(document.querySelector('.syllable')).fontSize)"
        assert page.evaluate(font) >= (28 if size != (844, 390) else 24)
        assert page.evaluate(SMALL_CONTROLS) == []
        for address in ("#/", "#/queue", f"#/sing/{ready}/words"):
            watched.open(address)
            page.wait_for_timeout(500)
            assert page.evaluate(wide) <= 0, address
            assert page.evaluate(SMALL_CONTROLS) == [], address


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_everybody_can_use_it(browser: Any, served: Served, ready: str, scheme: str) -> None:
    with Watched(browser, served, PHONE, color_scheme=scheme, reduced_motion="reduce") as watched:
        for address in ("#/", "#/queue", f"#/sing/{ready}", f"#/sing/{ready}/words"):
            page = watched.open(address)
            page.wait_for_timeout(800)
            # The checker is put in by the browser's own tools, which no policy concerns.
            found = Axe().run(page).response["violations"]
            told = [(one["id"], [n["html"][:150] for n in one["nodes"]][:3]) for one in found]
            assert not told, (address, told)


def test_keys_play_and_mute(browser: Any, served: Served, ready: str) -> None:
    with Watched(browser, served, DESK) as watched:
        page = watched.sing(ready)
        page.keyboard.press("Space")
        until(page, "karaoke.player.playing && karaoke.player.time > 0.1")
        page.keyboard.press("1")
        assert page.evaluate("karaoke.player.levels.vocals.muted")
        page.keyboard.press("1")
        page.keyboard.press("w")
        assert page.evaluate("karaoke.player.levels.instrumental.solo")
        before = page.evaluate("karaoke.player.time")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("karaoke.player.time") > before + 1
        page.keyboard.press("Space")
        assert not page.evaluate("karaoke.player.playing")


def test_words_are_pasted_and_timed(browser: Any, served: Served, ready: str) -> None:
    kept = served.ask("GET", f"/songs/{ready}/lyrics?format=elrc").text
    with Watched(browser, served, PHONE) as watched:
        page = watched.open(f"#/sing/{ready}/words")
        page.locator("textarea").fill("[00:01.00]Only one line\n[00:04.00]and another")
        page.get_by_role("button", name="Save").click()
        served.wait(lambda: served.get(f"/songs/{ready}")["lyrics"]["lines"] == 2)
    served.idle()
    served.ask("PUT", f"/songs/{ready}/lyrics", json={"text": kept})


def test_phones_are_asked_for_the_code(browser: Any, tmp_path: Path, tiny_model: Path) -> None:
    with Served(tmp_path / "data", "-n", tiny_model, "--host", "0.0.0.0") as served:
        with Watched(browser, served, PHONE) as watched:
            page = watched.open()
            field = page.get_by_role("textbox").first
            field.wait_for()
            field.fill("0000-00")
            field.press("Enter")
            page.get_by_text("not the code").wait_for()
            field.fill(served.code.lower().replace("-", ""))
            field.press("Enter")
            page.get_by_text("Choose songs").wait_for()
            # What the browser says of the answers without the code is no fault of the page.
            watched.wrong = [one for one in watched.wrong if "401" not in one]
        with Watched(browser, served, PHONE) as watched:
            page = watched.open(f"?code={served.code}")
            page.get_by_text("Choose songs").wait_for()
            assert "code" not in page.url


EVIL = """<!doctype html><title>evil</title><body><script>
const at = %r, jobs = at + 'api/v1/songs/%s/jobs', done = [];
const go = (options) => fetch(jobs, { method: 'POST', credentials: 'include', ...options })
  .then(() => done.push('sent'), () => done.push('failed'));
(async () => {
  const body = JSON.stringify({ command: 'analyse', options: {} });
  await go({ body, mode: 'no-cors' });
  await go({ body, mode: 'no-cors', headers: { 'Content-Type': 'text/plain' } });
  await go({ body, headers: { 'Content-Type': 'application/json', 'X-Karaoke': '1' } });
  await go({ body: new FormData(), mode: 'no-cors' });
  await fetch(at + 'api/v1/songs').then((one) => one.text())
    .then(() => done.push('READ'), () => {});
  await new Promise((ready) => {
    const image = new Image();
    image.onload = () => { done.push('SEEN'); ready(); };
    image.onerror = ready;
    image.src = at + 'static/icon-192.png';
  });
  const form = document.createElement('form'), frame = document.createElement('iframe');
  Object.assign(form, { method: 'post', action: jobs, target: 'frame', enctype: 'text/plain' });
  frame.name = 'frame';
  document.body.append(frame, form);
  form.submit();
  await new Promise((ready) => setTimeout(ready, 500));
  document.title = 'done ' + done.join(',');
})();
</script>"""


def test_pages_of_others_change_and_see_nothing(browser: Any, served: Served, ready: str) -> None:
    html = (EVIL % (served.page, ready)).encode()

    class Evil(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    jobs = served.get("/jobs")
    with ThreadingHTTPServer(("127.0.0.1", 0), Evil) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://localhost:{other.server_port}/")
        until(page, "document.title.startsWith('done')")
        told = page.title()
        page.close()
        other.shutdown()
    assert "READ" not in told and "SEEN" not in told
    assert served.get("/jobs") == jobs


def test_a_phone_keeps_little_in_memory(browser: Any, served: Served, tmp_path: Path) -> None:
    long = tmp_path / "long.mp3"
    subprocess.run([find_ffmpeg(), "-v", "error", "-stream_loop", "21", "-i", DATA / "song.mp3",
                    "-c", "copy", long], check=True)  # fmt: skip
    song = served.add(long)["id"]
    served.wait(lambda: served.get(f"/songs/{song}")["state"] == "ready", 300)
    for job in served.get(f"/songs/{song}")["jobs"]:
        served.ask("DELETE", f"/jobs/{job}")
    with Watched(browser, served, PHONE) as watched:
        page = watched.open(f"#/sing/{song}")
        until(page, "window.karaoke?.player?.element.readyState >= 3")
        page.evaluate("karaoke.player.play()")
        for at in (100, 300, 500, 50):
            page.evaluate(f"karaoke.player.seek({at})")
            until(page, f"karaoke.player.time > {at} + 0.5")
        session = watched.context.new_cdp_session(page)
        session.send("Performance.enable")
        metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
        assert metrics["JSHeapUsedSize"] < 40e6
    served.ask("DELETE", f"/songs/{song}")
