"""The parity table: families and shapes by properties, as Markdown; exit status 1 where one does not hold.

python -m tests.parity.table [FILE]
"""

import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")  # compiling costs more than computing here
os.environ["HF_HUB_OFFLINE"] = "1"

from tests.parity.cases import CASES
from tests.parity.properties import PROPERTIES, Property, Subject


def cell(held: Property, measured: float) -> str:
    """A measure as the table shows it, bold where it is beyond its bound."""
    text = f"{measured:.1e}" if measured else "0"
    return text if measured <= held.bound else f"**{text}**"


def main() -> int:
    """Measure, print, and write to the file named on the command line."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("transformers", "torch", "jax", "flax"))
    lines = [
        "# Parity with transformers",
        "",
        "Largest difference of fp32 logits relative to the largest logit, or the share of tokens or tensors that differ.",
        f"Small random models on a CPU; {versions}.",
        "",
        "| case | covers | " + " | ".join(held.name for held in PROPERTIES) + " |",
        "|---|---|" + "---|" * len(PROPERTIES),
        "| at most | | " + " | ".join(f"{held.bound:g}" for held in PROPERTIES) + " |",
    ]
    print("\n".join(lines), flush=True)
    failed = False
    for case in CASES:
        with tempfile.TemporaryDirectory() as workspace:
            subject = Subject(case, Path(workspace))
            measured = [held.measure(subject) for held in PROPERTIES]
        failed |= any(value > held.bound for held, value in zip(PROPERTIES, measured, strict=True))
        cells = [cell(held, value) for held, value in zip(PROPERTIES, measured, strict=True)]
        lines.append(f"| {case.name} | {case.covers} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    for file in map(Path, sys.argv[1:]):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
