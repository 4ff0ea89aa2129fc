"""Summarisation of what people write and say to each other: emails, chats, posts, interviews and opinions."""

from instruct_jax.tasks.flan.dataset import FlanDataset, renamed
from instruct_jax.tasks.flan.summarisation_news import CLUSTER
from instruct_jax.text.templates import Template

_AESLC = (
    Template("subject", "What should the subject line of this email be?\n\n{body}", response="{subject}"),
    Template(
        "before_sending",
        "I am about to send this and the subject is still empty:\n\n{body}\n\nSuggest one.",
        response="{subject}",
    ),
    Template("inbox", "{body}\n\nIn the inbox, this message is listed as", response="{subject}"),
    Template("form", "Message: {body}\nSubject:", response="{subject}"),
    Template("topic", "In a few words, what is the following email about? {body}", response="{subject}"),
    Template("write", 'Write a business email with the subject "{subject}".', response="{body}", original_task=False),
    Template(
        "colleague", "An email from a colleague is headed: {subject}\nWhat might it say?", response="{body}", original_task=False
    ),
    Template("line_reserved", "Write a subject line for the email below.\n{body}", response="{subject}", reserved=True),
    Template("title_reserved", "{body}\n\nGive this mail a title.", response="{subject}", reserved=True),
    Template(
        "short_reserved", "Say in as few words as possible what this email is for.\n\n{body}", response="{subject}", reserved=True
    ),
)

_SAMSUM = (
    Template("chat", "{dialogue}\n\nWhat was this chat about?", response="{summary}"),
    Template(
        "absent",
        "A friend was not in the chat. Tell them in a sentence or two what was said.\n\n{dialogue}",
        response="{summary}",
    ),
    Template("agreed", "Read these messages and say what came of them.\n{dialogue}", response="{summary}"),
    Template(
        "third_person", "Retell the conversation in the third person, in short.\n\n{dialogue}\n\nRetold:", response="{summary}"
    ),
    Template("minutes", "Keep minutes of this exchange, as brief as you can.\n{dialogue}", response="{summary}"),
    Template(
        "write",
        "Write the messages that friends might have sent each other, given this outline: {summary}",
        response="{dialogue}",
        original_task=False,
    ),
    Template("script", "{summary}\n\nTurn that into a dialogue in a messenger.", response="{dialogue}", original_task=False),
    Template("summarise_reserved", "Summarise the dialogue.\n\n{dialogue}", response="{summary}", reserved=True),
    Template("happened_reserved", "{dialogue}\nWhat happens in this conversation?", response="{summary}", reserved=True),
    Template("gist_reserved", "Messages:\n{dialogue}\nThe gist of them:", response="{summary}", reserved=True),
)

_TIFU = (
    Template("tldr", "{post}\n\nTL;DR:", response="{summary}"),
    Template("mishap", "Somebody confesses a mishap online. What went wrong, in a sentence?\n\n{post}", response="{summary}"),
    Template("pub", "Retell this at the pub in one breath: {post}", response="{summary}"),
    Template("titled", 'Under the title "{title}" stands this story:\n{post}\nGive the short version.', response="{summary}"),
    Template("title", "Give this post a title that makes people click.\n\n{post}", response="{title}", original_task=False),
    Template(
        "story",
        "Tell the whole embarrassing story that ends with this summary: {summary}",
        response="{post}",
        original_task=False,
    ),
    Template(
        "story_title",
        'Write a forum post with the title "{title}", in which you tell of a blunder.',
        response="{post}",
        original_task=False,
    ),
    Template("summarise_reserved", "Summarise this post from a forum. {post}", response="{summary}", reserved=True),
    Template("too_long_reserved", "Too long for me. What did the author do?\n{post}", response="{summary}", reserved=True),
    Template("one_line_reserved", "{post}\n\nThe story in a line:", response="{summary}", reserved=True),
)

_MEDIA_SUM = (
    Template("interview", "What was discussed in this interview?\n\n{transcript}", response="{summary}"),
    Template("listing", "Write the listing for this broadcast of {program}.\n\n{transcript}", response="{summary}"),
    Template("missed", "I missed the programme. What was it about?\n{transcript}", response="{summary}"),
    Template("archive", "Programme: {program}\nTranscript: {transcript}\nAbout this segment:", response="{summary}"),
    Template(
        "podcast", "Describe this conversation as one would describe a podcast episode.\n\n{transcript}", response="{summary}"
    ),
    Template(
        "write",
        "Write the transcript of a broadcast that is announced as follows.\n\n{summary}",
        response="{transcript}",
        original_task=False,
    ),
    Template(
        "host", "You host {program}. Today: {summary}\nLet the conversation begin.", response="{transcript}", original_task=False
    ),
    Template("summarise_reserved", "Summarise this transcript.\n{transcript}", response="{summary}", reserved=True),
    Template("talk_about_reserved", "{transcript}\n\nWhat do the speakers talk about?", response="{summary}", reserved=True),
    Template("brief_reserved", "In brief, what does this segment cover? {transcript}", response="{summary}", reserved=True),
)

