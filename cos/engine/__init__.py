"""The engine: a prefix tree of keys and values, batched drawing and reading below it, open prompts and their handles."""
