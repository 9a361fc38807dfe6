"""The Chromium of the browser tests, for the pages of the site."""

from tests.browser.conftest import chromium

__all__ = ["chromium"]
