"""What a project needs before training, and the verbs that make and show it."""

import contextlib
import json
import subprocess
import sys
import threading

import pytest

from create_llm.cli import main
from create_llm.config import load_config
from create_llm.data import pipeline
from create_llm.data.pipeline import (
    ensure_data,
    ensure_tokenizer,
    learnt_template,
    load_tokenizer,
    train_tokenizer,
)
from create_llm.data.preparation.ingredients import tokenizer_sha256
from create_llm.data.preparation.prepared import open_prepared
from create_llm.data.training_texts import training_texts
from create_llm.errors import ConfigError, DataError
from create_llm.kernel.plugins import load_plugins
from create_llm.project.folder import Project
from create_llm.storage.durable import Storage

LLM_TOML = """
[model]
name = "gpt"
[data]
source = "text"
[tokenizer]
name = "bpe"
vocab_size = 320
"""
SENTENCES = "".join(f"Sentence {n} tells of {n * n} geese and their keeper.\n" for n in range(300))


@pytest.fixture
def project(tmp_path):
    (tmp_path / "llm.toml").write_text(LLM_TOML)
    made = Project(tmp_path)
    made.raw.mkdir(parents=True)
    (made.raw / "geese.txt").write_text(SENTENCES)
    return made


def config_of(project, *overrides):
    return load_config(project.root, load_plugins({}), overrides=overrides, environ={})


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def stages(action):
    """What a step reports while it runs; nothing when there was nothing to do."""
    seen = []
    action(lambda stage, done, total: seen.append(stage))
    return set(seen)


def test_everything_is_made_once(project):
    config = config_of(project)

    def both(progress):
        tokenizer = ensure_tokenizer(project, config, progress=progress)
        ensure_data(project, config, tokenizer, progress=progress)

    assert stages(both) == {"training the tokenizer", "encoding the text"}
    before = files_of(project.tokenizer)
    assert stages(both) == set()
    assert files_of(project.tokenizer) == before
    assert open_prepared(project.processed).train.tokens > 100


def test_the_tokenizer_learns_from_the_training_side_alone(project, monkeypatch):
    config = config_of(project)
    part = config.tokenizer.part
    seen = []
    real = part.load().train

    def spy(texts, options, control_tokens):
        return real((seen.append(text) or text for text in texts), options, control_tokens)

    monkeypatch.setattr(part.load(), "train", spy)
    ensure_data(project, config, ensure_tokenizer(project, config))
    source = pipeline.data_source(project, config)
    assert seen == list(training_texts(source, val_split=config.data.val_split))
    assert len(seen) < sum(1 for _ in source.documents())


@pytest.mark.parametrize("change", ["options", "text", "split", "deleted", "unreadable recipe"])
def test_the_tokenizer_is_trained_again_when_what_it_was_made_from_changes(project, change):
    ensure_tokenizer(project, config_of(project))
    overrides = {"options": ["tokenizer.vocab_size=300"], "split": ["data.val_split=0.3"]}
    if change == "text":
        (project.raw / "more.txt").write_text("Something else entirely, zzz zzz zzz.\n")
    elif change == "deleted":
        (project.tokenizer / "tokenizer.json").unlink()
    elif change == "unreadable recipe":
        (project.tokenizer / "recipe.json").write_text("{")
    config = config_of(project, *overrides.get(change, []))
    assert stages(lambda progress: ensure_tokenizer(project, config, progress=progress))
    assert not stages(lambda progress: ensure_tokenizer(project, config, progress=progress))


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_damaged_tokenizer_is_an_error_until_it_is_trained_again(project, name):
    config = config_of(project)
    good = tokenizer_sha256(ensure_tokenizer(project, config))
    path = project.tokenizer / name
    path.write_text(path.read_text().replace("</s>", "</S>"))
    with pytest.raises(DataError, match=name) as caught:
        ensure_tokenizer(project, config)
    assert caught.value.where == str(path)
    assert "llm tokenizer train" in caught.value.fixes[0]
    train_tokenizer(project, config)
    assert tokenizer_sha256(ensure_tokenizer(project, config)) == good


