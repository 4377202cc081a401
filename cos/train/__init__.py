"""Learning: first lessons in seeing, supervised fine-tuning, the step-tag reward model. Each stage: a Config, a loss, `run`."""
