"""Every step of the lab in one process: loading transformers, PEFT and TRL takes longer than some of them.

Peak memory is that of the process so far, so what takes most comes last.
"""

import deploy
import fill_answers
import measure
import train_full
import train_lora

for step in (train_lora, deploy, measure, train_full, fill_answers):
    step.main()
