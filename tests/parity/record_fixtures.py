"""Write tests/fixtures/hf: each case as a folder that transformers made, with the answers transformers gives.

python -m tests.parity.record_fixtures [CASE ...]
"""

import json
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from tests.parity.cases import BY_NAME, CASES, FIXTURES, Case
from tests.parity.older_config import older
from tests.parity.reference import loaded, logits, with_answers


def record(case: Case) -> Path:
    """The case's folder, written anew.

    Raises:
      ValueError: transformers does not read back what it wrote, or reads the older config otherwise.
    """
    model, answers = with_answers(case)
    with tempfile.TemporaryDirectory(dir=FIXTURES) as scratch:
        folder, older_folder = Path(scratch) / "new", Path(scratch) / "older"
        model.to(getattr(torch, case.dtype)).save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        np.savez_compressed(folder / "expected.npz", tokens=answers.tokens, logits=answers.logits, greedy=answers.greedy)
        config = older(json.loads((folder / "config.json").read_text()))
        (folder / "config_v4.json").write_text(json.dumps(config, indent=2) + "\n")
        older_folder.mkdir()
        shutil.copy(folder / "config_v4.json", older_folder / "config.json")
        shutil.copy(folder / "model.safetensors", older_folder)
        for read in (folder, older_folder):
            if not np.array_equal(logits(loaded(read), answers.tokens), answers.logits):
                raise ValueError(f"{case.name}: transformers reads another model from {read.name} than it wrote")
        shutil.rmtree(FIXTURES / case.name, ignore_errors=True)
        return folder.rename(FIXTURES / case.name)


def main() -> None:
    """Record the cases named on the command line, or all."""
    torch.set_num_threads(1)
    for case in [BY_NAME[name] for name in sys.argv[1:]] or CASES:
        folder = record(case)
        print(f"{case.name:16} {sum(file.stat().st_size for file in folder.iterdir()):7,} bytes", flush=True)
    versions = ", ".join(f"{name} {version(name)}" for name in ("transformers", "torch", "safetensors"))
    (FIXTURES / "README.md").write_text(
        "Small random models of every family, one folder each: `config.json` and `model.safetensors` as transformers saved "
        "them,\n`config_v4.json` the same config in the keys of transformers 4, `expected.npz` with `tokens` i32[T], the "
        "`logits` f32[T, V]\nof them and the `greedy` i32[64] continuation of the first 24, all computed in fp32 by "
        f"transformers on a CPU.\n\nMade by `python -m tests.parity.record_fixtures` with {versions}.\n"
        "The cases are the table in `tests/parity/cases.py`.\n"
    )


if __name__ == "__main__":
    main()