def test_a_tokenizer_put_there_by_hand_is_used_and_never_replaced(project):
    config = config_of(project)
    ensure_tokenizer(project, config_of(project, "tokenizer.vocab_size=290"))
    (project.tokenizer / "recipe.json").unlink()
    before = files_of(project.tokenizer)
    assert ensure_tokenizer(project, config).vocab_size == 290
    with pytest.raises(ConfigError, match="of your own"):
        train_tokenizer(project, config)
    assert files_of(project.tokenizer) == before


def test_another_tokenizer_leaves_nothing_of_the_last_one(project):
    ensure_tokenizer(project, config_of(project))
    recipe = json.loads((project.tokenizer / "recipe.json").read_text())
    stale = project.tokenizer / "merges.txt"
    stale.write_text("of the last tokenizer")
    recipe["files"]["merges.txt"] = "0" * 64
    (project.tokenizer / "recipe.json").write_text(json.dumps(recipe))
    kept = project.tokenizer / "chat_template.jinja"
    kept.write_text("a person's own")
    config = config_of(project, "tokenizer.name=byte")
    assert ensure_tokenizer(project, config).vocab_size == 260
    assert not stale.exists()
    assert kept.exists()


def test_training_that_is_broken_off_changes_nothing(project):
    config = config_of(project)
    ensure_tokenizer(project, config)
    before = files_of(project.tokenizer)

    def interrupted(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_tokenizer(project, config, progress=interrupted)
    assert files_of(project.tokenizer) == before


def test_saving_that_is_broken_off_anywhere_is_made_good(project, monkeypatch):
    old = ensure_tokenizer(project, config_of(project))
    new = config_of(project, "tokenizer.vocab_size=300")
    real = Storage.replace_file
    for fail_at in range(1, 10):
        train_tokenizer(project, config_of(project))
        calls = []

        def failing(self, path, data, fail_at=fail_at, calls=calls):
            calls.append(path.name)
            if len(calls) == fail_at:
                raise KeyboardInterrupt
            real(self, path, data)

        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(Storage, "replace_file", failing)
            ensure_tokenizer(project, new)
            break
        assert ensure_tokenizer(project, new).vocab_size == 300
    assert calls == ["recipe.json", "tokenizer.json", "tokenizer_config.json", "recipe.json"]
    assert old.vocab_size == 320


def test_a_sample_is_said_and_recorded(project, monkeypatch):
    monkeypatch.setattr("create_llm.data.training_texts.SAMPLE_BYTES", 4000)
    config = config_of(project)
    told = stages(lambda progress: ensure_tokenizer(project, config, progress=progress))
    assert told == {"training the tokenizer on a sample: 0 of 0 MB"}
    assert json.loads((project.tokenizer / "recipe.json").read_text())["sample_bytes"] == 4000
    assert not stages(lambda progress: ensure_tokenizer(project, config, progress=progress))


def test_equal_documents_are_dropped_where_it_is_asked_for(project):
    (project.raw / "geese.txt").write_text((SENTENCES + "#") * 2)
    plain, dropping = config_of(project, "data.separator=#"), ["data.separator=#"]
    dropping = config_of(project, *dropping, "data.deduplicate=true", "data.workers=2")
    (project.raw / "more.txt").write_text("Other words entirely.\n" * 20)
    tokenizer = ensure_tokenizer(project, plain)
    assert ensure_data(project, plain, tokenizer).duplicates == 0
    data = ensure_data(project, dropping, tokenizer)
    assert data.duplicates == 1
    assert data.train.documents + data.val.documents == 2


def test_a_validation_file_is_not_split_off(project):
    (project.root / "val.txt").write_text("These words are for scoring.\n" * 20)
    config = config_of(project, "data.val_path=val.txt")
    tokenizer = ensure_tokenizer(project, config)
    data = ensure_data(project, config, tokenizer)
    assert data.train.bytes == len(SENTENCES)
    assert data.val.bytes == len("These words are for scoring.\n" * 20)


def test_processes_that_prepare_the_same_project_wait_for_each_other(project):
    config = config_of(project)
    told, finished = threading.Event(), []

    def later():
        def progress(stage, done, total):
            if "waiting" in stage:
                told.set()

        finished.append(ensure_tokenizer(project, config, progress=progress))

    thread = threading.Thread(target=later)
    with pipeline._one_at_a_time(project, None):
        thread.start()
        assert told.wait(20)
        assert not finished
    thread.join(20)
    assert finished


def test_a_missing_tokenizer_is_an_error(project):
    with pytest.raises(DataError, match="no tokenizer"):
        load_tokenizer(config_of(project).tokenizer.part, project.tokenizer)


def test_a_tokenizer_with_a_number_that_no_model_has_room_for_is_damaged(project):
    config = config_of(project)
    ensure_tokenizer(project, config)
    path = project.tokenizer / "tokenizer.json"
    saved = json.loads(path.read_text())
    vocabulary = saved["model"]["vocab"]
    vocabulary[next(reversed(vocabulary))] = 2**31
    path.write_text(json.dumps(saved))
    with pytest.raises(DataError, match="its largest id is 2,147,483,648"):
        load_tokenizer(config.tokenizer.part, project.tokenizer)


def run(capsys, project, *arguments):
    """stdout and stderr of a command that must succeed."""
    with pytest.raises(SystemExit) as ended:
        main(["-C", str(project.root), *arguments])
    output = capsys.readouterr()
    assert ended.value.code == 0, output.err
    return output


def test_prepare_shows_the_counts(project, capsys):
    (project.raw / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    shown = run(capsys, project, "data", "prepare")
    data = open_prepared(project.processed)
    assert f"{data.train.tokens:,}" in shown.out
    assert "320 tokens" in shown.out
    assert "photo.png" in shown.err
    assert "text is little" in shown.err


def test_prepare_as_json_is_one_object(project, capsys):
    first = json.loads(run(capsys, project, "data", "prepare", "--json").out)
    second = json.loads(run(capsys, project, "data", "prepare", "--json").out)
    data = open_prepared(project.processed)
    assert (first["cached"], second["cached"]) == (False, True)
    assert first["val"] == {
        "documents": data.val.documents,
        "tokens": data.val.tokens,
        "bytes": data.val.bytes,
    }
    assert first["tokens"] == data.train.tokens + data.val.tokens
    assert first["vocab_size"] == 320
    assert first["train"]["bytes"] + first["val"]["bytes"] == len(SENTENCES)


def test_preview_shows_documents_in_tokens(project, capsys):
    (project.raw / "geese.txt").write_text("\x1b[31mred geese\n" + SENTENCES)
    documents = json.loads(run(capsys, project, "data", "preview", "-n", "2", "--json").out)
    first, second = documents["documents"]
    assert first["origin"] == "data/raw/geese.txt:1"
    assert second["origin"] != first["origin"]
    assert first["tokens"][0] == first["tokens"][-1] == "</s>"
    assert "".join(first["tokens"][1:-1]) == first["text"]
    shown = run(capsys, project, "data", "preview", "-n", "1").out
    assert "data/raw/geese.txt:1" in shown
    assert "\x1b[31m" not in shown


def test_tokenizer_train_shows_the_vocabulary(project, capsys):
    figures = json.loads(run(capsys, project, "tokenizer", "train", "--json").out)
    assert figures["vocab_size"] == 320
    assert 2 < figures["bytes_per_token"] < 10
    assert len(figures["longest"][0]) >= len(figures["longest"][-1]) > 2
    assert "</s>" not in figures["longest"]
    shown = run(capsys, project, "tokenizer", "train").out
    assert "320 tokens" in shown
    assert str(project.tokenizer) in shown


def test_tokenizer_inspect_shows_the_tokens(project, capsys):
    run(capsys, project, "tokenizer", "train")
    got = json.loads(run(capsys, project, "tokenizer", "inspect", "a geese</s>", "--json").out)
    assert "".join(token["text"] for token in got["tokens"]) == "a geese</s>"
    assert got["bytes"] == 11
    shown = run(capsys, project, "tokenizer", "inspect", "geese ñ").out
    assert len(shown.splitlines()) >= 3


def test_bytes_are_spelt_as_bytes_and_blanks_are_seen(project, capsys):
    run(capsys, project, "tokenizer", "train", "--set", "tokenizer.vocab_size=260")
    inspect = ("tokenizer", "inspect", "w 👍\ufffd</s>")
    shown = run(capsys, project, *inspect).out.split("\n")
    spelt = [line.split()[1] for line in shown if line]
    bytes_of = ["<0xF0>", "<0x9F>", "<0x91>", "<0x8D>", "<0xEF>", "<0xBF>", "<0xBD>"]
    assert spelt == ["w", "␣", *bytes_of, "<", "/", "s", ">"]
    tokens = json.loads(run(capsys, project, *inspect, "--json").out)["tokens"]
    assert [token["text"] for token in tokens] == ["w", " ", *spelt[2:]]


def test_a_list_of_tokens_leaves_bytes_out(project, capsys):
    (project.raw / "geese.txt").write_text(SENTENCES + "👍 👎\n" * 40)
    figures = json.loads(run(capsys, project, "tokenizer", "train", "--json").out)
    assert not any("<0x" in token for token in figures["longest"])
    assert figures["unused"] < 60
    shown = run(capsys, project, "tokenizer", "train").out
    assert "␣geese" in shown
    assert "ð" not in shown


def test_inspecting_without_a_tokenizer_says_how_to_get_one(project, capsys):
    with pytest.raises(SystemExit):
        main(["-C", str(project.root), "tokenizer", "inspect", "a"])
    told = capsys.readouterr().err
    assert "try: train one: llm tokenizer train" in told
    assert "put the file back" not in told


def test_a_tokenizer_that_llm_toml_would_not_make_is_said(project, capsys, monkeypatch):
    other = ("tokenizer", "train", "--set", "tokenizer.name=byte")
    told = run(capsys, project, *other).err
    assert "llm.toml by itself asks for another tokenizer: tokenizer.name was byte, is bpe" in told
    told = run(capsys, project, "data", "prepare").err
    assert "training the tokenizer again: tokenizer.name was byte, is bpe …" in told
    told = run(capsys, project, "tokenizer", "train", "--set", "tokenizer.vocab_size=320").err
    assert "by itself" not in told, "llm.toml says the same"
    monkeypatch.setenv("CREATE_LLM_TOKENIZER__VOCAB_SIZE", "300")
    told = run(capsys, project, "tokenizer", "train").err
    assert "tokenizer.vocab_size was 300, is 320" in told


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("data.chat_template=chatml", "control tokens are needed; the chat template is another"),
        ("data.val_split=0.3", "data.val_split was 0.1, is 0.3"),
    ],
)
def test_a_preview_leaves_the_tokenizer_as_it_is(project, capsys, setting, words):
    run(capsys, project, "data", "preview")
    before = files_of(project.tokenizer)
    told = run(capsys, project, "data", "preview", "--set", setting).err
    assert f"for this once: {words}" in told or f"for this once: other {words}" in told
    assert files_of(project.tokenizer) == before
    run(capsys, project, "data", "prepare", "--set", setting)
    assert files_of(project.tokenizer) != before, "preparing does replace it"


