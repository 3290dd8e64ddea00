"""What the system says, in words for people; what is tried again; room on the disk."""

from __future__ import annotations

import errno
import os

import pytest

from create_llm.errors import DataError, StorageError
from create_llm.storage.disk import Disk
from create_llm.storage.durable import Storage
from create_llm.storage.problems import PAUSES, size, storage_error, with_retries


def system_error(code, path=None):
    return OSError(code, os.strerror(code), *([str(path)] if path else []))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "you may not"),
        (errno.EIO, "the disk reports an error"),
        (errno.EMFILE, "too many files"),
        (errno.ESTALE, "network disk"),
        (errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)),
    ],
)
def test_each_problem_has_words_a_file_and_two_things_to_do(tmp_path, code, words):
    error = storage_error(system_error(code, tmp_path / "{a}" / "x"))
    assert words in error.what
    assert os.strerror(code) in error.what
    assert error.where == str(tmp_path / "{a}" / "x")
    assert len(error.fixes) == 2
    assert "{needed}" not in error.render()
    assert error.exit_code == 74


def test_a_temporary_file_is_called_by_the_name_that_people_know(tmp_path):
    path = tmp_path / ".tmp-step-00000500+2-77" / "model.safetensors"
    error = storage_error(
        system_error(errno.ENOSPC, path), last_good=tmp_path / "step-00000400", needed=1_500_001
    )
    assert error.where == str(tmp_path / "step-00000500" / "model.safetensors")
    assert error.what.endswith(f"the last good checkpoint is {tmp_path / 'step-00000400'}")
    assert error.fixes[0] == f"free at least 2 MB on the disk of {tmp_path / 'step-00000500'}"


def test_an_error_without_a_file_is_told_all_the_same():
    assert storage_error(system_error(errno.ENOSPC)).where is None
    assert "made up" in storage_error(OSError("made up")).what


def failing(*errors):
    rest = iter(errors)

    def action():
        error = next(rest, None)
        if error is not None:
            raise error
        return "done"

    return action


@pytest.mark.parametrize(
    "code",
    [errno.EIO, errno.EINTR, errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT],
)
def test_what_may_pass_is_tried_three_times_more(code):
    waited = []
    error = system_error(code)
    assert with_retries(failing(error, error, error), wait=waited.append) == "done"
    assert waited == list(PAUSES) == [0.25, 1.0, 4.0]
    waited.clear()
    with pytest.raises(StorageError) as caught:
        with_retries(failing(error, error, error, error), wait=waited.append)
    assert waited == list(PAUSES)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE]
)
def test_what_does_not_pass_is_not_tried_again(code):
    with pytest.raises(StorageError):
        with_retries(failing(system_error(code)), wait=pytest.fail)


def test_two_different_errors_in_a_row_end_with_the_one_that_stays(tmp_path):
    waited = []
    errors = system_error(errno.EIO), system_error(errno.ENOSPC, tmp_path / "x")
    with pytest.raises(StorageError, match="full"):
        with_retries(failing(*errors), wait=waited.append)
    assert waited == [0.25]


@pytest.mark.parametrize("error", [FileExistsError("taken"), DataError("bad"), KeyboardInterrupt()])
def test_what_is_no_problem_of_the_disk_passes(error):
    with pytest.raises(type(error)) as caught:
        with_retries(failing(error), wait=pytest.fail)
    assert caught.value is error


class SmallDisk(Disk):
    def free_bytes(self, path):
        assert path.exists()
        return 10_000_000


def test_too_little_space_is_told_with_the_numbers_before_the_work(tmp_path):
    storage = Storage(SmallDisk())
    storage.ensure_free(tmp_path / "not" / "there" / "yet", 10_000_000, "a checkpoint")
    with pytest.raises(StorageError) as caught:
        storage.ensure_free(tmp_path / "not" / "there", 12_000_001, "a checkpoint")
    assert "a checkpoint needs 13 MB" in caught.value.what
    assert "10 MB free" in caught.value.what
    assert caught.value.fixes[0] == "free at least 3 MB there"


def test_the_real_disk_knows_its_space(tmp_path):
    Storage().ensure_free(tmp_path, 1, "a byte")
    with pytest.raises(StorageError):
        Storage().ensure_free(tmp_path, 1 << 80, "everything")


def test_sizes_are_rounded_up():
    assert [size(n) for n in (1, 10**6, 10**6 + 1, 10**10 + 1)] == ["1 MB", "1 MB", "2 MB", "11 GB"]
