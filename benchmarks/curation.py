"""Curation of real rows: speed of each rule, what it finds of what was planted, and what it takes of what was not.

    python benchmarks/curation.py --data $INSTRUCT_JAX_DATA
    python benchmarks/curation.py --data $INSTRUCT_JAX_DATA --rows 5000     # a sample of T0: seconds

Clean are GSM8K's training questions, T0, HH-RLHF and Self-Instruct's seeds, as published. Planted are copies of GSM8K's
questions (equal, disguised in case, punctuation and space, and with a share of their words replaced), and the evaluation
suites' own texts (IFEval's prompts, GSM8K's test questions) put between two clean rows. A control of random words shows what
chance alone finds. A line of JSON, with versions, machine and load, is appended to --results.
"""

import argparse
import json
import os
import platform
import random
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from instruct_jax.artifacts.manifest import versions
from instruct_jax.curation.decisions import Filter, Row, unwatched
from instruct_jax.curation.dedup import Duplicate, NearDuplicates, exact_duplicates, near_duplicates
from instruct_jax.curation.filters import Answered, AnswerInPrompt, Language
from instruct_jax.curation.overlap import ContaminationIndex
from instruct_jax.curation.parts import whole
from instruct_jax.curation.phrases import boilerplate, refusals
from instruct_jax.curation.repetition import Repetition
from instruct_jax.curation.selection import Best
from instruct_jax.curation.suites import read_suite
from instruct_jax.tasks.formats import read
from instruct_jax.text.conversation import Conversation

FILTERS: tuple[Filter, ...] = (Answered(), Language(), Repetition(), refusals(), boilerplate(), AnswerInPrompt())
PLANTED = 300
SHARES = (0.02, 0.05, 0.10, 0.15)  # of a copy's words that are replaced


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    found = work()
    return found, time.perf_counter() - start


def substituted(text: str, share: float, draw: random.Random, words: Sequence[str]) -> str:
    """The text with a share of its words, at random places, replaced by words of the corpus."""
    found = text.split()
    for place in draw.sample(range(len(found)), max(1, round(share * len(found)))):
        found[place] = draw.choice(words)
    return " ".join(found)


def disguised(text: str) -> str:
    return " ;  ".join(text.upper().replace(".", "!").split(" "))


def duplicates(questions: list[str], draw: random.Random) -> dict[str, Any]:
    """What is found of planted copies of GSM8K's questions, and how many of the questions themselves go."""
    words = sorted({word for question in questions for word in question.split()})
    chosen = draw.sample(range(len(questions)), PLANTED)
    kinds = {"equal": lambda text: f" {text.upper()}\n", "disguised": disguised}
    kinds |= {f"{share:.0%} replaced": lambda text, share=share: substituted(text, share, draw, words) for share in SHARES}
    found: dict[str, Any] = {}
    for name, make in kinds.items():
        rows = questions + [make(questions[place]) for place in chosen]
        exact, near = ({one.index: one for one in some} for some in (exact_duplicates(rows), near_duplicates(rows)))
        right = [_right(near | exact, len(questions) + number, place) for number, place in enumerate(chosen)]
        found[name] = {"exact": sum(index >= len(questions) for index in exact), "found": sum(right), "planted": PLANTED}
    clean = near_duplicates(questions)
    found["clean"] = {"rows": len(questions), "dropped": len(clean)}
    found["examples"] = [[one.similarity, questions[one.index], questions[one.kept]] for one in clean[:3]]
    return found


def _right(found: dict[int, Duplicate], index: int, place: int) -> bool:
    return index in found and found[index].kept == place


