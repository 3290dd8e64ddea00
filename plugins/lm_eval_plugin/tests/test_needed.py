"""The command without the harness."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from create_llm.cli import main
from create_llm_lm_eval.__main__ import main as harness_main

pytestmark = pytest.mark.skipif(
    find_spec("lm_eval") is not None, reason="the harness is installed here"
)


def test_it_says_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    for call in (lambda: main(["lm-eval", "--tasks", "x", "--json"]), harness_main):
        with pytest.raises(SystemExit) as exit_:
            call()
        assert exit_.value.code == 70
        out, err = capsys.readouterr()
        assert out == ""
        assert '-m pip install "create-llm-lm-eval[harness]"' in err
