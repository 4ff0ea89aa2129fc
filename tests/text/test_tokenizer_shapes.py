"""Texts between control tokens, in the shapes of the families: as one string gives them, and no text spells a control id."""

import base64
import json

import pytest
import tokenizers

from instruct_jax.errors import InputError
from instruct_jax.text.chat import BUILT_IN, render
from instruct_jax.text.conversation import Message
from instruct_jax.text.jinja_chat import JinjaTemplate
from instruct_jax.text.pieces import Piece
from instruct_jax.text.tokenizer import load_tokenizer
from instruct_jax.text.tokenizer_config import AddedToken, TokenizerConfig, read_config
from tests.text import tokenizer_shapes
from tests.text.tokenizer_shapes import HOSTILE, SHAPES


@pytest.fixture(scope="module", params=SHAPES)
def folder(request, tmp_path_factory):
    place = tmp_path_factory.mktemp(request.param)
    tokenizer_shapes.write(request.param, place)
    return place


def _whole(folder, text):
    """The library's own ids of a whole string, control tokens found in it."""
    library = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    return library.encode(text, add_special_tokens=False).ids


def test_texts_between_control_tokens_have_the_ids_of_the_whole_string(folder):
    tokenizer = load_tokenizer(folder)
    first, last = (tokenizer.special_tokens * 2)[-2:]
    source = f"{first}{{% for m in messages %}}{{{{ m.content }}}}{last}\n{{% endfor %}}{first} {last}"
    template = JinjaTemplate(source, None, None, tokenizer.special_tokens)
    for text in (one for one in HOSTILE if "<unk>" not in one):
        found = render([("user", text), ("user", " a" + text)], template, tokenizer, add_generation_prompt=True)
        assert found.tokens.tolist() == _whole(folder, f"{first}{text}{last}\n a{text}{last}\n{first} {last}"), text


def test_no_text_spells_a_control_id(folder):
    tokenizer = load_tokenizer(folder)
    names = [name for name in tokenizer.special_tokens if "unk" not in name.lower()]
    controls = {tokenizer.special(name) for name in names}
    for name in names:
        for text in (name, f"a {name}", f"{name} b", name * 3, f"\n{name}\n"):
            pieces = [Piece(text), Piece(text, after=names[0], before=names[-1]), Piece(text, continued=True)]
            for ids, _ in tokenizer.encode_pieces(pieces):
                assert ids
                assert not controls & set(ids), text


def test_ranges_of_characters_are_found_among_the_tokens_and_a_straddling_token_is_left_out(folder):
    tokenizer = load_tokenizer(folder)
    text = "Question: the red kite flies over the hill, 12345 times\nAnswer:"
    inside = (text.index("the"), text.index("\n"))
    ((ids, ((start, end),)),) = tokenizer.encode_pieces([Piece(text, ranges=(inside,))])
    assert ids == tokenizer.encode(text)
    assert 0 < start < end <= len(ids)
    kept = "".join(tokenizer.decode(ids[start:end]).split()).lower()
    assert kept
    assert kept in "".join(text[slice(*inside)].split()).lower()


def test_continued_text_gets_no_space_of_its_own(folder):
    tokenizer = load_tokenizer(folder)
    ((ids, _),) = tokenizer.encode_pieces([Piece("kite", continued=True)])
    assert not tokenizer.piece(ids[0]).startswith(("▁", "Ġ"))