_ROTTEN_TOMATOES = (
    Template("consensus", 'What is the consensus of these critics on "{movie}"?\n\n{reviews}', response="{consensus}"),
    Template("boil_down", "Sum these opinions on a film up in one statement.\n{reviews}", response="{consensus}"),
    Template("poster", "{movie}\n\n{reviews}\n\nIn a sentence, how was the film received?", response="{consensus}"),
    Template(
        "common", "Find what these short reviews have in common and say it like a critic.\n\n{reviews}", response="{consensus}"
    ),
    Template("page", "Film: {movie}\nReviews:\n{reviews}\nVerdict at the top of the page:", response="{consensus}"),
    Template(
        "reviews",
        'On "{movie}" critics agree: {consensus}\nWrite what each of them may have said, a line each.',
        response="{reviews}",
        original_task=False,
    ),
    Template("guess_movie", "Which film is this? {consensus}", response="{movie}", original_task=False),
    Template("summarise_reserved", "Summarise the critics' views of {movie}.\n{reviews}", response="{consensus}", reserved=True),
    Template("agree_reserved", "{reviews}\n\nWhat do critics agree on, on the whole?", response="{consensus}", reserved=True),
    Template(
        "worth_it_reserved",
        "Draw one overall judgement from these lines on a film.\n\n{reviews}",
        response="{consensus}",
        reserved=True,
    ),
)

_IDEBATE = (
    Template("claim", "What single claim do these arguments support?\n\n{arguments}", response="{claim}"),
    Template(
        "debate", 'In a debate titled "{debate}", a speaker argues:\n{arguments}\nState the speaker\'s point.', response="{claim}"
    ),
    Template("thesis", "{arguments}\n\nThesis of the above:", response="{claim}"),
    Template("heading", "Find a heading in the form of a full sentence for this argument.\n{arguments}", response="{claim}"),
    Template(
        "argue",
        'The debate is "{debate}". Write the argument for this point: {claim}',
        response="{arguments}",
        original_task=False,
    ),
    Template("defend", "Give sentences in defence of this claim.\n{claim}", response="{arguments}", original_task=False),
    Template("motion", "In which debate would somebody say this? {claim}", response="{debate}", original_task=False),
    Template("point_reserved", "What is the point of the person who says this?\n{arguments}", response="{claim}", reserved=True),
    Template("summarise_reserved", "Summarise the argument in one sentence. {arguments}", response="{claim}", reserved=True),
    Template("conclusion_reserved", "{arguments}\n\nFrom all this the speaker concludes:", response="{claim}", reserved=True),
)


def _media_sum(example):
    turns = zip(example["speaker"], example["utt"], strict=True)
    return {
        "program": example["program"],
        "transcript": "\n".join(f"{speaker}: {utterance}" for speaker, utterance in turns),
        "summary": example["summary"],
    }


def _rotten_tomatoes(example):
    return {
        "movie": example["_movie_name"],
        "reviews": "\n".join(example["_critics"]["value"]),
        "consensus": example["_critic_consensus"],
    }


def _idebate(example):
    return {
        "debate": example["_debate_name"],
        "arguments": "\n".join(example["_argument_sentences"]["value"]),
        "claim": example["_claim"],
    }


_ROUGE = ("rouge_l",)

DATASETS = (
    FlanDataset(
        "aeslc",
        CLUSTER,
        "aeslc:1.0.0",
        ("body", "subject"),
        _AESLC,
        record=renamed(body="email_body", subject="subject_line"),
        metrics=_ROUGE,
        reference="Zhang and Tetreault 2019, arXiv:1906.03497",
    ),
    FlanDataset(
        "samsum",
        CLUSTER,
        "samsum:1.0.0",
        ("dialogue", "summary"),
        _SAMSUM,
        metrics=_ROUGE,
        reference="Gliwa et al. 2019, arXiv:1911.12237",
    ),
    FlanDataset(
        "reddit_tifu",
        CLUSTER,
        "reddit_tifu/long:1.1.2",
        ("title", "post", "summary"),
        _TIFU,
        record=renamed(title="title", post="documents", summary="tldr"),
        splits={"train": "train"},
        metrics=_ROUGE,
        reference="Kim et al. 2019, arXiv:1811.00783",
    ),
    FlanDataset(
        "media_sum",
        CLUSTER,
        "media_sum:1.0.0",
        ("program", "transcript", "summary"),
        _MEDIA_SUM,
        record=_media_sum,
        splits={"train": "train", "validation": "val", "test": "test"},
        metrics=_ROUGE,
        reference="Zhu et al. 2021, arXiv:2103.06410",
    ),
    FlanDataset(
        "opinion_abstracts_rotten_tomatoes",
        CLUSTER,
        "opinion_abstracts/rotten_tomatoes:1.0.0",
        ("movie", "reviews", "consensus"),
        _ROTTEN_TOMATOES,
        record=_rotten_tomatoes,
        splits={"train": "train"},
        metrics=_ROUGE,
        reference="Wang and Ling 2016, arXiv:1606.02785",
    ),
    FlanDataset(
        "opinion_abstracts_idebate",
        CLUSTER,
        "opinion_abstracts/idebate:1.0.0",
        ("debate", "arguments", "claim"),
        _IDEBATE,
        record=_idebate,
        splits={"train": "train"},
        metrics=_ROUGE,
        reference="Wang and Ling 2016, arXiv:1606.02785",
    ),
)
