"""Greedy replies of a base model: before an adapter is loaded, with it, and with it switched off. Runs in `frame`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Unmet(Exception):
    """What the learner made cannot be used."""


def look(arguments: dict[str, Any]) -> dict[str, Any]:
    """{"base", "adapted", "restored"}: a list of replies each, in the order of the prompts."""
    import peft  # type: ignore[import-not-found]
    import torch  # type: ignore[import-not-found]
    import transformers  # type: ignore[import-not-found]

    folder = folder_of(arguments["base"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype="auto", use_safetensors=True, trust_remote_code=False
    )
    model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    texts = [turn(tokenizer, prompt, arguments["system"]) for prompt in arguments["prompts"]]
    limit = arguments["max_tokens"]
    base = replies(model, tokenizer, texts, limit)
    try:
        tuned = peft.PeftModel.from_pretrained(model, arguments["adapter"]).eval()
        adapted = replies(tuned, tokenizer, texts, limit)
    except ImportError:
        raise
    except Exception as error:
        raise Unmet(f"{arguments['adapter']} cannot be used with its base: {type(error).__name__}: {error}") from error
    with tuned.disable_adapter():
        restored = replies(tuned, tokenizer, texts, limit)
    return {"base": base, "adapted": adapted, "restored": restored}


def folder_of(model: str) -> str:
    """Where a model is. A hub's id is looked up in the cache, never below the workspace, which is the current folder."""
    if Path(model).is_absolute():
        return model
    from huggingface_hub import snapshot_download  # type: ignore[import-not-found]

    return str(snapshot_download(model, local_files_only=True))


def turn(tokenizer: Any, prompt: str, system: str | None) -> str:
    if not tokenizer.chat_template:
        return prompt if system is None else f"{system}\n\n{prompt}"
    messages = [{"role": "user", "content": prompt}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def replies(model: Any, tokenizer: Any, texts: list[str], max_tokens: int) -> list[str]:
    """One at a time: in a batch, padding would change what is computed."""
    import torch

    made = []
    for text in texts:
        # The chat template has put the special tokens in.
        inputs = tokenizer(text, return_tensors="pt", add_special_tokens=not tokenizer.chat_template)
        ids, mask = inputs.input_ids.to(model.device), inputs.attention_mask.to(model.device)
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=max_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=tokenizer.eos_token_id,
            )
        made.append(str(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=False)))
    return made
