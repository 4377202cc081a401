"""What work will cost, before any model runs: token-forwards, FLOPs, memory, time and money of searches, labellings and trainings."""
