"""Summarisation of news: an article, or several on one event, in a few lines, one sentence or a headline."""

from instruct_jax.tasks.flan.dataset import FlanDataset, renamed
from instruct_jax.text.templates import Template

CLUSTER = "summarisation"

_CNN = (
    Template("highlights", "{article}\n\nWhat are the highlights of this article?", response="{summary}"),
    Template("bullet_points", "List the main points of the story below, one to a line.\n\n{article}", response="{summary}"),
    Template("no_time", "I have no time to read this. What does it say?\n\n{article}", response="{summary}"),
    Template(
        "anchor",
        "A news anchor has time for three or four short sentences. Write them from this report.\n{article}",
        response="{summary}",
    ),
    Template(
        "box", "Fill the summary box that stands beside this article.\n\nArticle: {article}\n\nSummary:", response="{summary}"
    ),
    Template(
        "write_article",
        "Write a news article from which a reader would take these points.\n\n{summary}",
        response="{article}",
        original_task=False,
    ),
    Template(
        "expand_box",
        "The summary box is ready, the article is not. Write it.\n{summary}",
        response="{article}",
        original_task=False,
    ),
    Template("summarise_reserved", "Summarise this article: {article}", response="{summary}", reserved=True),
    Template(
        "key_facts_reserved",
        "{article}\n\nGive the key facts of the above in a few sentences.",
        response="{summary}",
        reserved=True,
    ),
    Template(
        "briefing_reserved", "Write a short briefing on this piece of news.\n\n{article}", response="{summary}", reserved=True
    ),
)

_GIGAWORD = (
    Template("headline", "What headline goes with this first sentence of a news story?\n{document}", response="{headline}"),
    Template("ticker", "Shorten for the news ticker: {document}", response="{headline}"),
    Template("few_words", "{document}\nSay that in under a dozen words.", response="{headline}"),
    Template("write_headline", "Story: {document}\nHeadline:", response="{headline}"),
    Template("subeditor", "As a sub-editor, give this wire report a title.\n\n{document}", response="{headline}"),
    Template(
        "expand",
        'Write the full sentence that opens a story under the headline "{headline}".',
        response="{document}",
        original_task=False,
    ),
    Template(
        "lead", "{headline}\n\nThat is the headline. What is the lead sentence?", response="{document}", original_task=False
    ),
    Template("compress_reserved", "Compress this sentence into a headline. {document}", response="{headline}", reserved=True),
    Template("gist_reserved", "{document}\n\nThe gist, in a handful of words:", response="{headline}", reserved=True),
    Template(
        "title_reserved",
        "Which title would you print above the sentence below?\n{document}",
        response="{headline}",
        reserved=True,
    ),
)

_MULTI_NEWS = (
    Template("merge", "Several papers covered one event. Make one summary of their reports.\n\n{articles}", response="{summary}"),
    Template(
        "digest", "{articles}\n\nWrite a digest of these articles for somebody who has read none of them.", response="{summary}"
    ),
    Template("together", "What do the following sources say, taken together?\n\n{articles}", response="{summary}"),
    Template("round_up", "You write the evening round-up. Your material:\n{articles}\nThe round-up:", response="{summary}"),
    Template(
        "one_account", "Turn these reports into a single account without repeating yourself.\n{articles}", response="{summary}"
    ),
    Template(
        "write_reports",
        "Below is a summary of the coverage of one event. Reconstruct articles that it could have been made from.\n\n{summary}",
        response="{articles}",
        original_task=False,
    ),
    Template(
        "sources_of",
        "{summary}\n\nWhat might the newspapers have printed that this sums up? Write their articles.",
        response="{articles}",
        original_task=False,
    ),
    Template(
        "summary_reserved", "Summarise the news articles below in one text.\n\n{articles}", response="{summary}", reserved=True
    ),
    Template(
        "catch_up_reserved",
        "Help me to catch up on this event from its press coverage: {articles}",
        response="{summary}",
        reserved=True,
    ),
    Template("combined_reserved", "Reports:\n\n{articles}\n\nA combined summary of them:", response="{summary}", reserved=True),
)

