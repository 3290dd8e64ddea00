"""Parts, and the sides that the names of files divide a folder into."""

import pytest

from create_llm.data.source import Divided, Surveyed
from create_llm.errors import DataError
from create_llm_text.config import TextConfig
from create_llm_text.files import DataFile
from create_llm_text.parts import grouped
from create_llm_text.source import TextSource

MB = 1 << 20


def files(tmp_path, sizes, ending=".txt"):
    return [
        DataFile(str(tmp_path), f"{n:05}{ending}", "text", None, size)
        for n, size in enumerate(sizes)
    ]


def names(group):
    return tuple(file.name for file in group)


def test_groups_are_of_about_16_mb_and_never_more_than_64(tmp_path):
    many = files(tmp_path, [100_000] * 20_000)
    groups = list(grouped(many))
    assert [file for group in groups for file in group] == many
    sizes = [sum(file.size for file in group) for group in groups]
    assert max(sizes) <= 64 * MB
    assert 10 * MB < sum(sizes) / len(sizes) < 24 * MB
    assert len(list(grouped(files(tmp_path, [10] * 1000)))) == 1


def test_a_large_file_is_a_group_of_its_own(tmp_path):
    one, big, other = grouped(files(tmp_path, [10, 300 * MB, 10]))
    assert names(big) == ("00001.txt",)
    assert names(one) + names(other) == ("00000.txt", "00002.txt")


def test_another_file_changes_one_or_two_groups(tmp_path):
    many = files(tmp_path, [100_000] * 20_000)
    before = {names(group) for group in grouped(many)}
    for place in range(0, 20_000, 1999):
        more = DataFile(str(tmp_path), f"{place:05}x.txt", "text", None, 1000)
        after = {names(group) for group in grouped([*many[:place], more, *many[place:]])}
        assert len(after - before) <= 2
    assert len(before) > 100


@pytest.fixture
def folder(tmp_path):
    for number in range(40):
        (tmp_path / f"{number:02}.txt").write_text(f"text of file {number}\n" * 1000)
    for number in range(40, 44):
        line = '{"text": "%s"}\n' % ("words " * 1000)
        (tmp_path / f"{number}.jsonl").write_text(line * 3000)
    return tmp_path


def test_the_parts_one_after_another_are_the_documents(folder):
    text = TextSource(TextConfig(train_path="."), folder)
    assert isinstance(text, Divided)
    assert isinstance(text, Surveyed)
    parts = text.parts()
    assert len(parts) > 1
    assert len({part.name for part in parts}) == len({p.fingerprint for p in parts}) == len(parts)
    divided = [item for part in parts for item in text.documents_in(part)]
    assert divided == list(text.documents())
    assert text.parts() == parts
    (folder / "43.jsonl").write_text('{"text": "another"}\n')
    after = text.parts()
    assert len(set(parts) & set(after)) >= len(parts) - 2
    assert set(parts) != set(after)
    for path in folder.iterdir():
        path.unlink()
    (folder / "z.txt").write_text("other\n")
    with pytest.raises(DataError, match="changed while they were read"):
        text.documents_in(parts[-1])


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train.jsonl", "val.jsonl"),
        ("train.jsonl.gz", "validation.csv"),
        ("train-00000-of-00002.jsonl", "valid-00000-of-00001.jsonl"),
        ("train/a.jsonl", "val/b.jsonl"),
        ("Training.jsonl", "VAL.jsonl"),
    ],
)
def test_a_pair_of_train_and_validation_is_respected(tmp_path, train, val):
    for name, text in (("other.txt", "other"), (train, "learn"), (val, "score"), ("test.txt", "t")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        content = text if path.suffix != ".csv" else f"text\n{text}"
        content = f'{{"text": "{text}"}}' if ".jsonl" in name else content
        if path.suffix == ".gz":
            import gzip

            path.write_bytes(gzip.compress(content.encode()))
        else:
            path.write_text(content)
    whole = TextSource(TextConfig(train_path="."), tmp_path)
    assert sorted(document.text for document in whole.documents()) == ["learn", "other"]
    side = whole.validation()
    assert [document.text for document in side.documents()] == ["score"]
    assert side.validation() is None
    assert whole.fingerprint() != side.fingerprint()
    assert whole.skipped == sorted([f"{val} (kept for validation)", "test.txt (kept for tests)"])


@pytest.mark.parametrize("other", ["test.txt", "valley.txt", "value.txt", "evaluation.txt"])
def test_without_a_pair_names_mean_nothing(tmp_path, other):
    for name in ("train.txt", other):
        (tmp_path / name).write_text(f"{name}\n")
    whole = TextSource(TextConfig(train_path="."), tmp_path)
    assert len(list(whole.documents())) == 2
    assert whole.validation() is None
    assert whole.skipped == []