def test_a_model_knows_the_plain_template_where_it_read_conversations(project):
    config = config_of(project)
    data = ensure_data(project, config, ensure_tokenizer(project, config))
    assert data.conversations == 0
    assert learnt_template(project, config, data) is None
    assert "conversations" not in next(project.processed.glob("shards-*/part.json")).read_text()
    turns = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Geese."}]
    rows = [[{**turn, "content": f"{n} {turn['content']}"} for turn in turns] for n in range(50)]
    lines = "".join(f"{json.dumps({'messages': row})}\n" for row in rows)
    (project.raw / "chats.jsonl").write_text(lines)
    data = ensure_data(project, config, ensure_tokenizer(project, config))
    assert 30 < data.conversations < 50, "those that are trained on"
    assert learnt_template(project, config, data).name == "plain"
    chosen = config_of(project, "data.chat_template=chatml")
    assert learnt_template(project, chosen, data).name == "chatml"


def test_a_mistake_is_told_without_a_stack_trace(project, capsys):
    (project.raw / "geese.txt").write_text("honk\n")
    with pytest.raises(SystemExit) as ended:
        main(["-C", str(project.root), "data", "prepare", "--json"])
    output = capsys.readouterr()
    assert ended.value.code == 65
    assert output.out == ""
    assert "only 5 bytes of text" in output.err
    assert "copy .txt files into data/raw" in output.err
    assert "Traceback" not in output.err


def test_the_verbs_import_nothing_heavy():
    code = (
        "import sys, create_llm.cli.data, create_llm.cli.tokenizer; "
        "heavy = {'torch', 'numpy', 'pydantic', 'rich', 'tokenizers'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