_NEWSROOM = (
    Template("teaser", "{title}\n\n{text}\n\nWrite the teaser that stands on the front page.", response="{summary}"),
    Template("share", "You share this article with colleagues. What do you write above the link?\n{text}", response="{summary}"),
    Template("abstract", "Sum up the following article from a newspaper in a sentence or two.\n\n{text}", response="{summary}"),
    Template("search", "How should a search engine describe this page?\nTitle: {title}\nText: {text}", response="{summary}"),
    Template("title", "Title this newspaper article.\n\n{text}", response="{title}", original_task=False),
    Template(
        "article", 'Teaser: {summary}\nTitle: "{title}"\nNow write the article itself.', response="{text}", original_task=False
    ),
    Template(
        "title_teaser",
        "Find a title for the story that is announced like this: {summary}",
        response="{title}",
        original_task=False,
    ),
    Template("tell_me_reserved", "Tell me in brief what this article says. {text}", response="{summary}", reserved=True),
    Template("summary_reserved", "{text}\n\nSummary of the article above:", response="{summary}", reserved=True),
    Template(
        "newsletter_reserved",
        'The newsletter lists "{title}". Add a line on its content.\n\n{text}',
        response="{summary}",
        reserved=True,
    ),
)

_XSUM = (
    Template("one_sentence", "{document}\n\nIf you had one sentence to tell this story, what would it be?", response="{summary}"),
    Template("radio", "Give radio listeners this report in a single sentence.\n{document}", response="{summary}"),
    Template("what_happened", "What happened? One sentence is enough.\n\n{document}", response="{summary}"),
    Template(
        "first_line", "The introductory sentence of this news article is missing. Supply it.\n\n{document}", response="{summary}"
    ),
    Template("extreme", "Reduce the text below to its very core.\n\nText: {document}\n\nCore:", response="{summary}"),
    Template(
        "story",
        "{summary}\n\nWrite the rest of the news story that begins like this.",
        response="{document}",
        original_task=False,
    ),
    Template("reporter", "A reporter has one line: {summary}\nDraft the report.", response="{document}", original_task=False),
    Template("sum_up_reserved", "Sum up this article in one sentence. {document}", response="{summary}", reserved=True),
    Template(
        "neighbour_reserved",
        "{document}\nHow would you tell a neighbour about it in a sentence?",
        response="{summary}",
        reserved=True,
    ),
    Template("summary_reserved", "News story: {document}\nOne-sentence summary:", response="{summary}", reserved=True),
)

_BOUNDARY = "|||||"  # stands between two sources in Multi-News


def _multi_news(example):
    articles = [article.strip() for article in example["document"].split(_BOUNDARY)]
    summary = example["summary"].strip().removeprefix("–")  # before the first word of each
    return {"articles": "\n\n".join(article for article in articles if article), "summary": summary}


DATASETS = (
    FlanDataset(
        "cnn_dailymail",
        CLUSTER,
        "cnn_dailymail:3.4.0",
        ("article", "summary"),
        _CNN,
        record=renamed(article="article", summary="highlights"),
        metrics=("rouge_l",),
        reference="Hermann et al. 2015, arXiv:1506.03340; See et al. 2017, arXiv:1704.04368",
    ),
    FlanDataset(
        "gigaword",
        CLUSTER,
        "gigaword:1.2.0",
        ("document", "headline"),
        _GIGAWORD,
        record=renamed(document="document", headline="summary"),
        metrics=("rouge_l",),
        reference="Rush et al. 2015, arXiv:1509.00685",
    ),
    FlanDataset(
        "multi_news",
        CLUSTER,
        "multi_news:2.1.0",
        ("articles", "summary"),
        _MULTI_NEWS,
        record=_multi_news,
        metrics=("rouge_l",),
        reference="Fabbri et al. 2019, arXiv:1906.01749",
    ),
    FlanDataset(
        "newsroom",
        CLUSTER,
        "newsroom:1.0.0",
        ("title", "text", "summary"),
        _NEWSROOM,
        metrics=("rouge_l",),
        reference="Grusky et al. 2018, arXiv:1804.11283",
    ),
    FlanDataset(
        "xsum",
        CLUSTER,
        "xsum:1.1.0",
        ("document", "summary"),
        _XSUM,
        metrics=("rouge_l",),
        reference="Narayan et al. 2018, arXiv:1808.08745",
    ),
)
