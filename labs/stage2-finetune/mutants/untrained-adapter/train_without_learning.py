"""The solution's training, with steps of size 0."""

import os

os.environ["LORA_LEARNING_RATE"] = "0"

import train_lora

train_lora.main()
