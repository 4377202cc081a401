"""Learning: supervised fine-tuning and the step-tag reward model. Each stage: a Config, a collate function, a loss."""
