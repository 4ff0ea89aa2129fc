"""Exemplars: never the query nor a twin of it, drawn evenly, anew in every epoch, and by content alone."""

import collections

import pytest

from instruct_jax.errors import InputError
from instruct_jax.tasks.exemplars import Exemplars, within_budget
from instruct_jax.tasks.files.records import Records
from instruct_jax.text.templates import Instance, Template
from tests.tasks.listed import Listed

ASK = Template("ask", "Q: {question}", "{answer}")
TURNED = Template("turned", "Ask for {answer}.", "{question}", original_task=False)


class Endless(Records):
    """The same 1,000 questions over and over."""

    size = None

    def __getitem__(self, index):
        return {"question": f"number {index % 1_000}", "answer": str(index % 7)}

    def where(self, index):
        return f"record {index}"


def _draw(exemplars, query, shots, key, template=ASK, suits=bool):
    return exemplars.draw(query, template, shots, template.apply, suits, key)


def _with_duplicates():
    """80 rows: 30 questions, ten of them twice alike, ten again under another number, ten re-worded from one source."""
    rows = [{"id": n, "source": n, "question": f"what is {n}?", "answer": str(n % 5)} for n in range(30)]
    again = [dict(row) for row in rows[:10]]
    renumbered = [{**row, "id": row["id"] + 1_000, "source": row["source"] + 1_000} for row in rows[10:20]]
    reworded = [{**row, "id": row["id"] + 2_000, "question": f"tell me {row['id']}"} for row in rows[20:30]]
    more = [{"id": n, "source": n, "question": f"what is {n}?", "answer": str(n % 5)} for n in range(30, 50)]
    return [*rows, *again, *renumbered, *reworded, *more]


@pytest.mark.parametrize("source_field", ["source", None])
def test_no_exemplar_is_the_query_or_a_twin_of_it_whatever_the_epoch(source_field):
    rows = _with_duplicates()
    exemplars = Exemplars(Listed(rows), None, source_field)
    sources = collections.defaultdict(set)
    for row in rows:
        sources[ASK.apply(row).prompt].add(row["source"])
    for epoch in range(3):
        for query in rows:
            found = _draw(exemplars, query, 16, f"{epoch}\0{query}")
            prompts = [one.prompt for one in found]
            assert len(found) == len(set(prompts)) == 16
            assert ASK.apply(query).prompt not in prompts
            if source_field:
                assert not any(query["source"] in sources[prompt] for prompt in prompts)


def test_without_the_comparison_the_query_would_be_its_own_exemplar():
    """What the test above would catch: 16 places drawn blindly from 80 hold the query or its like quite often."""
    rows = _with_duplicates()
    exemplars = Exemplars(Listed(rows), None, None)
    blind = [[rows[place] for place in list(exemplars._candidates(ASK, 16, str(query)))[:16]] for query in rows]
    assert sum(query in found for query, found in zip(rows, blind, strict=True)) > 8


def test_turned_round_the_same_prompt_is_no_twin_unless_its_answer_is_too():
    rows = [{"question": f"question {n}", "answer": "yes" if n % 2 else "no"} for n in range(20)]
    found = _draw(Exemplars(Listed(rows), None, None), rows[1], 19, "key", TURNED)
    assert len(found) == 19
    assert sum(one.prompt == "Ask for yes." for one in found) == 9
    assert all(one.response != "question 1" for one in found)


def test_the_draw_is_even_new_for_every_key_and_the_same_for_the_same():
    rows = [{"question": str(n), "answer": "a"} for n in range(40)]
    exemplars = Exemplars(Listed(rows), None, None)
    query = {"question": "another", "answer": "a"}
    draws = [[one.prompt for one in _draw(exemplars, query, 4, str(key))] for key in range(1_000)]
    assert draws == [[one.prompt for one in _draw(exemplars, query, 4, str(key))] for key in range(1_000)]
    assert len({tuple(found) for found in draws}) > 990
    counts = collections.Counter(prompt for found in draws for prompt in found)
    # Draws without replacement vary less than chi-square has it: the bound (39 degrees of freedom, p = .001) is safe.
    assert len(counts) == 40
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 72.05


def test_a_small_split_gives_all_it_has_and_a_broken_record_is_passed_over():
    rows = [{"question": str(n), "answer": "a"} for n in range(4)]
    found = _draw(Exemplars(Listed([*rows, None, {"answer": "no question"}]), None, None), rows[0], 16, "key")
    assert sorted(one.prompt for one in found) == ["Q: 1", "Q: 2", "Q: 3"]


def test_only_records_that_suit_are_exemplars():
    rows = [{"question": str(n), "answer": str(n % 2)} for n in range(30)]
    found = _draw(Exemplars(Listed(rows), None, None), rows[0], 5, "key", suits=lambda record: record["answer"] == "1")
    assert [one.response for one in found] == ["1"] * 5


def test_records_that_come_in_a_wording_get_exemplars_of_that_wording():
    rows = [{"question": str(n), "answer": "a", "wording": "ask" if n % 3 else "other"} for n in range(60)]
    exemplars = Exemplars(Listed([*rows, None]), "wording", None)
    for query in rows:
        template = Template(query["wording"], "{question}")
        found = _draw(exemplars, query, 8, query["question"], template)
        assert len(found) == 8
        assert {int(one.prompt) % 3 > 0 for one in found} == {query["wording"] == "ask"}
    assert _draw(exemplars, rows[0], 8, "key", Template("kept back", "{question}")) == []


def test_a_source_without_end_gives_exemplars_too():
    found = _draw(Exemplars(Endless(), None, None), {"question": "number 3", "answer": "3"}, 16, "key")
    assert len({one.prompt for one in found}) == 16
    assert "Q: number 3" not in {one.prompt for one in found}


def test_a_large_split_is_drawn_from_by_place():
    rows = [{"question": str(n), "answer": "a"} for n in range(9_000)]
    exemplars = Exemplars(Listed(rows), None, None)
    places = {int(one.prompt[3:]) // 1_000 for query in rows[:40] for one in _draw(exemplars, query, 16, str(query))}
    assert places == set(range(9))


def test_a_query_that_cannot_be_worded_is_an_error():
    with pytest.raises(InputError, match="names the field 'question', which the record lacks"):
        _draw(Exemplars(Listed([{"question": "q", "answer": "a"}]), None, None), {"answer": "a"}, 1, "key")


def test_exemplars_are_left_out_from_the_end_until_they_fit():
    exemplars = [Instance("p" * size, "r") for size in (30, 50, 10)]

    def given(budget, joined=0):
        """How many, where joining them adds so many tokens to each."""
        return len(
            within_budget(
                exemplars,
                budget,
                lambda one: len(one.prompt),
                lambda some: sum(len(one.prompt) + joined for one in some),
            )
        )

    assert [given(budget) for budget in (29, 30, 79, 80, 89, 90)] == [0, 1, 1, 2, 2, 3]
    assert [given(budget, joined=3) for budget in (32, 33, 85, 86, 98, 99)] == [0, 1, 1, 2, 2, 3]
