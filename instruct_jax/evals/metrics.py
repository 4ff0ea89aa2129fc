"""What each number in a report is: its name, range, direction and how it came about."""

import dataclasses

from instruct_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Metric:
    """One kind of number.

    Attributes:
      name: its key in items, predictions and reports.
      title: for people.
      meaning: how it is computed, in a sentence.
      bounds: the least and greatest possible value of one item; None where there is no greatest.
      higher_is_better: its direction.
    """

    name: str
    title: str
    meaning: str
    bounds: tuple[float, float] | None = (0.0, 1.0)
    higher_is_better: bool = True


RANK, RANK_NORMALIZED, LOSS = "rank_accuracy", "rank_accuracy_normalized", "loss"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            RANK,
            "rank accuracy",
            "share of items whose right option has the highest log-probability, summed over its tokens and the turn end; "
            "a tie counts for its share",
        ),
        Metric(
            RANK_NORMALIZED,
            "rank accuracy, per token",
            "the same with each option's log-probability divided by its number of tokens, the turn end included",
        ),
        Metric(
            "exact_match",
            "exact match",
            "share of generated answers equal to the target after SQuAD's normalisation: lower case, no punctuation, "
            "no articles, single spaces (text of which nothing would be left is compared as it stands)",
        ),
        Metric("token_f1", "token F1", "mean F1 of the words shared by generated answer and target, normalised as by SQuAD"),
        Metric("rouge_l", "ROUGE-L", "mean ROUGE-L F-measure of each generated answer (rouge-score, with stemming)"),
        Metric("bleu", "BLEU", "mean sentence BLEU of the generated answers (sacrebleu, effective order), from 0 to 1"),
        Metric(
            LOSS,
            "plain-text loss",
            "nats per token of plain documents: the sum over all tokens divided by their number",
            bounds=None,
            higher_is_better=False,
        ),
    )
}


def metric_of(name: str, where: str) -> Metric:
    """The metric of this name.

    Raises:
      InputError: there is none.
    """
    if name not in METRICS:
        raise InputError(f"{where}: unknown metric {name!r}; expected one of {', '.join(METRICS)}")
    return METRICS[name]
