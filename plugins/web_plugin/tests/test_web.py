"""The source `web`: what it reads, its parts, its messages, and `llm train` from an address."""

import gzip
import json
import os
import pickle
import subprocess
import sys

import pytest
from pydantic import ValidationError

from create_llm.config import load_config
from create_llm.data.check.checking import check
from create_llm.data.corpus import Corpus
from create_llm.data.documents import Rejected
from create_llm.data.pipeline import data_source, ensure_tokenizer
from create_llm.errors import ConfigError, DataError
from create_llm.kernel.plugins import default_plugins, load_plugins
from create_llm.project.folder import Project
from create_llm_web.config import WebConfig
from create_llm_web.source import WebSource

LINES = "".join(f"line {number} of a story about a king\n" for number in range(3000))


def source(root, *paths, **options):
    return WebSource(WebConfig(train_path=paths, **options), root)


def joined(source):
    return "".join(document.text for document in source.documents())


def test_texts_come_in_the_order_of_their_addresses(site, tmp_path):
    site.put("/z.txt", b"from z\n" * 100)
    site.put("/a.txt", b"from a\n" * 100)
    read = source(tmp_path, site.url("/z.txt"), site.url("/a.txt"))
    assert joined(read) == "from z\n" * 100 + "from a\n" * 100
    origins = [str(document.origin) for document in read.documents()]
    assert origins[0] == f"{site.url('/z.txt')}:1"
    assert origins[-1].startswith(site.url("/a.txt"))
    assert read.total_bytes() == 1400


def test_nothing_needs_a_network_once_it_is_here(site, tmp_path):
    site.put("/a.txt", LINES.encode())
    url = site.url("/a.txt")
    first = source(tmp_path, url).fingerprint()
    site.server.shutdown()
    again = source(tmp_path, url)
    assert (again.fingerprint(), joined(again)) == (first, LINES)


def test_the_fingerprint_follows_the_text_and_how_it_is_read(site, tmp_path):
    site.put("/a.txt", b"one|two\n" * 100)
    site.put("/same.txt", b"one|two\n" * 100)
    site.put("/b.txt", b"another\n" * 100)
    a, same, b = (site.url(f"/{name}.txt") for name in ("a", "same", "b"))
    assert source(tmp_path, a).fingerprint() == source(tmp_path, same).fingerprint()
    seen = [
        source(tmp_path, a),
        source(tmp_path, b),
        source(tmp_path, a, b),
        source(tmp_path, b, a),
        source(tmp_path, a, text={"separator": "|"}),
    ]
    assert len({each.fingerprint() for each in seen}) == len(seen)
    assert next(seen[-1].documents()).text == "one"


def test_a_wrong_key_of_the_reader_is_named(site, tmp_path):
    site.put("/a.txt", LINES.encode())
    with pytest.raises(ConfigError, match=r"data\.text\.seperator") as caught:
        joined(source(tmp_path, site.url("/a.txt"), text={"seperator": "|"}))
    assert "separator" in caught.value.fixes[0]
    assert "train_path" not in caught.value.fixes[0]
    with pytest.raises(ValidationError, match=r"data\.train_path"):
        source(tmp_path, site.url("/a.txt"), text={"train_path": "b.txt"})


def test_validation_may_have_an_address_of_its_own(site, tmp_path):
    site.put("/train.txt", b"to learn from\n" * 100)
    site.put("/val.txt", b"to be scored on\n" * 100)
    whole = source(tmp_path, site.url("/train.txt"), val_path=site.url("/val.txt"))
    validation = whole.validation()
    assert joined(validation) == "to be scored on\n" * 100
    assert validation.validation() is None
    assert source(tmp_path, site.url("/train.txt")).validation() is None


def test_rows_are_read_and_those_that_cannot_be_are_named_by_address(site, tmp_path):
    rows = [json.dumps({"prompt": f"What is {n}?", "completion": f"{n}."}) for n in range(50)]
    rows.insert(7, '{"prompt": 1')
    site.put("/rows", gzip.compress("\n".join(rows).encode()), kind="application/x-ndjson")
    read = source(tmp_path, site.url("/rows"))
    found = list(read.documents())
    (rejected,) = (item for item in found if isinstance(item, Rejected))
    assert str(rejected.origin) == f"{site.url('/rows')}:8"
    assert len(found) == 51
    assert [segment.role for segment in found[0].segments] == ["user", "assistant"]
    (survey,) = read.survey()
    assert (survey.path, survey.format) == (site.url("/rows"), "jsonl.gz")


def test_its_parts_together_are_the_whole_in_another_process_too(site, tmp_path):
    site.put("/a.txt", LINES.encode())
    site.put("/b.txt", LINES.upper().encode())
    read = source(tmp_path, site.url("/a.txt"), site.url("/b.txt"))
    parts = read.parts()
    assert len({part.name for part in parts}) == len(parts) >= 2
    site.server.shutdown()
    copy = pickle.loads(pickle.dumps(read))  # noqa: S301 — as a worker process receives it
    together = [item for part in parts for item in copy.documents_in(part)]
    assert together == list(read.documents())


