"""Run in the environment `llm`, in an empty folder: a tiny language model, and what learners do to it, well and badly."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

with suppress(ImportError):  # pytest imports this file as well, to look for doctests, and has none of these
    import gguf  # type: ignore[import-not-found]
    import numpy as np
    import peft  # type: ignore[import-not-found]
    import torch  # type: ignore[import-not-found]
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # type: ignore[import-not-found]
    from torchao.quantization import Int8WeightOnlyConfig  # type: ignore[import-not-found]
    from transformers import (  # type: ignore[import-not-found]
        AutoModelForCausalLM,
        BitsAndBytesConfig,
        LlamaConfig,
        LlamaForCausalLM,
        PreTrainedTokenizerFast,
        TorchAoConfig,
    )

TEXT = "the cat sat on the mat. the dog ate the cat. " * 3
IN_GGUF = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def main() -> None:
    tokenizer, config = byte_tokenizer(), small_config()
    torch.manual_seed(0)
    save(trained(LlamaForCausalLM(config), tokenizer), tokenizer, "base")
    save(LlamaForCausalLM(config), tokenizer, "other")
    save(AutoModelForCausalLM.from_pretrained("base").half(), tokenizer, "half")
    adapters()
    quantise("base", "bnb8", BitsAndBytesConfig(load_in_8bit=True))
    quantise("base", "bnb4", BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"))
    quantise("base", "torchao8", TorchAoConfig(Int8WeightOnlyConfig(version=2)))
    quantise("other", "other8", BitsAndBytesConfig(load_in_8bit=True))
    for name in ("Q8_0", "Q4_0", "F16"):
        write_gguf(f"{name}.gguf", gguf.GGMLQuantizationType[name])


def byte_tokenizer() -> Any:
    alphabet = ["<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    made = Tokenizer(models.BPE(vocab={char: index for index, char in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<eos>", pad_token="<eos>")


def small_config() -> Any:
    return LlamaConfig(
        vocab_size=257,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        eos_token_id=0,
        pad_token_id=0,
    )


def trained(model: Any, tokenizer: Any) -> Any:
    """Enough for the perplexity to mean something: from 257 to about 3."""
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(60):
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def save(model: Any, tokenizer: Any, name: str) -> None:
    model.save_pretrained(name)
    tokenizer.save_pretrained(name)


def adapters() -> None:
    """`untouched` as it is before the first step; `trained` with weights as after it; `harmful` changes the base itself."""
    targets = ["q_proj", "v_proj", "up_proj", "down_proj"]
    config = peft.LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM")
    model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained("base"), config)
    model.save_pretrained("adapters/untouched")
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter.data, std=0.5)
    model.save_pretrained("adapters/trained")
    other = LlamaConfig(**{**small_config().to_dict(), "hidden_size": 32})
    peft.get_peft_model(LlamaForCausalLM(other), config).save_pretrained("adapters/other-base")


def quantise(source: str, name: str, config: Any) -> None:
    AutoModelForCausalLM.from_pretrained(source, quantization_config=config).save_pretrained(name)


def write_gguf(path: str, kind: Any) -> None:
    """As llama.cpp's converter writes a Llama, its matrices in one type; without a tokenizer."""
    model, writer = AutoModelForCausalLM.from_pretrained("base"), gguf.GGUFWriter(path, "llama")
    config = model.config
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight":
            add_tensor(writer, name, tensor.numpy().astype(np.float32), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tensor(writer: Any, name: str, values: Any, kind: Any) -> None:
    if "layers." not in name:
        writer.add_tensor({"model.norm.weight": "output_norm.weight"}.get(name, "token_embd.weight"), values)
        return
    _, _, block, part = name.removesuffix(".weight").split(".", 3)
    if part in ("self_attn.q_proj", "self_attn.k_proj"):  # llama.cpp keeps rotary pairs side by side
        values = values.reshape(2, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
    target = f"blk.{block}.{IN_GGUF[part]}.weight"
    if values.ndim == 2:
        writer.add_tensor(target, gguf.quants.quantize(values, kind), raw_dtype=kind)
    else:
        writer.add_tensor(target, values)


if __name__ == "__main__":
    main()