def test_a_control_token_that_eats_space_eats_it(tmp_path):
    """Phi-3's: the line break after <|assistant|> is no token, so that the answer stands right after it."""
    tokenizer_shapes.write("phi3", tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    source = (
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    )
    template = JinjaTemplate(source, "<s>", "<|endoftext|>", tokenizer.special_tokens)
    talk = [("user", "the kite"), ("assistant", "flies")]
    assert render(talk, template, tokenizer).tokens.tolist() == _whole(
        tmp_path, "<|user|>\nthe kite<|end|>\n<|assistant|>\nflies<|end|>\n"
    )
    prompt = render(talk[:1], template, tokenizer, add_generation_prompt=True)
    assert tokenizer.special("<|assistant|>") == prompt.tokens[-1]


def test_added_tokens_that_control_nothing_are_found_in_texts(tmp_path):
    tokenizer_shapes.write("qwen", tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.special("<think>") is None
    assert tokenizer.encode("<think>a</think>")[0] == _whole(tmp_path, "<think>")[0]


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\udc00\ud800"])
def test_half_a_surrogate_pair_is_refused_and_named(folder, text):
    with pytest.raises(InputError, match="holds a lone surrogate at character"):
        load_tokenizer(folder).encode(text)


def test_a_tiktoken_file_is_its_vocabulary(tmp_path):
    fields = json.loads(tokenizer_shapes.llama3().to_str())
    letters = {letter: byte for byte, letter in enumerate(_letters())}
    lines = [
        base64.b64encode(bytes(letters[one] for one in word)) + b" %d\n" % rank for word, rank in fields["model"]["vocab"].items()
    ]
    (tmp_path / "tokenizer.model").write_bytes(b"".join(lines))
    added = {str(one["id"]): {"content": one["content"], "special": True} for one in fields["added_tokens"]}
    config = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "added_tokens_decoder": added}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = load_tokenizer(tmp_path)
    expected = tokenizers.Tokenizer.from_str(json.dumps(fields))
    assert tokenizer.encode_batch(HOSTILE) == [expected.encode(text, add_special_tokens=False).ids for text in HOSTILE]
    assert tokenizer.eos_id == expected.token_to_id("<|eot_id|>")
    tokenizer.save(tmp_path / "saved")
    assert load_tokenizer(tmp_path / "saved").fingerprint == tokenizer.fingerprint
    (tmp_path / "tokenizer.model").write_bytes(lines[0] + b"nonsense\n")
    with pytest.raises(InputError, match=r"tokenizer\.model:2 is b'nonsense'; expected bytes in base64"):
        load_tokenizer(tmp_path)


def _letters():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


BOTH = {"bos_token": "<s>", "eos_token": "</s>"}


@pytest.mark.parametrize(
    ("config", "mapped"),
    [
        ({**BOTH, "pad_token": None, "additional_special_tokens": ["<a>", {"content": "<b>"}]}, {}),
        ({"bos_token": {"content": "<s>"}}, {"eos_token": {"content": "</s>"}, "additional_special_tokens": ["<a>", "<b>"]}),
        ({**BOTH, "extra_special_tokens": {"first": "<a>", "second": {"content": "<b>"}}}, {}),
        ({**BOTH, "extra_special_tokens": ["<a>", "<b>"], "add_bos_token": None}, {"bos_token": "<x>"}),
    ],
)
def test_control_tokens_are_read_in_every_form(tmp_path, config, mapped):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(mapped))
    assert read_config(tmp_path).controls() == ("<s>", "</s>", "<a>", "<b>")


def test_a_configuration_is_what_its_json_says(tmp_path):
    added = (AddedToken("<s>", 5, True, False, True, False), AddedToken("<t>", 6))
    config = TokenizerConfig("<s>", None, (("pad_token", "<p>"),), ("<a>",), added, True)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config.to_json()))
    assert read_config(tmp_path) == config


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"bos_token": 3}, "bos_token is 3; expected a token's text"),
        ({"additional_special_tokens": "<a>"}, "additional_special_tokens holds str"),
        ({"added_tokens_decoder": {"x": {"content": "<a>"}}}, "added_tokens_decoder is not a token for each id"),
        ({"added_tokens_decoder": [1]}, "added_tokens_decoder is not a token for each id"),
        ({"add_bos_token": "yes"}, "add_bos_token is 'yes'"),
    ],
)
def test_a_configuration_of_another_form_is_refused_by_name(tmp_path, config, message):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=message):
        read_config(tmp_path)


@pytest.mark.parametrize("template", BUILT_IN.values(), ids=lambda template: template.name)
def test_an_answer_to_a_table_of_turns_has_the_ids_it_has_alone_whether_trained_or_read(template, folder):
    tokenizer = load_tokenizer(folder)
    if tokenizer.eos_id is None:
        pytest.skip("a table of turns closes an answer with the tokenizer's eos")
    first, second = tokenizer.encode("perhaps not"), tokenizer.encode("yes")
    turns = [("user", "Perhaps or\nno?"), ("assistant", "perhaps not"), ("user", "So?"), ("assistant", "yes")]
    trained = render(turns, template, tokenizer)
    assert trained.tokens[trained.weights > 0].tolist() == [*first, tokenizer.eos_id, *second, tokenizer.eos_id]
    served = render([turns[0], Message("assistant", "perhaps not", trained=False), turns[2]], template, tokenizer, True)
    assert trained.tokens[: served.tokens.size].tolist() == served.tokens.tolist()
