"""The CoS workbench library: chain-of-step reasoning, step rewards, training and search for vision-language models."""

__version__ = "0.1.0"
