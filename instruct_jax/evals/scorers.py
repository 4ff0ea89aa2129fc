"""What a generated answer is worth: exact match, token F1, ROUGE-L and BLEU, each from 0 to 1 an answer."""

import collections
import functools
import re
import string
from collections.abc import Callable

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalized(text: str) -> str:
    """Text as SQuAD compares it (arXiv:1606.05250): lower case, without punctuation, articles and extra white space.

    One departure: a text of which nothing would be left ("a", "?", "the") is only stripped and put in lower case, so that
    such answers are still told apart.

    >>> normalized("The  Red, red kite."), normalized("a")
    ('red red kite', 'a')
    """
    lower = text.lower()
    return " ".join(_ARTICLES.sub(" ", lower.translate(_PUNCTUATION)).split()) or " ".join(lower.split())


def exact_match(output: str, target: str) -> float:
    """1 if the two are equal once normalised, else 0.

    >>> exact_match("The kite.", "kite"), exact_match("a kite", "red kite")
    (1.0, 0.0)
    """
    return float(normalized(output) == normalized(target))


def token_f1(output: str, target: str) -> float:
    """F1 of the words that output and target share, as SQuAD counts them: normalised words with their multiplicity.

    >>> token_f1("the red kite", "red red kite")  # precision 2/2, recall 2/3
    0.8
    """
    words, wanted = normalized(output).split(), normalized(target).split()
    shared = sum((collections.Counter(words) & collections.Counter(wanted)).values())
    if not words or not wanted:
        return float(words == wanted)
    return 2 * shared / (len(words) + len(wanted))


def rouge_l(output: str, target: str) -> float:
    """ROUGE-L F-measure of one answer (rouge-score, with Porter stemming).

    Its tokenizer knows Latin letters and digits only.

    >>> round(rouge_l("the kites are red", "the kite is red"), 4)  # "the", "kite", "red" of four and four words
    0.75
    """
    return float(_rouge().score(target, output)["rougeL"].fmeasure)


def bleu(output: str, target: str) -> float:
    """BLEU of one answer (sacrebleu's sentence BLEU with effective order, tokenizer 13a), from 0 to 1.

    A mean of these is a mean of sentence scores, which has an interval like any other mean; it is not corpus BLEU.

    >>> bleu("the red kite", "the red kite"), bleu("no", "the red kite")
    (1.0, 0.0)
    """
    return min(1.0, _bleu().sentence_score(output, [target]).score / 100)


SCORERS: dict[str, Callable[[str, str], float]] = {
    "exact_match": exact_match,
    "token_f1": token_f1,
    "rouge_l": rouge_l,
    "bleu": bleu,
}


@functools.cache
def _rouge():
    from rouge_score import rouge_scorer

    return rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)


@functools.cache
def _bleu():
    import sacrebleu

    return sacrebleu.BLEU(effective_order=True)
