from pathlib import Path

from create_llm.testing import CallbackContract


class TestDiary(CallbackContract):
    name = "diary"

    def test_the_best_score_is_marked(self, tmp_path: Path) -> None:
        self.test_survives_every_event(tmp_path)
        (diary,) = tmp_path.rglob("diary.md")
        assert "After step 10: validation loss 4.500, the best so far." in diary.read_text()
