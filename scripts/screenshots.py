"""Take pictures of the pages of a service filled with sample data: at three widths, in both languages, light and dark.

    python scripts/screenshots.py FOLDER [--only /en/offers] [--roles stranger,manager] [--model hashing]

FOLDER/ROLE/PAGE-LANGUAGE-WIDTH-light.png and so on. Needs chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import re
import secrets
import tempfile
from pathlib import Path

from headless import be, browser, prefer, resize
from pydantic import SecretStr
from selenium import webdriver
from showcase import ROLES, Showcase, showcase

from app.asking import COOKIE
from app.settings import Settings
from app.web.rendering import NAVIGATION

WIDTHS = (360, 768, 1280)
LANGUAGES = ("en", "zh")
SCHEMES = ("light", "dark")
TALLEST = 6_000  # pixels
PUBLIC = (
    "/{lang}/",
    "/{lang}/offers",
    "/{lang}/offers?field=clean_energy&country=CN",
    "/{lang}/needs?q=solar pumps without a grid",
    "/{lang}/needs?field=aerospace&country=XX",
    "/{lang}/listings/{listing}",
    "/{lang}/listings/{whole}",
    "/{lang}/listings/{gone}",
    "/?lang={lang}",
    "/?lang={lang}&side=offer&q=wear resistant elbows for ore slurry",
    "/sign-in?lang={lang}",
    "/nothing?lang={lang}",
)
KNOWN = (*(f"{path}?lang={{lang}}" for path, _name, _permission in NAVIGATION), "/account?lang={lang}")
ONE = ("/pairings/{pairing}?lang={lang}", "/listings/{listing}?lang={lang}")


def shoot(driver: webdriver.Chrome, file: Path, width: int) -> None:
    """The whole page, as far as it goes."""
    resize(driver, width)
    height = int(driver.execute_script("return document.documentElement.scrollHeight"))
    resize(driver, width, min(height, TALLEST))
    file.parent.mkdir(parents=True, exist_ok=True)
    driver.save_screenshot(str(file))


def visit(driver: webdriver.Chrome, shown: Showcase, role: str, only: str, folder: Path) -> None:
    """All pages of one role."""
    be(driver, shown.address, {COOKIE: shown.sessions[role]} if role in ROLES else {})
    for template in PUBLIC if role not in ROLES else KNOWN + ONE:
        for language in LANGUAGES:
            path = template.format(lang=language, **shown.ids)
            if only not in path:
                continue
            driver.get(shown.address + path)
            named = re.sub(r"[^\w=&]+", "_", template.replace("{lang}", "")).strip("_") or "home"
            for scheme in SCHEMES:
                prefer(driver, scheme)
                for width in WIDTHS:
                    shoot(driver, folder / role / f"{named}-{language}-{width}-{scheme}.png", width)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="pages whose address holds this")
    parser.add_argument("--roles", default=",".join(("stranger", *ROLES)))
    parser.add_argument("--model", default="hashing", help="as in DUKOU_MODEL; bundled finds by meaning")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(
            home=Path(home), model=given.model, secret=SecretStr(secrets.token_hex(32)), public_limit="100000/minute"
        )
        with showcase(settings) as shown, browser() as driver:
            for role in given.roles.split(","):
                visit(driver, shown, role, given.only, given.folder)
