from collections.abc import Mapping
from pathlib import Path

from create_llm.testing import DataSourceContract


class TestPoems(DataSourceContract):
    name = "poems"

    def corpus(self, root: Path, size: int) -> Mapping[str, object]:
        """Put about `size` bytes of text where the source finds them."""
        (root / "poems").mkdir(exist_ok=True)
        for number in range(size // 10_000):
            (root / "poems" / f"{number}.md").write_text("the old pond, a frog\n" * 476)
        return {"train_path": "poems"}
