"""Every test runs on eight virtual CPU devices, in an order of its own, and reaches no network."""

import dataclasses
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compiling without optimisation takes a tenth of the time, and these programs run for milliseconds.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Many tests and the programs they start compile the same small step: once a session is enough.
COMPILED = None if "JAX_COMPILATION_CACHE_DIR" in os.environ else tempfile.TemporaryDirectory(prefix="compiled-")
if COMPILED is not None:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; the test is skipped where there is none."""
    folder = Path(os.environ.get("INSTRUCT_JAX_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real data: set INSTRUCT_JAX_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def make_dataset(tmp_path_factory):
    """A function (name, documents=64, length=24, seed=0, packed=True) -> folder of a small dataset of ragged documents."""
    from instruct_jax.artifacts.dataset import DatasetWriter
    from instruct_jax.artifacts.records import Row
    from instruct_jax.text.chat import INSTRUCT
    from instruct_jax.text.tokenizer import ByteTokenizer

    def make(name: str, documents: int = 64, length: int = 24, seed: int = 0, packed: bool = True) -> Path:
        folder = tmp_path_factory.mktemp("datasets") / name
        random = np.random.default_rng(seed)
        tokenizer = ByteTokenizer()
        writer = DatasetWriter(folder, rows_per_shard=10)
        waiting, used = [], 0

        def flush():
            if waiting:
                tokens, weights, provenance = (np.concatenate([part[k] for part in waiting]) for k in range(3))
                lengths = np.array([part[0].size for part in waiting], np.int32)
                writer.write(Row(tokens, weights, lengths, provenance))

        for index in range(documents):
            size = int(random.integers(3, length // 2))
            tokens = random.integers(0, tokenizer.vocab_size, size).astype(np.int32)
            weights = (np.arange(size) >= random.integers(1, size)).astype(np.float32)
            if used + size > length or (waiting and not packed):
                flush()
                waiting, used = [], 0
            waiting.append((tokens, weights, np.array([[0, 0, index, 0]], np.int64)))
            used += size
        flush()
        tokenizer.save(writer.folder / "tokenizer")
        writer.finish(
            {
                "identity": f"{name}-{documents}-{length}-{seed}-{packed}",
                "length": length,
                "tokenizer": {"fingerprint": tokenizer.fingerprint, "vocab_size": tokenizer.vocab_size},
                "chat_template": {**dataclasses.asdict(INSTRUCT), "fingerprint": INSTRUCT.fingerprint()},
                "tasks": [{"name": "random", "cluster": "none", "dataset": "random", "templates": ["only"]}],
            }
        )
        return folder

    return make
