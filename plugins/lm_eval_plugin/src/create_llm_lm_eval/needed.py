"""Whether the harness is there; it is large, and this package is useful to look at without it."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from create_llm.errors import PluginError


def check_installed() -> None:
    """
    Raises:
        PluginError: lm-evaluation-harness is not installed.
    """
    if find_spec("lm_eval") is None:
        raise PluginError(
            "lm-evaluation-harness is not installed",
            where="the Python package lm_eval",
            fixes=(f'{sys.executable} -m pip install "create-llm-lm-eval[harness]"',),
        )
