"""The report card of a reward model: labelled chains (`cases`, `files`), their rewards (`judging`), what these are worth (`report`)."""
