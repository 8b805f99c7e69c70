"""The model: a conversation as a list of messages in, the answer out, word for word as it is made.

A conversation is a list of {"role": "system" | "user" | "assistant", "content": text}, oldest first. Loading is given; step 1
is yours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from threading import Lock, Thread

sys.modules |= {name: None for name in ("torchao", "sklearn", "scipy") if name not in sys.modules}  # not needed; load slowly

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TextIteratorStreamer
from transformers.utils import logging

Message = dict[str, str]

MAX_NEW_TOKENS = 40
"""The longest answer."""

logging.set_verbosity_error()
logging.disable_progress_bar()
if not torch.cuda.is_available():
    torch.set_num_threads(1)  # a model this small only waits for more threads


class Companion:
    """One loaded model. Anybody may ask it; it keeps nothing of what it is asked."""

    def __init__(self) -> None:
        path = os.environ["MODEL_PATH"]
        self._tokenizer = AutoTokenizer.from_pretrained(path)
        self._model = AutoModelForCausalLM.from_pretrained(path, device_map="auto" if torch.cuda.is_available() else None)
        self._one_at_a_time = Lock()
        print("companion: model loaded", file=sys.stderr, flush=True)

    def prompt(self, messages: list[Message]) -> str:
        """The conversation as the model's chat template writes it, up to where the assistant is to go on."""
        return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def count(self, messages: list[Message]) -> int:
        """How many tokens the prompt of `messages` has."""
        return len(self._tokenizer(self.prompt(messages), add_special_tokens=False).input_ids)

    def stream(self, messages: list[Message]) -> Iterator[str]:
        """The answer as it grows: "You", "You live", "You live in Oslo." Greedy, at most MAX_NEW_TOKENS tokens.

        Only one conversation at a time is in the model (self._one_at_a_time), the others wait.
        """
        inputs = self._tokenizer(self.prompt(messages), add_special_tokens=False, return_tensors="pt")
        with self._one_at_a_time:
            pieces = TextIteratorStreamer(self._tokenizer, skip_prompt=True, timeout=300, skip_special_tokens=True)
            settings = {"max_new_tokens": MAX_NEW_TOKENS, "do_sample": False, "streamer": pieces}
            given = {name: inputs[name].to(self._model.device) for name in ("input_ids", "attention_mask")}
            thread = Thread(target=self._model.generate, kwargs={**given, **settings})
            thread.start()
            text = ""
            try:
                for piece in pieces:
                    text += piece
                    if piece:
                        yield text.strip()
            finally:
                thread.join()

    def answer(self, messages: list[Message]) -> str:
        """The whole answer."""
        text = ""
        for text in self.stream(messages):
            pass
        return text


def main() -> None:
    companion = Companion()
    messages = [{"role": "system", "content": "You are Juno, a friendly companion."}]
    for said in ("Hello, I am Ada.", "How are you?", "What is my name?"):
        messages.append({"role": "user", "content": said})
        messages.append({"role": "assistant", "content": companion.answer(messages)})
        print(f"{said}  →  {messages[-1]['content']}")
    print(companion.count(messages), "tokens")


if __name__ == "__main__":
    main()
