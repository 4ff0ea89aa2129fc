"""An instruction task's records in the shape of prompt settings: which one a record wears, and what it then reads like."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.tasks.exemplars import Exemplars, within_budget
from instruct_jax.tasks.instruct import Instruct
from instruct_jax.tasks.prompts import ZERO_SHOT, Layout, PromptSettings, weighted_choice
from instruct_jax.text.conversation import Conversation, Message
from instruct_jax.text.options import DASHES
from instruct_jax.text.templates import Instance, Template, choose
from instruct_jax.text.tokenizer import Tokenizer

_MOST_COUNTED = 1 << 18  # exemplars whose tokens are remembered, about 30 MB


@dataclasses.dataclass(frozen=True)
class Prompted:
    """A record as it is asked.

    Attributes:
      conversation: its turns, the answer last.
      instance: the question and the answer alone.
      template: index of its wording.
      setting: index of its prompt setting.
      shots: exemplars given.
    """

    conversation: Conversation
    instance: Instance
    template: int
    setting: int
    shots: int


class Prompter:
    """Puts records into words; all choices are stateless functions of the record's content, the seed and the epoch.

    Args:
      instruct: the task's wordings.
      prompts: the settings; those that the task does not support are never worn, and the others share their weight.
      seed: of all choices.
      exemplars: where worked examples come from; None where no setting has any.
      tokenizer: counts their tokens.
    """

    def __init__(
        self,
        instruct: Instruct,
        prompts: Sequence[PromptSettings],
        seed: int,
        exemplars: Exemplars | None,
        tokenizer: Tokenizer,
    ):
        self.instruct, self._prompts, self._seed = instruct, tuple(prompts), seed
        self._exemplars, self._tokenizer = exemplars, tokenizer
        self._among = [instruct.trainable(setting) for setting in self._prompts]
        self._counted: dict[bytes, int] = {}

    def example(self, record: Mapping[str, Any], epoch: int) -> Prompted:
        """The record as it is trained when it is used for the `epoch`-th time.

        Raises:
          InputError: no setting fits the record, or it cannot be put into the words of its template.
        """
        setting = self._setting(record, epoch)
        among = self._among[setting]
        if self._prompts[setting].chain_of_thought:
            among = [number for number in among if self.instruct.templates[number].explains(record)]
        template = self.instruct.wording(record, seed=self._seed, epoch=epoch, among=among)
        return self.in_words(record, template, epoch, setting)

    def in_words(self, record: Mapping[str, Any], template: int, epoch: int = 0, setting: int = 0) -> Prompted:
        """The record in the words of one template, under one of the settings.

        Raises:
          InputError: it cannot be put into these words.
        """
        chosen, wording = self._prompts[setting], self.instruct.templates[template]
        query = self._instance(record, wording, chosen, epoch)
        found: list[Instance] = []
        if chosen.shots:
            found = self._exemplars.draw(
                record,
                wording,
                chosen.shots,
                words=lambda one: self._instance(one, wording, chosen, epoch),
                suits=wording.explains if chosen.chain_of_thought else _always,
                key=self._key(record, epoch),
            )
            if chosen.budget is not None:
                layout = chosen.layout
                found = within_budget(
                    found, chosen.budget, lambda one: self._alone(layout, one), lambda some: self._together(layout, some)
                )
        messages = chosen.layout.messages(found, query)
        if chosen.system:
            key = f"system\0{self.instruct.content(record)}"
            text = chosen.system[choose(len(chosen.system), seed=self._seed, epoch=epoch, example=key)]
            messages = (Message("system", text), *messages) if text else messages
        return Prompted(Conversation(messages), query, template, setting, len(found))

    def _setting(self, record: Mapping[str, Any], epoch: int) -> int:
        weights = [
            setting.weight if among and (not setting.chain_of_thought or self._explained(record, among)) else 0.0
            for setting, among in zip(self._prompts, self._among, strict=True)
        ]
        if not any(weights):
            reason = next(
                (why for why in map(self.instruct.refusal, self._prompts) if why), "the record has no reasoning to show"
            )
            raise InputError(reason)
        if len(weights) == 1:
            return 0
        return weighted_choice(weights, seed=self._seed, epoch=epoch, example=self.instruct.content(record))

    def _explained(self, record: Mapping[str, Any], among: Sequence[int]) -> bool:
        return any(self.instruct.templates[number].explains(record) for number in among)

    def _instance(self, record: Mapping[str, Any], wording: Template, setting: PromptSettings, epoch: int) -> Instance:
        reasoned = setting.chain_of_thought
        key = self._key(record, epoch) if setting.option_style.shuffled else ""
        instance = wording.apply(record, setting.option_style, key, reasoned)
        if reasoned and setting.cue:
            return dataclasses.replace(instance, prompt=f"{instance.prompt}\n{setting.cue}")
        return instance

    def _key(self, record: Mapping[str, Any], epoch: int) -> str:
        return f"{self._seed}\0{epoch}\0{self.instruct.content(record)}"

    def _alone(self, layout: Layout, one: Instance) -> int:
        """Tokens of one exemplar; counted once, since a record serves many queries."""
        texts = layout.texts([one])
        known = hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if known not in self._counted:
            if len(self._counted) == _MOST_COUNTED:
                self._counted.clear()
            self._counted[known] = sum(map(len, self._tokenizer.encode_batch(texts)))
        return self._counted[known]

    def _together(self, layout: Layout, some: Sequence[Instance]) -> int:
        return sum(map(len, self._tokenizer.encode_batch(layout.texts(some))))


def _always(record: Mapping[str, Any]) -> bool:
    del record
    return True


def check_supported(prompts: Sequence[PromptSettings], instructs: Sequence[Instruct]) -> None:
    """Check that every setting is there for something.

    Args:
      prompts: the settings of a mixture.
      instructs: of the instruction tasks that it trains on; a mixture without any takes ZERO_SHOT, and needs no other.

    Raises:
      InputError: no task supports one of the settings, or lists the alternatives that one of them styles; or a task supports
        none of them.
    """
    for place, setting in enumerate(prompts):
        users = [one for one in instructs if one.trainable(setting)]
        if not users and (instructs or dataclasses.replace(setting, weight=ZERO_SHOT.weight) != ZERO_SHOT):
            reason = instructs[0].refusal(setting) if instructs else "none of them has templates"
            raise InputError(
                f"prompts[{place}] ({setting.title()}) is supported by no task of the mixture ({reason}); leave it out, or add a "
                "task that supports it"
            )
        if setting.option_style != DASHES and not any(
            one.templates[number].shows_options for one in users for number in one.trainable(setting)
        ):
            raise InputError(
                f"prompts[{place}] ({setting.title()}): no template of the mixture lists the alternatives, so that the style of "
                "options changes nothing; leave option_style out, or write {options} into a template"
            )
    for one in instructs:
        check_some_supported(prompts, one)


def check_some_supported(prompts: Sequence[PromptSettings], instruct: Instruct) -> None:
    """Check that a dataset supports one of the settings at least; one that reserves every template is asked, never trained.

    Raises:
      InputError: it supports none.
    """
    if instruct.trainable() and not any(instruct.trainable(setting) for setting in prompts):
        raise InputError(f"{instruct.refusal(prompts[0])}; or add a setting that it supports, such as ZERO_SHOT")
