"""What a step search costs here, and what it costs without memory between calls: measured side by side on the same tokens."""
