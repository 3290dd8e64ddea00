"""The model card: README.md of a bundle, with nothing in it that was not measured."""

from __future__ import annotations

from collections.abc import Mapping

_CARD = """\
---
library_name: transformers
pipeline_tag: text-generation
tags:
- create-llm
---

# {title}

A language model of {parameters:,} parameters, trained from scratch with create-llm
{version}.

| figure | value |
|---|---|
{figures}

## Use it

```
llm generate {title} --prompt "…"
```

```python
import create_llm

print(create_llm.load("path/to/this/folder").generate("…"))
```

The weights and `config.json` are in the form that Hugging Face's `transformers` reads
(`AutoModelForCausalLM.from_pretrained`).

## Limits

It knows only the text it was trained on, writes what is likely rather than what is true, and has
not been tested for safety. What is not in the table above was not evaluated.
"""


def model_card(title: str, info: Mapping[str, object]) -> str:
    """Markdown from what create_llm.json says.

    Args:
        info: with `parameters`, `versions` and `metrics`; a metric that is None is left out.
    """
    metrics = info["metrics"]
    versions = info["versions"]
    assert isinstance(metrics, Mapping)
    assert isinstance(versions, Mapping)
    rows = {name: value for name, value in metrics.items() if value is not None}
    figures = "\n".join(
        f"| {name.replace('_', ' ')} | {_text(value)} |" for name, value in rows.items()
    )
    return _CARD.format(
        title=title, parameters=info["parameters"], version=versions["create_llm"], figures=figures
    )


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