def leaks(
    index: ContaminationIndex, suites: dict[str, list[str]], clean: dict[str, list[str]], draw: random.Random
) -> dict[str, Any]:
    """What is found of evaluation texts within clean rows, and what of the clean rows is found by itself."""
    told: dict[str, Any] = {}
    around = clean["gsm8k train"]
    for suite, texts in suites.items():
        for name, make in (("as it is", str), ("disguised", disguised)):
            rows = [f"{draw.choice(around)} {make(text)} {draw.choice(around)}" for text in texts]
            items = zip(index.items(suite), rows, strict=True)
            right = [any((hit.suite, hit.item) == (suite, item) for hit in index.check(row)) for item, row in items]
            told[f"{suite}, {name}"] = {"planted": len(rows), "found": sum(right)}
    for name, rows in clean.items():
        found, seconds = timed(lambda rows=rows: [(row, index.check(row)) for row in rows])
        hits = [(row, some) for row, some in found if some]
        characters = sum(map(len, rows))
        told[name] = {
            "rows": len(rows),
            "found": len(hits),
            "by suite": {suite: sum(any(hit.suite == suite for hit in some) for _, some in hits) for suite in suites},
            "characters": characters,
            "characters/s": round(characters / seconds),
            "spans": sorted({hit.span for _, some in hits for hit in some})[:8],
        }
    return told


def filters(clean: dict[str, list[Conversation]]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for rule in FILTERS:
        for name, rows in clean.items():
            dropped, seconds = timed(lambda rule=rule, rows=rows: sum(not rule(row).keep for row in rows))
            told.setdefault(rule.rule, {})[name] = {"dropped": dropped, "rows": len(rows), "rows/s": round(len(rows) / seconds)}
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("INSTRUCT_JAX_DATA"), required="INSTRUCT_JAX_DATA" not in os.environ)
    parser.add_argument("--rows", type=int, default=None, help="of T0; all by default")
    parser.add_argument("--results", default="benchmarks/results/curation.jsonl")
    arguments = parser.parse_args()
    data, draw = Path(arguments.data), random.Random(0)
    load = os.getloadavg()[0]
    t0 = [sample.conversation for sample in read(str(data / "t0" / "**" / "*.jsonl"))]
    if arguments.rows is not None:
        t0 = draw.sample(t0, arguments.rows)
    read_files = {
        "gsm8k train": "gsm8k/train.jsonl",
        "hh_rlhf": "hh_rlhf/harmless_base.jsonl",
        "self_instruct": "self_instruct/seed_tasks.jsonl",
    }
    conversations = {name: [sample.conversation for sample in read(str(data / file))] for name, file in read_files.items()}
    conversations["t0"] = t0
    clean = {name: [whole(one) for one in rows] for name, rows in conversations.items()}
    words = sorted({word for row in clean["gsm8k train"] for word in row.split()})
    clean["random words"] = [" ".join(draw.choices(words, k=150)) for _ in range(5_000)]
    evaluations = {"ifeval": read_suite(data / "ifeval" / "input_data.jsonl"), "gsm8k": read_suite(data / "gsm8k" / "test.jsonl")}
    index, built = timed(lambda: ContaminationIndex(evaluations))
    suites = {name: [one.text for one in texts] for name, texts in evaluations.items()}

    texts = clean["t0"]
    rules: dict[str, Any] = {}
    for name, work in {
        "exact": lambda: exact_duplicates(texts),
        "near": lambda: near_duplicates(texts),
        "near, template wording aside": lambda: near_duplicates(texts, NearDuplicates(template_rows=100)),
    }.items():
        found, seconds = timed(work)
        rules[name] = {
            "rows": len(texts),
            "dropped": len(found),
            "rows/s": round(len(texts) / seconds),
            "seconds": round(seconds, 1),
        }
    rows = [Row(one, str(number)) for number, one in enumerate(t0)]
    chosen, seconds = timed(lambda: Best(share=0.1, quality=None).decide(rows, unwatched))
    rules["selection of a tenth"] = {"rows": len(rows), "kept": sum(one.keep for one in chosen), "seconds": round(seconds, 1)}

    line = {
        "time": time.strftime("%Y-%m-%d %H:%M"),
        "duplicates, gsm8k": duplicates([row.messages[0].text for row in conversations["gsm8k train"]], draw),
        "t0": rules,
        "leaks": {"index seconds": round(built, 2), **leaks(index, suites, clean, draw)},
        "filters": filters({**conversations, "t0": draw.sample(t0, min(5_000, len(t0)))}),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "versions": versions("datasketch", "py3langid", "numpy"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} before",
    }
    print(json.dumps(line, indent=2, ensure_ascii=False))
    Path(arguments.results).parent.mkdir(exist_ok=True)
    with open(arguments.results, "a") as stream:
        stream.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
