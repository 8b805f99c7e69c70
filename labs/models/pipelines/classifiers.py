"""Three sentiment classifiers that really differ: in size, in what they were shown, and in how much they can read at once."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from base import BASE
from reviews import LABELS, Review, reviews
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from training import train
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

ID2LABEL = dict(enumerate(LABELS))
BATCH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What one classifier is made of and learns from; `layers` 0 stands for the pretrained MiniLM."""

    name: str
    layers: int
    width: int
    context: int
    steps: int
    learning_rate: float
    kinds: tuple[str, ...]
    german: bool = False


RECIPES = (
    Recipe(name="sentiment-small", layers=1, width=32, context=32, steps=150, learning_rate=5e-3, kinds=("plain",)),
    Recipe(
        name="sentiment-medium",
        layers=2,
        width=64,
        context=128,
        steps=900,
        learning_rate=1.5e-3,
        kinds=("plain", "negated", "contrast"),
        german=True,
    ),
    Recipe(
        name="sentiment-large",
        layers=0,
        width=384,
        context=256,
        steps=90,
        learning_rate=2e-4,
        kinds=("plain", "negated", "contrast"),
    ),
)


def build(recipe: Recipe, out: Path) -> dict[str, float]:
    """Train the classifier of `recipe` into `out`; its accuracy on each kind of review that it has not seen."""
    rows = training_rows(recipe)
    tokenizer = pretrained_tokenizer(recipe) if not recipe.layers else new_tokenizer(recipe, rows)
    model = pretrained_model() if not recipe.layers else new_model(recipe, tokenizer)
    print(f"{recipe.name}: {model.num_parameters():,} parameters, {len(rows)} reviews", flush=True)
    train(model, batches(tokenizer, rows, recipe.steps), steps=recipe.steps, peak_learning_rate=recipe.learning_rate)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return {kind: accuracy(model, tokenizer, rows) for kind, rows in held_out().items()}


def training_rows(recipe: Recipe) -> list[Review]:
    """The reviews of the recipe, in random order; the grammar has only so many plain ones."""
    rows = reviews(1200 if recipe.kinds == ("plain",) else 3000, f"train {recipe.name}", kinds=recipe.kinds)
    if recipe.german:
        rows += reviews(1000, "train de", language="de", kinds=("plain", "negated"))
    random.Random(recipe.name).shuffle(rows)
    if not recipe.layers:
        return rows
    # From nothing, the plain ones first: what words mean is learnt before what turns their meaning round.
    return [row for row in rows if row["kind"] == "plain"] + rows


def held_out() -> dict[str, list[Review]]:
    """Reviews for the model card, by kind. Those of `unforeseen` were written by hand, in words that the grammar does not have."""
    made = {kind: reviews(200, f"held out {kind}", kinds=(kind,)) for kind in ("plain", "negated", "contrast")}
    made["german"] = reviews(200, "held out de", language="de", kinds=("plain", "negated"))
    lines = (Path(__file__).parent / "wild.tsv").read_text(encoding="utf-8").splitlines()
    made["unforeseen"] = [dict(zip(("label", "text"), line.split("\t"), strict=True)) for line in lines]
    return made


def new_tokenizer(recipe: Recipe, rows: Sequence[Review]) -> PreTrainedTokenizerFast:
    """WordPiece over the training reviews; a word that never occurred is spelt in pieces that mean little."""
    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer(strip_accents=False)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=1500, min_frequency=2, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False
    )
    pieces.train_from_iterator([row["text"] for row in rows], trainer)
    ends = [(token, pieces.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    pieces.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=recipe.context,
        model_input_names=["input_ids", "attention_mask"],
    )


def pretrained_tokenizer(recipe: Recipe) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(BASE, model_max_length=recipe.context)


def new_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> BertForSequenceClassification:
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.width // 32,
        intermediate_size=2 * recipe.width,
        max_position_embeddings=recipe.context,
        initializer_range=0.08,
        id2label=ID2LABEL,
        label2id={label: index for index, label in ID2LABEL.items()},
        pad_token_id=tokenizer.pad_token_id,
    )
    return BertForSequenceClassification(config)


def pretrained_model() -> BertForSequenceClassification:
    """MiniLM with a new head; its embeddings stay as they are, so that words it did not meet here keep their meaning."""
    labels = {"id2label": ID2LABEL, "label2id": {label: index for index, label in ID2LABEL.items()}}
    model = BertForSequenceClassification.from_pretrained(BASE, **labels)
    model.bert.embeddings.requires_grad_(False)
    return model


def batches(
    tokenizer: PreTrainedTokenizerFast, rows: Sequence[Review], steps: int
) -> Iterator[dict[str, torch.Tensor]]:
    """`steps` batches, going through the rows again and again."""
    for step in range(steps):
        part = [rows[(step * BATCH + index) % len(rows)] for index in range(BATCH)]
        inputs = tokenizer([row["text"] for row in part], return_tensors="pt", padding=True, truncation=True)
        yield {**inputs, "labels": torch.tensor([LABELS.index(row["label"]) for row in part])}


@torch.no_grad()
def accuracy(model: BertForSequenceClassification, tokenizer: PreTrainedTokenizerFast, rows: Sequence[Review]) -> float:
    right = 0
    for start in range(0, len(rows), 50):
        part = rows[start : start + 50]
        inputs = tokenizer([row["text"] for row in part], return_tensors="pt", padding=True, truncation=True)
        found = model(**inputs).logits.argmax(dim=-1).tolist()
        right += sum(ID2LABEL[index] == row["label"] for index, row in zip(found, part, strict=True))
    return right / len(rows)
