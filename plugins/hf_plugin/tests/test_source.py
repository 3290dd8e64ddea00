from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plugins.hf_plugin.tests.service import Fault

from create_llm import __version__
from create_llm.config import load_config
from create_llm.data.pipeline import data_source, refuse_unknown_text
from create_llm.data.source import documents_of
from create_llm.errors import ConfigError, DataError, NetworkError
from create_llm.kernel.plugins import load_plugins
from create_llm.project.folder import Project
from create_llm_hf.dataset_files import layout_of
from create_llm_hf.source import HuggingFaceSource
from create_llm_hf.source_config import HuggingFaceDataConfig


def rows(count, split="train", start=0):
    return [{"text": f"{split} row {number}"} for number in range(start, start + count)]


def jsonl(values):
    return "".join(f"{json.dumps(value)}\n" for value in values).encode()


def parquet(values):
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(values), buffer)
    return buffer.getvalue()


def source(root, **options):
    return HuggingFaceSource(HuggingFaceDataConfig(**{"train_path": "org/set", **options}), root)


def texts(source):
    return [document.text for document in documents_of(source)]


FILES = {
    "README.md": b"---\nlicense: mit\n---\n# A set\n",
    "train-00000-of-00002.parquet": parquet(rows(3)),
    "train-00001-of-00002.parquet": parquet(rows(2, start=3)),
    "validation.jsonl.gz": gzip.compress(jsonl(rows(2, "validation"))),
    "test.jsonl": jsonl(rows(1, "test")),
    "make.py": b"raise SystemExit('it was run')",
}


def test_splits_are_told_by_names(tmp_path, service):
    service.add("org/set", FILES)
    found = source(tmp_path)
    assert texts(found) == [row["text"] for row in rows(5)]
    assert texts(found.validation()) == [row["text"] for row in rows(2, "validation")]
    assert texts(source(tmp_path, split="test")) == ["test row 0"]
    assert source(tmp_path, validation="test").validation().fingerprint()
    origins = {document.origin.path for document in documents_of(found)}
    assert origins == {f"hf://datasets/org/set/train-0000{n}-of-00002.parquet" for n in (0, 1)}
    with pytest.raises(ConfigError, match="no split 'trian'") as caught:
        texts(source(tmp_path, split="trian"))
    assert "did you mean 'train'?" in caught.value.fixes


CARD = """\
---
configs:
- config_name: en
  default: true
  data_files:
  - split: train
    path: [en/*.jsonl, more/**/en.jsonl]
  - split: validation
    path: held/en.jsonl
- config_name: de
  data_dir: de
---
"""


def test_subsets_are_those_of_the_card(tmp_path, service):
    files = ["en/1.jsonl", "en/2.jsonl", "more/x/en.jsonl", "held/en.jsonl", "de/train.jsonl"]
    content = {path: jsonl([{"text": path}]) for path in files}
    service.add("org/set", {"README.md": CARD.encode(), **content})
    assert texts(source(tmp_path)) == files[:3]
    assert texts(source(tmp_path).validation()) == ["held/en.jsonl"]
    assert texts(source(tmp_path, subset="de")) == ["de/train.jsonl"]
    with pytest.raises(ConfigError, match="no subset 'fr'") as caught:
        texts(source(tmp_path, subset="fr"))
    assert "there are: en, de, default" in caught.value.fixes


def test_after_the_first_time_no_network_is_needed(tmp_path, service):
    service.add("org/set", FILES)
    first = source(tmp_path)
    expected, print_ = texts(first), first.fingerprint()
    service.seen.clear()
    service.add("org/set", {"train-00000-of-00002.parquet": parquet(rows(9))})
    again = source(tmp_path)
    assert (texts(again), again.fingerprint()) == (expected, print_)
    assert not service.seen
    assert (tmp_path / "data/hf/.gitignore").read_text().endswith("*\n")


def test_a_revision_is_pinned(tmp_path, service):
    old = service.add("org/set", {"a.txt": b"old\n"})
    service.add("org/set", {"a.txt": b"new\n"})
    assert texts(source(tmp_path)) == ["new\n"]
    pinned = source(tmp_path, train_path=f"hf://datasets/org/set@{old}")
    assert texts(pinned) == ["old\n"]
    assert list(pinned.files()) == [f"hf://datasets/org/set@{old}/a.txt"]


def test_streaming_keeps_nothing(tmp_path, service):
    service.add("org/set", FILES)
    assert texts(source(tmp_path, streaming=True)) == texts(source(tmp_path / "other"))
    kept = {path.name for path in (tmp_path / "data/hf").rglob("*") if path.is_file()}
    assert not any(name.endswith((".parquet", ".gz")) for name in kept)


def test_parts_are_read_apart(tmp_path, service):
    service.add("org/set", FILES)
    found = source(tmp_path)
    apart = [text for part in found.parts() for text in map(_text, found.documents_in(part))]
    assert apart == texts(found)


def _text(document):
    return document.text


