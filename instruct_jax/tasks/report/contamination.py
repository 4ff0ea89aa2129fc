"""Leaks of evaluation items into the training texts: counted by suite and task, with the shared words shown on both sides."""

import collections
import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from instruct_jax.curation.overlap import ContaminationIndex, Hit
from instruct_jax.curation.words import composed, word_places, words
from instruct_jax.errors import InputError
from instruct_jax.tasks.report.texts import Text

_CONTEXT = 220  # characters shown on each side of a span
_SHOWN_PER_SUITE = 4


class LeakCheck:
    """Checks training texts against suites, one by one, and keeps what it finds.

    Args:
      index: of the evaluation texts.
      texts: every evaluation text, by suite and item, to be shown beside what is found.
      tasks: names of the training tasks, by their index.
      allow: suites and tasks whose leaks are accepted.

    Raises:
      InputError: `allow` names what is neither a suite nor a task.
    """

    def __init__(
        self,
        index: ContaminationIndex,
        texts: Mapping[str, Mapping[str, str]],
        tasks: Sequence[str],
        allow: Sequence[str],
    ):
        known = [*texts, *tasks]
        for name in allow:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"suites: {', '.join(texts) or 'none'}"
                raise InputError(f"ALLOW names {name!r}, which is neither a suite nor a task; {hint}")
        self._index, self._texts, self._tasks, self._allow = index, texts, tasks, set(allow)
        self.hits: list[dict[str, Any]] = []
        self._shown: dict[str, set[tuple[Any, ...]]] = collections.defaultdict(set)

    def add(self, text: Text) -> None:
        """Check one training text, prompt and response."""
        whole = text.whole
        found: dict[tuple[str, str], list[Hit]] = collections.defaultdict(list)
        for hit in self._index.check(whole):
            found[hit.suite, hit.item].append(hit)
        for hits in found.values():
            self._keep(text, composed(whole), hits, longest=max(hits, key=lambda hit: hit.words))

    def _keep(self, text: Text, whole: str, hits: Sequence[Hit], longest: Hit) -> None:
        task = self._tasks[text.task]
        allowed = longest.suite in self._allow or task in self._allow
        entry: dict[str, Any] = {
            "suite": longest.suite,
            "item": longest.item,
            "task": task,
            "template": text.template,
            "example": text.example,
            "epoch": text.epoch,
            "row": text.row,
            "rules": sorted({hit.rule for hit in hits}),
            "span": longest.span,
            "words": longest.words,
            "share": max(hit.share for hit in hits),
            "allowed": allowed,
        }
        shown = self._shown[longest.suite]
        new = {_place(entry), tuple(words(longest.span))}
        if shown.isdisjoint(new) and len(shown) < 2 * _SHOWN_PER_SUITE:
            shown |= new
            entry["trained"] = _around(whole, longest.start, longest.length)
            entry["evaluated"] = _found_in(self._texts[longest.suite][longest.item], longest.span)
        self.hits.append(entry)

    def table(self) -> dict[str, Any]:
        """What was found, and in what.

        Returns:
          {"suites": [{"name", "items", "texts": they are made of, "items_hit", "texts_hit": training texts, "refused": of
          these, with a leak that nobody allowed, "allowed", "hidden": texts too short to be found within others, "tasks":
          {task: texts}}], "texts_hit", "refused", "allow", "bounds", "shown": some hits of each suite with
          their surroundings, no two of one training text or of the same words}.
        """
        suites = []
        hidden = collections.Counter(suite for suite, _ in self._index.unowned)
        for name, count in self._index.texts.items():
            hits = [hit for hit in self.hits if hit["suite"] == name]
            by_task = collections.Counter(task for task, *_ in {_place(hit) for hit in hits})
            suites.append(
                {
                    "name": name,
                    "items": len(self._texts[name]),
                    "texts": count,
                    "items_hit": len({hit["item"] for hit in hits}),
                    "texts_hit": len({_place(hit) for hit in hits}),
                    "refused": len({_place(hit) for hit in hits if not hit["allowed"]}),
                    "allowed": name in self._allow,
                    "hidden": hidden[name],
                    "tasks": dict(by_task.most_common()),
                }
            )
        return {
            "suites": suites,
            "texts_hit": len({_place(hit) for hit in self.hits}),
            "refused": len({_place(hit) for hit in self.hits if not hit["allowed"]}),
            "allow": sorted(self._allow),
            "bounds": dataclasses.asdict(self._index.bounds),
            "shown": [hit for hit in self.hits if "trained" in hit],
        }


def _place(hit: Mapping[str, Any]) -> tuple[Any, ...]:
    return hit["task"], hit["example"], hit["epoch"], hit["template"]


def _around(text: str, start: int, length: int) -> dict[str, str]:
    """A span with what stands before and after it, cut to what a reader needs."""
    end = start + length
    before, after = text[max(0, start - _CONTEXT) : start], text[end : end + _CONTEXT]
    return {
        "before": ("…" if start > _CONTEXT else "") + before,
        "span": text[start:end],
        "after": after + ("…" if len(text) > end + _CONTEXT else ""),
    }


def _found_in(text: str, span: str) -> dict[str, str]:
    """The same words where the evaluation text has them, in its own case and punctuation."""
    text = composed(text)
    there, wanted = words(text), words(span)
    for start in range(len(there) - len(wanted) + 1):
        if there[start : start + len(wanted)] == wanted:
            places = word_places(text)
            begin, end = places[start][0], places[start + len(wanted) - 1][1]
            return _around(text, begin, end - begin)
    return {"before": text[: 2 * _CONTEXT], "span": "", "after": ""}


def refusal(table: Mapping[str, Any], page: Any) -> str | None:
    """One line on the leaks that nobody allowed; None where there are none.

    Args:
      table: of `LeakCheck.table`.
      page: where they are shown.
    """
    found = [suite for suite in table["suites"] if suite["refused"]]
    if not found:
        return None
    named = ", ".join(f"{one['name']} ({one['items_hit']:,} of {one['items']:,} items)" for one in found[:4])
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    allowing = ", ".join(f"'{one['name']}'" for one in found)
    texts = "1 training text holds" if table["refused"] == 1 else f"{table['refused']:,} training texts hold"
    return (
        f"{texts} text of evaluation suites: {named}{more}; they are shown in {page}: leave them out, or accept them by name: "
        f'--gin.ALLOW="({allowing},)"'
    )
