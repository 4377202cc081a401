"""Search: methods that ask (generators), a scheduler that answers them in full batches, and the trace they leave. No torch."""
