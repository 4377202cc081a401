"""Models: text to tokens (`encode`), loading and saving (`vlm`), what differs between families, the embedded and the scripted models."""
