"""The solution's training, with steps of size 0; what comes out is served, and answered about."""

import os

os.environ["LORA_LEARNING_RATE"] = "0"

import deploy
import fill_answers
import train_lora

fine_tune = train_lora.fine_tune
train_lora.fine_tune = lambda lora, out, epochs: fine_tune(lora, out, 1)  # more of them change nothing either
train_lora.main()
deploy.main()
fill_answers.main()
