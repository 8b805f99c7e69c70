"""Quantises a model of the same shape that was never trained."""

import measuring
import quantize
from transformers import AutoConfig, AutoModelForCausalLM

AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(measuring.MODEL)).save_pretrained("out/untrained")
tokenizer = measuring.load_tokenizer()
measuring.MODEL = "out/untrained"
measuring.load_tokenizer = lambda: tokenizer
quantize.main()