def test_columns_are_those_of_the_source_text(tmp_path, service):
    values = [{"q": "How?", "a": "So.", "n": 1}, {"q": "Why?", "a": "Because.", "n": 2}]
    service.add("org/set", {"train.jsonl": jsonl(values)})
    found = source(tmp_path, text={"columns": {"prompt": "q", "completion": "a"}})
    first = next(documents_of(found))
    assert [(s.role, s.text, s.loss) for s in first.segments] == [
        ("user", "How?", False),
        ("assistant", "So.", True),
    ]
    assert found.fingerprint() != source(tmp_path).fingerprint()
    with pytest.raises(ConfigError, match=r"data\.text\.colums"):
        texts(source(tmp_path, text={"colums": {}}))


def test_a_script_is_never_run(tmp_path, service):
    service.add("org/set", {"set.py": b"open('ran', 'w')", "README.md": b"# set\n"})
    with pytest.raises(DataError, match="no files that can be read") as caught:
        texts(source(tmp_path))
    assert "refs/convert/parquet" in caught.value.fixes[0]


def test_a_path_that_leaves_the_folder_is_not_a_file(tmp_path, service):
    service.add("org/set", {"../../../out.txt": b"x\n", "/tmp/x.txt": b"x\n", "in.txt": b"in\n"})
    assert texts(source(tmp_path)) == ["in\n"]


def test_too_much_is_not_downloaded(tmp_path, service):
    service.add("org/set", {"a.txt": b"x" * 900 + b"\n", "b.txt": b"y" * 900 + b"\n"})
    with pytest.raises(ConfigError, match="1,802 bytes"):
        texts(source(tmp_path, max_bytes=1000))
    assert len(texts(source(tmp_path, max_bytes=1000, streaming=True))) >= 2


def test_faults_pass_and_others_are_said(tmp_path, service, slept):
    service.add("org/set", FILES)
    service.faults = {"info": [Fault(status=503)], "download": [Fault(status=500), Fault(read=0)]}
    assert len(texts(source(tmp_path))) == 5
    with pytest.raises(ConfigError, match="nothing of that name"):
        texts(source(tmp_path, train_path="org/none"))
    service.faults = {"info": [Fault(status=500)] * 30}
    with pytest.raises(NetworkError, match="answers 500") as caught:
        texts(source(tmp_path / "new"))
    assert caught.value.where == service.url


def test_the_service_hears_who_asks_and_no_more(tmp_path, service):
    service.add("org/set", FILES)
    texts(source(tmp_path))
    assert service.agents
    assert all(agent.startswith(f"create-llm/{__version__};") for agent in service.agents)
    assert not any("torch" in agent for agent in service.agents)
    assert not any("harness" in path for _, path, _ in service.seen)


def test_a_file_without_rows_is_named(tmp_path, service):
    service.add("org/set", {"train.parquet": b"no parquet at all"})
    with pytest.raises(DataError) as caught:
        texts(source(tmp_path))
    assert "hf" in str(caught.value.where)


def test_an_address_chooses_the_source(tmp_path, service):
    service.add("org/set", FILES)
    (tmp_path / "llm.toml").write_text('[data]\ntrain_path = "hf://org/set"\n')
    project = Project(tmp_path)
    config = load_config(tmp_path, load_plugins({}))
    assert config.source.part.name == "hf"
    assert len(texts(data_source(project, config))) == 5


def test_a_dataset_that_is_not_there_is_told_before_torch_is_loaded(tmp_path, service):
    (tmp_path / "llm.toml").write_text('[data]\ntrain_path = "hf://org/none"\n')
    command = "import sys; from create_llm.cli import main; sys.argv[1:] = ['train']\n"
    command += "try: main()\nexcept SystemExit: print('torch' in sys.modules)"
    asked = [sys.executable, "-c", command]
    ended = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "nothing of that name" in ended.stderr
    assert ended.stdout.split() == ["False"]


def test_each_source_of_a_mixture_is_asked_for(tmp_path, service):
    (tmp_path / "a.txt").write_text("text\n" * 50)
    (tmp_path / "llm.toml").write_text(
        '[data.mix.a]\nweight = 1\ntrain_path = "a.txt"\n'
        '[data.mix.b]\nweight = 1\ntrain_path = "hf://org/none"\n'
    )
    with pytest.raises(ConfigError, match="nothing of that name"):
        refuse_unknown_text(Project(tmp_path), load_config(tmp_path, load_plugins({})))


def test_without_a_dataset_its_form_is_shown(tmp_path):
    (tmp_path / "llm.toml").write_text('[data]\nsource = "hf"\n')
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path, load_plugins({}))
    assert 'train_path = "ORG/NAME"' in " ".join(caught.value.fixes)


def test_a_wrong_key_of_the_reader_is_named(tmp_path, service):
    service.add("org/set", FILES)
    with pytest.raises(ConfigError, match=r"data\.text\.seperator") as caught:
        texts(source(tmp_path, text={"seperator": "|"}))
    assert "separator" in caught.value.fixes[0]


@pytest.mark.parametrize("name", ["", "a/b/c", "https://x.org/y", "../x", "a b"])
def test_a_name_that_cannot_be(name):
    with pytest.raises(ValueError, match="ORG/NAME"):
        HuggingFaceDataConfig(train_path=name)


def test_what_names_no_split_is_for_training():
    assert layout_of(["a.txt", "b/c.csv", "notes.pdf"], {}).splits("x", None) == {
        "train": ("a.txt", "b/c.csv")
    }
