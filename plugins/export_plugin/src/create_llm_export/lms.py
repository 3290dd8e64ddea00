"""LM Studio's own command: https://lmstudio.ai/docs/cli/local-models/import"""

from __future__ import annotations

from pathlib import Path

from create_llm.models.export import Finding
from create_llm_export.programs import run


def imported(program: str, file: Path, place: str) -> Finding:
    """Give LM Studio a model, which stays where it is and is linked.

    Args:
        place: publisher and model.

    Raises:
        PluginError: LM Studio did not take it.
    """
    run(
        [program, "import", "--yes", "--hard-link", "--user-repo", place, str(file)],
        where=file,
        fixes=(
            "start LM Studio once, which sets up its folders",
            f"copy the file to ~/.lmstudio/models/{place}",
        ),
    )
    return Finding("LM Studio", None, f"has the model as {place}")
