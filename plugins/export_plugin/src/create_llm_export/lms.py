"""LM Studio's own command: https://lmstudio.ai/docs/cli/local-models/import"""

from __future__ import annotations

import subprocess
from pathlib import Path

from create_llm.errors import PluginError
from create_llm.models.export import Finding


def imported(program: str, file: Path, place: str) -> Finding:
    """Give LM Studio a model, which stays where it is and is linked.

    Args:
        place: publisher and model.

    Raises:
        PluginError: LM Studio did not take it.
    """
    done = subprocess.run(
        [program, "import", "--yes", "--hard-link", "--user-repo", place, str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it does not say why"]
        raise PluginError(
            f"lms import failed: {said[-1]}",
            where=str(file),
            fixes=(
                "start LM Studio once, which sets up its folders",
                f"copy the file to ~/.lmstudio/models/{place}",
            ),
        )
    return Finding("LM Studio", None, f"has the model as {place}")
