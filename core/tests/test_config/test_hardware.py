"""What the machine has, and what it is not asked to carry."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from create_llm.config.hardware import (
    Hardware,
    Needs,
    check_fit,
    detect,
    resolve_device,
    resolve_precision,
)
from create_llm.config.layers import installed_templates
from create_llm.errors import ConfigError

GB = 10**9
PLAIN = Hardware(cores=2, ram_bytes=16 * GB, available_ram_bytes=8 * GB)
BF16 = replace(PLAIN, cpu_features=("avx512_bf16",))
APPLE = Hardware(cores=8, ram_bytes=16 * GB, available_ram_bytes=8 * GB, mps=True)
GPU = Hardware(
    cores=8,
    ram_bytes=64 * GB,
    available_ram_bytes=32 * GB,
    gpu_name="Some GPU",
    gpu_memory_bytes=24 * GB,
    gpu_available_bytes=20 * GB,
    gpu_capability="8.0",
)
OLD_GPU = replace(GPU, gpu_capability="7.5")
NEW_GPU = replace(GPU, gpu_capability="12.0")


def test_this_machine():
    found = detect()
    assert found.cores >= 1
    assert 0 < found.available_ram_bytes <= found.ram_bytes
    assert found.cpu_bf16 == bool(found.cpu_features)


def test_looking_at_the_machine_does_not_import_torch():
    code = "import sys; from create_llm.config.hardware import detect; detect(); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_with_torch_the_gpu_is_looked_for():
    import torch

    found = detect(with_gpu=True)
    assert (found.gpu_name is not None) == torch.cuda.is_available()


class TestDevice:
    @pytest.mark.parametrize(
        ("wanted", "hardware", "device"),
        [
            ("auto", PLAIN, "cpu"),
            ("auto", GPU, "cuda"),
            ("auto", APPLE, "mps"),
            ("cpu", GPU, "cpu"),
            ("cuda", GPU, "cuda"),
            ("mps", APPLE, "mps"),
        ],
    )
    def test_is_the_fastest_there_is(self, load, wanted, hardware, device):
        config = load("", overrides=[f"training.device={wanted}"])
        assert resolve_device(config, hardware) == device

    def test_is_refused_where_there_is_none(self, load):
        config = load("[training]\ndevice = 'cuda'")
        with pytest.raises(ConfigError) as caught:
            resolve_device(config, PLAIN)
        assert caught.value.where == "llm.toml:2"
        assert "train on what there is: --device cpu" in caught.value.fixes


class TestPrecision:
    @pytest.mark.parametrize(
        ("toml", "hardware", "precision"),
        [
            ("", PLAIN, "fp32"),
            ("", BF16, "bf16"),
            ("", GPU, "bf16"),
            ("", APPLE, "fp32"),
            ("device = 'cpu'", GPU, "fp32"),
            ("mixed_precision = false", GPU, "fp32"),
            ("precision = 'fp32'", GPU, "fp32"),
            ("precision = 'bf16'", GPU, "bf16"),
            ("precision = 'bf16'", BF16, "bf16"),
            ("precision = 'fp16'", GPU, "fp16"),
            ("", NEW_GPU, "bf16"),
            ("", OLD_GPU, "fp16"),
            ("precision = 'fp16'", OLD_GPU, "fp16"),
            ("precision = 'fp32'", OLD_GPU, "fp32"),
            ("mixed_precision = false", OLD_GPU, "fp32"),
        ],
    )
    def test_follows_the_device(self, load, toml, hardware, precision):
        resolved, reason = resolve_precision(load(f"[training]\n{toml}"), hardware)
        assert resolved == precision
        assert reason

    @pytest.mark.parametrize(
        ("hardware", "words"),
        [
            (PLAIN, "does not multiply 16-bit numbers"),
            (BF16, "bfloat16 natively (avx512_bf16)"),
            (NEW_GPU, "(compute capability 12.0)"),
            (OLD_GPU, "fp16 natively, and not bfloat16 (compute capability 7.5)"),
        ],
    )
    def test_the_reason_names_what_decided(self, load, hardware, words):
        assert words in resolve_precision(load(""), hardware)[1]

    @pytest.mark.parametrize(
        ("precision", "hardware", "instead"),
        [
            ("bf16", PLAIN, "fp32"),
            ("fp16", PLAIN, "fp32"),
            ("fp16", BF16, "bf16"),
            ("bf16", OLD_GPU, "fp16"),
            ("fp16", APPLE, "fp32"),
        ],
    )
    def test_is_refused_where_it_would_be_emulated(self, load, precision, hardware, instead):
        config = load(f"[training]\nprecision = '{precision}'")
        with pytest.raises(ConfigError) as caught:
            resolve_precision(config, hardware)
        assert caught.value.where == "llm.toml:2"
        assert f'"{precision}"' in caught.value.what
        assert f'training.precision = "{instead}"' in caught.value.fixes[0]


class TestFit:
    """Free are 8 GB, 7.2 of them for the run."""

    def test_what_fits_passes(self, load):
        check_fit(load(""), Needs(10_000_000, GB // 6, GB), PLAIN)

    def test_the_largest_batch_that_fits_is_named(self, load):
        # 1.6 GB of state leave 5.6 GB; 32 sequences take 16 GB, so one takes half a gigabyte.
        config = load("[training]\nbatch_size = 32")
        with pytest.raises(ConfigError) as caught:
            check_fit(config, Needs(100_000_000, 1_600_000_000, 16 * GB), PLAIN)
        error = caught.value
        assert error.exit_code == 2
        assert "needs about 17.6 GB" in error.what
        assert "8.0 GB free" in error.what
        assert "1.6 GB for 100,000,000 parameters (16 bytes each" in error.what
        assert "from 32 to 8" in error.fixes[0]
        assert "--set training.gradient_accumulation_steps=4" in error.fixes[0]
        assert "the largest batch that fits is 11" in error.fixes[0]

    def test_the_advice_holds(self, load):
        advice = ["training.batch_size=8", "training.gradient_accumulation_steps=4"]
        config = load("[training]\nbatch_size = 32", overrides=advice)
        check_fit(config, Needs(100_000_000, 1_600_000_000, 16 * GB * 8 // 32), PLAIN)

    def test_a_model_that_is_too_large_by_itself(self, load, plugins):
        templates = tuple(installed_templates(plugins.registry))
        with pytest.raises(ConfigError) as caught:
            check_fit(load(""), Needs(GB, 16 * GB, GB), PLAIN, templates)
        assert 'project.template = "small" has 10 million' in caught.value.fixes[0]
        assert "about 225 million parameters" in caught.value.fixes[0]

    def test_a_gpu_has_its_own_memory(self, load):
        check_fit(load(""), Needs(GB, 16 * GB, GB), GPU)
        with pytest.raises(ConfigError, match=r"Some GPU has 20\.0 GB free"):
            check_fit(load(""), Needs(1_200_000_000, 19_200_000_000, GB), GPU)


def test_a_container_limits_the_machine(tmp_path, monkeypatch):
    from create_llm.config import hardware

    (tmp_path / "memory.max").write_text(f"{GB}\n")
    (tmp_path / "memory.current").write_text(f"{GB // 2}\n")
    (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {GB // 4}\n")
    monkeypatch.setattr(hardware, "_CGROUP", tmp_path)
    found = detect()
    assert found.ram_bytes == GB
    assert found.available_ram_bytes <= GB * 3 // 4
    (tmp_path / "memory.max").write_text("max\n")
    assert detect().ram_bytes > GB
