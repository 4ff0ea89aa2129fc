"""Which model an HF folder holds: a digest of all its numbers, and of what its configuration makes of them."""

import hashlib
import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from jax.experimental import multihost_utils
from rich.console import Console

from instruct_jax.artifacts.manifest import identity_of
from instruct_jax.convert.tensor_files import SIZES, Entry
from instruct_jax.errors import InputError
from instruct_jax.model.spec import DecoderSpec
from instruct_jax.progress import progress

# Bytes that are read at a time: hashing lets other threads run, and those read meanwhile.
_BLOCK = 4 << 20
# More threads than this wait for the disk.
_MOST_THREADS = 16


def model_identity(spec: DecoderSpec, entries: Mapping[str, Entry], console: Console, title: str) -> str:
    """Hash of what the configuration means, and of every tensor's name, dtype, shape and bytes.

    It depends neither on how the tensors are spread over files, nor on what a configuration says besides. Of several hosts
    the first reads the files, and tells the others.

    Args:
      spec: what config.json means.
      entries: the folder's tensors.
      console: where progress shows.
      title: of that progress.
    """
    identity = _of_files(spec, entries, console, title) if jax.process_index() == 0 else "0" * 32
    if jax.process_count() == 1:
        return identity
    told = multihost_utils.broadcast_one_to_all(np.frombuffer(bytes.fromhex(identity), np.uint8))
    return np.asarray(told, np.uint8).tobytes().hex()


def _of_files(spec: DecoderSpec, entries: Mapping[str, Entry], console: Console, title: str) -> str:
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as threads:
        digests = []
        with progress(console, title, len(entries), "tensors") as report:
            for digest in threads.map(_digest, entries.values()):
                digests.append(digest)
                report(1)
    tensors = [(name, one.kind, one.shape, digest) for (name, one), digest in zip(entries.items(), digests, strict=True)]
    return identity_of([spec.to_json(), sorted(tensors)])


def _digest(entry: Entry) -> str:
    """SHA-256 of one tensor's bytes."""
    digest, left = hashlib.sha256(), math.prod(entry.shape) * SIZES[entry.kind]
    with open(entry.file, "rb", buffering=0) as stream:
        stream.seek(entry.offset)
        block = memoryview(bytearray(min(_BLOCK, left)))
        while left:
            read = stream.readinto(block[: min(_BLOCK, left)])
            if not read:
                raise InputError(f"{entry.file} has become shorter while it was read; fetch it again")
            digest.update(block[:read])
            left -= read
    return digest.hexdigest()
