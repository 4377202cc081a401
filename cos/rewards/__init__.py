"""Rewards: reward models, judges, confidence, mixtures, the truth of a world; each a `cos.protocols.Scorer`; and what they are worth
as probabilities (`calibrate`)."""
