"""The harness's own command line, knowing our models: python -m create_llm_lm_eval --model …

The harness finds models by a table of its own and offers other packages no way into it.
"""

from __future__ import annotations

import sys

from create_llm.errors import CreateLLMError
from create_llm_lm_eval.needed import check_installed


def main() -> None:
    """Take the arguments of `lm_eval`; its model `create_llm` takes path=FOLDER."""
    try:
        check_installed()
        from lm_eval.__main__ import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
            cli_evaluate,
        )

        import create_llm_lm_eval.model  # noqa: F401 (registers it)

        cli_evaluate()
    except CreateLLMError as error:
        print(error.render(), file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
