"""Take the pictures of the page that are in the README: ``python -m tests.data.take_pictures``.

It takes Chromium, and Playwright of the development environment.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.serving import Served

DATA = Path(__file__).parent
#: Width, height and pixels in one of the page's.
SIZES = {"phone": (390, 844, 1.5), "desk": (1280, 800, 1.0)}


def main() -> None:
    """Split the song that ships, sing it up to a place, and take a picture at each size."""
    with tempfile.TemporaryDirectory() as folder, Served(Path(folder)) as served:
        song = served.add(DATA / "song.mp3")["id"]
        text = (DATA / "song.lrc").read_text(encoding="utf-8")
        served.ask("PUT", f"/songs/{song}/lyrics", json={"text": text})
        served.idle()
        with sync_playwright() as started:
            chromium = shutil.which("chromium") or shutil.which("google-chrome")
            browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name, (width, height, scale) in SIZES.items():
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    device_scale_factor=scale,
                    color_scheme="dark",
                )
                page.goto(f"{served.page}#/sing/{song}")
                page.locator(".syllable").first.wait_for()
                page.evaluate("localStorage.setItem('karaoke.chords', 'yes')")
                page.reload()
                page.locator(".chord").first.wait_for()
                page.wait_for_timeout(1500)
                page.evaluate("karaoke.player.seek(6.54)")
                page.wait_for_timeout(800)
                page.screenshot(path=DATA / f"sing-{name}.png")
            browser.close()


if __name__ == "__main__":
    main()
