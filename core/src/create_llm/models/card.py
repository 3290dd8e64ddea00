"""The model card: README.md of a bundle, with nothing in it that was not measured."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

CARD = "README.md"
"""Its file in a bundle, and in what is made of one."""
_TEXT = """\
---
{front_matter}tags:
- create-llm
---

# {title}

A language model of {parameters:,} parameters, trained from scratch with create-llm
{version}.

| figure | value |
|---|---|
{figures}

## Use it

{use}
{form}
## Limits

It knows only the text it was trained on, gives what is likely rather than what is true, and has
not been tested for safety. What is not in the table above was not evaluated.
"""

_GENERATES = """\
```
llm generate {title} --prompt "…"
```

```python
import create_llm

print(create_llm.load("path/to/this/folder").generate("…"))
```
"""
_READS = """\
```
llm evaluate {title}
```

It reads text and does not continue it.
"""
_HF_FORM = """\
The weights and `config.json` are in the form that Hugging Face's `transformers` reads, as
`{hf_class}`.
"""
_OWN_FORM = """\
It needs the architecture `{architecture}` of the package `{package}`; `transformers` does not know
it.
"""
_USE = re.compile(r"^## Use it\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_IN_TRANSFORMERS = """\
## Use it

```python
from transformers import AutoTokenizer, {model}

folder = "{folder}"
tokenizer, model = AutoTokenizer.from_pretrained(folder), {model}.from_pretrained(folder)
inputs = tokenizer("…", return_tensors="pt", add_special_tokens=False)
{then}
```

"""
_THEY_WRITE = "print(tokenizer.decode(model.generate(**inputs)[0], skip_special_tokens=True))"
_THEY_READ = "logits = model(**inputs).logits"
_PIPELINES = {
    "causal": "text-generation",
    "masked": "fill-mask",
    "seq2seq": "text2text-generation",
}


def model_card(
    title: str, info: Mapping[str, object], capabilities: Collection[str], hf_class: str | None
) -> str:
    """Markdown from what create_llm.json says.

    Args:
        info: with `parameters`, `versions`, `metrics`, `architecture` and `packages`; a metric
            that is None is left out.
        capabilities: of the architecture.
        hf_class: the class of transformers that opens the bundle, if one does.
    """
    metrics, versions, packages = info["metrics"], info["versions"], info["packages"]
    assert isinstance(metrics, Mapping)
    assert isinstance(versions, Mapping)
    assert isinstance(packages, Mapping)
    rows = {name: value for name, value in metrics.items() if value is not None}
    own = _OWN_FORM.format(architecture=info["architecture"], package=packages["architectures"])
    return _TEXT.format(
        front_matter=_front_matter(capabilities) if hf_class else "",
        title=title,
        parameters=info["parameters"],
        version=versions["create_llm"],
        figures="\n".join(f"| {n.replace('_', ' ')} | {_text(v)} |" for n, v in rows.items()),
        use=(_GENERATES if "generate" in capabilities else _READS).format(title=title),
        form=_HF_FORM.format(hf_class=hf_class) if hf_class else own,
    )


def card_for_transformers(card: str, hf_class: str, folder: str) -> str:
    """A bundle's card, which says how create-llm uses it, with how transformers does. One that was
    written by others stays as it is.

    Args:
        folder: or repository of the Hub, as `from_pretrained` takes it.
    """
    then = _THEY_READ if only_reads(hf_class) else _THEY_WRITE
    use = _IN_TRANSFORMERS.format(model=hf_class, folder=folder, then=then)
    return _USE.sub(lambda found: use, card)


def only_reads(hf_class: str) -> bool:
    """Whether a model of that class of transformers reads texts and does not continue them."""
    return hf_class.endswith("ForMaskedLM")


def _front_matter(capabilities: Collection[str]) -> str:
    tags = [tag for capability, tag in _PIPELINES.items() if capability in capabilities]
    pipeline = f"pipeline_tag: {tags[0]}\n" if tags else ""
    return f"library_name: transformers\n{pipeline}"


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
