"""The live comparison needs torch and transformers: where they are missing nothing here is collected. No network."""

import importlib.util
import os

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

collect_ignore_glob = []
if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
    collect_ignore_glob = ["*.py"]
else:
    import torch

    torch.set_num_threads(1)  # two processes of tests share the machine


def pytest_collection_modifyitems(items):
    """Warnings of the libraries compared with are theirs; ours stay errors."""
    for item in items:
        if "parity" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("ignore:::(torch|transformers|peft|trl|accelerate).*"))
