"""Tiny random models of transformers, saved as transformers saves them."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

TEXTS = [
    "Once upon a time there was a sea, and 3 ships.",
    "naïve café — “quotes” \t\n\n  indented",
    "東京 \N{SLIGHTLY SMILING FACE} <|endoftext|> </s>",
    "",
]
_SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
_GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
KINDS: dict[str, dict[str, object]] = {
    "llama": {"model_type": "llama", **_SMALL},
    "llama-tied": {"model_type": "llama", **_SMALL, "tie_word_embeddings": True},
    "qwen3": {"model_type": "qwen3", **_SMALL, "head_dim": 8},
    "gpt2": {"model_type": "gpt2", **_GPT2},
    "llama-scaled": {
        "model_type": "llama",
        **_SMALL,
        "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0},
    },
    "gpt_neox": {"model_type": "gpt_neox", **_SMALL},
    "gemma2": {"model_type": "gemma2", **_SMALL, "head_dim": 8, "final_logit_softcapping": 5.0},
    "mixtral": {"model_type": "mixtral", **_SMALL, "num_local_experts": 4},
    "mamba": {
        "model_type": "mamba",
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "state_size": 8,
        "use_mambapy": False,
    },
}
OURS = ("llama", "llama-tied", "qwen3", "gpt2")


def byte_level() -> Tokenizer:
    rust = Tokenizer(models.BPE())
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    rust.train_from_iterator(TEXTS * 9, trainer)
    return rust


def sentence_pieces() -> Tokenizer:
    """As Llama 2 has it: blanks as letters, bytes for what is unknown."""
    bytes_ = {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    letters = sorted(set("".join(TEXTS[:1])) - {" "} | {"▁"})
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2, **bytes_}
    vocabulary |= {letter: 259 + number for number, letter in enumerate(letters)}
    merges = [("t", "h"), ("▁", "t"), ("e", "r")]
    for left, right in merges:
        vocabulary[left + right] = len(vocabulary)
    rust = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    rust.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    rust.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    rust.add_special_tokens(["<unk>", "<s>", "</s>"])
    return rust


CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save(folder: Path, kind: str, shard: str | None = None, *, pieces: bool = False) -> Path:
    """A random model with its tokenizer."""
    rust = sentence_pieces() if pieces else byte_level()
    names = (
        {"eos_token": "</s>", "bos_token": "<s>", "unk_token": "<unk>"}
        if pieces
        else {"eos_token": "<|endoftext|>", "chat_template": CHAT}
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=rust, **names)
    values = dict(KINDS[kind])
    config = AutoConfig.for_model(
        values.pop("model_type"),
        vocab_size=tokenizer.vocab_size + 5,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=None,
        **values,
    )
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0 if parameter.ndim > 1 else 1.0)
    model.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    tokenizer.save_pretrained(folder)
    return folder


def logits(folder: Path, tokens: torch.Tensor) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    with torch.no_grad():
        return model.eval()(tokens).logits


def ids(folder: Path, text: str) -> list[int]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
