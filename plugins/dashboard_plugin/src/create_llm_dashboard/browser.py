"""Opening the page in the browser of whoever sits here."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import webbrowser
from pathlib import Path

from create_llm_dashboard.pages import page

_KEPT_SECONDS = 30.0


def has_browser() -> bool:
    """Whether somebody sits at a screen here; text browsers would take over the terminal."""
    if sys.platform not in ("win32", "darwin"):
        screens = ("DISPLAY", "WAYLAND_DISPLAY")
        if not any(os.environ.get(name) for name in screens):
            return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def open_link(link: str) -> bool:
    """Open the browser, if there is one; whether there was.

    It is given a file that only its owner may read and that leads on to the link: what stands in a
    command line, every user of the machine can see.
    """
    if not has_browser():
        return False
    handle, name = tempfile.mkstemp(prefix="create-llm-dashboard-", suffix=".html")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(page("open.html", link=link))
    path = Path(name)
    remove = threading.Timer(_KEPT_SECONDS, path.unlink, kwargs={"missing_ok": True})
    remove.daemon = True
    remove.start()
    return webbrowser.open(path.as_uri())