def test_progress_goes_to_whoever_shows_it(site, tmp_path, capsys):
    site.put("/a.txt", LINES.encode(), drops=[1000])
    told = []
    read = source(tmp_path, site.url("/a.txt"))
    read.fetch(lambda *progress: told.append(progress))
    assert joined(read) == LINES
    size = len(LINES.encode())
    assert told[-1] == (f"downloading {site.url('/a.txt')}", size, size)
    assert (f"downloading {site.url('/a.txt')}", 1000, size) in told
    assert "downloading" not in capsys.readouterr().err


def web_project(folder, **paths):
    keys = "".join(f'{name} = "{url}"\n' for name, url in paths.items())
    (folder / "llm.toml").write_text(
        f'[project]\ntemplate = "nano"\n[data]\nsource = "web"\n{keys}'
        "[tokenizer]\nvocab_size = 300\n"
    )
    return Project(folder), load_config(folder, default_plugins(), environ={})


def downloads(told):
    """The last that was told of each download: how much of how many bytes."""
    found = {stage: (done, total) for stage, done, total in told}
    return {stage: ended for stage, ended in found.items() if stage.startswith("downloading")}


def test_a_command_shows_the_download_beside_its_other_stages(site, tmp_path, capsys):
    site.put("/a.txt", LINES.encode())
    site.put("/val.txt", LINES.upper().encode())
    urls = {"train_path": site.url("/a.txt"), "val_path": site.url("/val.txt")}
    project, config = web_project(tmp_path, **urls)
    told = []
    ensure_tokenizer(project, config, progress=lambda *progress: told.append(progress))
    size = len(LINES.encode())
    assert downloads(told) == {f"downloading {url}": (size, size) for url in urls.values()}
    assert "training the tokenizer" in {stage for stage, _, _ in told}
    assert "downloading" not in capsys.readouterr().err


def test_a_check_shows_the_download_too(site, tmp_path, capsys):
    site.put("/a.txt", LINES.encode())
    project, config = web_project(tmp_path, train_path=site.url("/a.txt"))
    told = []
    corpus = Corpus((data_source(project, config),), val_split=0.1)
    report = check(corpus, progress=lambda *progress: told.append(progress))
    assert report.usable
    size = len(LINES.encode())
    assert downloads(told) == {f"downloading {site.url('/a.txt')}": (size, size)}
    assert "downloading" not in capsys.readouterr().err


def test_an_empty_text_is_an_error_that_says_so(site, tmp_path):
    site.put("/a.txt", b"")
    with pytest.raises(DataError, match="empty"):
        list(source(tmp_path, site.url("/a.txt")).documents())


def test_a_text_that_cannot_be_read_can_be_fetched_again(site, tmp_path):
    page = site.put("/a.txt", gzip.compress(LINES.encode())[:2] + b"x" * 100)
    with pytest.raises(DataError) as caught:
        list(source(tmp_path, site.url("/a.txt")).documents())
    assert "data.refresh=true" in caught.value.fixes[-1]
    page.body = LINES.encode()
    assert joined(source(tmp_path, site.url("/a.txt"), refresh=True)) == LINES


def test_the_plugin_is_light_and_its_part_resolves():
    code = (
        "import sys, create_llm_web.plugin; "
        "heavy = {'pydantic', 'requests', 'numpy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    part = load_plugins({"CREATE_LLM_PLUGINS": "web,text"}).registry.get("data_sources", "web")
    assert (part.load(), part.config_model()) == (WebSource, WebConfig)


def llm(folder, *arguments):
    environ = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    code = "from create_llm.cli import main; main()"
    command = [sys.executable, "-c", code, "-C", folder, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=120)


def test_a_project_is_prepared_from_an_address(site, tmp_path):
    site.put("/book.txt", LINES.encode(), drops=[50_000])
    url = site.url("/book.txt")
    (tmp_path / "llm.toml").write_text(
        '[project]\ntemplate = "nano"\n'
        f'[data]\nsource = "web"\ntrain_path = "{url}"\n'
        "[tokenizer]\nvocab_size = 300\n"
    )
    first = llm(tmp_path, "data", "prepare", "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["train"]["documents"] > 0
    assert f"downloading {url} …\n" in first.stderr
    assert "the connection broke off; again in" in first.stderr


def test_what_a_person_got_wrong_is_told_without_a_stack_trace(site, tmp_path):
    (tmp_path / "llm.toml").write_text('[project]\ntemplate = "nano"\n[data]\nsource = "web"\n')
    for path, exit_code, said in (
        (site.url("/none.txt"), 65, "404"),
        ("https://me:hunter2@example.org/a.txt", 2, "~/.netrc"),
    ):
        wrong = llm(tmp_path, "data", "prepare", "--set", f"data.train_path={path}")
        assert wrong.returncode == exit_code, wrong.stderr
        assert said in wrong.stderr
        assert "Traceback" not in wrong.stderr
        assert "hunter2" not in wrong.stderr
