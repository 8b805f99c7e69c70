"""A summariser: a causal language model of 0.4 million weights that reads a report as a chat message and answers in a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from reports import Report, reports
from rouge_score.rouge_scorer import RougeScorer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from training import train
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

STEPS = 700
BATCH = 16
LEARNING_RATE = 3e-3
CONTEXT = 192
PAD, TURN_START, TURN_END = "<|pad|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IGNORED = -100


def build(out: Path) -> dict[str, float]:
    """Train the summariser into `out`; how near its summaries of new reports come to those wanted."""
    rows = reports(6000, "train")
    tokenizer = new_tokenizer(rows)
    model = new_model(tokenizer)
    print(f"summariser: {model.num_parameters():,} parameters, {len(rows)} reports", flush=True)
    train(model, batches(tokenizer, rows), steps=STEPS, peak_learning_rate=LEARNING_RATE)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return judge(model, tokenizer, reports(100, "held out"))


def new_tokenizer(rows: Sequence[Report]) -> PreTrainedTokenizerFast:
    """Byte-level BPE, numbers as single digits, so that any number can be copied."""
    bpe = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=[PAD, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([text for row in rows[:2000] for text in (row["text"], row["summary"])], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=PAD, eos_token=TURN_END, padding_side="left", model_max_length=CONTEXT
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,  # copying takes two layers of attention: one finds the place, one what follows it
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=0.08,  # the usual 0.02 is meant for wider layers
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        dtype="float32",
    )
    model = LlamaForCausalLM(config)
    model.generation_config.max_new_tokens = 48
    return model


def batches(tokenizer: PreTrainedTokenizerFast, rows: Sequence[Report]) -> Iterator[dict[str, torch.Tensor]]:
    """Reports with their summaries; only the summary's tokens are learnt."""
    examples = [encode(tokenizer, row) for row in rows]
    for step in range(STEPS):
        part = [examples[(step * BATCH + index) % len(examples)] for index in range(BATCH)]
        yield {
            "input_ids": padded([question + answer for question, answer in part], tokenizer.pad_token_id),
            "labels": padded([[IGNORED] * len(question) + answer for question, answer in part], IGNORED),
            "attention_mask": padded([[1] * (len(question) + len(answer)) for question, answer in part], 0),
        }


def encode(tokenizer: PreTrainedTokenizerFast, row: Report) -> tuple[list[int], list[int]]:
    return tokenizer(prompt(tokenizer, row)).input_ids, tokenizer(row["summary"] + TURN_END).input_ids


def prompt(tokenizer: PreTrainedTokenizerFast, row: Report) -> str:
    turns = [{"role": "user", "content": f"Summarise: {row['text']}"}]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def padded(rows: Sequence[list[int]], value: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


@torch.no_grad()
def judge(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, rows: Sequence[Report]) -> dict[str, float]:
    """ROUGE-L and the share of summaries that are right word for word."""
    inputs = tokenizer([prompt(tokenizer, row) for row in rows], return_tensors="pt", padding=True)
    inputs.pop("token_type_ids", None)
    out = model.generate(**inputs, do_sample=False)
    made = [
        text.strip() for text in tokenizer.batch_decode(out[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)
    ]
    scorer, wanted = RougeScorer(["rougeL"]), [row["summary"] for row in rows]
    rouge = sum(scorer.score(*pair)["rougeL"].fmeasure for pair in zip(wanted, made, strict=True)) / len(rows)
    lead = [row["text"].partition(". ")[0] for row in rows]
    baseline = sum(scorer.score(*pair)["rougeL"].fmeasure for pair in zip(wanted, lead, strict=True)) / len(rows)
    exact = sum(a == b for a, b in zip(made, wanted, strict=True)) / len(rows)
    return {"ROUGE-L": rouge, "ROUGE-L of the first sentence": baseline, "word for word": exact}
