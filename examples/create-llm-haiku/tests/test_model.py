from typing import ClassVar

from create_llm.testing import ArchitectureContract


class TestGatedConv(ArchitectureContract):
    name = "gated-conv"
    options: ClassVar = {"max_length": 16, "layers": 3, "dim": 16, "kernel": 5}
