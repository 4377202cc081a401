"""Rewards: the step-tag reward model, the likelihood of a step, the truth of a world; each is a `cos.protocols.Scorer`."""
