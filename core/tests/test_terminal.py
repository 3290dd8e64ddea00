"""What reaches a terminal, and which reports and settings a command line takes."""

from __future__ import annotations

import io
import json
import sys

import pytest

from create_llm.cli import main
from create_llm.cli.app import _fail
from create_llm.cli.compare import _refuse_report
from create_llm.cli.progress import progress_bars
from create_llm.cli.tables import show_table
from create_llm.cli.terminal import alone, one_line, steady, written
from create_llm.errors import ConfigError
from create_llm.models.bundle import INFO
from create_llm.models.sampling import Sampling


def test_control_characters_are_spelt_out_and_scripts_stay():
    assert steady("a\x1b[2Jb\x9bc\rd\x07") == "a\\x1b[2Jb\\x9bc\\rd\\x07"
    fine = "zwei\u00a0W\u00f6rter\n\t\U0001f469\u200d\U0001f4bb"
    assert steady(fine) == fine
    assert steady("a\r\nb") == "a\nb"


def test_what_reorders_a_line_or_is_half_a_character_is_spelt_out():
    assert steady("\u202egnp.exe\u2066 \ud800") == "\\u202egnp.exe\\u2066 \\ud800"


def test_a_cell_and_a_token_show_what_cannot_be_seen():
    assert one_line("a\tb\nc\u00a0\x1b[2J d") == "a\\tb⏎c\\xa0\\x1b[2J d"
    assert alone(" the\n") == "␣the⏎"


def test_a_pipe_gets_what_was_written_and_a_terminal_what_is_steady(monkeypatch):
    assert written("\x1b[0m") == "\x1b[0m"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert written("\x1b[0m") == "\\x1b[0m"


def test_cells_cannot_steer(capsys):
    show_table(["\x1b]0;title\x07"], [["v1\x1b[2J"]], {})
    assert "\x1b" not in capsys.readouterr().out


def test_an_error_cannot_steer(capsys):
    with pytest.raises(SystemExit):
        _fail(ConfigError("a\x1b[2J", where="b\x1b[2J"), debug=False)
    assert capsys.readouterr().err == "Error: a\\x1b[2J\n  where: b\\x1b[2J\n"


TITLE = "\x1b]0;title\x07"


@pytest.mark.parametrize(
    "arguments", [[f"--{TITLE}"], ["runs", "list", TITLE], ["runs", TITLE], [TITLE]]
)
def test_what_was_typed_cannot_steer(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "\\x1b]0;title\\x07" in told
    assert not {"\x1b", "\x07"} & set(told)


class Tty(io.StringIO):
    def isatty(self):
        return True


def test_stages_of_a_bar_cannot_steer(monkeypatch):
    terminal = Tty()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    with progress_bars() as progress:
        progress(f"[red]a{TITLE}", 1, 2)
    shown = terminal.getvalue()
    assert "[red]a\\x1b]0;title\\x07" in shown
    assert TITLE not in shown


def test_a_report_takes_the_place_of_an_earlier_report_alone(tmp_path):
    page, figures = tmp_path / "r.html", tmp_path / "r.json"
    _refuse_report(page)
    page.write_text("mine")
    with pytest.raises(ConfigError, match=r"r\.html is there"):
        _refuse_report(page)
    figures.write_text("[1]")
    with pytest.raises(ConfigError, match="no earlier report"):
        _refuse_report(page)
    figures.write_text(json.dumps({"models": [], "sampling": {}, "report_json": "r.json"}))
    _refuse_report(page)
    page.unlink()
    figures.write_text("{}")
    with pytest.raises(ConfigError, match=r"r\.json is there"):
        _refuse_report(page)


@pytest.mark.parametrize("name", ["r.txt", "r", "config.json", "model/r.html", "model/x/r.html"])
def test_a_report_is_a_page_outside_a_model(tmp_path, name):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / INFO).write_text("{}")
    with pytest.raises(ConfigError):
        _refuse_report(tmp_path / name)


@pytest.mark.parametrize("tokens", [0, 2**31, 10**21])
def test_no_more_tokens_than_engines_can_count(tokens):
    with pytest.raises(ConfigError, match="max_new_tokens must be from 1"):
        Sampling(max_new_tokens=tokens)
