"""The list of first-party parts says what the packages of this repository register."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

from create_llm.kernel.catalogue import FILE, catalogue, distribution_of, providers_of
from create_llm.kernel.plugins import load_plugins

ROOT = Path(__file__).resolve().parents[1]


def test_the_list_is_up_to_date():
    check = [sys.executable, str(ROOT / "core" / "write_catalogue.py"), "--check"]
    result = subprocess.run(check, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


def test_the_list_holds_every_package_and_what_it_registers():
    packages = (ROOT / "plugins").glob("*_plugin/pyproject.toml")
    names = {tomllib.loads(package.read_text())["project"]["name"] for package in packages}
    assert set(catalogue()) == names
    for record in load_plugins({}).records:
        if record.plugin.distribution in names:
            provided = {kind: sorted(parts) for kind, parts in record.provides.items()}
            assert catalogue()[record.plugin.distribution] == provided


def test_a_list_that_is_behind_fails_the_check(tmp_path: Path):
    behind = json.loads(FILE.read_text())
    behind.popitem()
    copy = tmp_path / "catalogue.json"
    copy.write_text(json.dumps(behind))
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); "
        "import write_catalogue as w; w.FILE = Path(sys.argv[2]); sys.exit(w.main(['--check']))"
    )
    command = [sys.executable, "-c", program, str(ROOT / "core"), str(copy)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "make catalogue" in result.stderr


def test_the_list_answers_by_part_and_by_plugin():
    assert providers_of("architectures", "gpt") == ["create-llm-gpt"]
    assert providers_of("architectures", "no-such-part") == []
    assert distribution_of("gpt") == "create-llm-gpt"
    assert distribution_of("no-such-plugin") is None
